/**
 * A refusal by the server, or a failure on the way to it. `code` is one of the protocol's error codes, or one of the
 * client's own: `disconnected` (the connection went away before the reply came), `timeout`, `closed` (close() was
 * called), `network` (an HTTP request found no server).
 */
export class LecternError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{path?: string, retryAfterMs?: number, status?: number}} [more]
   */
  constructor(code, message, more = {}) {
    super(message);
    this.name = 'LecternError';
    this.code = code;
    this.path = more.path;
    this.retryAfterMs = more.retryAfterMs;
    this.status = more.status;
  }
}
