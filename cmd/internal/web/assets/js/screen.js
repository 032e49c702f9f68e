import { h, put, byId, banner } from './dom.js';
import { t, explain } from './i18n.js';
import { mountHeader } from './chrome.js';
import { api, connect, slot } from './session.js';
import { Game } from './game.js';
import { countdown, progressBar, board, podium, confetti, stillTile, choices } from './parts.js';
import { distribution } from './chart.js';

const params = new URLSearchParams(location.search);
const store = slot('screen');
const pinOf = () => (params.get('pin') ?? '').replace(/[^\w]/g, '');
const main = byId('main');
let head = { title: '', pin: '' };
const redrawHeader = mountHeader(() =>
  head.pin
    ? [
        h('span', { class: 'screen-title' }, head.title),
        h('span', { class: 'grow' }),
        h('span', { class: 'screen-join' }, location.host, ' · PIN ', h('strong', { class: 'mono' }, head.pin)),
      ]
    : [],
);

start();

async function start() {
  document.title = t('screen.title');
  const kept = store.get();
  const same = kept?.accessToken && (params.get('room') ? kept.room === params.get('room') : kept.pin === pinOf());
  if (same) return run(kept, kept.pin);
  if (!pinOf()) return askPin();
  put(main, h('p', { class: 'wait' }, t('net.connecting')));
  try {
    // An observer's token, good for this room only: nothing on this page can steer the game.
    const tokens = await api.obtainToken({ pin: pinOf(), screen: true });
    store.set({ ...tokens, pin: pinOf() });
    run(tokens, pinOf());
  } catch (error) {
    askPin(explain(error));
  }
}

function askPin(fault) {
  const input = h('input', {
    class: 'pin-input',
    type: 'text',
    inputmode: 'numeric',
    name: 'pin',
    id: 'pin',
    maxlength: 12,
    autocomplete: 'off',
  });
  const submit = (event) => {
    event.preventDefault();
    location.assign(`/screen?pin=${encodeURIComponent(input.value.trim())}`);
  };
  put(
    main,
    h(
      'form',
      { class: 'card narrow', onsubmit: submit },
      h('h1', {}, t('screen.open')),
      h('label', { class: 'field', for: 'pin' }, t('home.pin')),
      input,
      fault && h('p', { class: 'fault', role: 'alert' }, fault),
      h('p', {}, h('button', { class: 'btn primary big wide', type: 'submit' }, t('screen.go'))),
    ),
  );
  input.focus();
}

function run(tokens, pin) {
  const client = connect(tokens, store);
  const room = client.join(tokens.room, { role: 'observer' });
  const progress = progressBar();
  const names = h('ul', { class: 'names' });
  const here = h('p', { class: 'here num' });
  let view = '';
  let ring = null;
  let asked = false;
  const game = new Game(room, draw);

  // Lobby names are asked for, at most every two seconds, and only while they are shown.
  function fetchNames() {
    if (asked || !['lobby', 'connecting'].includes(game.state.phase)) return;
    asked = true;
    setTimeout(
      async () => {
        asked = false;
        if (game.state.phase !== 'lobby' || !room.joined) return;
        try {
          const reply = await room.request('room:presence', { mode: 'page', limit: 100 });
          const list = (reply.members ?? []).filter((m) => m.role === 'participant');
          put(
            names,
            list.map((m) => h('li', {}, m.name)),
            reply.next && h('li', { class: 'muted' }, '…'),
          );
        } catch {
          // The next change asks again.
        }
      },
      names.childElementCount ? 2000 : 100,
    );
  }

  function draw(s, why) {
    if (why === 'snapshot' || why === 'quiz:lobby' || why === 'room:presence') fetchNames();
    const nowPin = s.pin || pin;
    if (head.title !== s.title || head.pin !== nowPin) {
      head = { title: s.title, pin: nowPin };
      redrawHeader();
    }
    const key = `${s.phase}:${s.question?.number ?? 0}:${s.leaderboard?.number ?? 0}:${s.regrades}`;
    if (key !== view) {
      view = key;
      ring?.stop();
      ring = null;
      put(main, h('div', { class: `screen-view rise view-${s.phase}` }, viewOf(s, nowPin)));
    }
    if (ring) ring.update(s.question);
    progress.update(s.progress);
    put(here, t('host.here', { n: s.participants }));
  }

  function viewOf(s, nowPin) {
    if (s.phase === 'connecting') return h('p', { class: 'wait' }, t('net.connecting'));
    if (s.phase === 'lobby') return lobby(s, nowPin);
    if (s.phase === 'ended') {
      const top = s.leaderboard?.top ?? [];
      if (top.length) confetti();
      return [
        h('h1', { class: 'center' }, t('end.title')),
        podium(top),
        top.length > 3 && board({ ...s, before: null }, '', 8),
      ];
    }
    if (s.phase === 'paused')
      return h(
        'div',
        { class: 'hero' },
        h('h1', {}, t('play.paused')),
        h('p', { class: 'muted' }, t('play.pausedSub')),
        s.question && h('p', {}, s.question.text),
      );
    if (!s.question) return h('div', { class: 'hero' }, h('h1', {}, t('play.starting')));
    if (s.phase === 'results' && s.results) return results(s);
    if (s.phase === 'leaderboard') return [h('h1', {}, t('board.title')), board(s, '', 8)];
    return question(s);
  }

  function lobby(s, nowPin) {
    return [
      h(
        'div',
        { class: 'screen-lobby' },
        h(
          'div',
          {},
          h('p', { class: 'muted' }, t('host.joinAt')),
          h('p', { class: 'screen-host' }, location.host),
          h('p', { class: 'muted' }, t('home.pin')),
          h('p', { class: 'screen-pin' }, nowPin),
        ),
        h('img', {
          class: 'screen-qr',
          src: `/api/v1/pins/${encodeURIComponent(nowPin)}/qr.svg`,
          alt: t('host.qr', { url: `${location.origin}/join?pin=${nowPin}` }),
        }),
      ),
      here,
      names,
    ];
  }

  function question(s) {
    const q = s.question;
    const answers = h('div', { class: 'screen-answers' });
    const list = choices(q);
    ring = countdown(client.clock, {
      onOpen: () =>
        put(
          answers,
          list.length
            ? h(
                'ul',
                { class: 'tiles open' },
                list.map((c) => stillTile(c)),
              )
            : h('p', { class: 'ready' }, t(q.type === 'numeric' ? 'screen.number' : 'screen.text')),
        ),
    });
    put(answers, h('p', { class: 'ready' }, t('screen.ready')));
    return [
      h(
        'div',
        { class: 'q-head' },
        h(
          'div',
          {},
          h(
            'p',
            { class: 'q-meta' },
            t('q.number', { number: q.number, of: q.of }),
            q.type === 'multiple_choice' ? ` · ${t('q.several')}` : '',
          ),
          h('h1', { class: 'q-text' }, q.text),
        ),
        ring.el,
      ),
      answers,
      progress.el,
    ];
  }

  function results(s) {
    const r = s.results;
    return [
      h('p', { class: 'q-meta' }, t('q.number', { number: r.number, of: s.question.of })),
      h('h1', { class: 'q-text' }, s.question.text),
      distribution(s.question, r),
      ['numeric', 'short_text'].includes(r.type) &&
        h('p', { class: 'key' }, h('strong', {}, t('results.accepted'), ': '), (r.key ?? []).join(' · ')),
      r.type !== 'poll' &&
        h(
          'p',
          {},
          h('span', { class: 'pill good' }, '✓ ', t('results.summary', { n: r.answered, correct: r.correct })),
        ),
      r.explanation && h('p', { class: 'note' }, r.explanation),
    ];
  }

  const redraw = () => {
    view = '';
    draw(game.state);
  };
  const away = () => banner(client.state === 'waiting' || client.state === 'connecting' ? t('screen.offline') : '');
  client.on('state', (now) => {
    if (now === 'open') banner('');
    else setTimeout(away, 1500);
  });
  const halt = (text) => {
    store.clear();
    askPin(text);
  };
  client.on('stopped', () => halt(t('stop.other')));
  room.on('refused', (error) => halt(explain(error)));
  document.addEventListener('language', redraw);
  draw(game.state, 'start');
  client.connect();
}
