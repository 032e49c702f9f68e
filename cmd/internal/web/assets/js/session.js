import { Api, Client } from '../sdk/index.js';

// Tokens live in sessionStorage: a reload keeps them, closing the tab forgets them, another tab can be somebody else.

export const api = new Api('');

function read(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? 'null');
  } catch {
    return null;
  }
}

function write(key, value) {
  try {
    if (value === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Without storage the page works until it is reloaded.
  }
}

/** A place in the tab's storage. */
export const slot = (name) => ({
  get: () => read(`lectern.${name}`),
  set: (v) => write(`lectern.${name}`, v),
  clear: () => write(`lectern.${name}`, null),
});

export const playSlot = slot('play');
export const hostSlot = slot('host');
export const gameSlot = slot('game');
export const answerSlot = slot('answer');

/** The address of the WebSocket beside this page. */
export function socketURL() {
  return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/ws`;
}

/** A client that keeps its tokens in a slot and wakes with the page. */
export function connect(tokens, store) {
  const client = new Client({ url: socketURL(), tokens, renew: (old) => api.refresh(old) });
  client.on('tokens', (fresh) => store?.set({ ...store.get(), ...fresh }));
  addEventListener('online', () => client.wake());
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) client.wake();
  });
  return client;
}
