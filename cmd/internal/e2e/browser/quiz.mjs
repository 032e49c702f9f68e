// The whole demo quiz: host, two players, the screen; a reload, a lost connection, a late join, a removal.
import { readFile } from 'node:fs/promises';
import {
  desktop, finalTable, fits, input, join, line, page, phone, question, recorded, scenario, shotPath, smallPhone, tile, write,
} from './pages.mjs';

await scenario(async (browser, open) => {
  const host = await page(browser, open, 'host', desktop);
  const screen = await page(browser, open, 'screen', desktop);
  const ada = await page(browser, open, 'ada', phone);
  const bob = await page(browser, open, 'bob', smallPhone);
  const carol = await page(browser, open, 'carol', phone, { colorScheme: 'dark' });
  const shot = (p, name) => p.screenshot({ path: shotPath(name), animations: 'disabled' });
  const bobsLine = await line(input.base);

  // The link that serve prints signs the host in, and leaves the address at once.
  await host.goto(input.host);
  await host.locator('[data-op="quiz:start"]').waitFor();
  if (host.url().includes('token')) throw new Error('the token stays in the address');
  await screen.goto(`${input.base}/screen?pin=${input.pin}`);
  await screen.locator('.screen-pin', { hasText: input.pin }).waitFor();
  await join(ada, input.base, input.pin, 'Ada');
  await join(bob, bobsLine.base, input.pin, 'Bob');
  await host.locator('.people .name', { hasText: 'Bob' }).waitFor();
  await screen.locator('.names li', { hasText: 'Ada' }).waitFor();
  await screen.locator('.names li', { hasText: 'Bob' }).waitFor();
  for (const [p, name] of [[host, 'host'], [screen, 'screen'], [ada, 'ada'], [bob, 'bob']]) {
    await fits(p, name);
    await shot(p, `1-lobby-${name}`);
  }

  // A word in the chat: the host sees it and takes it down.
  await ada.locator('#chat-button').click();
  await ada.locator('.chat form [type=text], .chat form textarea').first().fill('hello from the back row');
  await ada.keyboard.press('Enter');
  const said = host.locator('.chat .log li', { hasText: 'hello from the back row' });
  await said.waitFor();
  await bob.locator('#chat-button .badge').waitFor();
  await shot(ada, '1-chat-ada');
  await said.hover();
  await said.locator('button', { hasText: 'Delete' }).click();
  await ada.locator('.chat .log .gone').waitFor();
  await ada.keyboard.press('Escape');

  const press = (op) => host.locator(`[data-op="${op}"]`).click();
  const toBoard = async () => {
    await host.locator('.stage-host h1.q-text').waitFor();
    await press('quiz:next');
    await host.locator('.stage-host .board').waitFor();
  };

  // 1: single choice. Ada reloads after her answer: it stays answered.
  await press('quiz:start');
  await question(ada, 'Which planet');
  await shot(ada, '2-question-ada');
  await question(bob, 'Which planet');
  await screen.locator('.screen-answers .tile', { hasText: 'Jupiter' }).waitFor();
  await shot(screen, '2-question-screen');
  await shot(host, '2-question-host');
  await fits(bob, 'bob');
  await tile(ada, 'Jupiter').click();
  await recorded(ada);
  await ada.reload();
  await recorded(ada);
  await shot(ada, '3-after-reload-ada');
  if (!(await tile(ada, 'Jupiter').evaluate((el) => el.classList.contains('mine')))) throw new Error('the answer is lost');
  await tile(bob, 'Mars').click();
  await ada.locator('.outcome.correct').waitFor();
  await bob.locator('.outcome.wrong').waitFor();
  await host.locator('.stage-host .pill.good').waitFor();
  await screen.locator('.view-results').waitFor();
  for (const [p, name] of [[host, 'host'], [screen, 'screen'], [ada, 'ada'], [bob, 'bob']]) {
    await fits(p, name);
    await shot(p, `4-results-${name}`);
  }
  await toBoard();
  await ada.locator('.board').waitFor();
  await shot(ada, '5-board-ada');
  await shot(screen, '5-board-screen');

  // 2: several choices. Bob's line is cut; he answers all the same, and the answer arrives when the line is back.
  await press('quiz:next');
  await question(ada, 'prime');
  await question(bob, 'prime');
  bobsLine.cut();
  await bob.locator('#banner:not([hidden]), .banner:visible').first().waitFor();
  await tile(bob, '2').first().click();
  await tile(bob, '17').click();
  await bob.locator('.answer-form button[type=submit]').click();
  await shot(bob, '6-offline-bob');
  bobsLine.restore();
  await recorded(bob);
  await tile(ada, '17').click();
  await ada.locator('.answer-form button[type=submit]').click();
  await bob.locator('.outcome.correct').waitFor();
  await ada.locator('.outcome.partial').waitFor();
  await toBoard();

  // 3: true or false, with Carol who comes late.
  await join(carol, input.base, input.pin, 'Carol');
  await host.locator('.people .name', { hasText: 'Carol' }).waitFor();
  await press('quiz:next');
  for (const p of [ada, bob, carol]) await question(p, 'Sound travels');
  await shot(carol, '7-dark-carol');
  await tile(ada, 'True').click();
  await tile(carol, 'True').click();
  await tile(bob, 'False').click();
  await carol.locator('.outcome.correct').waitFor();
  await shot(carol, '8-dark-results-carol');
  await toBoard();

  // 4: a number, as Germans write it.
  await press('quiz:next');
  for (const p of [ada, bob, carol]) await question(p, 'π');
  await ada.locator('.answer-form').waitFor();
  await write(ada, '3,14');
  await write(bob, '3');
  await write(carol, '3.141');
  await ada.locator('.outcome.correct').waitFor();
  await bob.locator('.outcome.wrong').waitFor();
  await toBoard();

  // 5: a text. Carol is removed in the middle, and the others go on.
  await press('quiz:next');
  for (const p of [ada, bob, carol]) await question(p, 'formula of water');
  await host.locator('.people li', { hasText: 'Carol' }).locator('.danger').click();
  await host.locator('dialog[open] .danger').first().click();
  await carol.locator('h1', { hasText: 'You were removed' }).waitFor();
  await shot(carol, '9-kicked-carol');
  await write(ada, 'h2o');
  await write(bob, 'water');
  await bob.locator('.outcome.wrong').waitFor();
  await shot(host, '9-text-results-host');
  await toBoard();

  // 6: the last one. Then the same table everywhere.
  await press('quiz:next');
  for (const p of [ada, bob]) await question(p, 'Hamlet');
  await tile(ada, 'Shakespeare').click();
  await tile(bob, 'Shakespeare').click();
  await bob.locator('.outcome.correct').waitFor();
  await toBoard();
  await press('quiz:next');
  const tables = {};
  for (const [p, name] of [[host, 'host'], [screen, 'screen'], [ada, 'ada'], [bob, 'bob']]) {
    tables[name] = await finalTable(p);
    await fits(p, name);
    await shot(p, `10-end-${name}`);
  }
  const own = async (p, name) => {
    const score = (await p.locator('.hero .points').innerText()).replace(/[^\d]/g, '');
    const rank = (await p.locator('.hero h1').innerText()).match(/\d+/)[0];
    return { name, score: Number(score), rank: Number(rank) };
  };
  const download = host.waitForEvent('download');
  await host.locator('button', { hasText: 'CSV' }).click();
  const csv = await readFile(await (await download).path(), 'utf8');
  return { host: tables.host, screen: tables.screen, players: [await own(ada, 'Ada'), await own(bob, 'Bob')], csv };
});
