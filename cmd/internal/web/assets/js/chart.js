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
    label: c.text,
    count: results.counts?.[c.index] ?? 0,
    right: key.has(c.id),
    choice: c,
  }));
}

/** A bar chart of the answers, with the same figures as a table for those who don't see it. */
export function distribution(question, results) {
  const rows = rowsOf(question, results);
  if (rows.length === 0) return h('p', { class: 'muted' }, t('results.nobody'));
  const graded = results.type !== 'poll';
  return h('figure', { class: 'dist' }, bars(rows, graded), table(rows, graded));
}

const lineHeight = 19;
const valueWidth = 92;
const left = 62;

function bars(rows, graded) {
  // Drawn for the width at hand: a picture made smaller would make its letters smaller, too.
  const width = innerWidth < 640 ? 330 : 640;
  const lines = rows.map((row) => wrap((row.right && graded ? '✓ ' : '') + row.label, width < 640 ? 27 : 58));
  const heights = lines.map((l) => 40 + l.length * lineHeight);
  const svg = s('svg', {
    class: 'chart',
    viewBox: `0 0 ${width} ${heights.reduce((a, b) => a + b, 0)}`,
    'aria-hidden': 'true',
    focusable: 'false',
  });
  const most = Math.max(1, ...rows.map((r) => r.count));
  const total = Math.max(
    1,
    rows.reduce((sum, r) => sum + r.count, 0),
  );
  let y = 0;
  rows.forEach((row, i) => {
    svg.append(bar(row, lines[i], { width, most, total, y, graded }));
    y += heights[i];
  });
  return svg;
}

function bar(row, lines, { width, most, total, y, graded }) {
  const track = width - left - valueWidth;
  const length = Math.max(row.count ? 4 : 0, (track * row.count) / most);
  const at = lines.length * lineHeight + 8;
  return s(
    'g',
    { class: row.choice?.cls ?? (row.right ? 'c3' : 'c7'), transform: `translate(0 ${y})` },
    s('rect', { class: 'bar still', x: 0, y: 4, width: 50, height: 48, rx: 8 }),
    row.choice && s('path', { class: 'shape', d: row.choice.path, transform: 'translate(6 18) scale(.8)' }),
    s('text', { class: 'tabtext', x: row.choice ? 31 : 19, y: 34 }, row.choice?.letter ?? (row.right ? '✓' : '·')),
    lines.map((line, i) =>
      s('text', { x: left, y: 18 + i * lineHeight, class: row.right && graded ? 'ok' : '' }, line),
    ),
    s(
      'g',
      { transform: `translate(${left} ${at})` },
      s('rect', { class: 'track', width: track, height: 22, rx: 6 }),
      s('rect', { class: 'bar', width: length, height: 22, rx: 6 }),
    ),
    s(
      'text',
      { class: 'val', x: width - 4, y: at + 17, 'text-anchor': 'end' },
      `${fmt(row.count)} · ${Math.round((100 * row.count) / total)} %`,
    ),
  );
}

/** Two lines at most; SVG does not wrap by itself. */
function wrap(text, max) {
  const plain = text.replace(/\s+/g, ' ');
  if (plain.length <= max) return [plain];
  const space = plain.lastIndexOf(' ', max);
  const at = space > max / 2 ? space : max;
  const rest = plain.slice(at).trim();
  return [plain.slice(0, at), rest.length > max ? `${rest.slice(0, max - 1)}…` : rest];
}

function table(rows, graded) {
  return h(
    'div',
    { class: 'sr' },
    h(
      'table',
      {},
      h('caption', {}, t('results.distribution')),
      h(
        'thead',
        {},
        h('tr', {}, h('th', { scope: 'col' }, t('results.answer')), h('th', { scope: 'col' }, t('results.count'))),
      ),
      h(
        'tbody',
        {},
        rows.map((r) =>
          h(
            'tr',
            {},
            h(
              'th',
              { scope: 'row' },
              r.choice ? `${r.choice.letter}: ` : '',
              r.label,
              r.right && graded ? ` (${t('results.right')})` : '',
            ),
            h('td', {}, fmt(r.count)),
          ),
        ),
      ),
    ),
  );
}
