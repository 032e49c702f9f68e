/** @typedef {import('./types.js').Timers} Timers */
/**
 * The real clock and timers.
 * @returns {Timers}
 */
export function systemTimers(): Timers;
export type Timers = import("./types.js").Timers;
