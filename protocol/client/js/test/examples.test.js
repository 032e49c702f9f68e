// The examples run as a reader would run them: from a folder with the package and npm's ws installed, against a server.
// LECTERN_BIN names its binary and LECTERN_NODE_MODULES a folder with ws; .ci/js.sh sets both.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const bin = process.env.LECTERN_BIN;
const modules = process.env.LECTERN_NODE_MODULES ?? '';
const missing = !bin
  ? 'LECTERN_BIN names no server (make js does)'
  : !existsSync(path.join(modules, 'ws')) && 'LECTERN_NODE_MODULES has no ws (make js does)';

let server;
let url;
let folder;

before(async () => {
  if (missing) return;
  folder = mkdtempSync(path.join(tmpdir(), 'lectern-examples-'));
  mkdirSync(path.join(folder, 'node_modules'));
  symlinkSync(path.join(modules, 'ws'), path.join(folder, 'node_modules', 'ws'));
  symlinkSync(here, path.join(folder, 'node_modules', 'lectern-client'));
  cpSync(path.join(here, 'examples'), folder, { recursive: true });
  const args = ['serve', '--dev', '--listen', '127.0.0.1:0', '--admin', '', '--store', 'memory'];
  server = spawn(bin, args, { env: { PATH: process.env.PATH, LECTERN_QUIZ_LEAD: '300ms' }, stdio: ['ignore', 'pipe', 'inherit'] });
  url = await new Promise((resolve, reject) => {
    let said = '';
    server.stdout.on('data', (chunk) => {
      said += chunk;
      const found = /http:\/\/(127\.0\.0\.1:\d+)/.exec(said);
      if (found) resolve(`ws://${found[1]}/ws`);
    });
    server.on('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
});

after(() => {
  server?.kill('SIGKILL');
  if (folder) rmSync(folder, { recursive: true });
});

const want = {
  'chat.mjs': 'Ada: Is anybody here?\nthe same message: true\ninvalid_data at /data/text: pattern\n',
  'quiz.mjs': 'France? Paris or Lyon\ndurable: true\nnumber 1 of 1: correct\n',
  'comeback.mjs': 'one, three, two\nnothing is kept any more: true\n',
};

for (const [name, output] of Object.entries(want)) {
  test(`examples/${name}`, { skip: missing, timeout: 30_000 }, async () => {
    const { stdout } = await promisify(execFile)('node', [path.join(folder, name), url], { timeout: 25_000 });
    assert.equal(stdout, output);
  });
}
