import { h, s, put, announce } from './dom.js';
import { t, fmt } from './i18n.js';
import { movement } from './game.js';

// Each answer has a letter, a shape and a colour: whoever can't tell one of them apart has the other two.
const shapes = [
  'M12 3 22 21H2z',
  'M12 1 23 12 12 23 1 12z',
  'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20z',
  'M3 3h18v18H3z',
  'M12 1l3.2 7 7.8.8-5.8 5.2 1.7 7.7L12 17.8l-6.9 3.9 1.7-7.7L1 8.8 8.8 8z',
  'M12 1l11 8-4.2 13H5.2L1 9z',
  'M8 1h8v7h7v8h-7v7H8v-7H1V8h7z',
  'M6 2h12l6 10-6 10H6L0 12z',
];
const signs = { true: 'M2 13l5-5 4 5 8-10 4 4L11 22z', false: 'M5 1l7 7 7-7 4 4-7 7 7 7-4 4-7-7-7 7-4-4 7-7-7-7z' };

export const letter = (i) => (i < 26 ? String.fromCharCode(65 + i) : String(i + 1));

/** The options of a question as tiles need them: id as sent, text, letter, shape, colour class. */
export function choices(question) {
  if (question.type === 'true_false') {
    return [true, false].map((v) => ({
      id: String(v),
      send: v,
      text: t(v ? 'answer.true' : 'answer.false'),
      letter: t(v ? 'answer.true1' : 'answer.false1'),
      path: signs[v],
      cls: v ? 'c3' : 'c0',
      index: v ? 1 : 0,
    }));
  }
  return (question.options ?? []).map((o, i) => ({
    id: o.id ?? String(i),
    send: o.id ?? String(i),
    text: o.text,
    letter: letter(i),
    path: shapes[i % 8],
    cls: `c${i % 8}`,
    index: i,
  }));
}

/** The coloured end of a tile. */
export function tab(choice) {
  return h(
    'span',
    { class: 'tab' },
    s('svg', { viewBox: '0 0 24 24', 'aria-hidden': 'true' }, s('path', { d: choice.path })),
    h('span', {}, choice.letter),
  );
}

/** A tile that is only looked at. */
export function stillTile(choice, cls = '', state = '') {
  return h(
    'li',
    { class: `tile still ${choice.cls} ${cls}` },
    tab(choice),
    h('span', { class: 'txt' }, choice.text, state && h('span', { class: 'state' }, state)),
  );
}

/**
 * A countdown ring that follows the server's clock. update(question) on changes; stop() at the end. With `speak`, the
 * last 10 and 5 seconds and the end are announced.
 */
export function countdown(clock, { speak = false, onOpen, onEnd } = {}) {
  const r = 40;
  const round = 2 * Math.PI * r;
  const arc = s('circle', { class: 'left', cx: 50, cy: 50, r, 'stroke-dasharray': round });
  const digits = h('b', { 'aria-hidden': 'true' });
  const el = h(
    'div',
    { class: 'ring', role: 'timer', 'aria-live': 'off' },
    s('svg', { viewBox: '0 0 100 100', 'aria-hidden': 'true' }, s('circle', { cx: 50, cy: 50, r }), arc),
    digits,
  );
  let question;
  let opened = false;
  let ended = false;
  let said = Infinity;
  const tick = () => {
    if (!question) return;
    const now = clock.now();
    const lead = question.opensAt - now;
    if (lead > 0) {
      digits.textContent = String(Math.ceil(lead / 1000));
      arc.setAttribute('stroke-dashoffset', '0');
      return;
    }
    if (!opened) {
      opened = true;
      onOpen?.();
    }
    const left = Math.max(0, question.closesAt - now);
    const secs = Math.ceil(left / 1000);
    const share = left / Math.max(1, question.closesAt - question.opensAt);
    arc.setAttribute('stroke-dashoffset', String(round * (1 - Math.min(1, share))));
    digits.textContent = String(secs);
    el.classList.toggle('low', secs <= 5);
    el.setAttribute('aria-label', t('time.left', { n: secs }));
    for (const mark of [10, 5]) {
      if (speak && secs === mark && said > mark) {
        said = mark;
        announce(t('time.left', { n: mark }));
      }
    }
    if (left === 0 && !ended) {
      ended = true;
      if (speak) announce(t('time.up'));
      onEnd?.();
    }
  };
  const timer = setInterval(tick, 100);
  return {
    el,
    update(next) {
      if (next.closesAt > (question?.closesAt ?? 0)) {
        ended = false;
        said = Infinity;
      }
      question = next;
      tick();
    },
    stop: () => clearInterval(timer),
  };
}

/** The leaderboard as a list; `me` marks the reader. */
export function board(state, me, limit = 100) {
  const top = state.leaderboard?.top ?? [];
  if (top.length === 0) return h('p', { class: 'muted' }, t('board.empty'));
  return h(
    'ol',
    { class: 'board' },
    top.slice(0, limit).map((row) => {
      const moved = movement(state, row);
      return h(
        'li',
        { class: row.user === me ? 'me rise' : 'rise' },
        h('span', { class: 'rank' }, h('span', { class: 'sr' }, t('board.rank') + ' '), String(row.rank)),
        h(
          'span',
          { class: 'name' },
          row.name,
          row.user === me && h('span', { class: 'sr' }, ` (${t('board.you')})`),
          moved > 0 &&
            h(
              'span',
              { class: 'move up' },
              h('span', { 'aria-hidden': 'true' }, `▲ ${moved}`),
              h('span', { class: 'sr' }, t('board.up', { n: moved })),
            ),
          moved < 0 &&
            h(
              'span',
              { class: 'move down' },
              h('span', { 'aria-hidden': 'true' }, `▼ ${-moved}`),
              h('span', { class: 'sr' }, t('board.down', { n: -moved })),
            ),
        ),
        h('span', { class: 'delta' }, row.delta ? `+${fmt(row.delta)}` : ''),
        h('span', { class: 'score' }, fmt(row.score)),
      );
    }),
  );
}

/** The first three, with joy. */
export function podium(top) {
  if (top.length === 0) return h('p', { class: 'muted center' }, t('board.empty'));
  return h(
    'ol',
    { class: 'podium' },
    top
      .slice(0, 3)
      .map((row, i) =>
        h(
          'li',
          { class: `p${i + 1}` },
          h('span', { class: 'name' }, row.name),
          h('span', { class: 'score' }, t('points', { n: row.score })),
          h('span', { class: 'block' }, h('span', { class: 'sr' }, t('board.rank') + ' '), String(row.rank)),
        ),
      ),
  );
}

/** Confetti for a few seconds; the style sheet drops it for those who want no motion. */
export function confetti() {
  const box = h('div', { class: 'confetti', 'aria-hidden': 'true' });
  for (let i = 0; i < 90; i++) {
    const bit = h('i', { class: `c${i % 8}` });
    bit.style.left = `${(i * 37) % 100}%`;
    bit.style.setProperty('--d', `${((i * 53) % 30) / 10}s`);
    bit.style.setProperty('--x', `${((i * 29) % 24) - 12}vw`);
    box.append(bit);
  }
  setTimeout(() => box.remove(), 11_000);
  document.body.append(box);
}

/** What a regrade means, in a sentence. */
export function regradeText(data) {
  return [t(data.void ? 'regrade.wasVoid' : 'regrade.wasKey', { number: data.number }), data.reason]
    .filter(Boolean)
    .join(' ');
}

/** How many have answered, as a bar with words. */
export function progressBar() {
  const fillEl = h('i', {});
  const words = h('p', { class: 'muted num' });
  const bar = h(
    'div',
    { class: 'progress', role: 'progressbar', 'aria-valuemin': 0, 'aria-label': t('host.answered') },
    fillEl,
  );
  return {
    el: h('div', { class: 'answered' }, bar, words),
    update(progress) {
      const { answered = 0, participants = 0 } = progress ?? {};
      fillEl.style.width = `${participants ? Math.min(100, (100 * answered) / participants) : 0}%`;
      bar.setAttribute('aria-valuemax', String(participants));
      bar.setAttribute('aria-valuenow', String(answered));
      put(words, t('host.answeredOf', { answered, participants }));
    },
  };
}
