// Small tools for building pages without markup in strings.

/** Makes an element: attributes by name, `on…` functions as listeners, false and undefined left out. */
export function h(tag, attrs, ...children) {
  return fill(document.createElement(tag), attrs, children);
}

/** Makes an SVG element. */
export function s(tag, attrs, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attrs, children);
}

function fill(el, attrs, children) {
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) el.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked' || name === 'disabled') el[name] = value;
    else el.setAttribute(name, value === true ? '' : String(value));
  }
  el.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false));
  return el;
}

export const byId = (id) => document.getElementById(id);

/** Replaces what an element holds. */
export function put(el, ...children) {
  el.replaceChildren(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false));
  return el;
}

/** Says something to screen readers. Saying the same twice in a row must still be heard, so the text is put in anew. */
export function announce(text) {
  const live = byId('live');
  live.textContent = '';
  setTimeout(() => {
    live.textContent = text;
  }, 60);
}

/** Moves focus to the heading of a new view, so that keyboard and screen reader are where the eye is. */
export function focusHeading(root) {
  const heading = root.querySelector('h1, h2');
  if (!heading) return;
  heading.setAttribute('tabindex', '-1');
  heading.focus({ preventScroll: true });
  window.scrollTo({ top: 0 });
}

/** Shows or hides the strip under the header. */
export function banner(text) {
  const el = byId('banner');
  el.hidden = !text;
  if (el.textContent !== (text ?? '')) el.textContent = text ?? '';
}

/** True while the user writes, when single keys must not be shortcuts. */
export function typing(event) {
  const el = event.target;
  return (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    event.defaultPrevented ||
    document.querySelector('dialog[open]') !== null ||
    (el instanceof HTMLElement &&
      (el.isContentEditable ||
        /^(TEXTAREA|SELECT)$/.test(el.tagName) ||
        (el.tagName === 'INPUT' && !/^(checkbox|radio|button)$/.test(el.type))))
  );
}

/** Shows a modal dialog and removes it when it closes. */
export function openDialog(label, ...children) {
  const dialog = h('dialog', { 'aria-label': label }, children);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Puts a text on the clipboard. Without a secure context there is only the old way, by a selection. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h('textarea', { class: 'sr', 'aria-hidden': 'true', tabindex: -1 });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

/** Hands a blob to the browser's downloads. */
export function saveAs(blob, name) {
  const url = URL.createObjectURL(blob);
  const a = h('a', { href: url, download: name });
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
