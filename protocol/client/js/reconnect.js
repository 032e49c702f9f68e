// What to do after a connection has ended: the close code's range says it (docs/PROTOCOL.md, close codes).

const baseMs = 500;
const maxMs = 20_000;
const atOnceMs = 400;
const limitedDefaultMs = 5_000;

/** @typedef {{action: 'reconnect' | 'renew' | 'stop', delayMs: number}} Plan */

/**
 * Exponential delay with full jitter over its upper half, so that a class that lost its server together does not come
 * back together.
 * @param {number} attempt 0 for the first
 * @param {() => number} random
 * @returns {number} milliseconds
 */
export function backoffMs(attempt, random) {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling / 2 + (random() * ceiling) / 2);
}

/**
 * The delay that the server put into a close reason: JSON with retryAfterMs, or `retryAfterMs=1200`, or a bare number.
 * @param {string} reason
 * @returns {number | undefined} milliseconds
 */
export function retryAfterOf(reason) {
  const found = /retryAfterMs\D{0,4}(\d{1,9})/.exec(reason) ?? /^(\d{1,9})$/.exec(reason.trim());
  return found ? Number(found[1]) : undefined;
}

/**
 * @param {number} code close code; 1006 when there was none
 * @param {string} reason
 * @param {number} attempt how many attempts in a row have failed before this one
 * @param {() => number} random
 * @returns {Plan}
 */
export function afterClose(code, reason, attempt, random) {
  if (code === 4002) return { action: 'renew', delayMs: attempt === 0 ? 0 : backoffMs(attempt, random) };
  if (code >= 4200 && code <= 4299) return { action: 'stop', delayMs: 0 };
  if (code >= 4100 && code <= 4199) {
    const wait = retryAfterOf(reason) ?? Math.max(limitedDefaultMs, backoffMs(attempt, random));
    return { action: 'reconnect', delayMs: Math.round(wait + random() * Math.min(wait / 4, 2_000)) };
  }
  const atOnce = (code >= 4000 && code <= 4099) || code === 4300;
  const advised = atOnce ? retryAfterOf(reason) : undefined;
  if (advised !== undefined && attempt < 2) return { action: 'reconnect', delayMs: advised };
  // A server that sends everybody away over and over is not helped by clients that come back at once for ever.
  if (atOnce && attempt < 2) return { action: 'reconnect', delayMs: Math.round(random() * atOnceMs) };
  return { action: 'reconnect', delayMs: backoffMs(attempt, random) };
}
