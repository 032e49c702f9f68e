import { h, s, byId, put } from './dom.js';
import { t, lang, setLanguage } from './i18n.js';

/** The mark: a lectern. */
export function mark(cls) {
  return s(
    'svg',
    { viewBox: '0 0 64 64', class: cls, 'aria-hidden': 'true' },
    s('rect', { width: 64, height: 64, rx: 14, fill: '#27348b' }),
    s('path', { d: 'M12 25 46 14l6 11-36 11z', fill: '#f5b942' }),
    s('path', { d: 'M29 35h6v12h-6zM20 47h24v5H20z', fill: '#fffdf8' }),
  );
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

function switchTheme() {
  const next = isDark() ? 'light' : 'dark';
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem('lectern.theme', next);
  } catch {
    // Then it holds for this page only.
  }
  document.dispatchEvent(new Event('theme'));
}

/**
 * Draws the header: the mark, whatever the page puts beside it (a function that gives elements), language and theme.
 * Returns a function that draws it again.
 */
export function mountHeader(extra = () => []) {
  const draw = () => {
    const other = lang === 'de' ? 'en' : 'de';
    put(
      byId('top'),
      h(
        'a',
        { class: 'brand', href: '/', 'aria-label': t('app.home') },
        mark(),
        h('span', { class: 'brand-name' }, 'Lectern'),
      ),
      extra(),
      h('span', { class: 'grow' }),
      h(
        'button',
        {
          class: 'btn quiet',
          type: 'button',
          lang: other,
          'aria-label': other === 'de' ? 'Auf Deutsch' : 'In English',
          onclick: () => setLanguage(other),
        },
        other.toUpperCase(),
      ),
      h(
        'button',
        {
          class: 'btn quiet',
          type: 'button',
          'aria-label': isDark() ? t('app.light') : t('app.dark'),
          onclick: switchTheme,
        },
        h('span', { 'aria-hidden': 'true' }, isDark() ? '☀' : '☾'),
      ),
    );
    document.querySelector('.skip').textContent = t('app.skip');
  };
  draw();
  document.addEventListener('language', draw);
  document.addEventListener('theme', draw);
  return draw;
}
