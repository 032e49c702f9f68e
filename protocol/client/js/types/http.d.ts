/** @typedef {import('./types.js').Tokens} Tokens */
/**
 * Api speaks to the HTTP side: tokens and /api/v1. Refusals arrive as problem+json (RFC 9457) and leave as LecternError
 * with the problem's code.
 */
export class Api {
    /**
     * @param {string} [origin] '' for the page's own
     * @param {typeof fetch} [fetchFn]
     */
    constructor(origin?: string, fetchFn?: typeof fetch);
    origin: string;
    fetch: typeof fetch;
    /** @type {() => string | undefined} gives the access token for calls that need one */
    token: () => string | undefined;
    /**
     * @param {string} method
     * @param {string} path
     * @param {{json?: unknown, body?: BodyInit, type?: string, anonymous?: boolean, signal?: AbortSignal}} [options]
     * @returns {Promise<Response>} a response with a 2xx status
     */
    send(method: string, path: string, options?: {
        json?: unknown;
        body?: BodyInit;
        type?: string;
        anonymous?: boolean;
        signal?: AbortSignal;
    }): Promise<Response>;
    /**
     * @param {string} method
     * @param {string} path
     * @param {{json?: unknown, body?: BodyInit, type?: string, anonymous?: boolean, signal?: AbortSignal}} [options]
     * @returns {Promise<any>} the JSON of the reply, undefined when it is empty
     */
    call(method: string, path: string, options?: {
        json?: unknown;
        body?: BodyInit;
        type?: string;
        anonymous?: boolean;
        signal?: AbortSignal;
    }): Promise<any>;
    /**
     * Exchanges a PIN and a name (or what else the server accepts) for tokens.
     * @param {Record<string, unknown>} claim
     * @returns {Promise<Tokens>}
     */
    obtainToken(claim: Record<string, unknown>): Promise<Tokens>;
    /**
     * Exchanges a refresh token. The old one is spent afterwards; when the reply is lost it is good for another try within
     * 60 s. Tokens that others hold, too, are renewed through Renewal.
     * @param {Tokens} tokens
     * @param {AbortSignal} [signal]
     * @returns {Promise<Tokens>}
     */
    refresh(tokens: Tokens, signal?: AbortSignal): Promise<Tokens>;
}
export type Tokens = import("./types.js").Tokens;
