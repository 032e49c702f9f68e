// A few words for the scripts beside this one: each check prints one line when it fails, and done ends the process.
import { createRequire } from 'node:module';
import path from 'node:path';

export const require = createRequire(path.join(process.env.LECTERN_NODE_MODULES, 'x.js'));

let checks = 0, failed = 0;

export function check(name, got, want) {
  checks++;
  const a = JSON.stringify(got), b = JSON.stringify(want);
  if (a !== b) {
    failed++;
    console.log(`FAIL ${name}: got ${a}, want ${b}`);
  }
}

export function done() {
  console.log(`${checks} checks, ${failed} failed`);
  process.exit(failed === 0 && checks > 0 ? 0 : 1);
}

// one waits for an event, for ten seconds at most.
export function one(emitter, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} came`)), 10_000);
    emitter.once(event, (...args) => { clearTimeout(timer); resolve(args); });
  });
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
