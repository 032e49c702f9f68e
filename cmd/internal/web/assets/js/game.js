// The quiz as a page sees it: a snapshot and the events after it become one state. No drawing here.

const empty = () => ({
  phase: 'connecting',
  title: '',
  pin: '',
  locked: false,
  questions: 0,
  participants: 0,
  members: 0,
  joined: [],
  question: null,
  remainingMs: 0,
  progress: null,
  results: null,
  leaderboard: null,
  before: null,
  rank: null,
  me: null,
  quiz: null,
  answered: false,
  void: [],
  regrades: 0,
});

/** Game follows one room. It calls changed(state, why) after each event. */
export class Game {
  constructor(room, changed) {
    this.state = empty();
    this.changed = changed;
    const on = (name, fn) =>
      room.on(name, (data, event) => {
        fn.call(this, data ?? {}, event);
        this.changed(this.state, name);
      });
    on('snapshot', this.snapshot);
    on('resumed', (reply) => this.mine(reply.me));
    on('quiz:lobby', this.lobby);
    on('quiz:start', () => {
      if (this.state.phase === 'lobby') this.state.phase = 'starting';
    });
    on('quiz:question', this.question);
    on('quiz:time', this.time);
    on('quiz:progress', (data) => {
      this.state.progress = data;
    });
    on('quiz:results', this.results);
    on('quiz:rank', this.rank);
    on('quiz:leaderboard', this.leaderboard);
    on('quiz:regraded', this.regraded);
    on('quiz:paused', this.paused);
    on('quiz:resumed', this.resumed);
    on('quiz:locked', (data) => {
      this.state.locked = data.locked !== false;
    });
    on('quiz:end', this.end);
    on('room:presence', (data) => {
      this.state.members = data.count;
    });
  }

  snapshot(reply) {
    const quiz = reply.snapshot?.quiz ?? {};
    const { joined } = this.state;
    this.state = { ...empty(), joined, ...quiz, members: reply.snapshot?.members ?? 0, phase: quiz.phase ?? 'none' };
    if (this.state.phase === 'paused')
      this.state.resumeTo = quiz.leaderboard ? 'leaderboard' : quiz.results ? 'results' : 'open';
    this.mine(reply.me ?? quiz.me);
  }

  // Own ranks are not among the events that a resume repeats; the reply to the join has the newest instead. So a rank
  // is kept until a newer one comes, and the views compare its number with the question's.
  rank(data) {
    if (data.number >= (this.state.rank?.number ?? 0)) this.state.rank = data;
  }

  mine(me) {
    if (!me) return;
    this.state.me = me;
    this.state.answered = me.answered === true;
    if (me.rank) this.rank(me.rank);
  }

  lobby(data) {
    this.state.participants = data.participants ?? this.state.participants;
    const fresh = (data.joined ?? []).filter((name) => !this.state.joined.includes(name));
    this.state.joined = [...fresh, ...this.state.joined].slice(0, 200);
  }

  question(data) {
    Object.assign(this.state, {
      phase: 'open',
      question: data,
      questions: data.of ?? this.state.questions,
      results: null,
      answered: false,
      progress: { number: data.number, answered: 0, participants: this.state.participants },
    });
    if (this.state.me) this.state.me = { ...this.state.me, answered: false, answer: undefined, receipt: undefined };
  }

  time(data) {
    if (this.state.question?.number !== data.number) return;
    this.state.question = { ...this.state.question, opensAt: data.opensAt, closesAt: data.closesAt };
  }

  // What follows has the new numbers; the phase has not changed.
  regraded(data) {
    this.state.regrades++;
    const others = this.state.void.filter((n) => n !== data.number);
    this.state.void = data.void ? [...others, data.number] : others;
  }

  results(data) {
    if (data.regraded) {
      if (this.state.results?.number === data.number) this.state.results = data;
      return;
    }
    Object.assign(this.state, { phase: 'results', results: data });
  }

  leaderboard(data) {
    if (data.regraded) {
      this.state.regrades++; // a view that shows the board draws it again
      if (this.state.leaderboard) this.state.leaderboard = data;
      return;
    }
    if (this.state.leaderboard?.number !== data.number) this.state.before = this.state.leaderboard;
    Object.assign(this.state, { phase: 'leaderboard', leaderboard: data, participants: data.participants });
  }

  paused(data) {
    Object.assign(this.state, { phase: 'paused', remainingMs: data.remainingMs ?? 0, resumeTo: this.state.phase });
  }

  resumed(data) {
    if (data.closesAt) {
      this.state.phase = 'open';
      this.time(data);
    } else {
      this.state.phase = this.state.resumeTo ?? 'lobby';
    }
  }

  end(data) {
    Object.assign(this.state, {
      phase: 'ended',
      leaderboard: data,
      participants: data.participants ?? this.state.participants,
    });
  }
}

/** Where a name stood before: positive is up, negative is down, 0 is the same, undefined is new. */
export function movement(state, entry) {
  const old = state.before?.top.find((row) => row.user === entry.user);
  return old ? old.rank - entry.rank : undefined;
}
