/**
 * A refusal by the server, or a failure on the way to it. `code` is one of the protocol's error codes, or one of the
 * client's own: `disconnected` (the connection went away before the reply came), `timeout`, `closed` (close() was
 * called), `queue_full` (too many are kept already), `network` (an HTTP request found no server).
 */
export class LecternError extends Error {
    /**
     * @param {string} code
     * @param {string} message
     * @param {{path?: string, pointer?: string, rule?: string, retryAfterMs?: number, status?: number}} [more]
     */
    constructor(code: string, message: string, more?: {
        path?: string;
        pointer?: string;
        rule?: string;
        retryAfterMs?: number;
        status?: number;
    });
    code: string;
    path: string | undefined;
    /** The place of the fault in the message (RFC 6901), and the keyword of the published schema that it breaks. */
    pointer: string | undefined;
    rule: string | undefined;
    retryAfterMs: number | undefined;
    status: number | undefined;
}
