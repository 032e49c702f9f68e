import { Emitter } from './emitter.js';

/** @typedef {import('./types.js').JoinReply} JoinReply */
/** @typedef {import('./types.js').ServerEvent} ServerEvent */

/**
 * Room is one room as this client sees it. Besides the server's events (by their names) it emits:
 * `snapshot` (JoinReply): the room's state, to draw from scratch; `resumed` (JoinReply): nothing was lost, the missed
 * events follow; `gap` ({from, to}): events were missed and are being asked for; `event` (ServerEvent): every event;
 * `refused` (LecternError): the server does not let us in any more.
 */
export class Room extends Emitter {
  /**
   * @param {import('./client.js').Client} client
   * @param {string} id
   * @param {{role?: string, name?: string}} [options]
   */
  constructor(client, id, options = {}) {
    super();
    this.client = client;
    this.id = id;
    this.options = options;
    this.epoch = '';
    this.seq = 0;
    this.role = '';
    /** True while the server counts us in on the present connection. */
    this.joined = false;
    /** True between a join request and its reply: events with a seq that arrive then come again behind the reply. */
    this.joining = false;
  }

  /**
   * Asks for membership, resuming where we were. Called by the client on every new connection and on a gap.
   * @returns {Promise<JoinReply>}
   */
  async enter() {
    this.joining = true;
    /** @type {Record<string, unknown>} */
    const data = { ...this.options };
    if (this.epoch) {
      data.epoch = this.epoch;
      data.since = this.seq;
    }
    try {
      return await this.client.requestNow('room:join', data, { room: this.id, onReply: (r) => this.entered(r) });
    } finally {
      this.joining = false;
    }
  }

  /**
   * Runs in the same turn as the reply's arrival: events of the same batch must find the room ready.
   * @param {JoinReply} reply
   */
  entered(reply) {
    this.joining = false;
    this.joined = true;
    this.role = reply.role;
    if (reply.recovered && reply.epoch === this.epoch) {
      this.emit('resumed', reply);
      return;
    }
    this.epoch = reply.epoch;
    this.seq = reply.seq;
    this.emit('snapshot', reply);
  }

  /**
   * Takes one event from the wire: in order, once each; a gap leads to a resume.
   * @param {ServerEvent} event
   */
  receive(event) {
    if (event.seq) {
      if (this.joining || !this.joined || event.seq <= this.seq) return;
      if (event.seq > this.seq + 1) {
        this.emit('gap', { from: this.seq + 1, to: event.seq });
        this.client.recover(this);
        return;
      }
      this.seq = event.seq;
    }
    this.emit(event.ev, event.data, event);
    this.emit('event', event);
  }

  /**
   * A request in this room; see Client.request.
   * @param {string} op
   * @param {Record<string, any>} [data]
   * @param {{timeoutMs?: number}} [options]
   * @returns {Promise<any>}
   */
  request(op, data, options = {}) {
    return this.client.request(op, data, { ...options, room: this.id });
  }
}
