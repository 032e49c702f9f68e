import { h, put, announce } from './dom.js';
import { t, fmt, explain } from './i18n.js';
import { choices, tab, stillTile, countdown, board, podium, confetti } from './parts.js';
import { distribution } from './chart.js';
import { keptReceipts, receiptLine } from './receipts.js';

/** Which view the player's page should show; the same key means the same view, only updated. */
export function keyOf({ game }) {
  const s = game.state;
  const number = s.question?.number ?? 0;
  // Time that ran out here is not a change of view: the server says when the question is closed.
  if (s.phase === 'open' || s.phase === 'closed') return `question:${number}`;
  if (s.phase === 'results') return `results:${number}`;
  if (s.phase === 'leaderboard') return `leaderboard:${s.leaderboard?.number ?? 0}`;
  if (s.phase === 'ended') return `ended:${s.regrades}`;
  return s.phase;
}

/** Builds the view for a key: {key, el, update, stop, key_, say}. */
export function makeView(key, app) {
  const kind = key.split(':')[0];
  const make =
    {
      question: questionView,
      results: resultsView,
      leaderboard: boardView,
      lobby: lobbyView,
      starting: startingView,
      paused: pausedView,
      ended: endView,
    }[kind] ?? waitView;
  return { key, ...make(app) };
}

function waitView({ game }) {
  return { el: h('p', { class: 'wait' }, game.state.phase === 'none' ? t('play.noQuiz') : t('net.connecting')) };
}

function lobbyView({ game, name }) {
  const count = h('p', { class: 'muted num' });
  const el = h(
    'div',
    { class: 'stack center' },
    h(
      'div',
      { class: 'hero' },
      h('p', { class: 'pill good' }, '✓ ', t('play.in')),
      h('h1', {}, t('play.hello', { name: game.state.me?.name ?? name })),
      h('p', { class: 'muted' }, game.state.title),
      h('p', {}, t('play.lobby')),
    ),
    count,
  );
  return {
    el,
    update: (s) => put(count, t('play.here', { n: Math.max(s.participants, 1) })),
  };
}

function startingView() {
  return { el: h('div', { class: 'ready' }, h('h1', {}, t('play.starting'))), say: t('play.starting') };
}

function pausedView() {
  return {
    el: h('div', { class: 'hero' }, h('h1', {}, t('play.paused')), h('p', { class: 'muted' }, t('play.pausedSub'))),
    say: t('play.paused'),
  };
}

function head(question, ring) {
  return h(
    'div',
    { class: 'q-head' },
    h(
      'div',
      {},
      h('div', { class: 'q-meta' }, t('q.number', { number: question.number, of: question.of })),
      h(
        'div',
        { class: 'small muted' },
        question.type === 'poll' ? t('q.poll') : t('q.worth', { n: question.points }),
        question.type === 'multiple_choice' ? ` · ${t('q.several')}` : '',
      ),
    ),
    ring?.el,
  );
}

function questionView({ game, client, answers }) {
  const question = game.state.question;
  const body = h('div', {});
  const status = h('div', { class: 'status', role: 'status' });
  let open = false;
  let over = false;
  let control = null;
  const draw = () => {
    if (!open) {
      put(body, h('p', { class: 'ready' }, t('q.ready')));
      return;
    }
    control = makeControl(question, (answer) => answers.send(answer));
    put(body, control.el);
    refresh();
    // Whoever moves by keyboard goes on from the heading; whoever is writing should not have to look for the field.
    control.input?.focus({ preventScroll: true });
  };
  const ring = countdown(client.clock, {
    speak: true,
    onOpen: () => {
      open = true;
      draw();
    },
    onEnd: () => {
      over = true;
      refresh();
    },
  });
  const refresh = () => {
    const given = answers.status !== 'none' && answers.status !== 'refused';
    control?.set(answers.answer, given || over || answers.error?.code === 'question_closed');
    put(status, statusOf(answers, client, over));
  };
  draw();
  return {
    el: h('section', {}, head(question, ring), h('h1', { class: 'q-text' }, question.text), body, status),
    say: `${t('q.number', { number: question.number, of: question.of })}. ${question.text}`,
    update: (s) => {
      over = false;
      ring.update(s.question);
      if (s.phase === 'closed' || client.clock.now() >= s.question.closesAt) over = true;
      refresh();
    },
    stop: () => ring.stop(),
    key_: (event) => control?.key(event),
  };
}

function statusOf(answers, client, over) {
  if (answers.status === 'recorded') {
    return h(
      'div',
      { class: 'done' },
      h('strong', {}, '✓ ', t('answer.recorded')),
      ' ',
      over ? t('answer.waitResults') : t('answer.waitOthers'),
      answers.receipt && receiptLine(answers.receipt),
    );
  }
  if (answers.status === 'sending')
    return h(
      'p',
      { class: 'note' },
      client.state === 'open' && navigator.onLine ? t('answer.sending') : t('net.offlineKept'),
    );
  if (answers.status === 'refused') return h('p', { class: 'fault' }, explain(answers.error));
  if (over) return h('p', { class: 'note' }, t('answer.tooLate'));
  return '';
}

function makeControl(question, send) {
  if (question.type === 'multiple_choice') return multiControl(question, send);
  if (question.type === 'numeric' || question.type === 'short_text') return textControl(question, send);
  const list = choices(question);
  const buttons = list.map((c) =>
    h(
      'button',
      { class: `tile ${c.cls}`, type: 'button', onclick: () => send(c.send) },
      tab(c),
      h('span', { class: 'txt' }, c.text),
    ),
  );
  return {
    el: h('div', { class: 'tiles open', role: 'group', 'aria-label': t('q.choose') }, buttons),
    set(answer, fixed) {
      buttons.forEach((b, i) => {
        const mine = answer !== undefined && String(answer) === list[i].id;
        b.disabled = fixed;
        b.classList.toggle('mine', mine);
        b.classList.toggle('faded', fixed && !mine);
        b.setAttribute('aria-pressed', String(mine));
      });
    },
    key(event) {
      const b = buttons[indexOf(event, list)];
      if (b && !b.disabled) b.click();
    },
  };
}

// 1–9 by place, A–I by letter; for true and false also their own letters.
function indexOf(event, list) {
  const key = event.key.toUpperCase();
  if (/^[1-9]$/.test(key)) return Number(key) - 1;
  const own = list.findIndex((c) => c.letter === key);
  if (own >= 0) return own;
  return /^[A-I]$/.test(key) ? key.charCodeAt(0) - 65 : -1;
}

function multiControl(question, send) {
  const list = choices(question);
  const boxes = list.map(() => h('input', { type: 'checkbox' }));
  const marks = list.map(() => h('span', { class: 'box', 'aria-hidden': 'true' }));
  const tiles = list.map((c, i) =>
    h('label', { class: `tile ${c.cls}` }, boxes[i], tab(c), h('span', { class: 'txt' }, c.text), marks[i]),
  );
  const button = h('button', { class: 'btn primary big wide', type: 'submit' }, t('answer.submit'));
  const show = () => {
    boxes.forEach((b, i) => {
      tiles[i].classList.toggle('mine', b.checked);
      marks[i].textContent = b.checked ? '✓' : '';
    });
    button.disabled = boxes[0]?.disabled || !boxes.some((b) => b.checked);
  };
  const form = h(
    'form',
    {
      class: 'answer-form',
      onchange: show,
      onsubmit: (e) => {
        e.preventDefault();
        send(list.filter((_, i) => boxes[i].checked).map((c) => c.send));
      },
    },
    h('fieldset', { class: 'tiles open' }, h('legend', { class: 'sr' }, t('q.chooseSeveral')), tiles),
    button,
  );
  show();
  return {
    el: form,
    set(answer, fixed) {
      if (Array.isArray(answer))
        boxes.forEach((b, i) => {
          b.checked = answer.map(String).includes(list[i].id);
        });
      boxes.forEach((b) => {
        b.disabled = fixed;
      });
      show();
      tiles.forEach((el, i) => el.classList.toggle('faded', fixed && !boxes[i].checked));
      button.hidden = fixed;
    },
    key(event) {
      const box = boxes[indexOf(event, list)];
      if (box && !box.disabled) box.click();
      else if (event.key === 'Enter' && !button.disabled && event.target.tagName !== 'BUTTON') form.requestSubmit();
    },
  };
}

function textControl(question, send) {
  const numeric = question.type === 'numeric';
  const fault = h('p', { class: 'fault', role: 'alert', hidden: true });
  const input = h('input', {
    type: 'text',
    inputmode: numeric ? 'decimal' : 'text',
    maxlength: numeric ? 40 : 200,
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-label': numeric ? t('answer.number') : t('answer.text'),
    placeholder: numeric ? t('answer.number') : t('answer.text'),
  });
  const button = h('button', { class: 'btn primary big wide', type: 'submit' }, t('answer.submit'));
  const submit = (event) => {
    event.preventDefault();
    const text = input.value.trim();
    const value = numeric ? toNumber(text) : text;
    fault.hidden = text !== '' && !Number.isNaN(value);
    if (fault.hidden) send(value);
    else fault.textContent = numeric ? t('answer.notNumber') : t('answer.empty');
  };
  return {
    el: h('form', { class: 'answer-form', onsubmit: submit }, input, fault, button),
    input,
    set(answer, fixed) {
      if (answer !== undefined && fixed) input.value = String(answer);
      input.readOnly = fixed;
      button.hidden = fixed;
    },
    key() {},
  };
}

/** A number as people write it: comma or point, blanks between thousands. NaN for anything else. */
export function toNumber(text) {
  const plain = text.replace(/[\s\u00a0\u202f']/g, '').replace('−', '-');
  const normal = /^[^.]*,[^.,]*$/.test(plain) ? plain.replace(',', '.') : plain;
  return normal === '' ? NaN : Number(normal);
}

const outcomeSigns = { correct: '✓', partial: '◐', wrong: '✗', none: '–', poll: '✓', void: '–' };

function outcomeBox(rank) {
  const outcome = rank.outcome ?? 'none';
  return h(
    'div',
    { class: `outcome ${outcome} rise` },
    h('div', { class: 'sign', 'aria-hidden': 'true' }, outcomeSigns[outcome] ?? '–'),
    h('h1', {}, t(`outcome.${outcome}`)),
    outcome !== 'poll' &&
      outcome !== 'void' &&
      h('p', { class: 'points num' }, rank.points ? `+${t('points', { n: rank.points })}` : t('points', { n: 0 })),
    rank.streak > 1 &&
      h('p', { class: 'small' }, h('span', { 'aria-hidden': 'true' }, '★ '), t('streak', { n: rank.streak })),
  );
}

function standing(rank) {
  return h(
    'dl',
    { class: 'standing' },
    h('div', {}, h('dt', {}, t('rank.place')), h('dd', {}, t('rank.of', { rank: rank.rank, of: rank.of }))),
    h('div', {}, h('dt', {}, t('rank.score')), h('dd', {}, fmt(rank.score))),
    rank.behind > 0 &&
      h(
        'div',
        {},
        h('dt', {}, t('rank.behind', { name: rank.ahead || t('rank.next') })),
        h('dd', {}, fmt(rank.behind)),
      ),
  );
}

function resultsView({ game, answers }) {
  const top = h('div', {});
  const place = h('div', {});
  const details = h('div', {});
  const q = game.state.question;
  let drawn = '';
  return {
    el: h('section', {}, top, place, details),
    update: (s) => {
      const r = s.rank?.number === s.results.number ? s.rank : null;
      const now = JSON.stringify([r, s.results]); // also the same question, marked anew
      if (now === drawn) return;
      drawn = now;
      put(top, r ? outcomeBox(r) : h('div', { class: 'ready' }, h('h1', {}, t('play.adding'))));
      put(place, r && standing(r));
      if (r)
        announce(
          [
            t(`outcome.${r.outcome}`),
            t('points', { n: r.points }),
            t('rank.sentence', { rank: r.rank, of: r.of }),
          ].join('. '),
        );
      put(
        details,
        q &&
          h(
            'div',
            { class: 'card' },
            h('h2', {}, q.text),
            ownAndRight(q, s.results, answers),
            distribution(q, s.results),
            s.results.explanation &&
              h('p', { class: 'small' }, h('strong', {}, t('results.why') + ' '), s.results.explanation),
          ),
      );
    },
  };
}

function ownAndRight(question, results, answers) {
  const given = answers.number === question.number && answers.status === 'recorded' ? answers.answer : undefined;
  const list = ['numeric', 'short_text'].includes(question.type) ? [] : choices(question);
  const graded = question.type !== 'poll';
  if (list.length > 0) {
    const key = new Set(results.key ?? []);
    const mine = new Set((Array.isArray(given) ? given : [given]).filter((v) => v !== undefined).map(String));
    const shown = list.filter((c) => key.has(c.id) || mine.has(c.id));
    return h(
      'ul',
      { class: 'tiles' },
      shown.map((c) =>
        stillTile(
          c,
          graded && key.has(c.id) ? 'right' : '',
          [graded && key.has(c.id) && `✓ ${t('results.right')}`, mine.has(c.id) && t('results.yours')]
            .filter(Boolean)
            .join(' · '),
        ),
      ),
    );
  }
  return h(
    'dl',
    {},
    h('dt', { class: 'muted' }, t('results.accepted')),
    h('dd', {}, (results.key ?? []).join(' · ') || '–'),
    given !== undefined && [h('dt', { class: 'muted' }, t('results.yourAnswer')), h('dd', {}, String(given))],
  );
}

function boardView({ game, me }) {
  const place = h('div', {});
  const list = h('div', {});
  return {
    el: h('section', {}, h('h1', {}, t('board.title')), place, list),
    say: t('board.title'),
    update: (s) => {
      put(place, s.rank && standing(s.rank));
      put(list, board(s, me, 10));
    },
  };
}

function endView(app) {
  const { game, me, ended } = app;
  if (ended) return stoppedView(ended);
  const s = game.state;
  const top = s.leaderboard?.top ?? [];
  const own = s.rank ?? top.find((row) => row.user === me);
  const place = own?.rank ?? 0;
  if (place > 0 && place <= 3 && !s.regrades) confetti();
  const text = place ? t(place <= 3 ? 'end.top' : 'end.place', { place, of: own.of ?? s.participants }) : t('end.over');
  return {
    el: h(
      'section',
      {},
      h(
        'div',
        { class: 'hero' },
        h('h1', {}, text),
        own && h('p', { class: 'points num' }, t('points', { n: own.score })),
        h('p', { class: 'muted' }, s.title),
      ),
      podium(top),
      top.length > 3 && board({ ...s, before: null }, me, 10),
      ownReceipts(app.roomId),
      h('p', { class: 'center' }, h('a', { class: 'btn', href: '/' }, t('end.again'))),
    ),
    say: text,
  };
}

function ownReceipts(roomId) {
  const list = keptReceipts(roomId);
  return (
    list.length > 0 &&
    h(
      'details',
      { class: 'card' },
      h('summary', {}, t('receipt.mine')),
      h('p', { class: 'small muted' }, t('receipt.mineSub')),
      h(
        'ul',
        { class: 'plain' },
        list.map((r) => h('li', {}, receiptLine(r.receipt, t('receipt.question', { number: r.number })))),
      ),
    )
  );
}

function stoppedView({ code, text }) {
  const known = { 4200: 'banned', 4201: 'revoked', 4202: 'kicked', 4203: 'session', closed: 'closed' }[code];
  return {
    el: h(
      'div',
      { class: 'hero narrow' },
      h('h1', {}, t(`stop.${known ?? 'other'}`)),
      h('p', { class: 'muted' }, text ?? t(`stop.${known ?? 'other'}Sub`)),
      h('p', {}, h('a', { class: 'btn primary', href: '/' }, t('stop.home'))),
    ),
    say: t(`stop.${known ?? 'other'}`),
  };
}
