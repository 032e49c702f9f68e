import { h, put, banner, announce, typing, saveAs, openDialog } from './dom.js';
import { t, explain } from './i18n.js';
import { connect, hostSlot, gameSlot } from './session.js';
import { Game } from './game.js';
import { Chat } from './chat.js';
import { People } from './host-people.js';
import { countdown, progressBar, board, podium, stillTile, choices, regradeText } from './parts.js';
import { distribution } from './chart.js';
import { keyText } from './host-import.js';
import { download, downloadAudit } from './host-library.js';
import { regradeDialog } from './host-regrade.js';
import { searchCard } from './host-search.js';

/**
 * The controls for each phase: [op, label, key, data]. The first one is what usually comes next. What is possible when
 * is the server's to say; this only keeps buttons away that it would refuse.
 */
const controls = {
  lobby: [['quiz:start', 'start', 'N']],
  open: [
    ['quiz:next', 'close', 'N'],
    ['quiz:extend', 'extend', 'E', { byMs: 10_000 }],
    ['quiz:pause', 'pause', 'P'],
    ['quiz:skip', 'skip', 'S'],
  ],
  closed: [
    ['quiz:next', 'results', 'N'],
    ['quiz:skip', 'skip', 'S'],
  ],
  results: [
    ['quiz:next', 'board', 'N'],
    ['quiz:skip', 'nextQuestion', 'S'],
    ['quiz:pause', 'pause', 'P'],
  ],
  leaderboard: [
    ['quiz:next', 'nextQuestion', 'N'],
    ['quiz:pause', 'pause', 'P'],
  ],
  paused: [['quiz:resume', 'resume', 'P']],
};
const shortcutsKey = 'lectern.shortcuts';

/** A running game, as its host sees and steers it. */
export function liveView(host, game) {
  // A renewable token outlives the lesson; the game's own host token is for those who came with a bare one.
  const own = hostSlot.get();
  const renewable = own?.refreshToken;
  const client = connect(
    renewable || !game.hostToken ? own : { accessToken: game.hostToken },
    renewable ? hostSlot : undefined,
  );
  const room = client.join(game.room);
  const problem = h('p', { class: 'fault', role: 'alert', hidden: true });
  const news = h('p', { class: 'note', role: 'status', hidden: true });
  const headEl = h('div', { class: 'live-head' });
  const stage = h('div', { class: 'stage-host' });
  const bar = h('div', { class: 'control', role: 'toolbar', 'aria-label': t('host.controls') });
  const progress = progressBar();
  const chat = new Chat(room, { me: own?.user, moderate: true });
  const people = new People(room, fail);
  let view = '';
  let ring = null;
  let stopped = null;
  let shortcuts = localStorage.getItem(shortcutsKey) !== 'off';
  const state = new Game(room, (s, why) => {
    if (['snapshot', 'quiz:lobby', 'quiz:progress', 'room:presence'].includes(why)) people.refresh();
    draw(s);
  });

  function fail(error) {
    problem.textContent = explain(error);
    problem.hidden = false;
  }

  async function act(op, data) {
    problem.hidden = true;
    try {
      await room.request(op, data);
    } catch (error) {
      // Two hosts, or a click in the moment in which the question closed: the events show the new state anyway.
      if (error.code !== 'wrong_state') fail(error);
    }
  }

  const phase = () => {
    const s = state.state;
    return s.phase === 'open' && s.question && client.clock.now() > s.question.closesAt ? 'closed' : s.phase;
  };
  const pin = () => state.state.pin || game.pin;

  function draw(s) {
    drawHead(s);
    drawBar(s);
    const key = `${s.phase}:${s.question?.number ?? 0}:${s.phase === 'results' ? s.results?.number : ''}:${s.regrades}`;
    if (key !== view) {
      view = key;
      ring?.stop();
      ring = null;
      put(stage, h('div', { class: 'rise' }, stageOf(s)));
      const heading = stage.querySelector('h1, h2');
      if (heading) announce(heading.textContent);
    }
    ring?.update(s.question);
    progress.update(s.progress);
    const here = stage.querySelector('.here');
    if (here) here.textContent = t('host.here', { n: s.participants });
  }

  function drawHead(s) {
    put(
      headEl,
      h('strong', {}, s.title || game.title || ''),
      h('span', {}, 'PIN ', h('span', { class: 'pin' }, pin())),
      h('span', { class: 'pill num' }, t('host.here', { n: s.participants })),
      s.locked && h('span', { class: 'pill warn' }, t('host.lockedPill')),
      h('span', { class: 'grow' }),
      h('button', { class: 'btn', type: 'button', onclick: openScreen }, t('host.screen'), ' ↗'),
      s.phase !== 'lobby' &&
        s.phase !== 'ended' &&
        h('button', { class: 'btn', type: 'button', onclick: showInvite }, t('host.invite')),
    );
  }

  function openScreen() {
    // noopener keeps this tab's storage, and with it the host's tokens, out of the new window.
    window.open(`/screen?room=${encodeURIComponent(game.room)}&pin=${encodeURIComponent(pin())}`, '_blank', 'noopener');
  }

  function invite() {
    const url = `${location.origin}/join?pin=${pin()}`;
    return h(
      'div',
      { class: 'invite' },
      h(
        'div',
        {},
        h('p', { class: 'muted' }, t('host.joinAt')),
        h('p', { class: 'mono' }, h('strong', {}, location.host)),
        h('p', { class: 'muted' }, t('home.pin')),
        h('p', { class: 'pin' }, pin()),
        h('a', { href: url, target: '_blank', rel: 'noopener' }, t('host.joinLink')),
      ),
      h('img', { class: 'qr', src: `/api/v1/pins/${encodeURIComponent(pin())}/qr.svg`, alt: t('host.qr', { url }) }),
    );
  }

  function showInvite() {
    const dialog = openDialog(
      t('host.invite'),
      h('h2', {}, t('host.invite')),
      invite(),
      h('p', {}, h('button', { class: 'btn', type: 'button', onclick: () => dialog.close() }, t('app.close'))),
    );
  }

  function drawBar(s) {
    const list = stopped ? [] : (controls[phase()] ?? []);
    const focused = document.activeElement?.dataset?.op;
    put(
      bar,
      h(
        'div',
        { class: 'row' },
        list.map(([op, label, key, data], i) =>
          h(
            'button',
            {
              class: i === 0 ? 'btn primary big' : 'btn',
              type: 'button',
              'data-op': op,
              'aria-keyshortcuts': shortcuts ? key : undefined,
              onclick: () => act(op, data),
            },
            t(
              `control.${label === 'nextQuestion' && s.question?.number >= s.question?.of ? 'finish' : label}`,
            ),
            shortcuts && h('kbd', { 'aria-hidden': 'true' }, key),
          ),
        ),
        h('span', { class: 'grow' }),
        s.phase !== 'ended' &&
          h(
            'button',
            {
              class: 'btn quiet',
              type: 'button',
              'aria-pressed': String(s.locked),
              onclick: () => act('quiz:lock', { locked: !s.locked }),
            },
            s.locked ? t('control.unlock') : t('control.lock'),
            shortcuts && h('kbd', { 'aria-hidden': 'true' }, 'L'),
          ),
        ['results', 'leaderboard'].includes(s.phase) &&
          h('button', { class: 'btn quiet', type: 'button', onclick: openRegrade }, t('regrade.open')),
        s.phase !== 'ended' &&
          h('button', { class: 'btn quiet danger', type: 'button', onclick: askEnd }, t('control.end')),
        s.phase === 'ended' &&
          h('button', { class: 'btn primary big', type: 'button', onclick: leave }, t('host.backToLibrary')),
        h(
          'button',
          {
            class: 'btn quiet keys-toggle',
            type: 'button',
            'aria-pressed': String(shortcuts),
            onclick: toggleShortcuts,
          },
          t(shortcuts ? 'host.keysOn' : 'host.keysOff'),
        ),
      ),
    );
    if (focused) (bar.querySelector(`[data-op="${focused}"]`) ?? bar.querySelector('.primary'))?.focus();
  }

  function toggleShortcuts() {
    shortcuts = !shortcuts;
    localStorage.setItem(shortcutsKey, shortcuts ? 'on' : 'off');
    drawBar(state.state);
  }

  /** The quiz with its keys is not among the events: after a regrade it is asked for. */
  async function regraded(data) {
    news.textContent = regradeText(data);
    news.hidden = false;
    try {
      const fresh = await room.request('quiz:state');
      if (fresh?.quiz) state.state.quiz = fresh.quiz;
    } catch {
      // The dialog then shows the key as it was; the server knows better.
    }
  }

  function openRegrade() {
    const s = state.state;
    const questions = (s.quiz?.questions ?? []).map((q, i) => ({
      ...q,
      number: i + 1,
      void: s.void.includes(i + 1),
    }));
    regradeDialog({ questions, current: s.question?.number, send: (data) => room.request('quiz:regrade', data) });
  }

  function askEnd() {
    const dialog = openDialog(
      t('control.end'),
      h('h2', {}, t('host.endSure')),
      h('p', {}, t('host.endSub')),
      h(
        'div',
        { class: 'row' },
        h(
          'button',
          {
            class: 'btn danger',
            type: 'button',
            onclick: () => {
              dialog.close();
              act('quiz:end');
            },
          },
          t('control.end'),
        ),
        h('button', { class: 'btn', type: 'button', onclick: () => dialog.close() }, t('app.cancel')),
      ),
    );
  }

  function leave() {
    gameSlot.clear();
    host.go('library');
  }

  function stageOf(s) {
    if (stopped)
      return h(
        'div',
        { class: 'card center' },
        h('h1', {}, t('host.lost')),
        h('p', {}, stopped),
        h('button', { class: 'btn primary', type: 'button', onclick: leave }, t('host.backToLibrary')),
      );
    if (s.phase === 'connecting') return h('p', { class: 'wait' }, t('net.connecting'));
    if (s.phase === 'lobby')
      return [
        h('h1', {}, t('host.lobby')),
        h('div', { class: 'card' }, invite()),
        h('p', { class: 'here' }),
        h('p', { class: 'muted' }, t('host.lobbyHint', { n: s.questions })),
      ];
    if (s.phase === 'ended') return endStage(s);
    if (!s.question) return h('h1', {}, t('play.starting'));
    if (s.phase === 'results' && s.results) return resultsStage(s);
    if (s.phase === 'leaderboard') return [h('h1', {}, t('board.title')), board(s)];
    return questionStage(s);
  }

  function questionStage(s) {
    const q = s.question;
    const full = s.quiz?.questions?.[q.number - 1];
    if (s.phase !== 'paused') ring = countdown(client.clock, { onEnd: () => drawBar(state.state) });
    return h(
      'div',
      { class: 'card' },
      h(
        'div',
        { class: 'q-head' },
        h(
          'div',
          {},
          h('div', { class: 'q-meta' }, t('q.number', { number: q.number, of: q.of })),
          h('div', { class: 'small muted' }, t(`type.${q.type}`)),
        ),
        ring?.el,
      ),
      h('h1', { class: 'q-text' }, q.text),
      s.phase === 'paused' && h('p', { class: 'note' }, t('host.paused', { n: Math.ceil(s.remainingMs / 1000) })),
      h(
        'ul',
        { class: 'tiles' },
        choices(q).map((c) => stillTile(c)),
      ),
      h(
        'div',
        { class: 'stack' },
        progress.el,
        full &&
          h(
            'details',
            {},
            h('summary', {}, t('host.key')),
            h(
              'p',
              {},
              (full.options ?? [])
                .filter((o) => o.correct)
                .map((o) => o.text)
                .join(' · ') ||
                keyText(full) ||
                '–',
            ),
          ),
      ),
    );
  }

  function resultsStage(s) {
    const r = s.results;
    return h(
      'div',
      { class: 'card' },
      h('div', { class: 'q-meta' }, t('q.number', { number: r.number, of: s.question.of })),
      h('h1', { class: 'q-text' }, s.question.text),
      r.void && h('p', {}, h('span', { class: 'pill warn' }, t('regrade.isVoid'))),
      r.type !== 'poll' &&
        !r.void &&
        h(
          'p',
          {},
          h('span', { class: 'pill good' }, '✓ ', t('results.summary', { n: r.answered, correct: r.correct })),
        ),
      distribution(s.question, r),
      ['numeric', 'short_text'].includes(r.type) &&
        h('p', {}, h('strong', {}, t('results.accepted'), ': '), (r.key ?? []).join(' · ')),
      r.explanation && h('p', { class: 'note' }, h('strong', {}, t('results.why'), ' '), r.explanation),
    );
  }

  function endStage(s) {
    const get = (format) => async () => {
      try {
        await download(host, game.room, format, s.title);
      } catch (error) {
        fail(error);
      }
    };
    const audit = () => downloadAudit(host, game.room, s.title).catch(fail);
    const top = s.leaderboard?.top ?? [];
    return [
      h('h1', {}, t('end.title')),
      podium(top),
      top.length > 3 && board({ ...s, before: null }),
      h(
        'div',
        { class: 'card' },
        h('h2', {}, t('host.results')),
        h('p', { class: 'muted' }, t('host.resultsSub')),
        h(
          'div',
          { class: 'row' },
          h('button', { class: 'btn', type: 'button', onclick: get('xlsx') }, '↓ XLSX'),
          h('button', { class: 'btn', type: 'button', onclick: get('csv') }, '↓ CSV'),
        ),
      ),
      h(
        'div',
        { class: 'card' },
        h('h2', {}, t('host.after')),
        h('p', { class: 'muted' }, t('host.afterSub')),
        h(
          'div',
          { class: 'row' },
          h('button', { class: 'btn', type: 'button', onclick: openRegrade }, t('regrade.open')),
          h('button', { class: 'btn', type: 'button', onclick: audit }, '↓ ', t('host.audit')),
          h('a', { class: 'btn', href: '/receipt', target: '_blank', rel: 'noopener' }, t('home.receipt'), ' ↗'),
        ),
      ),
    ];
  }

  function keydown(event) {
    if (!shortcuts || typing(event) || event.repeat) return;
    const key = event.key === 'ArrowRight' ? 'N' : event.key.toUpperCase();
    const found = (controls[phase()] ?? []).find(([, , k]) => k === key);
    if (found) act(found[0], found[3]);
    else if (key === 'L' && state.state.phase !== 'ended') act('quiz:lock', { locked: !state.state.locked });
    else return;
    event.preventDefault();
  }

  function network() {
    const away = client.state === 'waiting' || client.state === 'connecting';
    banner(away && state.state.phase !== 'connecting' ? t('host.offline') : '');
  }
  client.on('state', (now) => {
    if (now === 'open') banner('');
    else setTimeout(network, 1000);
  });
  const halt = (text) => {
    stopped = text;
    view = '';
    draw(state.state);
  };
  client.on('stopped', (why) => halt(t(why.code === 4203 || why.code === 4002 ? 'error.token_expired' : 'stop.other')));
  room.on('refused', (error) => halt(explain(error)));
  room.on('room:closed', () => {
    if (state.state.phase !== 'ended') halt(t('stop.closedSub'));
  });
  room.on('quiz:regraded', regraded);
  addEventListener('keydown', keydown);
  draw(state.state);
  client.connect();

  return {
    el: h(
      'div',
      {},
      headEl,
      problem,
      news,
      h(
        'div',
        { class: 'live-grid' },
        stage,
        h('aside', { class: 'side' }, people.el, chat.el, searchCard(host, game.room)),
      ),
      bar,
    ),
    relabel() {
      chat.relabel();
      people.relabel();
      view = '';
      draw(state.state);
    },
    stop() {
      removeEventListener('keydown', keydown);
      ring?.stop();
      client.close();
      banner('');
    },
  };
}
