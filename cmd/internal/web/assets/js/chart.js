import { h, s } from './dom.js';
import { t, fmt } from './i18n.js';
import { choices } from './parts.js';

/** The rows of a result: label, count, whether right, and for choices their sign. */
export function rowsOf(question, results) {
  if (results.given || !['single_choice', 'multiple_choice', 'true_false', 'poll'].includes(results.type)) {
    return (results.given ?? []).map((g) => ({ label: g.answer, count: g.count, right: g.correct === true }));
  }
  const key = new Set(results.key ?? []);
  return choices({ type: results.type, options: question?.options ?? [] }).map((c) => ({
    label: c.text, count: results.counts?.[c.index] ?? 0, right: key.has(c.id), choice: c,
  }));
}

/** A bar chart of the answers, with the same figures as a table for those who don't see it. */
export function distribution(question, results) {
  const rows = rowsOf(question, results);
  if (rows.length === 0) return h('p', { class: 'muted' }, t('results.nobody'));
  const graded = results.type !== 'poll';
  return h('figure', { class: 'dist' }, bars(rows, graded), table(rows, graded));
}

function bars(rows, graded) {
  // Drawn for the width at hand: a picture made smaller would make its letters smaller, too.
  const width = innerWidth < 640 ? 330 : 640;
  const rowHeight = 58;
  const left = 62;
  const most = Math.max(1, ...rows.map((r) => r.count));
  const total = Math.max(1, rows.reduce((sum, r) => sum + r.count, 0));
  const svg = s('svg', { class: 'chart', viewBox: `0 0 ${width} ${rows.length * rowHeight}`, 'aria-hidden': 'true', focusable: 'false' });
  rows.forEach((row, i) => {
    const y = i * rowHeight;
    const barWidth = Math.max(row.count ? 4 : 0, ((width - left - 92) * row.count) / most);
    const g = s('g', { class: row.choice?.cls ?? (row.right ? 'c3' : 'c7'), transform: `translate(0 ${y})` });
    if (row.choice) {
      g.append(s('rect', { class: 'bar still', x: 0, y: 4, width: 50, height: 48, rx: 8 }),
        s('path', { class: 'shape', d: row.choice.path, transform: 'translate(6 18) scale(.8)' }),
        s('text', { class: 'tabtext', x: 31, y: 34 }, row.choice.letter));
    } else {
      g.append(s('rect', { class: 'bar still', x: 0, y: 4, width: 50, height: 48, rx: 8 }), s('text', { class: 'tabtext', x: 19, y: 34 }, row.right ? '✓' : '·'));
    }
    g.append(
      s('text', { x: left, y: 20, class: row.right && graded ? 'ok' : '' }, (row.right && graded ? '✓ ' : '') + cut(row.label, width < 640 ? 27 : 58)),
      s('g', { transform: `translate(${left} 28)` }, s('rect', { class: 'track', width: width - left - 92, height: 22, rx: 6 }), s('rect', { class: 'bar', width: barWidth, height: 22, rx: 6 })),
      s('text', { class: 'val', x: width - 4, y: 45, 'text-anchor': 'end' }, `${fmt(row.count)} · ${Math.round((100 * row.count) / total)} %`));
    svg.append(g);
  });
  return svg;
}

const cut = (text, max) => (text.length > max ? `${text.slice(0, max - 1)}…` : text);

function table(rows, graded) {
  return h('div', { class: 'sr' }, h('table', {},
    h('caption', {}, t('results.distribution')),
    h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, t('results.answer')), h('th', { scope: 'col' }, t('results.count')))),
    h('tbody', {}, rows.map((r) => h('tr', {},
      h('th', { scope: 'row' }, r.choice ? `${r.choice.letter}: ` : '', r.label, r.right && graded ? ` (${t('results.right')})` : ''), h('td', {}, fmt(r.count)))))));
}
