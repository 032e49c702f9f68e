// The server is killed while a question is open. One player has answered, one answers while it is away.
import {
  desktop, finalTable, input, join, need, page, phone, question, recorded, scenario, shotPath, smallPhone, tile,
} from './pages.mjs';

await scenario(async (browser, open) => {
  const host = await page(browser, open, 'host', desktop);
  const ada = await page(browser, open, 'ada', phone);
  const bob = await page(browser, open, 'bob', smallPhone);
  await host.goto(`${input.base}/host?room=${input.room}#token=${input.token}`);
  await host.locator('[data-op="quiz:start"]').waitFor();
  await join(ada, input.base, input.pin, 'Ada');
  await join(bob, input.base, input.pin, 'Bob');
  await host.locator('.people .name', { hasText: 'Bob' }).waitFor();
  await host.locator('[data-op="quiz:start"]').click();
  await question(ada, 'Which survives');
  await question(bob, 'Which survives');
  await tile(ada, 'journal').click();
  await recorded(ada);
  const receipt = await ada.locator('.status .mono').innerText();

  await need('kill');
  for (const p of [ada, bob, host]) await p.locator('#banner:not([hidden])').waitFor();
  await tile(bob, 'journal').click();
  await bob.screenshot({ path: shotPath('crash-bob'), animations: 'disabled' });
  await host.screenshot({ path: shotPath('crash-host'), animations: 'disabled' });
  await need('restart');

  await ada.locator('.outcome.correct').waitFor();
  await bob.locator('.outcome.correct').waitFor();
  for (const p of [ada, bob, host]) await p.locator('#banner').waitFor({ state: 'hidden' });
  const press = (op) => host.locator(`[data-op="${op}"]`).click();
  await host.locator('.stage-host .pill.good', { hasText: '2 of 2' }).waitFor();
  await press('quiz:next');
  await host.locator('.stage-host .board').waitFor();
  await press('quiz:next');

  // A poll: it pays nothing.
  await question(ada, 'How was it');
  await question(bob, 'How was it');
  await tile(ada, 'Fine').click();
  await tile(bob, 'Rough').click();
  await ada.locator('.outcome.poll').waitFor();
  await bob.locator('.outcome.poll').waitFor();
  await ada.screenshot({ path: shotPath('crash-poll-ada'), animations: 'disabled' });
  await press('quiz:next');
  await host.locator('.stage-host .board').waitFor();
  await press('quiz:next');
  const players = await finalTable(host);
  return { players, receipt };
});
