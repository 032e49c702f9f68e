import { h, put, byId, announce } from './dom.js';
import { t, lang, explain } from './i18n.js';
import { mountHeader, mark } from './chrome.js';
import { api } from './session.js';
import { readReceipt, shortReceipt } from './receipts.js';

// Anybody may check a receipt here: the pupil whose answer it stands for, or the teacher to whom it is shown.

mountHeader();
const reasons = {
  malformed: 'receipt.malformed',
  unsigned: 'receipt.unsigned',
  unknown_key: 'receipt.unknownKey',
  signature: 'receipt.signature',
  unknown_room: 'receipt.unknownRoom',
  no_answer: 'receipt.noAnswer',
  differs: 'receipt.differs',
  removed: 'receipt.removed',
  void: 'receipt.void',
  skipped: 'receipt.skipped',
};
let verdict = null;
let fault = null;
let text = decodeURIComponent(location.hash.slice(1));

async function check(event) {
  event?.preventDefault();
  text = byId('receipt').value.trim();
  if (!text) return;
  byId('go').disabled = true;
  verdict = fault = null;
  try {
    verdict = await api.call('POST', '/api/v1/receipts/verify', { anonymous: true, json: { receipt: text } });
  } catch (error) {
    fault = error;
  }
  draw();
  const said = byId('verdict');
  if (said) {
    announce(said.textContent);
    said.scrollIntoView({ block: 'nearest' });
  }
}

function result() {
  if (fault) return h('p', { class: 'fault', id: 'verdict' }, explain(fault));
  if (!verdict) return '';
  const good = verdict.verdict === 'valid' && verdict.counts;
  const cls = good ? 'done' : verdict.verdict === 'valid' ? 'note' : 'fault';
  const row = (name, value) => value && h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, value));
  const claims = readReceipt(text);
  return h(
    'section',
    { class: 'card narrow rise' },
    h(
      'p',
      { class: cls, id: 'verdict' },
      h('strong', {}, good ? '✓ ' : verdict.verdict === 'valid' ? '◐ ' : '✗ '),
      t(good ? 'receipt.counts' : (reasons[verdict.reason] ?? 'receipt.malformed')),
    ),
    verdict.verdict !== 'invalid' &&
      h(
        'table',
        {},
        h(
          'tbody',
          {},
          row(t('receipt.quiz'), verdict.title),
          row(t('receipt.whichQuestion'), verdict.question && String(verdict.question)),
          row(t('receipt.who'), verdict.name || verdict.user),
          row(
            t('receipt.when'),
            verdict.acceptedAt &&
              new Date(verdict.acceptedAt).toLocaleString(lang, { dateStyle: 'long', timeStyle: 'medium' }),
          ),
          row(t('receipt.number'), claims && h('span', { class: 'mono' }, shortReceipt(text))),
        ),
      ),
  );
}

function draw() {
  document.title = t('receipt.title');
  put(
    byId('main'),
    h(
      'div',
      { class: 'hero narrow' },
      mark('mark'),
      h('h1', {}, t('receipt.heading')),
      h('p', { class: 'muted' }, t('receipt.sub')),
    ),
    h(
      'form',
      { class: 'card narrow', onsubmit: check },
      h(
        'div',
        { class: 'field' },
        h('label', { for: 'receipt' }, t('receipt.paste')),
        h('textarea', {
          id: 'receipt',
          class: 'mono',
          rows: 5,
          maxlength: 4096,
          spellcheck: 'false',
          autocomplete: 'off',
          required: true,
          value: text,
        }),
      ),
      h('button', { class: 'btn primary big wide', id: 'go', type: 'submit' }, t('receipt.go')),
    ),
    result(),
    h('p', { class: 'center small muted narrow' }, t('receipt.foot')),
  );
}

document.addEventListener('language', draw);
draw();
if (text) check();
