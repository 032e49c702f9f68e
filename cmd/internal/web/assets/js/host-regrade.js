import { h, put, openDialog } from './dom.js';
import { t, explain } from './i18n.js';
import { letter } from './parts.js';
import { keyText } from './host-import.js';

/**
 * The dialog that corrects a key or declares a question void. questions are {number, type, text, options, correct,
 * numbers, texts, caseMatters, void}; send(data) carries quiz:regrade out. Nothing happens before a second page has
 * said what will.
 */
export function regradeDialog({ questions, current, send, done }) {
  const list = questions.filter((q) => q.type !== 'poll');
  let q = list.find((one) => one.number === current) ?? list[0];
  let what = 'key';
  let reason = '';
  const body = h('div', {});
  const dialog = openDialog(t('regrade.title'), body);
  const close = () => dialog.close();
  if (!q) {
    put(body, h('h2', {}, t('regrade.title')), h('p', {}, t('regrade.nothing')), button(t('app.close'), close));
    return;
  }

  function edit(fault) {
    const editor = keyEditor(q);
    const choice = (value, text) =>
      h(
        'div',
        {},
        h(
          'label',
          { class: 'tick' },
          h('input', {
            type: 'radio',
            name: 'what',
            value,
            checked: what === value,
            onchange: () => {
              what = value;
              editor.el.hidden = what !== 'key';
            },
          }),
          text,
        ),
      );
    const reasonInput = h('input', {
      type: 'text',
      id: 'regrade-reason',
      maxlength: 200,
      value: reason,
      oninput: () => {
        reason = reasonInput.value;
      },
    });
    editor.el.hidden = what !== 'key';
    put(
      body,
      h('h2', {}, t('regrade.title')),
      h('p', { class: 'muted' }, t('regrade.sub')),
      h(
        'div',
        { class: 'field' },
        h('label', { for: 'regrade-question' }, t('regrade.question')),
        h(
          'select',
          {
            id: 'regrade-question',
            onchange: (e) => {
              q = list.find((one) => String(one.number) === e.target.value);
              what = q.void ? 'count' : 'key';
              edit();
            },
          },
          list.map((one) =>
            h(
              'option',
              { value: String(one.number), selected: one === q },
              `${one.number}. ${one.text.slice(0, 80)}${one.void ? ` (${t('regrade.isVoid')})` : ''}`,
            ),
          ),
        ),
      ),
      h(
        'fieldset',
        { class: 'bare' },
        h('legend', {}, t('regrade.what')),
        choice('key', t('regrade.newKey')),
        q.void ? choice('count', t('regrade.count')) : choice('void', t('regrade.void')),
      ),
      editor.el,
      h('div', { class: 'field' }, h('label', { for: 'regrade-reason' }, t('regrade.reason')), reasonInput),
      fault && h('p', { class: 'fault', role: 'alert' }, fault),
      h(
        'div',
        { class: 'row' },
        button(
          t('regrade.next'),
          () => {
            const data = { question: q.number, reason: reason.trim() || undefined };
            if (what === 'void') data.void = true;
            else if (what === 'count') data.void = false;
            else {
              data.answerKey = editor.read();
              if (!data.answerKey) return edit(t('regrade.faulty'));
            }
            confirm(data, what === 'key' ? editor.say() : '');
          },
          'primary',
        ),
        button(t('app.cancel'), close),
      ),
    );
  }

  function confirm(data, key) {
    const fault = h('p', { class: 'fault', role: 'alert', hidden: true });
    const go = button(
      t('regrade.go'),
      async () => {
        go.disabled = true;
        try {
          await send(data);
          close();
          done?.(data);
        } catch (error) {
          fault.textContent = explain(error);
          fault.hidden = false;
          go.disabled = false;
        }
      },
      'danger',
    );
    const texts = { key: 'regrade.sureKey', void: 'regrade.sureVoid', count: 'regrade.sureCount' };
    put(
      body,
      h('h2', {}, t(texts[what], { number: q.number })),
      h('p', {}, h('strong', {}, q.text)),
      key && h('p', {}, t('regrade.rightNow'), ' ', h('strong', {}, key)),
      h('p', { class: 'note' }, t('regrade.sureSub')),
      fault,
      h('div', { class: 'row' }, go, button(t('app.back'), () => edit()), button(t('app.cancel'), close)),
    );
    go.focus();
  }

  what = q.void ? 'count' : 'key';
  edit();
}

function button(text, onclick, cls = '') {
  return h('button', { class: `btn ${cls}`, type: 'button', onclick }, text);
}

/** The controls for a key, as it is now; read() gives quiz:regrade's answerKey or null, say() the key in words. */
function keyEditor(q) {
  if (q.type === 'single_choice' || q.type === 'multiple_choice') return optionsEditor(q);
  if (q.type === 'true_false') return truthEditor(q);
  return linesEditor(q);
}

function optionsEditor(q) {
  const boxes = q.options.map((o) => h('input', { type: 'checkbox', checked: o.correct === true }));
  const picked = () => q.options.filter((_, i) => boxes[i].checked);
  return {
    el: h(
      'fieldset',
      { class: 'bare' },
      h('legend', {}, t('editor.optionsRight')),
      q.options.map((o, i) =>
        h('div', {}, h('label', { class: 'tick' }, boxes[i], h('span', { class: 'mono' }, letter(i)), o.text)),
      ),
    ),
    read: () =>
      picked().length > 0 ? { options: boxes.flatMap((b, i) => (b.checked ? [String(i)] : [])) } : null,
    say: () =>
      picked()
        .map((o) => o.text)
        .join(' · '),
  };
}

function truthEditor(q) {
  let correct = q.correct === true;
  const radio = (value) =>
    h(
      'div',
      {},
      h(
        'label',
        { class: 'tick' },
        h('input', {
          type: 'radio',
          name: 'truth',
          checked: correct === value,
          onchange: () => {
            correct = value;
          },
        }),
        t(value ? 'answer.true' : 'answer.false'),
      ),
    );
  return {
    el: h('fieldset', { class: 'bare' }, h('legend', {}, t('editor.rightIs')), radio(true), radio(false)),
    read: () => ({ correct }),
    say: () => t(correct ? 'answer.true' : 'answer.false'),
  };
}

function linesEditor(q) {
  const numeric = q.type === 'numeric';
  const text = numeric
    ? (q.numbers ?? []).map((r) => (r.min === r.max ? `${r.min}` : `${r.min} … ${r.max}`)).join('\n')
    : (q.texts ?? []).join('\n');
  const area = h('textarea', { id: 'regrade-key', rows: 4, value: text });
  const matters = h('input', { type: 'checkbox', checked: q.caseMatters === true });
  const lines = () =>
    area.value
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
  const range = (line) => {
    const ends = line.split(/…|\.\.\.?/).map((end) => Number(end.trim().replace(',', '.')));
    return { min: ends[0], max: ends.at(-1) };
  };
  const read = () => {
    if (lines().length === 0) return null;
    if (!numeric) return { texts: lines(), caseMatters: matters.checked };
    const numbers = lines().map(range);
    return numbers.every((r) => r.min <= r.max) ? { numbers } : null; // false for what is no number, too
  };
  return {
    el: h(
      'div',
      { class: 'field' },
      h('label', { for: 'regrade-key' }, t('editor.texts')),
      area,
      h('span', { class: 'hint' }, t(numeric ? 'regrade.rangesHint' : 'editor.textsHint')),
      !numeric && h('label', { class: 'tick' }, matters, t('regrade.caseMatters')),
    ),
    read,
    say: () => keyText({ type: q.type, ...read() }),
  };
}

/** The questions of a session's results, as the dialog needs them. */
export function questionsOfResults(table) {
  return (table.questions ?? []).map((q) => {
    const { number, type, key = [] } = q.results;
    return {
      number,
      type,
      text: q.text,
      void: q.results.void === true,
      options: (q.options ?? []).map((text, i) => ({ text, correct: key.includes(String(i)) })),
      correct: key.includes('true'),
      numbers: key.map((k) => {
        const ends = k.split('–').map(Number);
        return { min: ends[0], max: ends.at(-1) };
      }),
      texts: key,
    };
  });
}
