// Client for the wire protocol lectern.v1. Plain ES modules for browsers and Node 20 or later, without dependencies.
export { Client } from './client.js';
export { Room } from './room.js';
export { LecternError } from './errors.js';
export { Api } from './http.js';
export { Renewal } from './renewal.js';
export { ServerClock } from './clock.js';
export { afterClose, backoffMs, retryAfterOf } from './reconnect.js';
export { newKey } from './keys.js';

/** @typedef {import('./types.js').ClientOptions} ClientOptions */
/** @typedef {import('./types.js').ClientState} ClientState */
/** @typedef {import('./types.js').JoinReply} JoinReply */
/** @typedef {import('./types.js').RenewalOptions} RenewalOptions */
/** @typedef {import('./types.js').ServerEvent} ServerEvent */
/** @typedef {import('./types.js').Timers} Timers */
/** @typedef {import('./types.js').Tokens} Tokens */
