// What was sent and what came, in order, as long as there is room for it.
import { h, byId, announce } from './dom.js';
import { t } from './i18n.js';

const entriesMax = 500;

export const entries = [];
export const filter = { text: '', sent: true, reply: true, event: true };

/** Adds an entry: {kind: sent | reply | event | note, what, gist, good, json, ms}. */
export function add(entry) {
  entry.at = new Date();
  entries.push(entry);
  if (entries.length > entriesMax) {
    entries.shift();
    byId('log')?.firstElementChild?.remove();
  }
  const list = byId('log');
  if (!list) return;
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 40;
  list.append(draw(entry));
  if (atEnd) list.scrollTop = list.scrollHeight;
  count();
}

export function clear() {
  entries.length = 0;
  redraw();
}

/** Draws the list anew, for another language or another filter. */
export function redraw() {
  const list = byId('log');
  list.replaceChildren(...entries.map(draw));
  list.scrollTop = list.scrollHeight;
  count();
}

function shows(entry) {
  if (entry.kind === 'note') return true;
  if (!filter[entry.kind]) return false;
  const wanted = filter.text.trim().toLowerCase();
  return !wanted || `${entry.what} ${entry.gist ?? ''} ${JSON.stringify(entry.json)}`.toLowerCase().includes(wanted);
}

function count() {
  const shown = entries.filter(shows).length;
  byId('log-count').textContent = t('console.shown', { shown, n: entries.length });
}

const arrows = { sent: '→', reply: '←', event: '◆', note: '·' };
const kinds = { sent: 'console.sent', reply: 'console.reply', event: 'console.event', note: 'console.note' };

function draw(entry) {
  const tone = entry.good === false ? 'bad' : entry.kind === 'reply' ? 'good' : '';
  const pretty = entry.json === undefined ? '' : JSON.stringify(entry.json, null, 2);
  const time = entry.at.toLocaleTimeString([], { hour12: false }) + (entry.ms === undefined ? '' : ` · ${entry.ms} ms`);
  const summary = [
    h('span', { 'aria-hidden': 'true' }, arrows[entry.kind]),
    h('span', { class: 'sr' }, t(kinds[entry.kind])),
    h('span', { class: 'what' }, entry.what),
    entry.gist && h('span', { class: 'gist' }, entry.gist),
    h('span', { class: 'at num' }, time),
  ];
  const again = { class: 'btn', type: 'button', onclick: () => copy(pretty) };
  return h(
    'li',
    { class: `${entry.kind} ${tone}`, hidden: !shows(entry) },
    h(
      'details',
      {},
      h('summary', {}, summary),
      pretty && h('pre', { tabindex: 0, 'aria-label': entry.what }, pretty),
      pretty && h('div', { class: 'tools' }, h('button', again, t('console.copy'))),
    ),
  );
}

/** Copies a text; where the clipboard is out of reach (no secure context) it is selected for the reader to copy. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h('textarea', { class: 'sr', 'aria-hidden': 'true' });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  announce(t('console.copied'));
}

/** Everything that the filter lets through, one JSON a line. */
export function copyAll() {
  const shown = entries.filter((e) => shows(e) && e.json !== undefined);
  return copy(shown.map((e) => JSON.stringify(e.json)).join('\n'));
}
