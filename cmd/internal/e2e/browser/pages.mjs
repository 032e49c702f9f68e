// What the scenarios share: the browser, the pages as people use them, and the way to talk with the test.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import net from 'node:net';
import path from 'node:path';

const require = createRequire(path.join(process.env.LECTERN_NODE_MODULES, 'x.js'));
const { chromium } = require('playwright-core');

export const input = JSON.parse(process.env.E2E_INPUT);
export const faults = [];
const patience = 30_000;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the test to do something, and waits until it is done. */
export async function need(what) {
  console.log(JSON.stringify({ need: what }));
  await lines.next();
}

/** Runs a scenario with a browser, and reports its result. */
export async function scenario(run) {
  const browser = await chromium.launch({
    executablePath: process.env.LECTERN_CHROMIUM,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
  const open = [];
  let failed = null;
  try {
    const result = await run(browser, open);
    console.log(JSON.stringify({ result: { ...result, faults } }));
  } catch (error) {
    failed = error;
    console.error(error.stack ?? String(error));
    for (const { name, page } of open) {
      await page.screenshot({ path: shotPath(`failed-${name}`) }).catch(() => {});
      console.error(`${name}: ${page.url()}\n${(await page.locator('main').innerText().catch(() => '?')).slice(0, 600)}`);
    }
    console.error(faults.join('\n'));
  }
  await browser.close();
  process.exit(failed ? 1 : 0);
}

export const shotPath = (name) => path.join(input.shots, `${name}.png`);

/** Opens a page of its own context, so with its own storage, and watches it for faults. */
export async function page(browser, open, name, viewport, options = {}) {
  const usual = { viewport, locale: 'en-GB', acceptDownloads: true, ignoreHTTPSErrors: true };
  const context = await browser.newContext({ ...usual, ...options });
  const p = await context.newPage();
  p.setDefaultTimeout(patience);
  p.on('pageerror', (error) => faults.push(`${name}: ${error.message}`));
  p.on('console', (m) => {
    // A lost line is part of the scenarios, and the browser logs each failed attempt to reconnect; so is a refused request.
    if (m.type() === 'error' && !/WebSocket connection|Failed to load resource|net::ERR/.test(m.text()))
      faults.push(`${name}: ${m.text()}`);
  });
  p.on('request', (request) => {
    const url = new URL(request.url());
    if (!['127.0.0.1', ''].includes(url.hostname)) faults.push(`${name}: asks ${url.host}`);
  });
  open.push({ name, page: p });
  return p;
}

export const desktop = { width: 1280, height: 800 };
export const phone = { width: 390, height: 844 };
export const smallPhone = { width: 360, height: 740 };

/** A player joins by typing the PIN and a name. */
export async function join(p, base, pin, name) {
  await p.goto(`${base}/`);
  await p.locator('#pin').fill(pin);
  await p.locator('#pin').press('Enter');
  await p.locator('#name').fill(name);
  await p.locator('#go').click();
  await p.waitForURL('**/play');
  await p.locator('.stage h1').first().waitFor();
}

/** Waits until a question with this text can be answered. */
export async function question(p, text) {
  await p.locator('h1.q-text', { hasText: text }).waitFor();
  await p.locator('.tiles.open, .answer-form').first().waitFor();
}

export const tile = (p, text) => p.locator('.tiles.open .tile', { hasText: text });
export const recorded = (p) => p.locator('.status .done').waitFor();

/** Types an answer and sends it. */
export async function write(p, text) {
  await p.locator('.answer-form input[type=text]').fill(text);
  await p.locator('.answer-form button[type=submit]').click();
}

/** No page may be scrolled sideways. */
export async function fits(p, name) {
  const over = await p.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) faults.push(`${name}: ${over} px wider than the window at ${p.url()}`);
}

const number = (text) => Number(text.replace(/[^\d]/g, ''));

/** The podium and the board below it, as rows of name, score and rank. */
export async function finalTable(p) {
  await p.locator('.podium li').first().waitFor();
  const rows = await p.evaluate(() => [
    ...[...document.querySelectorAll('.podium li')].map((li) => [
      li.querySelector('.name').textContent,
      li.querySelector('.score').textContent,
      li.querySelector('.block').lastChild.textContent,
    ]),
    ...[...document.querySelectorAll('.board li')].map((li) => [
      li.querySelector('.name').firstChild.textContent,
      li.querySelector('.score').textContent,
      li.querySelector('.rank').lastChild.textContent,
    ]),
  ]);
  return rows.map(([name, score, rank]) => ({ name, score: number(score), rank: number(rank) }));
}

/** A line between a page and the server that can be cut and restored. */
export async function line(target) {
  const { protocol, hostname, port } = new URL(target);
  const sockets = new Set();
  let cut = false;
  const server = net.createServer((client) => {
    if (cut) return client.destroy();
    const upstream = net.connect(Number(port), hostname);
    for (const s of [client, upstream]) {
      sockets.add(s);
      s.on('error', () => {});
      s.on('close', () => {
        sockets.delete(s);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream).pipe(client);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    base: `${protocol}//127.0.0.1:${server.address().port}`,
    cut() {
      cut = true;
      for (const s of sockets) s.destroy();
    },
    restore() {
      cut = false;
    },
  };
}
