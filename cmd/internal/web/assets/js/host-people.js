import { h, put, openDialog } from './dom.js';
import { t } from './i18n.js';

const everyMs = 1500;
const pageSize = 100;

/** The list of participants beside a running game: who is here, with the ways to calm or remove somebody. */
export class People {
  constructor(room, fail) {
    Object.assign(this, { room, fail, members: [], next: '', count: 0, filter: '', timer: null });
    this.el = h('section', { class: 'card' });
    this.build();
  }

  build() {
    this.list = h('ul', { class: 'people' });
    this.more = h(
      'button',
      { class: 'btn quiet', type: 'button', onclick: () => this.load(this.next) },
      t('people.more'),
    );
    this.total = h('span', { class: 'pill num' });
    this.search = h('input', {
      type: 'search',
      'aria-label': t('people.search'),
      placeholder: t('people.search'),
      value: this.filter,
      oninput: () => {
        this.filter = this.search.value;
        this.draw();
      },
    });
    put(
      this.el,
      h('div', { class: 'row between' }, h('h2', {}, t('people.title')), this.total),
      this.search,
      this.list,
      this.more,
    );
    this.draw();
  }

  relabel() {
    this.build();
  }

  /** Asks again soon: events may come in quick succession, a look at the list is enough for all of them. */
  refresh() {
    if (this.timer || !this.room.joined) return;
    this.timer = setTimeout(
      () => {
        this.timer = null;
        this.load('');
      },
      this.members.length ? everyMs : 50,
    );
  }

  async load(after) {
    try {
      const reply = await this.room.request('room:presence', {
        mode: 'page',
        limit: pageSize,
        ...(after ? { after } : {}),
      });
      const page = (reply.members ?? []).filter((m) => m.role === 'participant');
      this.members = after ? [...this.members, ...page] : page;
      this.next = reply.next ?? '';
      this.count = reply.count;
      this.draw();
    } catch {
      // The next event asks again.
    }
  }

  draw() {
    const wanted = this.filter.trim().toLowerCase();
    const shown = this.members.filter((m) => m.name.toLowerCase().includes(wanted));
    this.total.textContent = this.next ? `${this.members.length}+` : String(this.members.length);
    this.search.hidden = this.members.length < 12;
    this.more.hidden = !this.next;
    put(
      this.list,
      shown.length
        ? shown.map((m) => this.row(m))
        : h('li', { class: 'muted' }, t(wanted ? 'people.noMatch' : 'people.empty')),
    );
  }

  row(m) {
    const btn = (label, name, fn, cls = '') =>
      h('button', { class: `btn quiet ${cls}`, type: 'button', 'aria-label': name, onclick: fn }, label);
    return h(
      'li',
      {},
      h('span', { class: 'name' }, m.name),
      btn(t('people.mute'), t('people.muteNamed', { name: m.name }), () =>
        this.act('mod:mute', { user: m.user, durationMs: 300_000 }),
      ),
      btn(t('people.kick'), t('people.kickNamed', { name: m.name }), () => this.askKick(m), 'danger'),
    );
  }

  askKick(m) {
    const close = (fn) => () => {
      dialog.close();
      fn?.();
    };
    const dialog = openDialog(
      t('people.kick'),
      h('h2', {}, t('people.kickSure', { name: m.name })),
      h('p', {}, t('people.kickSub')),
      h(
        'div',
        { class: 'row' },
        h(
          'button',
          { class: 'btn danger', type: 'button', onclick: close(() => this.act('mod:kick', { user: m.user })) },
          t('people.kick'),
        ),
        h(
          'button',
          { class: 'btn danger', type: 'button', onclick: close(() => this.act('mod:ban', { user: m.user })) },
          t('people.ban'),
        ),
        h('button', { class: 'btn', type: 'button', onclick: close() }, t('app.cancel')),
      ),
    );
  }

  async act(op, data) {
    try {
      await this.room.request(op, data);
      if (op !== 'mod:mute') this.members = this.members.filter((m) => m.user !== data.user);
      this.draw();
    } catch (error) {
      this.fail(error);
    }
  }
}
