/** @typedef {import('./types.js').Timers} Timers */

/**
 * The real clock and timers.
 * @returns {Timers}
 */
export function systemTimers() {
  // Not Date.now: a clock that somebody sets must not move a running countdown.
  const now = () => performance.timeOrigin + performance.now();
  return { now, setTimeout: (fn, ms) => setTimeout(fn, ms), clearTimeout: (t) => clearTimeout(t) };
}
