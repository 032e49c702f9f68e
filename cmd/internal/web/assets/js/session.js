import { Api, Client, Renewal } from '../sdk/index.js';

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
export const receiptSlot = slot('receipts');

/** The address of the WebSocket beside this page. */
export function socketURL() {
  return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/ws`;
}

const renewals = new Map();

/** Newer tokens than the given ones, once for all who ask in this tab; they are in the slot then. */
export function renew(store, tokens) {
  return renewal(store).renew(tokens);
}

function renewal(store) {
  if (!renewals.has(store)) {
    const channel = globalThis.BroadcastChannel && new BroadcastChannel('lectern.tokens');
    const refresh = (old, signal) => api.refresh(old, signal);
    renewals.set(store, new Renewal({ load: store.get, save: store.set, refresh, channel }));
  }
  return renewals.get(store);
}

/** A client that keeps its tokens in a slot and wakes with the page. */
export function connect(tokens, store) {
  if (store) renewal(store); // hears from now on what other tabs get
  const refresh = store ? (old) => renew(store, old) : (old) => api.refresh(old);
  const client = new Client({ url: socketURL(), tokens, renew: refresh });
  addEventListener('online', () => client.wake());
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) client.wake();
  });
  return client;
}
