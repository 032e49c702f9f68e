// A clock that moves only when told, and a WebSocket whose other end is the test.

export class FakeTimers {
  constructor(start = 1_000_000) {
    this.time = start;
    this.list = [];
    this.last = 0;
  }

  now = () => this.time;

  setTimeout = (fn, ms) => {
    const id = ++this.last;
    this.list.push({ id, at: this.time + ms, fn });
    return id;
  };

  clearTimeout = (id) => {
    this.list = this.list.filter((t) => t.id !== id);
  };

  /** Moves the clock, running what is due in order, and lets promises settle in between. */
  async advance(ms) {
    const end = this.time + ms;
    for (;;) {
      await settle();
      const due = this.list.filter((t) => t.at <= end).sort((a, b) => a.at - b.at || a.id - b.id)[0];
      if (!due) break;
      this.clearTimeout(due.id);
      this.time = Math.max(this.time, due.at);
      due.fn();
    }
    this.time = end;
    await settle();
  }
}

/** Lets every promise that can go on do so. */
export async function settle() {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

/** Makes a WebSocket class and keeps its instances in `sockets`. */
export function fakeSockets() {
  const sockets = [];
  class FakeSocket {
    constructor(url, protocols) {
      Object.assign(this, { url, protocols, sent: [], readyState: 0, closed: null });
      sockets.push(this);
    }

    send(text) {
      this.sent.push(JSON.parse(text));
    }

    close(code) {
      this.closed = code ?? 1005;
    }

    // From here on: what the test does as the server.
    open() {
      this.readyState = 1;
      this.onopen?.({});
    }

    say(...messages) {
      for (const m of messages) this.onmessage?.({ data: JSON.stringify(m) });
    }

    drop(code = 1006, reason = '') {
      this.onclose?.({ code, reason });
    }

    /** The requests with this op, oldest first. */
    of(op) {
      return this.sent.filter((m) => m.op === op);
    }

    /** Answers the newest request with this op. */
    answer(op, data) {
      this.say({ re: this.of(op).at(-1).id, ok: true, data });
    }

    refuse(op, error) {
      this.say({ re: this.of(op).at(-1).id, ok: false, error });
    }
  }
  return { FakeSocket, sockets };
}
