import { h, put } from './dom.js';
import { t, lang, explain } from './i18n.js';

/** Looks through chats and questions: of one room, or of all the teacher's sessions. */
export function searchCard(host, room = '') {
  const out = h('div', { 'aria-live': 'polite' });
  const input = h('input', {
    type: 'search',
    maxlength: 100,
    'aria-label': t('search.label'),
    placeholder: t(room ? 'search.here' : 'search.all'),
  });
  let latest = 0;
  const run = async (event) => {
    event.preventDefault();
    const q = input.value.trim();
    if (!q) return put(out);
    const mine = ++latest;
    const query = new URLSearchParams({ q, ...(room ? { room } : {}) });
    try {
      const reply = await host.call('GET', `/api/v1/search?${query}`);
      if (mine === latest) put(out, results(reply));
    } catch (error) {
      if (mine === latest) put(out, h('p', { class: 'fault' }, explain(error)));
    }
  };
  return h(
    'section',
    { class: 'card search' },
    h('h2', {}, t('search.title')),
    h(
      'form',
      { class: 'row', role: 'search', onsubmit: run },
      h('div', { class: 'grow' }, input),
      h('button', { class: 'btn', type: 'submit' }, t('search.go')),
    ),
    out,
  );
}

function results(reply) {
  if (reply.hits.length === 0) return h('p', { class: 'muted' }, t('search.nothing'));
  return [
    h(
      'ul',
      { class: 'plain hits' },
      reply.hits.map((hit) =>
        h(
          'li',
          {},
          h(
            'div',
            { class: 'small muted' },
            hit.kind === 'question' ? t('import.number', { number: String(hit.number) }) : hit.name,
            ' · ',
            new Date(hit.at).toLocaleString(lang, { dateStyle: 'medium', timeStyle: 'short' }),
          ),
          h('div', { class: 'excerpt' }, hit.parts.map((p) => (p.hit ? h('mark', {}, p.text) : p.text))),
        ),
      ),
    ),
    reply.more && h('p', { class: 'small muted' }, t('search.more')),
  ];
}
