import { newKey } from '../sdk/index.js';
import { answerSlot } from './session.js';
import { keepReceipt } from './receipts.js';

/**
 * Answers sends the player's answer and keeps it until the server has said that it is recorded: over a lost connection
 * (the client sends it again) and over a reload (the tab's storage has it). The key stays the same, so it counts once.
 *
 * status: none | sending | recorded | refused
 */
export class Answers {
  /** untilOpen gives the milliseconds after which a refused answer may be tried again, null for never. */
  constructor(room, roomId, changed, untilOpen) {
    Object.assign(this, { room, roomId, changed, untilOpen });
    this.reset(0);
  }

  reset(number) {
    this.number = number;
    this.status = 'none';
    this.answer = undefined;
    this.receipt = '';
    this.error = null;
  }

  /** Another question is on: what was said about the last one is history. */
  at(number) {
    if (number !== this.number) this.reset(number);
  }

  /** After a (re)join: what the server knows wins; what it does not know is sent again. */
  restore(state) {
    const number = state.question?.number;
    if (!number) return;
    this.at(number);
    const me = state.me;
    if (me?.answered) {
      this.status = 'recorded';
      this.answer = me.answer ?? this.answer;
      this.receipt = me.receipt ?? this.receipt;
      keepReceipt(this.roomId, number, this.receipt);
      answerSlot.clear();
      return;
    }
    const kept = answerSlot.get();
    const same = kept && kept.room === this.roomId && kept.number === number;
    if (same && this.status === 'none' && (state.phase === 'open' || state.phase === 'paused'))
      this.send(kept.answer, kept.key);
  }

  kept() {
    return this.status === 'sending';
  }

  async send(answer, key = newKey()) {
    if (this.status === 'sending' || this.status === 'recorded') return;
    const number = this.number;
    Object.assign(this, { status: 'sending', answer, error: null });
    answerSlot.set({ room: this.roomId, number, answer, key });
    this.changed();
    try {
      const reply = await this.room.request('quiz:answer', { question: number, answer, key });
      if (this.number !== number) return;
      Object.assign(this, { status: 'recorded', receipt: reply.receipt });
      keepReceipt(this.roomId, number, reply.receipt);
    } catch (error) {
      if (this.number !== number) return;
      // A server that came back opens the question anew after a short lead: the kept answer is early then, not late.
      const again = error.code === 'question_closed' ? this.untilOpen() : null;
      if (again !== null) {
        setTimeout(() => this.resend(number, answer, key), again);
        return;
      }
      const known = error.code === 'already_answered';
      Object.assign(this, { status: known ? 'recorded' : 'refused', error: known ? null : error });
      // A faulty answer can be put right; one that came too late can't.
      if (error.code === 'closed') return;
    }
    answerSlot.clear();
    this.changed();
  }

  resend(number, answer, key) {
    if (this.number !== number || this.status !== 'sending') return;
    this.status = 'none';
    this.send(answer, key);
  }
}
