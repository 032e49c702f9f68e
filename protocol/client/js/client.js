import { ServerClock } from './clock.js';
import { Emitter } from './emitter.js';
import { LecternError } from './errors.js';
import { afterClose, backoffMs } from './reconnect.js';
import { Room } from './room.js';
import { messagesIn, socketClass } from './sockets.js';
import { systemTimers } from './timers.js';

/** @typedef {import('./types.js').ClientOptions} ClientOptions */
/** @typedef {import('./types.js').ClientState} ClientState */
/** @typedef {import('./types.js').Tokens} Tokens */
/** @typedef {import('./types.js').Pending} Pending */

const retryable = new Set(['unavailable', 'rate_limited', 'internal', 'not_member']);
const handshakeMs = 10_000;
const stableMs = 5_000;
const firstSamples = 5;
const probeAfterMs = 4_000;
const probeMs = 5_000;
const timerMsMax = 2 ** 31 - 1;
const queueMaxDefault = 1_000;

/** @type {(code: string, message: string) => Promise<any>} */
const refused = (code, message) => Promise.reject(new LecternError(code, message));

/**
 * Client is one connection to a Lectern server that comes back by itself. It emits `state` (ClientState), `tokens`
 * (Tokens) when they were renewed, `synced` (ServerClock) after a clock sample, `event` (ServerEvent) for events of no
 * known room, and `stopped` ({code, reason}) when it will not come back: the close code or the lost right to renew says so.
 *
 * Requests whose data has a `key` are kept over lost connections and sent again, with the same key, until the server
 * has answered; all others fail with `disconnected`. At most `queueMax` are kept; one more is refused with `queue_full`,
 * because the older ones were promised to their callers.
 */
export class Client extends Emitter {
  /** @param {ClientOptions} options */
  constructor(options) {
    super();
    this.options = options;
    this.Socket = socketClass(options);
    this.timers = options.timers ?? systemTimers();
    this.random = options.random ?? Math.random;
    /** @type {Tokens | undefined} */
    this.tokens = options.tokens;
    this.clock = new ServerClock(this.timers.now);
    /** @type {ClientState} */
    this.state = 'idle';
    /** @type {Map<string, Room>} */
    this.rooms = new Map();
    /** @type {Set<Pending>} */
    this.waiting = new Set();
    /** @type {Map<number, Pending>} */
    this.byId = new Map();
    /** @type {import('./types.js').Socket | undefined} */
    this.socket = undefined;
    this.lastId = 0;
    this.attempt = 0;
    /** @type {Promise<boolean> | undefined} */ this.renewing = undefined;
    /** @type {any} */ this.retryTimer = undefined;
    /** @type {any} */ this.renewTimer = undefined;
    /** @type {any} */ this.beatTimer = undefined;
    /** @type {any} */ this.stableTimer = undefined;
    /** @type {any} */ this.openTimer = undefined;
  }

  /** Starts connecting. Further calls do nothing. */
  connect() {
    if (this.state !== 'idle') return;
    this.scheduleRenewal();
    this.open();
  }

  /** Ends it for good; requests still waiting fail with `closed`. */
  close() {
    this.stop(1000, 'closed by the page', false);
  }

  /** Tries again at once, and measures the clock anew: for when the network or the page has come back. */
  wake() {
    if (this.state === 'waiting' && !this.renewing) this.open();
    else if (this.state === 'open') {
      this.clock.restart();
      this.sample(firstSamples);
    }
  }

  /**
   * The room with this id, made on first use, and entered on every new connection.
   * @param {string} id
   * @param {{role?: string, name?: string}} [options]
   * @returns {Room}
   */
  join(id, options) {
    let room = this.rooms.get(id);
    if (!room) {
      room = new Room(this, id, options);
      this.rooms.set(id, room);
      // Deferred, so that the caller can attach its handlers first.
      const entered = room;
      if (this.state === 'open') queueMicrotask(() => this.enter(entered));
    }
    return room;
  }

  /**
   * Sends a request. With data.key it is kept until answered; timeoutMs then has no default.
   * @param {string} op
   * @param {Record<string, any>} [data]
   * @param {{room?: string, timeoutMs?: number}} [options]
   * @returns {Promise<any>} the reply's data; rejects with LecternError
   */
  request(op, data, options = {}) {
    const keep = typeof data?.key === 'string';
    if (!keep) return this.requestNow(op, data, options);
    if (this.state === 'stopped') return refused('closed', 'the connection is closed for good');
    if (this.kept() >= (this.options.queueMax ?? queueMaxDefault)) {
      return refused('queue_full', 'too many requests wait for the server; try again later');
    }
    return new Promise((resolve, reject) => {
      const p = this.pend(op, data, options, resolve, reject, true);
      if (this.ready(p)) this.transmit(p);
    });
  }

  /** How many requests are kept until the server has answered them. */
  kept() {
    let n = 0;
    for (const p of this.waiting) if (p.keep) n++;
    return n;
  }

  /**
   * Sends a request on the present connection or fails.
   * @param {string} op
   * @param {Record<string, any>} [data]
   * @param {{room?: string, timeoutMs?: number, onReply?: (data: any) => void}} [options]
   * @returns {Promise<any>}
   */
  requestNow(op, data, options = {}) {
    if (this.state !== 'open') return refused('disconnected', 'there is no connection; try again when it is back');
    const timeoutMs = options.timeoutMs ?? this.options.requestTimeoutMs ?? 10_000;
    return new Promise((resolve, reject) => {
      this.transmit(this.pend(op, data, { ...options, timeoutMs }, resolve, reject, false));
    });
  }

  /**
   * @param {string} op
   * @param {Record<string, any> | undefined} data
   * @param {{room?: string, timeoutMs?: number, onReply?: (data: any) => void}} options
   * @param {(data: any) => void} resolve
   * @param {(error: LecternError) => void} reject
   * @param {boolean} keep
   * @returns {Pending}
   */
  pend(op, data, options, resolve, reject, keep) {
    const { room, onReply } = options;
    /** @type {Pending} */
    const p = { op, data, keep, resolve, reject, room, onReply, id: 0, timer: undefined };
    this.waiting.add(p);
    if (options.timeoutMs) {
      p.timer = this.timers.setTimeout(() => {
        this.settle(p);
        reject(new LecternError('timeout', 'the server did not answer in time'));
      }, options.timeoutMs);
    }
    return p;
  }

  /** @param {Pending} p */
  ready(p) {
    if (this.state !== 'open' || p.id !== 0) return false;
    const room = p.room ? this.rooms.get(p.room) : undefined;
    return !room || room.joined;
  }

  /** @param {Pending} p */
  transmit(p) {
    p.id = ++this.lastId;
    this.byId.set(p.id, p);
    /** @type {Record<string, unknown>} */
    const frame = { id: p.id, op: p.op };
    if (p.room) frame.room = p.room;
    if (p.data !== undefined) frame.data = p.data;
    this.socket?.send(JSON.stringify(frame));
    if (p.keep) this.watch(p, p.id);
  }

  /**
   * An answer that matters should not wait for the next heartbeat to find out that the connection is dead.
   * @param {Pending} p
   * @param {number} id
   */
  watch(p, id) {
    this.timers.setTimeout(() => {
      if (this.waiting.has(p) && p.id === id && this.state === 'open') this.sample(1);
    }, probeAfterMs);
  }

  /** @param {Pending} p */
  settle(p) {
    this.waiting.delete(p);
    this.byId.delete(p.id);
    this.timers.clearTimeout(p.timer);
  }

  /** Opens a socket. Whatever an older one still says is ignored. */
  open() {
    this.timers.clearTimeout(this.retryTimer);
    this.become('connecting');
    const protocols = ['lectern.v1'];
    if (this.tokens) protocols.push(`bearer.${this.tokens.accessToken}`);
    /** @type {import('./types.js').Socket} */
    let socket;
    try {
      socket = new this.Socket(this.address(), protocols);
    } catch (error) {
      this.ended(1006, String(error));
      return;
    }
    this.socket = socket;
    /** @param {(event: any) => void} fn */
    const mine = (fn) => (/** @type {any} */ event) => {
      if (this.socket === socket) fn(event);
    };
    socket.onopen = mine(() => this.opened());
    socket.onmessage = mine((event) => this.received(event.data));
    socket.onclose = mine((event) => this.ended(event.code ?? 1006, event.reason ?? ''));
    socket.onerror = () => {};
    this.openTimer = this.timers.setTimeout(() => this.abandon('no answer to the handshake'), handshakeMs);
  }

  address() {
    const name = this.tokens ? undefined : this.options.guestName;
    return name ? `${this.options.url}?guest=${encodeURIComponent(name)}` : this.options.url;
  }

  opened() {
    this.timers.clearTimeout(this.openTimer);
    this.become('open');
    this.stableTimer = this.timers.setTimeout(() => {
      this.attempt = 0;
    }, stableMs);
    for (const room of this.rooms.values()) this.enter(room);
    for (const p of [...this.waiting]) if (!p.room && this.ready(p)) this.transmit(p);
    this.sample(firstSamples);
    this.beat();
  }

  /** @param {Room} room */
  async enter(room) {
    const socket = this.socket;
    try {
      await room.enter();
    } catch (error) {
      if (this.socket !== socket || !(error instanceof LecternError)) return;
      if (error.code === 'timeout') this.abandon('no answer to room:join');
      else if (retryable.has(error.code))
        this.later(
          error,
          () => this.enter(room),
          () => this.socket === socket,
        );
      else if (error.code !== 'disconnected') room.emit('refused', error);
      return;
    }
    this.flush(room);
  }

  /** @param {Room} room */
  flush(room) {
    for (const p of [...this.waiting]) if (p.room === room.id && this.ready(p)) this.transmit(p);
  }

  /**
   * Fills a gap in a room's events.
   * @param {Room} room
   */
  recover(room) {
    if (!room.joining && this.state === 'open') this.enter(room);
  }

  /** @param {unknown} text a frame: one object, or an array of them */
  received(text) {
    for (const message of messagesIn(text)) this.dispatch(message);
  }

  /** @param {any} message */
  dispatch(message) {
    if (typeof message.re === 'number') this.replied(message);
    else if (typeof message.ev === 'string') {
      const room = this.rooms.get(message.room);
      if (room) room.receive(message);
      else this.emit('event', message);
    }
  }

  /** @param {import('./types.js').ServerReply} reply */
  replied(reply) {
    const p = this.byId.get(reply.re);
    if (!p) return;
    if (!reply.ok && p.keep && retryable.has(reply.error?.code ?? '')) {
      this.byId.delete(p.id);
      p.id = 0;
      const room = p.room ? this.rooms.get(p.room) : undefined;
      if (reply.error?.code === 'not_member' && room) this.recover(room);
      this.later(
        reply.error,
        () => this.transmit(p),
        () => this.waiting.has(p) && this.ready(p),
      );
      return;
    }
    this.settle(p);
    if (reply.ok) {
      p.onReply?.(reply.data);
      p.resolve(reply.data);
      return;
    }
    const e = reply.error ?? { code: 'internal', message: 'the server refused without a reason' };
    p.reject(new LecternError(e.code, e.message, e));
  }

  /**
   * @param {{retryAfterMs?: number} | undefined} error
   * @param {() => void} again
   * @param {() => boolean} still whether there is still a point in it
   */
  later(error, again, still) {
    const wait = (error?.retryAfterMs ?? 1_000) + this.random() * 500;
    this.timers.setTimeout(() => {
      if (still()) again();
    }, wait);
  }

  /**
   * Gives up a socket that does not answer; the browser may need minutes to notice.
   * @param {string} reason
   */
  abandon(reason) {
    const socket = this.socket;
    this.ended(1006, reason);
    try {
      socket?.close();
    } catch {} // it was not open yet
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  ended(code, reason) {
    const wasOpen = this.state === 'open';
    this.socket = undefined;
    for (const timer of [this.openTimer, this.stableTimer, this.beatTimer]) this.timers.clearTimeout(timer);
    for (const room of this.rooms.values()) {
      room.joined = false;
      room.joining = false;
    }
    this.byId.clear();
    for (const p of [...this.waiting]) {
      p.id = 0;
      if (p.keep) continue;
      this.settle(p);
      p.reject(new LecternError('disconnected', 'the connection was lost before the answer came'));
    }
    const plan = afterClose(code, reason, this.attempt, this.random);
    // A browser does not say why a handshake failed. An expired token is one reason that we can find out about.
    const expired = !wasOpen && this.expiresIn() < 0;
    this.attempt++;
    if (plan.action === 'stop') this.stop(code, reason, true);
    else this.retry(plan.delayMs, plan.action === 'renew' || expired || (!wasOpen && this.attempt === 3));
  }

  /**
   * @param {number} delayMs
   * @param {boolean} renew
   */
  retry(delayMs, renew) {
    this.become('waiting');
    this.timers.clearTimeout(this.retryTimer);
    this.retryTimer = this.timers.setTimeout(async () => {
      if (renew && !(await this.renew())) return;
      if (this.state === 'waiting') this.open();
    }, delayMs);
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {boolean} tell
   */
  stop(code, reason, tell) {
    if (this.state === 'stopped') return;
    const socket = this.socket;
    this.socket = undefined;
    for (const t of [this.retryTimer, this.renewTimer, this.beatTimer, this.stableTimer, this.openTimer]) {
      this.timers.clearTimeout(t);
    }
    this.become('stopped');
    for (const p of [...this.waiting]) {
      this.settle(p);
      p.reject(new LecternError('closed', 'the connection is closed for good'));
    }
    socket?.close(1000);
    if (tell) this.emit('stopped', { code, reason });
  }

  /** @param {ClientState} state */
  become(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit('state', state);
  }

  /** Milliseconds that the access token is still good for; Infinity when that isn't known. */
  expiresIn() {
    return this.tokens?.expiresAt ? this.tokens.expiresAt - this.clock.now() : Infinity;
  }

  scheduleRenewal() {
    this.timers.clearTimeout(this.renewTimer);
    const left = this.expiresIn();
    if (left === Infinity || !this.tokens?.refreshToken || !this.options.renew) return;
    // A fifth of the life before its end, so that a short outage leaves room for another try.
    const wait = this.tokens.unsettled ? 0 : Math.min(Math.max(left * 0.8, 1_000), timerMsMax);
    this.renewTimer = this.timers.setTimeout(() => this.renew(), wait);
  }

  /**
   * Renews the tokens and, on an open connection, tells the server. Stops the client when the right to renew is gone.
   * Calls at the same time share one renewal.
   * @returns {Promise<boolean>} whether the client may go on
   */
  renew() {
    return (this.renewing ??= this.renewOnce().finally(() => (this.renewing = undefined)));
  }

  async renewOnce() {
    if (!this.tokens?.refreshToken || !this.options.renew) {
      if (this.expiresIn() < 0) this.stop(4002, 'the token has expired', true);
      return this.state !== 'stopped';
    }
    try {
      this.tokens = await this.options.renew(this.tokens);
    } catch (error) {
      const status = error instanceof LecternError ? (error.status ?? 0) : 0;
      const refused = status >= 400 && status < 500 && status !== 429 && status !== 408;
      if (refused) {
        this.stop(4203, 'the session has ended', true);
        return false;
      }
      const wait = backoffMs(this.attempt++, this.random);
      if (this.state === 'waiting') this.retry(wait, true);
      else this.renewTimer = this.timers.setTimeout(() => this.renew(), wait);
      return false;
    }
    this.emit('tokens', this.tokens);
    this.scheduleRenewal();
    if (this.state === 'open') this.requestNow('auth', { token: this.tokens.accessToken }).catch(() => {});
    return true;
  }

  /**
   * Measures the clock n times, one after the other.
   * @param {number} n
   */
  async sample(n) {
    const socket = this.socket;
    for (let i = 0; i < n && this.socket === socket; i++) {
      const t0 = this.timers.now();
      try {
        await this.requestNow(
          'time:sync',
          { t0 },
          {
            timeoutMs: probeMs,
            onReply: (r) => this.clock.add(t0, r.t1, r.t2, this.timers.now()),
          },
        );
      } catch (error) {
        // Browsers can't ping. A connection that does not answer this is dead, whatever its state says.
        const timedOut = error instanceof LecternError && error.code === 'timeout';
        if (timedOut && this.socket === socket) this.abandon('no answer to time:sync');
        return;
      }
    }
    if (this.socket === socket) this.emit('synced', this.clock);
  }

  beat() {
    this.timers.clearTimeout(this.beatTimer);
    this.beatTimer = this.timers.setTimeout(() => {
      this.sample(1);
      this.beat();
    }, this.options.heartbeatMs ?? 20_000);
  }
}
