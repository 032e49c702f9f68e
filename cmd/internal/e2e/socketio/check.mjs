// What the scripts beside this one share: checks, waiting, and the way to talk with the test, whose input comes in
// E2E_INPUT. done() reports {checks, failed}.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import path from 'node:path';

export const require = createRequire(path.join(process.env.LECTERN_NODE_MODULES, 'x.js'));
export const input = JSON.parse(process.env.E2E_INPUT);

const patience = 20_000;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const failed = [];
let checks = 0;

/** Asks the test to do something, and waits until it is done. */
export async function need(what) {
  console.log(JSON.stringify({ need: what }));
  await lines.next();
}

/** Compares two values as JSON. */
export function check(name, got, want) {
  checks++;
  const a = JSON.stringify(got), b = JSON.stringify(want);
  if (a !== b) failed.push(`${name}: got ${a}, want ${b}`);
}

export function done() {
  console.log(JSON.stringify({ result: { checks, failed } }));
  process.exit(0);
}

/** Waits for an event, and gives its arguments. */
export function one(emitter, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} came`)), patience);
    emitter.once(event, (...args) => { clearTimeout(timer); resolve(args); });
  });
}

/** Waits until there is something, and gives it. */
export async function until(what, look) {
  for (const end = Date.now() + patience; Date.now() < end;) {
    const found = look();
    if (found) return found;
    await pause(10);
  }
  throw new Error(`${what} does not come about`);
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
