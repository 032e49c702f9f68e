// What the players in Node share: their orders come in PLAYER_INPUT, their result goes out as one line of JSON.
import { createRequire } from 'node:module';
import path from 'node:path';

export const require = createRequire(path.join(process.env.LECTERN_NODE_MODULES, 'x.js'));

/** {base, room, token, name, answers: {number: answer}} */
export const input = JSON.parse(process.env.PLAYER_INPUT);

const result = { name: input.name, score: 0, rank: 0, questions: 0, durable: 0, receipts: 0, ended: false };
let said = false;

/** Notes an event of the room, and answers questions with answer(data), once they are open. */
export function onEvent(event, ts, data, answer) {
  switch (event) {
    case 'quiz:question':
      result.questions++;
      setTimeout(() => answer({ question: data.number, answer: input.answers[data.number], key: `k${data.number}` }),
        data.opensAt - ts + 50); // by the server's clock alone
      break;
    case 'quiz:rank':
      result.score = data.score;
      result.rank = data.rank;
      break;
    case 'quiz:end':
      result.ended = true;
      break;
  }
}

/** Notes the answer to an answer. */
export function onReply(data) {
  if (data.durable) result.durable++;
  else fail(`an answer was refused: ${JSON.stringify(data)}`);
}

/** Notes that the library was told that an answer has been carried out. */
export function onReceipt() {
  result.receipts++;
}

/** True once nothing more is to come. */
export function done() {
  return result.ended && result.durable === result.questions && result.receipts === result.questions;
}

/** Says the result, once; false if that has been done. */
export function finish() {
  if (said) return false;
  said = true;
  console.log(JSON.stringify(result));
  return true;
}

export function fail(why) {
  console.error(`${input.name}: ${why}`);
  process.exit(1);
}

setTimeout(() => fail(`the game does not end: ${JSON.stringify(result)}`), 60_000).unref();
