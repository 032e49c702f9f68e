// The shapes that the client handles, as JSDoc types. Payloads of events and replies are described in docs/PROTOCOL.md.

/**
 * Tokens as /auth/token and /auth/refresh give them.
 * @typedef {object} Tokens
 * @property {string} accessToken
 * @property {string} [refreshToken] absent: the client can't renew
 * @property {number} [expiresAt] Unix milliseconds of the server's clock
 * @property {string} [user]
 * @property {string} [name]
 * @property {string} [role]
 * @property {string} [room]
 * @property {number} [renewedAt] Unix milliseconds of the browser's clock; set by Renewal
 * @property {boolean} [unsettled] a renewal began and its end is not known; set by Renewal
 */

/**
 * An event from the server.
 * @typedef {object} ServerEvent
 * @property {string} ev
 * @property {string} [room]
 * @property {number} [seq] gapless from 1 within the room's epoch; absent: can't be resumed
 * @property {number} [ts] Unix milliseconds of the server's clock
 * @property {any} [data]
 */

/**
 * A reply from the server.
 * @typedef {object} ServerReply
 * @property {number} re
 * @property {boolean} ok
 * @property {any} [data]
 * @property {{code: string, message: string, path?: string, pointer?: string, rule?: string, retryAfterMs?: number}} [error]
 */

/**
 * The reply to room:join.
 * @typedef {object} JoinReply
 * @property {string} room
 * @property {string} epoch
 * @property {number} seq
 * @property {boolean} recovered the missed events follow; otherwise there is a snapshot
 * @property {string} role
 * @property {any} [snapshot]
 * @property {any} [me]
 */

/**
 * Time and timers, so that tests need not wait. `now` is in milliseconds and must not jump.
 * @typedef {object} Timers
 * @property {() => number} now
 * @property {(fn: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 */

/**
 * What the client needs of a WebSocket; the browser's class, Node 22's, and the one of npm's ws all fit.
 * @typedef {object} Socket
 * @property {number} readyState
 * @property {((event: any) => void) | null} onopen
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 * @property {(text: string) => void} send
 * @property {(code?: number, reason?: string) => void} close
 */

/**
 * @typedef {object} ClientOptions
 * @property {string} url address of the WebSocket, ws: or wss:
 * @property {Tokens} [tokens] absent: connect as guestName (a server with --dev only)
 * @property {string} [guestName]
 * @property {(tokens: Tokens) => Promise<Tokens>} [renew] exchanges the refresh token; Renewal.renew, or Api.refresh when
 *   nobody else has these tokens
 * @property {new (url: string, protocols?: string[]) => any} [WebSocket] default: the global one, which Node has since 22
 * @property {Timers} [timers]
 * @property {() => number} [random] 0 ≤ r < 1
 * @property {number} [requestTimeoutMs] default 10,000
 * @property {number} [queueMax] how many requests with a key are kept at once; default 1,000
 * @property {number} [heartbeatMs] how often an idle connection is tried and the clock measured; default 20,000
 */

/**
 * @typedef {object} RenewalOptions
 * @property {() => Tokens | null | undefined} load what is stored now
 * @property {(tokens: Tokens) => void} save
 * @property {(tokens: Tokens, signal: AbortSignal) => Promise<Tokens>} refresh usually Api.refresh
 * @property {any} [channel] a BroadcastChannel, or what acts like one: how tabs tell each other
 * @property {any} [locks] a LockManager; default: navigator.locks, which exists in secure contexts only
 * @property {() => number} [random] 0 ≤ r < 1
 * @property {Timers} [timers]
 */

/**
 * A request that waits for its reply.
 * @typedef {object} Pending
 * @property {string} op
 * @property {Record<string, any> | undefined} data
 * @property {string | undefined} room
 * @property {boolean} keep it carries an idempotency key: kept over connections until it is answered
 * @property {number} id of the last time it was sent, 0: not sent on this connection
 * @property {any} timer
 * @property {((data: any) => void) | undefined} onReply
 * @property {(data: any) => void} resolve
 * @property {(error: import('./errors.js').LecternError) => void} reject
 */

/** @typedef {'idle' | 'connecting' | 'open' | 'waiting' | 'stopped'} ClientState */

export {};
