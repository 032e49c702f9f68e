// What the published schemas say about the data of an op, as a form and as a first JSON.
import { newKey } from '../sdk/index.js';
import { t } from './i18n.js';

/** Follows a local reference. */
export function resolve(schema, root) {
  while (schema?.$ref) schema = schema.$ref.split('/').slice(1).reduce((s, step) => s[step], root);
  const real = schema?.anyOf?.find((s) => s.$ref);
  return real && schema.anyOf.some((s) => s.type === 'null') ? resolve(real, root) : (schema ?? {});
}

const types = (schema) => [schema.type ?? []].flat();

/** The fields of an op's data: name, kind of control, whether it must be there, what is said about it. */
export function fieldsOf(request) {
  const data = resolve(request.properties.data, request);
  return Object.entries(data.properties ?? {}).map(([name, raw]) => {
    const schema = resolve(raw, request);
    const kinds = types(schema).filter((k) => k !== 'null');
    let kind = 'json';
    if (schema.enum) kind = 'choice';
    else if (kinds.length === 1 && kinds[0] === 'string') kind = (schema.maxLength ?? 0) > 500 ? 'text' : 'line';
    else if (kinds.length === 1 && ['integer', 'number'].includes(kinds[0])) kind = 'number';
    else if (kinds.length === 1 && kinds[0] === 'boolean') kind = 'tick';
    return {
      name,
      kind,
      needed: data.required?.includes(name) ?? false,
      choices: schema.enum?.filter((v) => v) ?? [],
      about: raw.description ?? schema.description ?? '',
      limits: limitsOf(schema),
    };
  });
}

/** The limits of a value, as a reader wants them: "1 … 2000". */
function limitsOf(schema) {
  const { minimum, maximum, minLength, maxLength } = schema;
  if (maximum !== undefined && Math.abs(maximum) < 1e300) return `${minimum ?? 0} … ${maximum}`;
  if (maxLength !== undefined) return t('console.chars', { range: `${minLength ?? 0} … ${maxLength}` });
  return '';
}

const quiz = {
  title: 'Capitals',
  questions: [
    {
      type: 'single_choice',
      text: 'What is the capital of France?',
      options: [{ text: 'Paris', correct: true }, { text: 'Lyon' }],
    },
  ],
};

// Values that work at once, where the type alone would not say any.
const samples = {
  text: () => 'hello',
  event: () => 'note',
  payload: () => ({ x: 1 }),
  emoji: () => '👍',
  unit: () => 'chapter-1',
  question: () => 1,
  answer: () => '0',
  done: () => 1,
  total: () => 4,
  t0: () => Date.now(),
  everyMs: () => 5000,
  key: newKey,
};

/** A first data for an op: what must be there, and a key where one can be given. */
export function skeletonOf(op, request) {
  if (op === 'quiz:create') return { quiz };
  const data = {};
  for (const field of fieldsOf(request)) {
    const sample = samples[field.name];
    const wanted = field.needed || ['key', 'payload', 't0'].includes(field.name);
    if (wanted) data[field.name] = sample ? sample() : field.kind === 'number' ? 0 : field.kind === 'tick' ? true : '';
  }
  return data;
}

/** Reads what stands in a field; undefined: it is left out. */
export function valueOf(field, text) {
  if (text === '') return undefined;
  if (field.kind === 'number') return Number.isFinite(Number(text)) ? Number(text) : text;
  if (field.kind === 'tick') return text === 'true';
  if (field.kind !== 'json') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text; // a text that is no JSON is meant as a text
  }
}

/** The other way round. */
export function textOf(field, value) {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
