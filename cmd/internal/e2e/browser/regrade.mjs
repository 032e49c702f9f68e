// Receipts, corrected marks, the record of what was done, and the search, as pupils and a teacher use them.
import { readFile } from 'node:fs/promises';
import {
  desktop, fits, input, join, page, phone, question, recorded, scenario, shotPath, smallPhone, tile, write,
} from './pages.mjs';

await scenario(async (browser, open) => {
  const host = await page(browser, open, 'host', desktop);
  const ada = await page(browser, open, 'ada', phone);
  const bob = await page(browser, open, 'bob', smallPhone, { locale: 'de-DE' });
  const shot = (p, name) => p.screenshot({ path: shotPath(`regrade-${name}`), animations: 'disabled', fullPage: true });
  await host.goto(`${input.base}/host#token=${input.token}`);
  await host.locator('#token, .quizzes, .card').first().waitFor();
  await host.evaluate((game) => sessionStorage.setItem('lectern.game', JSON.stringify(game)), {
    room: input.room, pin: input.pin, title: 'Regrade',
  });
  await host.reload();
  await host.locator('[data-op="quiz:start"]').waitFor();
  await join(ada, input.base, input.pin, 'Ada');
  await join(bob, input.base, input.pin, 'Bob');
  await host.locator('.people .name', { hasText: 'Bob' }).waitFor();
  await ada.locator('#chat-button').click();
  await ada.locator('.chat form [type=text], .chat form textarea').first().fill('Ist das die Straße nach <b>Ulm</b>?');
  await ada.keyboard.press('Enter');
  await host.locator('.chat .log li', { hasText: 'Ulm' }).waitFor();
  await ada.keyboard.press('Escape');

  // 1: a choice whose key is wrong. Ada is right and hears that she is not.
  const press = (op) => host.locator(`[data-op="${op}"]`).click();
  await press('quiz:start');
  await question(ada, 'Which river');
  await question(bob, 'Which river');
  await tile(ada, 'Danube').click();
  await recorded(ada);
  await shot(ada, '1-receipt-ada');
  await fits(ada, 'ada');
  const number = await ada.locator('.receipt .mono').innerText();
  const link = await ada.locator('.receipt a').getAttribute('href');
  await ada.locator('.receipt button').click();
  await ada.locator('.receipt button', { hasText: /Copied|Could not copy/ }).waitFor();
  await tile(bob, 'Rhine').click();
  await ada.locator('.outcome.wrong').waitFor();
  await bob.locator('.outcome.correct').waitFor();

  // The receipt on its page; a broken one there, too.
  const check = await page(browser, open, 'check', phone);
  await check.goto(input.base + link);
  await check.locator('#verdict.done').waitFor();
  await check.locator('td', { hasText: number }).waitFor();
  await check.locator('td', { hasText: 'Ada' }).waitFor();
  await fits(check, 'check');
  await shot(check, '2-receipt-page');
  const receipt = await check.locator('#receipt').inputValue();
  await check.locator('#receipt').fill(receipt.slice(0, -3));
  await check.locator('#go').click();
  await check.locator('#verdict.fault').waitFor();
  await shot(check, '2-receipt-broken');

  // The host puts the key right while the results are shown.
  await host.locator('.control button', { hasText: 'Correct the marks' }).click();
  await host.locator('dialog select').waitFor();
  await host.locator('dialog label.tick', { hasText: 'Danube' }).locator('input').check();
  await host.locator('dialog label.tick', { hasText: 'Rhine' }).locator('input').uncheck();
  await host.locator('#regrade-reason').fill('The key was wrong.');
  await shot(host, '3-regrade-dialog');
  await host.locator('dialog button', { hasText: 'Continue' }).click();
  await host.locator('dialog strong', { hasText: 'Danube' }).waitFor();
  await shot(host, '3-regrade-confirm');
  await host.locator('dialog button', { hasText: 'Yes' }).click();
  await host.locator('dialog').waitFor({ state: 'detached' });
  await ada.locator('.outcome.correct').waitFor();
  await bob.locator('.outcome.wrong').waitFor();
  await ada.locator('.note', { hasText: 'The key was wrong.' }).waitFor();
  await shot(ada, '4-regraded-ada');
  await shot(bob, '4-regraded-bob');
  await shot(host, '4-regraded-host');
  await fits(bob, 'bob');

  // 2: a number.
  await press('quiz:next');
  await press('quiz:next');
  await question(ada, 'How many');
  await question(bob, 'How many');
  await write(ada, '3');
  await recorded(ada);
  await write(bob, '5');
  await ada.locator('.outcome.wrong').waitFor();
  await press('quiz:next');
  await press('quiz:next');
  await host.locator('.podium li').first().waitFor();

  // After the end the second question is taken out: Ada still leads, and hears so.
  await host.locator('.stage-host button', { hasText: 'Correct the marks' }).click();
  await host.locator('dialog select').selectOption('2');
  await host.locator('dialog label.tick', { hasText: 'should not count' }).click();
  await host.locator('dialog button', { hasText: 'Continue' }).click();
  await host.locator('dialog button', { hasText: 'Yes' }).click();
  await host.locator('dialog').waitFor({ state: 'detached' });
  await bob.locator('.note', { hasText: 'zählt nicht mehr' }).waitFor();
  await host.locator('.note', { hasText: 'does not count' }).waitFor();
  await ada.locator('details.card summary').click();
  await ada.locator('details.card li').nth(1).waitFor();
  await shot(ada, '5-end-ada');
  await shot(bob, '5-end-bob');
  await shot(host, '5-end-host');
  for (const [p, name] of [[host, 'host'], [ada, 'ada'], [bob, 'bob']]) await fits(p, name);

  // The record, and the search: marks, and no markup.
  const download = host.waitForEvent('download');
  await host.locator('.stage-host button', { hasText: 'Record' }).click();
  const audit = await readFile(await (await download).path(), 'utf8');
  await host.locator('.search input').fill('strasse');
  await host.locator('.search form button').click();
  await host.locator('.hits mark', { hasText: 'Straße' }).waitFor();
  const excerpt = await host.locator('.hits .excerpt').innerText();
  await host.locator('.search').screenshot({ path: shotPath('regrade-6-search') });

  // Back in the library: the same for the past game.
  await host.locator('.control button', { hasText: 'Back to my quizzes' }).click();
  await host.locator('details.card summary', { hasText: 'Past games' }).click();
  await host.locator('details.card button', { hasText: 'Correct the marks' }).click();
  await host.locator('dialog select').selectOption('2');
  await host.locator('dialog label.tick', { hasText: 'Another answer is right' }).locator('input').check();
  await host.locator('#regrade-key').fill('2.5 … 3.5');
  await host.locator('dialog button', { hasText: 'Continue' }).click();
  await shot(host, '7-library-confirm');
  await host.locator('dialog button', { hasText: 'Yes' }).click();
  await host.locator('.done', { hasText: 'marked anew' }).waitFor();
  await fits(host, 'library');
  await shot(host, '7-library');
  await ada.locator('.podium .score', { hasText: '2,000' }).waitFor();
  return { audit, excerpt, receipt };
});
