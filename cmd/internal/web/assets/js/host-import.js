import { h, put } from './dom.js';
import { t, explain } from './i18n.js';

/** What a question's key looks like to a teacher. */
export function keyText(q) {
  if (q.type === 'true_false') return t(q.correct ? 'answer.true' : 'answer.false');
  if (q.type === 'numeric')
    return (q.numbers ?? []).map((r) => (r.min === r.max ? String(r.min) : `${r.min} … ${r.max}`)).join(' · ');
  if (q.type === 'short_text') return (q.texts ?? []).join(' · ');
  return '';
}

/** Preview of a file: what is good, with what is faulty beside it. Nothing is stored before the teacher says so. */
export function importView(host, { file }) {
  const body = h('div', {}, h('p', { class: 'wait' }, t('import.reading', { file: file.name })));
  const fail = (error) => put(body, h('p', { class: 'fault', role: 'alert' }, explain(error)), back());
  const back = () => h('button', { class: 'btn', type: 'button', onclick: () => host.go('library') }, t('app.back'));

  host.call('POST', `/api/v1/import?filename=${encodeURIComponent(file.name)}`, { body: file }).then(show, fail);

  function show(preview) {
    const questions = preview.quiz?.questions ?? [];
    const problems = preview.problems ?? [];
    const of = (severity) => problems.filter((p) => p.severity === severity);
    const faults = of('fault');
    const leftOut = of('left_out');
    const warnings = of('warning');
    const title = h('input', {
      type: 'text',
      id: 'title',
      maxlength: 200,
      value: preview.quiz?.title || file.name.replace(/\.[^.]+$/, ''),
    });
    const boxes = questions.map(() => h('input', { type: 'checkbox', checked: true }));
    const save = h('button', { class: 'btn primary big', type: 'submit' });
    const count = () => {
      const n = boxes.filter((b) => b.checked).length;
      save.textContent = t('import.take', { n });
      save.disabled = n === 0;
    };
    count();
    const submit = async (event) => {
      event.preventDefault();
      save.disabled = true;
      try {
        const quiz = {
          ...preview.quiz,
          title: title.value.trim() || file.name,
          questions: questions.filter((_, i) => boxes[i].checked),
        };
        await host.call('POST', '/api/v1/quizzes', { json: quiz });
        host.go('library', { said: t('import.done', { n: quiz.questions.length }) });
      } catch (error) {
        save.disabled = false;
        put(problem, explain(error));
        problem.hidden = false;
      }
    };
    const problem = h('p', { class: 'fault', role: 'alert', hidden: true });
    put(
      body,
      h(
        'div',
        { class: 'row' },
        h('span', { class: 'pill' }, t('import.format', { format: preview.format })),
        h('span', { class: 'pill good' }, '✓ ', t('import.good', { n: questions.length })),
        faults.length > 0 && h('span', { class: 'pill bad' }, '✗ ', t('import.faulty', { n: faults.length })),
        leftOut.length > 0 && h('span', { class: 'pill warn' }, '– ', t('import.leftOut', { n: leftOut.length })),
        warnings.length > 0 && h('span', { class: 'pill warn' }, '! ', t('import.warnings', { n: warnings.length })),
      ),
      h(
        'form',
        { onsubmit: submit },
        h('div', { class: 'field' }, h('label', { for: 'title' }, t('editor.title')), title),
        h(
          'div',
          { class: 'preview' },
          h(
            'section',
            {},
            h('h2', {}, t('import.goodTitle')),
            questions.length === 0 && h('p', { class: 'note' }, t('import.none')),
            h(
              'ol',
              { class: 'plain goods', onchange: count },
              questions.map((q, i) => h('li', {}, h('label', { class: 'tick good-q' }, boxes[i], goodQuestion(q)))),
            ),
          ),
          problems.length > 0 &&
            h(
              'section',
              {},
              h('h2', {}, t('import.problemsTitle')),
              group(t('import.faultTitle'), faults, 'fault'),
              group(t('import.leftOutTitle'), leftOut, 'note'),
              group(t('import.warningTitle'), warnings, 'note'),
            ),
        ),
        problem,
        h('div', { class: 'row sticky' }, save, back()),
      ),
    );
  }

  return { el: h('div', { class: 'wide' }, h('h1', {}, t('import.title', { file: file.name })), body) };
}

function goodQuestion(q) {
  return h(
    'span',
    { class: 'q-preview' },
    h('span', { class: 'pill small' }, t(`type.${q.type}`)),
    ' ',
    h('strong', {}, q.text),
    q.options?.length > 0 &&
      h(
        'span',
        { class: 'opts' },
        q.options.map((o) =>
          h(
            'span',
            { class: o.correct ? 'key' : '' },
            o.correct ? '✓ ' : '',
            o.text,
            o.correct && h('span', { class: 'sr' }, ` (${t('results.right')})`),
          ),
        ),
      ),
    keyText(q) && h('span', { class: 'opts' }, h('span', { class: 'key' }, '✓ ', keyText(q))),
  );
}

function group(title, problems, cls) {
  if (problems.length === 0) return null;
  return h(
    'div',
    {},
    h('h3', {}, title),
    h(
      'ul',
      { class: 'plain' },
      problems.map((p) =>
        h(
          'li',
          { class: `${cls} problem` },
          h(
            'span',
            { class: 'small' },
            [
              p.number > 0 && t('import.number', { number: String(p.number) }),
              p.line > 0 && t('import.line', { line: String(p.line) }),
              p.type,
            ]
              .filter(Boolean)
              .join(' · '),
          ),
          p.title && h('span', { class: 'what' }, p.title),
          h('span', {}, p.reason),
        ),
      ),
    ),
  );
}
