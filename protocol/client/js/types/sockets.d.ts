/**
 * The WebSocket class to use.
 * @param {import('./types.js').ClientOptions} options
 * @returns {new (url: string, protocols?: string[]) => any}
 */
export function socketClass(options: import("./types.js").ClientOptions): new (url: string, protocols?: string[]) => any;
/**
 * The replies and events in a frame: one object, or an array of them. What is neither is left out.
 * @param {unknown} text
 * @returns {any[]}
 */
export function messagesIn(text: unknown): any[];
