// A newcomer at the console: connects as a guest, joins a room, sends, is refused, filters, copies, and uses keys only.
import { desktop, faults, fits, input, page, phone, scenario, shotPath } from './pages.mjs';

const json = (p) => p.locator('#json').inputValue().then(JSON.parse);
const rows = (p, kind) => p.locator(`#log li.${kind}:visible`);

async function newcomer(p) {
  await p.goto(`${input.base}/console`);
  await p.locator('#op').waitFor();
  if (!(await p.locator('#send').isDisabled())) faults.push('sending is possible before a connection');
  await p.locator('#who').fill('Grace');
  await p.locator('#who').press('Enter');
  await p.locator('#link.good').waitFor();
  await p.locator('#room').fill('console-1');
  await p.locator('#send').click();
  await rows(p, 'reply.good').filter({ hasText: 'room:join' }).waitFor();

  // The form writes the JSON, the JSON fills the form.
  await p.locator('#op').selectOption('chat:send');
  await p.locator('#field-text').waitFor();
  await p.locator('#field-text').fill('from the form');
  if ((await json(p)).text !== 'from the form') faults.push('the form does not write the JSON');
  const first = (await json(p)).key;
  await p.locator('#json').fill(JSON.stringify({ ...(await json(p)), text: 'from the JSON' }));
  if ((await p.locator('#field-text').inputValue()) !== 'from the JSON') faults.push('the JSON does not fill the form');
  await p.locator('#json').press('Control+Enter');
  await rows(p, 'event').filter({ hasText: 'chat:message' }).waitFor();
  await rows(p, 'reply.good').filter({ hasText: 'chat:send' }).waitFor();
  if ((await json(p)).key === first) faults.push('the next message would go out with the old key');
}

async function refused(p) {
  await p.locator('#field-text').fill(' ');
  await p.locator('#send').click();
  await p.locator('#fault:visible', { hasText: '/data/text' }).waitFor();
  if ((await p.locator('#field-text').getAttribute('aria-invalid')) !== 'true') faults.push('the faulty field is not marked');
  if ((await p.locator('.why').innerText()) !== 'pattern') faults.push('the rule is not named at the field');
  await p.screenshot({ path: shotPath('console-refused') });
  await p.locator('#json').fill('{"text":');
  await p.locator('#send').click();
  await p.locator('#fault:visible', { hasText: 'bad_json' }).waitFor();
}

// Every op has a form, and a first data that is JSON.
async function everyOp(p) {
  const ops = await p.locator('#op option').evaluateAll((list) => list.map((o) => o.value));
  for (const op of ops) {
    await p.locator('#op').selectOption(op);
    await p.waitForFunction((want) => document.querySelector(`a[href="/schemas/requests/${want}.json"]`), op.replace(':', '.'));
    const text = await p.locator('#json').inputValue();
    if (text) JSON.parse(text);
  }
  return ops;
}

async function quiz(p) {
  await p.locator('#op').selectOption('quiz:create');
  await p.waitForFunction(() => document.querySelector('#json').value.includes('"questions"'));
  await p.locator('#room').fill('');
  await p.locator('#send').click();
  await rows(p, 'reply.good').filter({ hasText: 'quiz:create' }).waitFor();
  if (!(await p.locator('#room').inputValue())) faults.push('the room of the new quiz is not taken over');
}

async function filterAndKeys(p) {
  await p.locator('h1').click(); // out of any field
  await p.keyboard.press('/');
  await p.keyboard.type('quiz:create');
  await p.waitForFunction(() => document.querySelectorAll('#log li.event:not([hidden])').length === 0);
  if ((await rows(p, 'reply').count()) !== 1) faults.push('the filter lets through what it should not');
  await rows(p, 'reply').locator('summary').focus();
  await p.keyboard.press('Enter');
  await rows(p, 'reply').locator('pre').waitFor();
  await rows(p, 'reply').locator('button').click();
  const copied = await p.evaluate(() => navigator.clipboard.readText());
  if (!JSON.parse(copied).data.pin) faults.push('what was copied is not the reply');
  await p.locator('#filter').fill('');
  await p.locator('h1').click();
  await p.keyboard.press('?');
  await p.locator('dialog[open] dl').waitFor();
  await p.keyboard.press('Escape');
  await p.keyboard.press('o');
  if (!(await p.locator('#op').evaluate((el) => el === document.activeElement))) faults.push('the key o does not lead to the ops');
}

scenario(async (browser, open) => {
  const permissions = ['clipboard-read', 'clipboard-write'];
  const p = await page(browser, open, 'console', desktop, { permissions });
  await newcomer(p);
  await refused(p);
  const ops = await everyOp(p);
  await quiz(p);
  await filterAndKeys(p);
  await p.screenshot({ path: shotPath('console') });
  await fits(p, 'console');

  await p.getByRole('button', { name: 'Auf Deutsch' }).click();
  await p.locator('h1', { hasText: 'Konsole' }).waitFor();
  await p.emulateMedia({ colorScheme: 'dark' });
  await p.screenshot({ path: shotPath('console-de-dark') });
  await p.locator('#connect').click();
  await p.locator('#link', { hasText: 'nicht verbunden' }).waitFor();

  // A token that is no good: the close code says so.
  await p.getByRole('radio', { name: 'Mit Token' }).check();
  await p.locator('#who').fill('a.b.c');
  await p.locator('#connect').click();
  await rows(p, 'note').filter({ hasText: '4203' }).waitFor();

  const small = await page(browser, open, 'console on a phone', phone);
  await small.goto(`${input.base}/console`);
  await small.locator('#op').waitFor();
  await fits(small, 'console on a phone');
  await small.screenshot({ path: shotPath('console-phone'), fullPage: true });
  return { ops };
});
