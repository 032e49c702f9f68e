/**
 * The WebSocket class to use.
 * @param {import('./types.js').ClientOptions} options
 * @returns {new (url: string, protocols?: string[]) => any}
 */
export function socketClass(options) {
  const found = options.WebSocket ?? globalThis.WebSocket;
  if (found) return found;
  throw new TypeError(
    "there is no WebSocket here. Node before 22 needs one, such as that of npm's ws: " +
      "import WebSocket from 'ws'; new Client({ url, WebSocket })",
  );
}

/**
 * The replies and events in a frame: one object, or an array of them. What is neither is left out.
 * @param {unknown} text
 * @returns {any[]}
 */
export function messagesIn(text) {
  if (typeof text !== 'string') return [];
  try {
    const frame = JSON.parse(text);
    return (Array.isArray(frame) ? frame : [frame]).filter((m) => m !== null && typeof m === 'object');
  } catch {
    return [];
  }
}
