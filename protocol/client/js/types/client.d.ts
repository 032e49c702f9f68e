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
    constructor(options: ClientOptions);
    options: import("./types.js").ClientOptions;
    Socket: new (url: string, protocols?: string[]) => any;
    timers: import("./types.js").Timers;
    random: () => number;
    /** @type {Tokens | undefined} */
    tokens: Tokens | undefined;
    clock: ServerClock;
    /** @type {ClientState} */
    state: ClientState;
    /** @type {Map<string, Room>} */
    rooms: Map<string, Room>;
    /** @type {Set<Pending>} */
    waiting: Set<Pending>;
    /** @type {Map<number, Pending>} */
    byId: Map<number, Pending>;
    /** @type {import('./types.js').Socket | undefined} */
    socket: import("./types.js").Socket | undefined;
    lastId: number;
    attempt: number;
    /** @type {Promise<boolean> | undefined} */ renewing: Promise<boolean> | undefined;
    /** @type {any} */ retryTimer: any;
    /** @type {any} */ renewTimer: any;
    /** @type {any} */ beatTimer: any;
    /** @type {any} */ stableTimer: any;
    /** @type {any} */ openTimer: any;
    /** Starts connecting. Further calls do nothing. */
    connect(): void;
    /** Ends it for good; requests still waiting fail with `closed`. */
    close(): void;
    /** Tries again at once, and measures the clock anew: for when the network or the page has come back. */
    wake(): void;
    /**
     * The room with this id, made on first use, and entered on every new connection.
     * @param {string} id
     * @param {{role?: string, name?: string}} [options]
     * @returns {Room}
     */
    join(id: string, options?: {
        role?: string;
        name?: string;
    }): Room;
    /**
     * Sends a request. With data.key it is kept until answered; timeoutMs then has no default.
     * @param {string} op
     * @param {Record<string, any>} [data]
     * @param {{room?: string, timeoutMs?: number}} [options]
     * @returns {Promise<any>} the reply's data; rejects with LecternError
     */
    request(op: string, data?: Record<string, any>, options?: {
        room?: string;
        timeoutMs?: number;
    }): Promise<any>;
    /** How many requests are kept until the server has answered them. */
    kept(): number;
    /**
     * Sends a request on the present connection or fails.
     * @param {string} op
     * @param {Record<string, any>} [data]
     * @param {{room?: string, timeoutMs?: number, onReply?: (data: any) => void}} [options]
     * @returns {Promise<any>}
     */
    requestNow(op: string, data?: Record<string, any>, options?: {
        room?: string;
        timeoutMs?: number;
        onReply?: (data: any) => void;
    }): Promise<any>;
    /**
     * @param {string} op
     * @param {Record<string, any> | undefined} data
     * @param {{room?: string, timeoutMs?: number, onReply?: (data: any) => void}} options
     * @param {(data: any) => void} resolve
     * @param {(error: LecternError) => void} reject
     * @param {boolean} keep
     * @returns {Pending}
     */
    pend(op: string, data: Record<string, any> | undefined, options: {
        room?: string;
        timeoutMs?: number;
        onReply?: (data: any) => void;
    }, resolve: (data: any) => void, reject: (error: LecternError) => void, keep: boolean): Pending;
    /** @param {Pending} p */
    ready(p: Pending): boolean;
    /** @param {Pending} p */
    transmit(p: Pending): void;
    /**
     * An answer that matters should not wait for the next heartbeat to find out that the connection is dead.
     * @param {Pending} p
     * @param {number} id
     */
    watch(p: Pending, id: number): void;
    /** @param {Pending} p */
    settle(p: Pending): void;
    /** Opens a socket. Whatever an older one still says is ignored. */
    open(): void;
    address(): string;
    opened(): void;
    /** @param {Room} room */
    enter(room: Room): Promise<void>;
    /** @param {Room} room */
    flush(room: Room): void;
    /**
     * Fills a gap in a room's events.
     * @param {Room} room
     */
    recover(room: Room): void;
    /** @param {unknown} text a frame: one object, or an array of them */
    received(text: unknown): void;
    /** @param {any} message */
    dispatch(message: any): void;
    /** @param {import('./types.js').ServerReply} reply */
    replied(reply: import("./types.js").ServerReply): void;
    /**
     * @param {{retryAfterMs?: number} | undefined} error
     * @param {() => void} again
     * @param {() => boolean} still whether there is still a point in it
     */
    later(error: {
        retryAfterMs?: number;
    } | undefined, again: () => void, still: () => boolean): void;
    /**
     * Gives up a socket that does not answer; the browser may need minutes to notice.
     * @param {string} reason
     */
    abandon(reason: string): void;
    /**
     * @param {number} code
     * @param {string} reason
     */
    ended(code: number, reason: string): void;
    /**
     * @param {number} delayMs
     * @param {boolean} renew
     */
    retry(delayMs: number, renew: boolean): void;
    /**
     * @param {number} code
     * @param {string} reason
     * @param {boolean} tell
     */
    stop(code: number, reason: string, tell: boolean): void;
    /** @param {ClientState} state */
    become(state: ClientState): void;
    /** Milliseconds that the access token is still good for; Infinity when that isn't known. */
    expiresIn(): number;
    scheduleRenewal(): void;
    /**
     * Renews the tokens and, on an open connection, tells the server. Stops the client when the right to renew is gone.
     * Calls at the same time share one renewal.
     * @returns {Promise<boolean>} whether the client may go on
     */
    renew(): Promise<boolean>;
    renewOnce(): Promise<boolean>;
    /**
     * Measures the clock n times, one after the other.
     * @param {number} n
     */
    sample(n: number): Promise<void>;
    beat(): void;
}
export type ClientOptions = import("./types.js").ClientOptions;
export type ClientState = import("./types.js").ClientState;
export type Tokens = import("./types.js").Tokens;
export type Pending = import("./types.js").Pending;
import { Emitter } from './emitter.js';
import { ServerClock } from './clock.js';
import { Room } from './room.js';
import { LecternError } from './errors.js';
