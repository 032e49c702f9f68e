import { h, put, byId, banner, announce, focusHeading, typing } from './dom.js';
import { t, explain } from './i18n.js';
import { mountHeader } from './chrome.js';
import { connect, playSlot } from './session.js';
import { Game } from './game.js';
import { Chat } from './chat.js';
import { Answers } from './answers.js';
import { makeView, keyOf } from './play-views.js';
import { regradeText } from './parts.js';

const tokens = playSlot.get();
if (!tokens?.room) location.replace(tokens?.pin ? `/join?pin=${encodeURIComponent(tokens.pin)}` : '/');
else main();

function main() {
  const client = connect(tokens, playSlot);
  const room = client.join(tokens.room);
  const answers = new Answers(
    room,
    tokens.room,
    () => network(),
    () => {
      const { question, phase } = game.state;
      if (phase === 'paused') return 1000;
      const lead = (question?.opensAt ?? 0) - client.clock.now();
      return phase === 'open' && lead > -500 ? Math.max(lead, 0) + 150 : null;
    },
  );
  const game = new Game(room, (state, why) => {
    if (why === 'snapshot' || why === 'resumed') answers.restore(state);
    if (state.question) answers.at(state.question.number);
    render(why);
  });
  const app = { client, room, roomId: tokens.room, game, answers, me: tokens.user, name: tokens.name, ended: null };
  const chat = makeChat();
  let view = null;
  let chatOpen = false;
  const stage = h('div', { class: 'stage' });
  const news = h('p', { class: 'note', role: 'status', hidden: true });
  const redrawHeader = mountHeader(() => [
    h('span', { class: 'who' }, app.name),
    h('span', { class: 'grow' }),
    chatButton(),
  ]);

  function makeChat() {
    const c = new Chat(room, { me: tokens.user, onUnread: () => redrawHeader(), onClose: () => toggleChat(false) });
    c.el.classList.add('drawer');
    c.seen = () => chatOpen || matchMedia('(min-width: 64rem)').matches;
    return c;
  }

  function chatButton() {
    if (app.ended || matchMedia('(min-width: 64rem)').matches) return [];
    return h(
      'button',
      {
        class: 'btn quiet',
        type: 'button',
        id: 'chat-button',
        'aria-expanded': String(chatOpen),
        onclick: () => toggleChat(!chatOpen),
      },
      t('chat.title'),
      chat.unread > 0 &&
        h('span', { class: 'badge' }, String(chat.unread), h('span', { class: 'sr' }, ' ' + t('chat.unread'))),
    );
  }

  function toggleChat(open) {
    chatOpen = open;
    chat.el.classList.toggle('open', open);
    if (open) chat.read();
    redrawHeader();
    if (open) chat.input.focus();
    else byId('chat-button')?.focus();
  }

  function render(why) {
    const key = app.ended ? `ended:${app.ended.code}` : keyOf(app);
    if (view?.key !== key) {
      const first = view === null;
      view?.stop?.();
      view = makeView(key, app);
      put(stage, view.el);
      if (!first && !chatOpen) focusHeading(stage);
      if (view.say) announce(view.say);
    }
    view.update?.(game.state, why);
  }

  function network() {
    const offline = client.state !== 'open' || !navigator.onLine;
    if (client.state === 'stopped' || !offline) banner('');
    else if (game.state.phase !== 'connecting') banner(answers.kept() ? t('net.offlineKept') : t('net.offline'));
    render('network');
  }

  client.on('state', (state) => {
    // A short break is nobody's business: the banner waits for a second.
    if (state === 'open') banner('');
    else setTimeout(network, 1000);
    if (state === 'open') render('network');
  });
  addEventListener('offline', network);
  addEventListener('online', network);
  client.on('stopped', (why) => finish(why.code));
  room.on('quiz:regraded', (data) => {
    news.textContent = regradeText(data);
    news.hidden = false;
  });
  room.on('quiz:question', () => {
    news.hidden = true;
  });
  room.on('room:kicked', () => finish(4202));
  room.on('room:closed', () => {
    if (game.state.phase !== 'ended') finish('closed');
  });
  room.on('refused', (error) => finish(error.code, explain(error)));

  function finish(code, text) {
    if (app.ended) return;
    app.ended = { code, text };
    banner('');
    if (code !== 'closed') playSlot.clear();
    client.close();
    toggleChat(false);
    chat.el.hidden = true;
    render('stopped');
  }

  addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && chatOpen) toggleChat(false);
    else if (!typing(event) && !chatOpen) view?.key_?.(event);
  });
  document.addEventListener('language', () => {
    chat.relabel();
    view?.stop?.();
    view = null;
    render('language');
    redrawHeader();
  });
  matchMedia('(min-width: 64rem)').addEventListener('change', redrawHeader);

  byId('main').classList.add('with-chat');
  put(byId('main'), h('div', {}, news, stage), chat.el);
  render('start');
  document.title = t('play.title');
  client.connect();
}
