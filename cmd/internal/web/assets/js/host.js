import { h, put, byId, focusHeading } from './dom.js';
import { t, explain } from './i18n.js';
import { mountHeader, mark } from './chrome.js';
import { api, hostSlot, gameSlot, renew } from './session.js';
import { libraryView } from './host-library.js';
import { importView } from './host-import.js';
import { editorView } from './host-editor.js';
import { liveView } from './host-live.js';

const host = { config: {}, go, signOut, view: null };
api.token = () => hostSlot.get()?.accessToken;
const redrawHeader = mountHeader(() => {
  const who = hostSlot.get();
  return who
    ? [
        h('span', { class: 'who' }, who.name ?? ''),
        !gameSlot.get() && h('button', { class: 'btn quiet', type: 'button', onclick: signOut }, t('host.signOut')),
      ]
    : [];
});

const views = { signIn: signInView, library: libraryView, import: importView, editor: editorView, live: liveView };

/** Shows a view by name. Every view is a function (host, params) that gives {el, stop?}. */
function go(name, params = {}) {
  host.view?.stop?.();
  const first = host.view === null;
  const view = views[name](host, params);
  host.view = { ...view, name, params };
  byId('main').className = name === 'live' ? 'live' : '';
  put(byId('main'), view.el);
  redrawHeader();
  document.title = t('host.title');
  if (!first) focusHeading(byId('main'));
}

function signOut() {
  const tokens = hostSlot.get();
  if (tokens?.refreshToken)
    api.call('POST', '/auth/revoke', { json: { refreshToken: tokens.refreshToken } }).catch(() => {});
  hostSlot.clear();
  gameSlot.clear();
  go('signIn');
}

/** A call with the host's token, renewed when it has expired. Without a right to be here, back to the sign-in. */
host.call = async (method, path, options) => sending('call', method, path, options);
host.send = async (method, path, options) => sending('send', method, path, options);

async function sending(kind, method, path, options) {
  const tokens = hostSlot.get();
  const soon = tokens?.unsettled || (tokens?.expiresAt && tokens.expiresAt - Date.now() < 30_000);
  try {
    if (soon && tokens.refreshToken) await renew(hostSlot, tokens);
    return await api[kind](method, path, options);
  } catch (error) {
    if (error.status !== 401) throw error;
    if (!soon && hostSlot.get()?.refreshToken) {
      await renew(hostSlot, tokens?.refreshToken ? tokens : hostSlot.get());
      return api[kind](method, path, options);
    }
    hostSlot.clear();
    go('signIn', { fault: t('error.token_expired') });
    throw error;
  }
}

function signInView(_, { fault } = {}) {
  const problem = h('p', { class: 'fault', role: 'alert', hidden: !fault }, fault ?? '');
  const say = (text) => {
    problem.textContent = text;
    problem.hidden = false;
  };
  const name = h('input', {
    type: 'text',
    id: 'teacher',
    maxlength: 32,
    value: t('host.teacher'),
    autocomplete: 'name',
  });
  const token = h('textarea', { id: 'token', rows: 4, spellcheck: 'false', class: 'mono', autocomplete: 'off' });
  const guest = async (event) => {
    event.preventDefault();
    try {
      const tokens = await api.obtainToken({ name: name.value.trim() || t('host.teacher'), role: 'host' });
      hostSlot.set({ name: name.value.trim(), ...tokens });
      go('library');
    } catch (error) {
      say(explain(error));
    }
  };
  const paste = async (event) => {
    event.preventDefault();
    if (await useToken(token.value)) go('library');
    else say(t('error.invalid_token'));
  };
  return {
    el: h(
      'div',
      { class: 'narrow' },
      h(
        'div',
        { class: 'hero' },
        mark('mark'),
        h('h1', {}, t('host.welcome')),
        h('p', { class: 'muted' }, t('host.welcomeSub')),
      ),
      problem,
      host.config.dev &&
        h(
          'form',
          { class: 'card', onsubmit: guest },
          h('div', { class: 'field' }, h('label', { for: 'teacher' }, t('host.yourName')), name),
          h('button', { class: 'btn primary big wide', type: 'submit' }, t('host.guest')),
          h('p', { class: 'small muted' }, t('host.guestSub')),
        ),
      h(
        'details',
        { class: 'card', open: !host.config.dev },
        h('summary', {}, t('host.withToken')),
        h(
          'form',
          { onsubmit: paste },
          h(
            'div',
            { class: 'field' },
            h('label', { for: 'token' }, t('host.token')),
            token,
            h('span', { class: 'hint' }, t('host.tokenHint')),
          ),
          h('button', { class: 'btn primary', type: 'submit' }, t('host.signIn')),
        ),
      ),
      h('p', { class: 'center' }, h('a', { href: '/' }, t('host.player'))),
    ),
  };
}

/**
 * Trades a token as it was given to the teacher for a session that can be renewed. A server that gives none leaves the
 * token as it is; its claims say who it is.
 */
async function useToken(text) {
  const accessToken = text.trim();
  try {
    hostSlot.set({ accessToken });
    hostSlot.set(await api.call('POST', '/auth/session'));
    return true;
  } catch (error) {
    const claims = error.status === 401 ? null : claimsOf(accessToken);
    hostSlot.clear();
    if (!claims) return false;
    hostSlot.set({
      accessToken,
      user: claims.sub,
      name: claims.name ?? claims.sub,
      expiresAt: claims.exp ? claims.exp * 1000 : undefined,
    });
    return true;
  }
}

function claimsOf(token) {
  try {
    const binary = atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))));
  } catch {
    return null;
  }
}

async function start() {
  // A link that signs in: the token is in the fragment, which no server sees, and leaves the address at once.
  const given = new URLSearchParams(location.hash.slice(1));
  const room = new URLSearchParams(location.search).get('room');
  let fault;
  if (location.hash || location.search) history.replaceState(null, '', location.pathname);
  if (given.get('token')) {
    gameSlot.clear();
    if (!(await useToken(given.get('token')))) fault = t('error.invalid_token');
  }
  if (room && hostSlot.get()) gameSlot.set({ room });
  try {
    host.config = (await api.call('GET', '/api/v1/config', { anonymous: true })) ?? {};
  } catch {
    // Without it there is no guest entry; the rest says for itself that the server is away.
  }
  const game = gameSlot.get();
  if (game && hostSlot.get()) go('live', game);
  else go(hostSlot.get() ? 'library' : 'signIn', { fault });
}

document.addEventListener('language', () => {
  if (host.view?.relabel) host.view.relabel();
  else if (host.view && host.view.name !== 'editor') go(host.view.name, host.view.params);
});
start();
