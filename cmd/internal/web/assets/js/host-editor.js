import { h, put } from './dom.js';
import { t, explain } from './i18n.js';
import { letter } from './parts.js';
import { toNumber } from './play-views.js';

const types = ['single_choice', 'multiple_choice', 'true_false', 'numeric', 'short_text', 'poll'];
const withOptions = new Set(['single_choice', 'multiple_choice', 'poll']);
const blank = () => ({
  type: 'single_choice',
  text: '',
  options: [{ text: '', correct: true }, { text: '' }, { text: '' }, { text: '' }],
  timeLimitMs: 20_000,
  points: 1000,
});

/** A simple editor: one form, one card a question. The draft is plain objects; drawing a card anew loses nothing. */
export function editorView(host, { quiz }) {
  const draft = structuredClone(quiz ?? { title: '', settings: {}, questions: [blank()] });
  draft.settings ??= {};
  const problem = h('div', { class: 'fault', role: 'alert', hidden: true });
  const cards = h('ol', { class: 'plain' });
  const title = h('input', {
    type: 'text',
    id: 'title',
    maxlength: 200,
    required: true,
    value: draft.title,
    oninput: () => {
      draft.title = title.value;
    },
  });

  const redraw = (focus) => {
    put(
      cards,
      draft.questions.map((q, i) => questionCard(q, i)),
    );
    if (focus !== undefined) cards.children[focus]?.querySelector('textarea')?.focus();
  };
  const move = (i, by) => {
    const [q] = draft.questions.splice(i, 1);
    draft.questions.splice(i + by, 0, q);
    redraw(i + by);
  };

  function questionCard(q, i) {
    const id = `q${i}`;
    const body = h('div', {});
    const drawBody = () => put(body, answersOf(q, id, drawBody));
    drawBody();
    const change = (e) => {
      q.type = e.target.value;
      if (withOptions.has(q.type)) q.options ??= blank().options;
      drawBody();
    };
    return h(
      'li',
      { class: 'card question' },
      h(
        'div',
        { class: 'row between' },
        h('h2', {}, t('editor.question', { n: i + 1 })),
        h(
          'div',
          { class: 'row' },
          h(
            'button',
            {
              class: 'btn quiet',
              type: 'button',
              disabled: i === 0,
              'aria-label': t('editor.up'),
              onclick: () => move(i, -1),
            },
            '↑',
          ),
          h(
            'button',
            {
              class: 'btn quiet',
              type: 'button',
              disabled: i === draft.questions.length - 1,
              'aria-label': t('editor.down'),
              onclick: () => move(i, 1),
            },
            '↓',
          ),
          h(
            'button',
            {
              class: 'btn quiet danger',
              type: 'button',
              disabled: draft.questions.length === 1,
              onclick: () => {
                draft.questions.splice(i, 1);
                redraw(Math.max(0, i - 1));
              },
            },
            t('editor.remove'),
          ),
        ),
      ),
      h(
        'div',
        { class: 'field' },
        h('label', { for: `${id}-text` }, t('editor.text')),
        h('textarea', {
          id: `${id}-text`,
          rows: 2,
          maxlength: 2000,
          value: q.text,
          oninput: (e) => {
            q.text = e.target.value;
          },
        }),
      ),
      h(
        'div',
        { class: 'cols' },
        h(
          'div',
          { class: 'field' },
          h('label', { for: `${id}-type` }, t('editor.type')),
          h(
            'select',
            { id: `${id}-type`, onchange: change },
            types.map((type) => h('option', { value: type, selected: type === q.type }, t(`type.${type}`))),
          ),
        ),
        h(
          'div',
          { class: 'field' },
          h('label', { for: `${id}-time` }, t('editor.time')),
          h('input', {
            id: `${id}-time`,
            type: 'number',
            min: 1,
            max: 600,
            value: String((q.timeLimitMs ?? 20_000) / 1000),
            oninput: (e) => {
              q.timeLimitMs = Math.round(Number(e.target.value) * 1000);
            },
          }),
        ),
        h(
          'div',
          { class: 'field' },
          h('label', { for: `${id}-points` }, t('editor.points')),
          h('input', {
            id: `${id}-points`,
            type: 'number',
            min: 0,
            max: 10_000,
            step: 50,
            value: String(q.points ?? 1000),
            oninput: (e) => {
              q.points = Number(e.target.value);
            },
          }),
        ),
      ),
      body,
      h(
        'div',
        { class: 'field' },
        h('label', { for: `${id}-why` }, t('editor.explanation')),
        h('input', {
          id: `${id}-why`,
          type: 'text',
          maxlength: 1000,
          value: q.explanation ?? '',
          oninput: (e) => {
            q.explanation = e.target.value;
          },
        }),
      ),
    );
  }

  const save = async (event) => {
    event.preventDefault();
    problem.hidden = true;
    const ready = { ...draft, title: draft.title.trim(), questions: draft.questions.map(clean) };
    try {
      if (draft.id) await host.call('PUT', `/api/v1/quizzes/${draft.id}`, { json: ready });
      else await host.call('POST', '/api/v1/quizzes', { json: ready });
      host.go('library', { said: t('editor.saved') });
    } catch (error) {
      const at = /questions\[(\d+)\]/.exec(`${error.path ?? ''} ${error.message}`);
      put(
        problem,
        at && h('strong', {}, t('editor.question', { n: Number(at[1]) + 1 }), ': '),
        error.code === 'invalid_data' ? error.message : explain(error),
      );
      problem.hidden = false;
      (at ? cards.children[Number(at[1])] : problem)?.scrollIntoView({ block: 'center' });
    }
  };

  redraw();
  return {
    el: h(
      'form',
      { onsubmit: save },
      h('h1', {}, draft.id ? t('editor.edit') : t('editor.new')),
      h(
        'div',
        { class: 'card' },
        h('div', { class: 'field' }, h('label', { for: 'title' }, t('editor.title')), title),
        settingsOf(draft.settings),
      ),
      cards,
      h(
        'p',
        {},
        h(
          'button',
          {
            class: 'btn wide',
            type: 'button',
            onclick: () => {
              draft.questions.push(blank());
              redraw(draft.questions.length - 1);
            },
          },
          '+ ',
          t('editor.add'),
        ),
      ),
      problem,
      h(
        'div',
        { class: 'row sticky' },
        h('button', { class: 'btn primary big', type: 'submit' }, t('editor.save')),
        h('button', { class: 'btn', type: 'button', onclick: () => host.go('library') }, t('app.cancel')),
      ),
    ),
  };
}

function settingsOf(s) {
  const tick = (key, label, on = false) =>
    h(
      'label',
      { class: 'tick' },
      h('input', {
        type: 'checkbox',
        checked: s[key] ?? on,
        onchange: (e) => {
          s[key] = e.target.checked;
        },
      }),
      label,
    );
  return h(
    'details',
    {},
    h('summary', {}, t('editor.settings')),
    h(
      'div',
      { class: 'field' },
      h('label', { for: 'scoring' }, t('editor.scoring')),
      h(
        'select',
        {
          id: 'scoring',
          onchange: (e) => {
            s.scoring = e.target.value;
          },
        },
        ['kahoot', 'linear', 'flat', 'wayground'].map((v) =>
          h('option', { value: v, selected: v === (s.scoring ?? 'kahoot') }, t(`scoring.${v}`)),
        ),
      ),
    ),
    h(
      'div',
      { class: 'row' },
      tick('streakBonus', t('editor.streak')),
      tick('autoAdvance', t('editor.auto')),
      tick('lateJoin', t('editor.late'), true),
    ),
  );
}

function answersOf(q, id, redraw) {
  if (withOptions.has(q.type)) return optionRows(q, id, redraw);
  if (q.type === 'true_false') {
    q.correct ??= true;
    return h(
      'fieldset',
      { class: 'bare' },
      h('legend', {}, t('editor.rightIs')),
      h(
        'div',
        { class: 'row' },
        [true, false].map((v) =>
          h(
            'label',
            { class: 'tick' },
            h('input', {
              type: 'radio',
              name: `${id}-tf`,
              checked: q.correct === v,
              onchange: () => {
                q.correct = v;
              },
            }),
            t(v ? 'answer.true' : 'answer.false'),
          ),
        ),
      ),
    );
  }
  if (q.type === 'numeric') {
    q.numbers = q.numbers?.length ? q.numbers : [{ min: 0, max: 0 }];
    const r = q.numbers[0];
    const field = (key, label) =>
      h(
        'div',
        { class: 'field' },
        h('label', { for: `${id}-${key}` }, label),
        h('input', {
          id: `${id}-${key}`,
          type: 'text',
          inputmode: 'decimal',
          value: String(r[key]),
          oninput: (e) => {
            r[key] = toNumber(e.target.value);
          },
        }),
      );
    return h('div', { class: 'cols' }, field('min', t('editor.from')), field('max', t('editor.to')));
  }
  const text = h('textarea', {
    id: `${id}-texts`,
    rows: 3,
    value: (q.texts ?? []).join('\n'),
    oninput: () => {
      q.texts = text.value
        .split('\n')
        .map((x) => x.trim())
        .filter(Boolean);
    },
  });
  return h(
    'div',
    { class: 'field' },
    h('label', { for: `${id}-texts` }, t('editor.texts')),
    text,
    h('span', { class: 'hint' }, t('editor.textsHint')),
  );
}

function optionRows(q, id, redraw) {
  const poll = q.type === 'poll';
  const single = q.type === 'single_choice';
  return h(
    'fieldset',
    { class: 'bare' },
    h('legend', {}, poll ? t('editor.options') : t('editor.optionsRight')),
    q.options.map((o, i) =>
      h(
        'div',
        { class: `opt-row c${i % 8}` },
        h('span', { class: 'opt-letter' }, letter(i)),
        h('input', {
          type: 'text',
          maxlength: 500,
          value: o.text,
          'aria-label': t('editor.option', { letter: letter(i) }),
          oninput: (e) => {
            o.text = e.target.value;
          },
        }),
        !poll &&
          h('input', {
            type: single ? 'radio' : 'checkbox',
            name: `${id}-right`,
            checked: o.correct === true,
            'aria-label': t('editor.isRight', { letter: letter(i) }),
            onchange: (e) => {
              if (single)
                q.options.forEach((x) => {
                  x.correct = false;
                });
              o.correct = e.target.checked;
            },
          }),
        h(
          'button',
          {
            class: 'btn quiet',
            type: 'button',
            disabled: q.options.length <= 2,
            'aria-label': t('editor.removeOption', { letter: letter(i) }),
            onclick: () => {
              q.options.splice(i, 1);
              redraw();
            },
          },
          '✕',
        ),
      ),
    ),
    h(
      'button',
      {
        class: 'btn quiet',
        type: 'button',
        onclick: () => {
          q.options.push({ text: '' });
          redraw();
        },
      },
      '+ ',
      t('editor.addOption'),
    ),
  );
}

/** Only what belongs to the type, and no empty options. */
function clean(q) {
  const { options, correct, numbers, texts, caseMatters, ...rest } = q;
  const out = { ...rest, text: q.text.trim() };
  if (!out.explanation) delete out.explanation;
  if (withOptions.has(q.type))
    out.options = options
      .filter((o) => o.text.trim())
      .map((o) => (q.type === 'poll' ? { text: o.text.trim() } : { ...o, text: o.text.trim() }));
  if (q.type === 'true_false') out.correct = correct === true;
  if (q.type === 'numeric') out.numbers = numbers;
  if (q.type === 'short_text') Object.assign(out, { texts: texts ?? [], caseMatters: caseMatters || undefined });
  return out;
}
