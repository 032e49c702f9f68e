import { h, put, byId } from './dom.js';
import { t, explain } from './i18n.js';
import { mountHeader, mark } from './chrome.js';
import { api } from './session.js';

mountHeader();

function draw() {
  document.title = t('home.title');
  const fault = h('p', { class: 'fault', role: 'alert', hidden: true });
  const input = h('input', {
    class: 'pin-input',
    type: 'text',
    id: 'pin',
    inputmode: 'numeric',
    autocomplete: 'off',
    maxlength: 12,
    required: true,
    'aria-describedby': 'pin-hint',
    value: byId('pin')?.value ?? '',
    placeholder: '000000',
  });
  const button = h('button', { class: 'btn primary big wide', type: 'submit' }, t('home.go'));
  const submit = async (event) => {
    event.preventDefault();
    const pin = input.value.replace(/[\s-]/g, '');
    if (!pin) return;
    fault.hidden = true;
    button.disabled = true;
    try {
      await api.call('GET', `/api/v1/pins/${encodeURIComponent(pin)}`, { anonymous: true });
      location.assign(`/join?pin=${encodeURIComponent(pin)}`);
    } catch (error) {
      fault.textContent = explain(error);
      fault.hidden = false;
      button.disabled = false;
      input.select();
    }
  };
  put(
    byId('main'),
    h(
      'div',
      { class: 'hero narrow' },
      mark('mark'),
      h('h1', {}, t('home.heading')),
      h('p', { class: 'muted' }, t('home.sub')),
    ),
    h(
      'form',
      { class: 'card narrow', onsubmit: submit },
      h('label', { class: 'field', for: 'pin' }, t('home.pin')),
      input,
      h('p', { class: 'small muted', id: 'pin-hint' }, t('home.hint')),
      fault,
      button,
    ),
    h('p', { class: 'center' }, h('a', { class: 'btn quiet', href: '/host' }, t('home.teach'))),
    h('p', { class: 'center small muted' }, t('home.foot')),
    h('p', { class: 'center small' }, h('a', { href: '/receipt' }, t('home.receipt'))),
  );
  if (matchMedia('(pointer: fine)').matches) input.focus();
}

document.addEventListener('language', draw);
draw();
