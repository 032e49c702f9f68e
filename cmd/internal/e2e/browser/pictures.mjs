// The pictures of the README.
import path from 'node:path';
import { desktop, finalTable, input, join, need, page, phone, question, recorded, scenario, tile } from './pages.mjs';

await scenario(async (browser, open) => {
  const host = await page(browser, open, 'host', desktop);
  const screen = await page(browser, open, 'screen', desktop);
  const ada = await page(browser, open, 'ada', phone);
  const pictures = [];
  const take = async (p, name) => {
    const file = path.join(input.pictures, `${name}.png`);
    // Wait for movements to end rather than cutting them off; confetti goes on for long.
    await p.evaluate(() =>
      Promise.all(
        document
          .getAnimations()
          .filter((a) => !a.effect?.target?.closest?.('.confetti') && Number.isFinite(a.effect.getComputedTiming().endTime))
          .map((a) => a.finished.catch(() => {})),
      ),
    );
    await p.screenshot({ path: file });
    pictures.push(file);
  };
  await host.goto(input.host);
  await host.locator('[data-op="quiz:start"]').waitFor();
  await screen.goto(`${input.base}/screen?pin=${input.pin}`);
  await need('class');
  await join(ada, input.base, input.pin, 'Ada');
  await screen.locator('.names li', { hasText: 'Ada' }).waitFor();
  await take(screen, 'lobby');

  const press = (op) => host.locator(`[data-op="${op}"]`).click();
  const right = ['Jupiter', null, 'True', null, null, 'Shakespeare'];
  for (let n = 1; n <= right.length; n++) {
    await press(n === 1 ? 'quiz:start' : 'quiz:next');
    await question(ada, '');
    if (n === 1) {
      // Half of the class has answered.
      await host.locator('.answered', { hasText: /1[2-9] of|2\d of/ }).waitFor();
      await take(ada, 'question');
      await take(screen, 'question-screen');
    }
    if (right[n - 1]) {
      await tile(ada, right[n - 1]).click();
      await recorded(ada).catch(() => {});
    } else {
      await host.locator('.answered', { hasText: /21 of/ }).waitFor();
      await press('quiz:next');
    }
    await host.locator('.stage-host .pill.good').waitFor();
    await ada.locator('.outcome').waitFor();
    if (n === 1) {
      await take(host, 'results');
      await take(ada, 'results-player');
    }
    await press('quiz:next');
    await host.locator('.stage-host .board').waitFor();
    if (n === 3) await take(screen, 'leaderboard');
  }
  await press('quiz:next');
  await finalTable(screen);
  await take(screen, 'podium');
  return { pictures };
});
