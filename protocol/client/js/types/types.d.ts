/**
 * Tokens as /auth/token and /auth/refresh give them.
 */
export type Tokens = {
    accessToken: string;
    /**
     * absent: the client can't renew
     */
    refreshToken?: string | undefined;
    /**
     * Unix milliseconds of the server's clock
     */
    expiresAt?: number | undefined;
    user?: string | undefined;
    name?: string | undefined;
    role?: string | undefined;
    room?: string | undefined;
    /**
     * Unix milliseconds of the browser's clock; set by Renewal
     */
    renewedAt?: number | undefined;
    /**
     * a renewal began and its end is not known; set by Renewal
     */
    unsettled?: boolean | undefined;
};
/**
 * An event from the server.
 */
export type ServerEvent = {
    ev: string;
    room?: string | undefined;
    /**
     * gapless from 1 within the room's epoch; absent: can't be resumed
     */
    seq?: number | undefined;
    /**
     * Unix milliseconds of the server's clock
     */
    ts?: number | undefined;
    data?: any;
};
/**
 * A reply from the server.
 */
export type ServerReply = {
    re: number;
    ok: boolean;
    data?: any;
    error?: {
        code: string;
        message: string;
        path?: string;
        pointer?: string;
        rule?: string;
        retryAfterMs?: number;
    } | undefined;
};
/**
 * The reply to room:join.
 */
export type JoinReply = {
    room: string;
    epoch: string;
    seq: number;
    /**
     * the missed events follow; otherwise there is a snapshot
     */
    recovered: boolean;
    role: string;
    snapshot?: any;
    me?: any;
};
/**
 * Time and timers, so that tests need not wait. `now` is in milliseconds and must not jump.
 */
export type Timers = {
    now: () => number;
    setTimeout: (fn: () => void, ms: number) => any;
    clearTimeout: (timer: any) => void;
};
/**
 * What the client needs of a WebSocket; the browser's class, Node 22's, and the one of npm's ws all fit.
 */
export type Socket = {
    readyState: number;
    onopen: ((event: any) => void) | null;
    onmessage: ((event: any) => void) | null;
    onclose: ((event: any) => void) | null;
    onerror: ((event: any) => void) | null;
    send: (text: string) => void;
    close: (code?: number, reason?: string) => void;
};
export type ClientOptions = {
    /**
     * address of the WebSocket, ws: or wss:
     */
    url: string;
    /**
     * absent: connect as guestName (a server with --dev only)
     */
    tokens?: Tokens | undefined;
    guestName?: string | undefined;
    /**
     * exchanges the refresh token; Renewal.renew, or Api.refresh when
     * nobody else has these tokens
     */
    renew?: ((tokens: Tokens) => Promise<Tokens>) | undefined;
    /**
     * default: the global one, which Node has since 22
     */
    WebSocket?: (new (url: string, protocols?: string[]) => any) | undefined;
    timers?: Timers | undefined;
    /**
     * 0 ≤ r < 1
     */
    random?: (() => number) | undefined;
    /**
     * default 10,000
     */
    requestTimeoutMs?: number | undefined;
    /**
     * how many requests with a key are kept at once; default 1,000
     */
    queueMax?: number | undefined;
    /**
     * how often an idle connection is tried and the clock measured; default 20,000
     */
    heartbeatMs?: number | undefined;
};
export type RenewalOptions = {
    /**
     * what is stored now
     */
    load: () => Tokens | null | undefined;
    save: (tokens: Tokens) => void;
    /**
     * usually Api.refresh
     */
    refresh: (tokens: Tokens, signal: AbortSignal) => Promise<Tokens>;
    /**
     * a BroadcastChannel, or what acts like one: how tabs tell each other
     */
    channel?: any;
    /**
     * a LockManager; default: navigator.locks, which exists in secure contexts only
     */
    locks?: any;
    /**
     * 0 ≤ r < 1
     */
    random?: (() => number) | undefined;
    timers?: Timers | undefined;
};
/**
 * A request that waits for its reply.
 */
export type Pending = {
    op: string;
    data: Record<string, any> | undefined;
    room: string | undefined;
    /**
     * it carries an idempotency key: kept over connections until it is answered
     */
    keep: boolean;
    /**
     * of the last time it was sent, 0: not sent on this connection
     */
    id: number;
    timer: any;
    onReply: ((data: any) => void) | undefined;
    resolve: (data: any) => void;
    reject: (error: import("./errors.js").LecternError) => void;
};
export type ClientState = "idle" | "connecting" | "open" | "waiting" | "stopped";
