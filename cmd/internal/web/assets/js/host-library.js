import { h, put, saveAs, openDialog } from './dom.js';
import { t, explain, lang } from './i18n.js';
import { gameSlot } from './session.js';
import { regradeDialog, questionsOfResults } from './host-regrade.js';
import { searchCard } from './host-search.js';
import { regradeText } from './parts.js';

const formats = [
  ['json', 'Lectern JSON'],
  ['gift', 'GIFT'],
  ['aiken', 'Aiken'],
  ['moodle-xml', 'Moodle XML'],
  ['csv', 'CSV'],
  ['kahoot-xlsx', 'Kahoot XLSX'],
];
const endings = { 'moodle-xml': 'xml', aiken: 'txt', gift: 'gift.txt', 'kahoot-xlsx': 'xlsx' };
const listOf = (reply, name) => (Array.isArray(reply) ? reply : (reply?.[name] ?? reply?.items ?? []));
const countOf = (quiz) => (Array.isArray(quiz.questions) ? quiz.questions.length : (quiz.questions ?? quiz.count ?? 0));

/** The teacher's quizzes: start, edit, export, delete; import and new. */
export function libraryView(host, { said } = {}) {
  const problem = h('p', { class: 'fault', role: 'alert', hidden: true });
  const done = h('p', { class: 'done', role: 'status', hidden: true });
  const list = h('div', {}, h('p', { class: 'wait' }, t('app.loading')));
  const running = h('div', {});
  const over = h('div', {});
  const fail = (error) => {
    problem.textContent = explain(error);
    problem.hidden = false;
  };
  const attempt = (fn) => async () => {
    problem.hidden = true;
    try {
      await fn();
    } catch (error) {
      fail(error);
    }
  };
  const file = h('input', {
    type: 'file',
    class: 'sr',
    id: 'file',
    accept: '.gift,.txt,.xml,.csv,.xlsx,.json,.aiken',
    onchange: () => {
      if (file.files[0]) host.go('import', { file: file.files[0] });
    },
  });

  const start = (quiz) =>
    attempt(async () => {
      const session = await host.call('POST', '/api/v1/sessions', { json: { quizId: quiz.id } });
      const game = { ...session, title: quiz.title };
      gameSlot.set(game);
      host.go('live', game);
    });
  const edit = (quiz) =>
    attempt(async () => host.go('editor', { quiz: await host.call('GET', `/api/v1/quizzes/${quiz.id}`) }));
  const exportAs = (quiz, format) =>
    attempt(async () => {
      const response = await host.send('GET', `/api/v1/quizzes/${quiz.id}/export?format=${format}`);
      saveAs(
        await response.blob(),
        fileName(
          response,
          `${quiz.title || 'quiz'}.${endings[format] ?? format}`,
        ),
      );
    });
  const remove = (quiz) => () => {
    const dialog = openDialog(
      t('library.delete'),
      h('h2', {}, t('library.deleteSure', { title: quiz.title })),
      h('p', {}, t('library.deleteSub')),
      h(
        'div',
        { class: 'row' },
        h(
          'button',
          {
            class: 'btn danger',
            type: 'button',
            onclick: attempt(async () => {
              dialog.close();
              await host.call('DELETE', `/api/v1/quizzes/${quiz.id}`);
              await load();
            }),
          },
          t('library.delete'),
        ),
        h('button', { class: 'btn', type: 'button', onclick: () => dialog.close() }, t('app.cancel')),
      ),
    );
  };

  const card = (quiz) =>
    h(
      'li',
      { class: 'card quiz' },
      h(
        'div',
        {},
        h('h2', {}, quiz.title || t('library.untitled')),
        h('p', { class: 'muted small' }, t('library.count', { n: countOf(quiz) })),
      ),
      h(
        'div',
        { class: 'row' },
        h(
          'button',
          {
            class: 'btn primary',
            type: 'button',
            onclick: start(quiz),
            'aria-label': t('library.startNamed', { title: quiz.title }),
          },
          '▶ ',
          t('library.start'),
        ),
        h('button', { class: 'btn', type: 'button', onclick: edit(quiz) }, t('library.edit')),
        h(
          'select',
          {
            class: 'auto',
            'aria-label': t('library.export'),
            onchange: (e) => {
              const f = e.target.value;
              e.target.value = '';
              if (f) exportAs(quiz, f)();
            },
          },
          h('option', { value: '' }, t('library.export')),
          formats.map(([id, label]) => h('option', { value: id }, label)),
        ),
        h('button', { class: 'btn quiet danger', type: 'button', onclick: remove(quiz) }, t('library.delete')),
      ),
    );

  async function load() {
    try {
      const quizzes = listOf(await host.call('GET', '/api/v1/quizzes'), 'quizzes');
      put(
        list,
        quizzes.length
          ? h('ul', { class: 'quizzes' }, quizzes.map(card))
          : h(
              'div',
              { class: 'card center empty' },
              h('h2', {}, t('library.empty')),
              h('p', { class: 'muted' }, t('library.emptySub')),
            ),
      );
    } catch (error) {
      put(list);
      fail(error);
    }
  }

  async function loadSessions() {
    let sessions = [];
    try {
      sessions = listOf(await host.call('GET', '/api/v1/sessions'), 'sessions');
    } catch {
      return; // The list of quizzes says what is wrong.
    }
    const open = sessions.filter((s) => !s.closedAt && s.phase !== 'ended');
    const past = sessions.filter((s) => s.closedAt || s.phase === 'ended');
    put(
      running,
      open.length > 0 &&
        h('div', { class: 'card' }, h('h2', {}, t('library.running')), h('ul', { class: 'plain' }, open.map(openRow))),
    );
    put(
      over,
      past.length > 0 &&
        h(
          'details',
          { class: 'card' },
          h('summary', {}, t('library.past')),
          h('ul', { class: 'plain' }, past.map(pastRow)),
        ),
    );
  }

  const openRow = (s) =>
    h(
      'li',
      { class: 'row between' },
      h('span', {}, nameOf(s), ' ', s.pin && h('span', { class: 'pill mono' }, `PIN ${s.pin}`)),
      h(
        'button',
        {
          class: 'btn',
          type: 'button',
          onclick: () => {
            gameSlot.set(s);
            host.go('live', s);
          },
        },
        t('library.return'),
      ),
    );

  const pastRow = (s) =>
    h(
      'li',
      { class: 'row between' },
      h('span', {}, nameOf(s)),
      h(
        'span',
        { class: 'row' },
        ['xlsx', 'csv'].map((format) =>
          h(
            'button',
            { class: 'btn', type: 'button', onclick: attempt(() => download(host, s.room, format, nameOf(s))) },
            `↓ ${format.toUpperCase()}`,
          ),
        ),
        h(
          'button',
          { class: 'btn', type: 'button', onclick: attempt(() => downloadAudit(host, s.room, nameOf(s))) },
          '↓ ',
          t('host.audit'),
        ),
        h('button', { class: 'btn', type: 'button', onclick: attempt(() => regrade(s)) }, t('regrade.open')),
      ),
    );

  async function regrade(s) {
    const path = `/api/v1/sessions/${encodeURIComponent(s.room)}`;
    const table = await host.call('GET', `${path}/results`);
    regradeDialog({
      questions: questionsOfResults(table),
      send: (data) => host.send('POST', `${path}/regrade`, { json: data }),
      done: (data) => {
        done.textContent = regradeText({ number: data.question, void: data.void === true });
        done.hidden = false;
      },
    });
  }

  load();
  loadSessions();
  return {
    el: h(
      'div',
      {},
      h(
        'div',
        { class: 'row between' },
        h('h1', {}, t('library.title')),
        h(
          'div',
          { class: 'row' },
          file,
          h('label', { class: 'btn', for: 'file' }, t('library.import')),
          h(
            'button',
            { class: 'btn primary', type: 'button', onclick: () => host.go('editor', {}) },
            '+ ',
            t('library.new'),
          ),
        ),
      ),
      said && h('p', { class: 'done', role: 'status' }, said),
      problem,
      done,
      running,
      list,
      over,
      searchCard(host),
      h('p', { class: 'small muted' }, t('library.formats')),
    ),
  };
}

function nameOf(session) {
  const date = session.createdAt
    ? new Date(session.createdAt).toLocaleString(lang, { dateStyle: 'medium', timeStyle: 'short' })
    : '';
  return [session.title, date].filter(Boolean).join(' · ') || session.room;
}

/** Fetches the results of a session and hands them to the browser's downloads. */
export async function download(host, room, format, title) {
  const response = await host.send('GET', `/api/v1/sessions/${encodeURIComponent(room)}/results?format=${format}`);
  saveAs(await response.blob(), fileName(response, `${title || 'results'}.${format}`));
}

/** Fetches what hosts and moderators did in a session. */
export async function downloadAudit(host, room, title) {
  const response = await host.send('GET', `/api/v1/sessions/${encodeURIComponent(room)}/audit?format=csv`);
  saveAs(await response.blob(), fileName(response, `${title || 'audit'}.csv`));
}

/** The name that the server gave a download, else ours. */
function fileName(response, fallback) {
  const found = /filename="?([^";]+)"?/.exec(response.headers.get('Content-Disposition') ?? '');
  return (found ? found[1] : fallback).replace(/[\\/:*?"<>|]/g, '_');
}
