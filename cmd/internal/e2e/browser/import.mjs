// A question file with faults goes through the preview into the library and is hosted.
import { desktop, fits, input, page, scenario, shotPath } from './pages.mjs';

await scenario(async (browser, open) => {
  const host = await page(browser, open, 'host', desktop);
  await host.goto(`${input.base}/host`);
  await host.locator('#teacher').fill('Ms Lovelace');
  await host.locator('form button[type=submit]').first().click();
  await host.locator('#file').setInputFiles({ name: 'mixed.gift', mimeType: 'text/plain', buffer: Buffer.from(input.file) });
  await host.locator('.preview').waitFor();
  await fits(host, 'host');
  await host.screenshot({ path: shotPath('import-preview'), animations: 'disabled', fullPage: true });
  const good = await host.locator('.goods li').count();
  const faults = host.locator('.problem.fault');
  const faulty = await faults.count();
  const leftOut = await host.locator('.problem.note').count();
  const lines = await host.locator('.problem').allInnerTexts();

  // The teacher leaves one of the good ones out.
  await host.locator('.goods li input').nth(1).uncheck();
  await host.locator('button[type=submit]').click();
  const card = host.locator('.quizzes .quiz', { hasText: 'mixed' });
  await card.waitFor();
  const stored = Number((await card.locator('.muted').innerText()).match(/\d+/)[0]);
  await host.screenshot({ path: shotPath('import-library'), animations: 'disabled' });
  await card.locator('.btn.primary').click();
  await host.locator('[data-op="quiz:start"]').click();
  const q = host.locator('h1.q-text');
  await q.waitFor();
  return { good, faulty, leftOut, lines, stored, question: await q.innerText() };
});
