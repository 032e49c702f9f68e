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
    constructor(client: import("./client.js").Client, id: string, options?: {
        role?: string;
        name?: string;
    });
    client: import("./client.js").Client;
    id: string;
    options: {
        role?: string;
        name?: string;
    };
    epoch: string;
    seq: number;
    role: string;
    /** True while the server counts us in on the present connection. */
    joined: boolean;
    /** True between a join request and its reply: events with a seq that arrive then come again behind the reply. */
    joining: boolean;
    /**
     * Asks for membership, resuming where we were. Called by the client on every new connection and on a gap.
     * @returns {Promise<JoinReply>}
     */
    enter(): Promise<JoinReply>;
    /**
     * Runs in the same turn as the reply's arrival: events of the same batch must find the room ready.
     * @param {JoinReply} reply
     */
    entered(reply: JoinReply): void;
    /**
     * Takes one event from the wire: in order, once each; a gap leads to a resume.
     * @param {ServerEvent} event
     */
    receive(event: ServerEvent): void;
    /**
     * A request in this room; see Client.request.
     * @param {string} op
     * @param {Record<string, any>} [data]
     * @param {{timeoutMs?: number}} [options]
     * @returns {Promise<any>}
     */
    request(op: string, data?: Record<string, any>, options?: {
        timeoutMs?: number;
    }): Promise<any>;
}
export type JoinReply = import("./types.js").JoinReply;
export type ServerEvent = import("./types.js").ServerEvent;
import { Emitter } from './emitter.js';
