/** @typedef {{action: 'reconnect' | 'renew' | 'stop', delayMs: number}} Plan */
/**
 * Exponential delay with full jitter over its upper half, so that a class that lost its server together does not come
 * back together.
 * @param {number} attempt 0 for the first
 * @param {() => number} random
 * @returns {number} milliseconds
 */
export function backoffMs(attempt: number, random: () => number): number;
/**
 * The delay that the server put into a close reason: JSON with retryAfterMs, or `retryAfterMs=1200`, or a bare number.
 * @param {string} reason
 * @returns {number | undefined} milliseconds
 */
export function retryAfterOf(reason: string): number | undefined;
/**
 * @param {number} code close code; 1006 when there was none
 * @param {string} reason
 * @param {number} attempt how many attempts in a row have failed before this one
 * @param {() => number} random
 * @returns {Plan}
 */
export function afterClose(code: number, reason: string, attempt: number, random: () => number): Plan;
export type Plan = {
    action: "reconnect" | "renew" | "stop";
    delayMs: number;
};
