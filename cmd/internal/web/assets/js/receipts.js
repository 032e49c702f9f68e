import { h, copyText, announce } from './dom.js';
import { t } from './i18n.js';
import { receiptSlot } from './session.js';

/** What a receipt says, or null for what is no signed receipt. The signature is the server's to check. */
export function readReceipt(receipt) {
  try {
    const body = receipt.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

/** The receipt's number in groups of four: short enough to be read out. */
export function shortReceipt(receipt) {
  const number = readReceipt(receipt)?.jti ?? receipt;
  return number.replace(/(.{4})(?=.)/g, '$1-');
}

/** The page that checks a receipt; what stands after # never reaches a server's log. */
export const checkLink = (receipt) => `/receipt#${encodeURIComponent(receipt)}`;

/** Keeps the receipts of a game in this tab, one per question. */
export function keepReceipt(room, number, receipt) {
  if (!receipt) return;
  const kept = receiptSlot.get();
  const list = kept?.room === room ? kept.list.filter((r) => r.number !== number) : [];
  receiptSlot.set({ room, list: [...list, { number, receipt }].sort((a, b) => a.number - b.number) });
}

export const keptReceipts = (room) => (receiptSlot.get()?.room === room ? receiptSlot.get().list : []);

/** A receipt with what can be done with it. */
export function receiptLine(receipt, label = t('answer.receipt')) {
  const copy = h(
    'button',
    {
      class: 'btn quiet',
      type: 'button',
      'aria-label': t('receipt.copyNamed', { number: shortReceipt(receipt) }),
      onclick: async () => {
        const done = await copyText(receipt);
        copy.textContent = t(done ? 'receipt.copied' : 'receipt.copyFailed');
        announce(copy.textContent);
      },
    },
    t('receipt.copy'),
  );
  return h(
    'div',
    { class: 'receipt small' },
    h('span', {}, label, ' ', h('span', { class: 'mono' }, shortReceipt(receipt))),
    readReceipt(receipt) && [
      copy,
      h('a', { class: 'btn quiet', href: checkLink(receipt), target: '_blank', rel: 'noopener' }, t('receipt.check'), ' ↗'),
    ],
  );
}
