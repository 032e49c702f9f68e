import en from './en.js';
import de from './de.js';

const languages = { en, de };
const stored = () => {
  try {
    return localStorage.getItem('lectern.lang');
  } catch {
    return null;
  }
};
const preferred = (navigator.languages ?? [navigator.language]).map((l) => l.slice(0, 2)).find((l) => l in languages);

/** The language of the page: chosen, else the browser's, else English. */
export let lang = stored() in languages ? stored() : (preferred ?? 'en');
let plurals = new Intl.PluralRules(lang);
let numbers = new Intl.NumberFormat(lang);
document.documentElement.lang = lang;

/** The text for a key; {name} is replaced by params.name, and with params.n the form for that number is taken. */
export function t(key, params) {
  const dict = languages[lang];
  let text = dict[key];
  if (params && 'n' in params) text = dict[`${key}_${plurals.select(params.n)}`] ?? dict[`${key}_other`] ?? text;
  if (text === undefined) text = en[key] ?? key;
  if (!params) return text;
  return text.replace(/\{(\w+)\}/g, (all, name) => {
    const value = params[name];
    return typeof value === 'number' ? fmt(value) : (value ?? all);
  });
}

/** A number as the language writes it. */
export const fmt = (n) => numbers.format(n);

/** The page listens for `language` on document and draws itself again. */
export function setLanguage(next) {
  lang = next;
  plurals = new Intl.PluralRules(lang);
  numbers = new Intl.NumberFormat(lang);
  document.documentElement.lang = lang;
  try {
    localStorage.setItem('lectern.lang', lang);
  } catch {
    // Then it holds for this page only.
  }
  document.dispatchEvent(new Event('language'));
}

/** What a refusal means to the reader; the server's own words where we have none. */
export function explain(error) {
  const key = `error.${error?.code}`;
  const text = t(key, { seconds: Math.ceil((error?.retryAfterMs ?? 1000) / 1000) });
  return text !== key ? text : t('error.other', { message: error?.message ?? String(error) });
}
