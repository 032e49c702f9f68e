// Client for the wire protocol lectern.v1. Plain ES modules for browsers and Node 20 or later, without dependencies.
export { Client } from './client.js';
export { Room } from './room.js';
export { LecternError } from './errors.js';
export { Api } from './http.js';
export { Renewal } from './renewal.js';
export { ServerClock } from './clock.js';
export { afterClose, backoffMs, retryAfterOf } from './reconnect.js';
export { newKey } from './keys.js';
