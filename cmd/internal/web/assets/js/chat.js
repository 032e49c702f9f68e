import { h, put, announce } from './dom.js';
import { t, explain } from './i18n.js';
import { newKey } from '../sdk/index.js';

const staff = new Set(['moderator', 'host', 'admin']);
const keepMax = 300;
const reaction = '👍';

/**
 * The chat of a room: its state and its panel. With `moderate` the reader may delete, pin, mute and calm the room down.
 * onUnread(n) tells how many messages came while the panel was not seen.
 */
export class Chat {
  constructor(room, { me, moderate = false, onUnread = () => {}, onClose } = {}) {
    Object.assign(this, { room, me, moderate, onUnread, onClose });
    this.messages = new Map();
    this.pinned = [];
    this.slowMs = 0;
    this.lockdown = false;
    this.mutedUntil = 0;
    this.muted = new Set();
    this.typers = new Map();
    this.unread = 0;
    this.seen = () => true;
    this.build();
    const on = (name, fn) => room.on(name, (data) => fn.call(this, data ?? {}));
    on('snapshot', (reply) => this.load(reply.snapshot?.chat));
    on('chat:message', (m) => this.add(m));
    on('chat:edited', (m) => this.change(m.id, m));
    on('chat:deleted', (d) => this.change(d.id, { deleted: true, text: '' }));
    on('chat:reaction', (d) =>
      this.change(d.id, { reactions: { ...this.messages.get(d.id)?.reactions, [d.emoji]: d.count } }),
    );
    on('chat:pinned', (d) => this.pin(d));
    on('chat:slow', (d) => this.rules(d.slowMs, d.lockdown));
    on('chat:muted', (d) => this.mute(d));
    on('chat:typing', (d) => this.typing(d));
    on('notify', (d) => announce(t('chat.mentioned', { name: d.name, text: d.text })));
  }

  build() {
    this.log = h('ol', { class: 'log', tabindex: 0, 'aria-label': t('chat.messages') });
    this.pins = h('div', { class: 'pinned', hidden: true });
    this.who = h('div', { class: 'typing', 'aria-live': 'off' });
    this.rule = h('p', { class: 'note small', hidden: true });
    this.fault = h('p', { class: 'fault small', role: 'alert', hidden: true });
    this.input = h('input', {
      type: 'text',
      maxlength: 2000,
      autocomplete: 'off',
      'aria-label': t('chat.write'),
      placeholder: t('chat.write'),
    });
    this.form = h(
      'form',
      {
        onsubmit: (e) => {
          e.preventDefault();
          this.send();
        },
      },
      this.input,
      h('button', { class: 'btn primary', type: 'submit' }, t('chat.send')),
    );
    this.input.addEventListener('input', () => this.tellTyping());
    this.title = h('span', {}, t('chat.title'));
    this.closer =
      this.onClose &&
      h(
        'button',
        { class: 'btn quiet chat-close', type: 'button', 'aria-label': t('chat.close'), onclick: () => this.onClose() },
        '✕',
      );
    this.el = h(
      'section',
      { class: 'chat', 'aria-label': t('chat.title') },
      h('h2', {}, this.title, this.closer),
      this.moderate && this.tools(),
      this.pins,
      this.log,
      this.who,
      h('div', { class: 'foot' }, this.rule, this.fault, this.form),
    );
  }

  tools() {
    this.slowBox = h(
      'select',
      { 'aria-label': t('chat.slow'), onchange: () => this.act('mod:slow', { everyMs: Number(this.slowBox.value) }) },
      [0, 5, 15, 30, 60].map((n) =>
        h('option', { value: String(n * 1000) }, n ? t('chat.slowEvery', { n }) : t('chat.slowOff')),
      ),
    );
    this.lockBox = h('input', {
      type: 'checkbox',
      onchange: () => this.act('mod:lockdown', { on: this.lockBox.checked }),
    });
    return h(
      'div',
      { class: 'foot chat-tools' },
      this.slowBox,
      h('label', { class: 'tick' }, this.lockBox, t('chat.lockdown')),
    );
  }

  /** Draws the panel anew in the present language. */
  relabel() {
    const old = this.el;
    this.build();
    this.el.className = old.className;
    old.replaceWith(this.el);
    this.rules(this.slowMs, this.lockdown);
    this.draw();
  }

  load(chat) {
    this.messages = new Map((chat?.messages ?? []).map((m) => [m.id, m]));
    this.pinned = (chat?.pinned ?? []).map((m) => m.id);
    for (const m of chat?.pinned ?? []) if (!this.messages.has(m.id)) this.messages.set(m.id, m);
    this.rules(chat?.slowMs, chat?.lockdown);
    this.draw();
  }

  add(message) {
    if (this.messages.has(message.id)) return;
    this.messages.set(message.id, message);
    if (this.messages.size > keepMax) this.messages.delete(this.messages.keys().next().value);
    this.typers.delete(message.user);
    this.showTypers();
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 60;
    if (this.log.childElementCount === 1 && this.messages.size === 1) this.log.replaceChildren();
    this.log.append(this.line(message));
    if (atEnd || message.user === this.me) this.log.scrollTop = this.log.scrollHeight;
    if (!this.seen() && message.user !== this.me) {
      this.unread++;
      this.onUnread(this.unread);
    }
  }

  /** To be called when the panel has come into sight. */
  read() {
    this.unread = 0;
    this.onUnread(0);
    this.log.scrollTop = this.log.scrollHeight;
  }

  change(id, parts) {
    const old = this.messages.get(id);
    if (!old) return;
    const next = { ...old, ...parts };
    this.messages.set(id, next);
    this.log.querySelector(`[data-id="${CSS.escape(id)}"]`)?.replaceWith(this.line(next));
    this.drawPins();
  }

  pin({ id, pinned }) {
    this.pinned = this.pinned.filter((p) => p !== id);
    if (pinned) this.pinned.push(id);
    this.change(id, { pinned });
  }

  rules(slowMs, lockdown) {
    this.slowMs = slowMs ?? 0;
    this.lockdown = lockdown === true;
    if (this.moderate) {
      const value = String(this.slowMs);
      if ([...this.slowBox.options].some((o) => o.value === value)) this.slowBox.value = value;
      this.lockBox.checked = this.lockdown;
    }
    this.drawRule();
  }

  mute(data) {
    if (data.muted) this.muted.add(data.user);
    else this.muted.delete(data.user);
    if (data.user === this.me) this.mutedUntil = data.muted ? data.until || Infinity : 0;
    this.drawRule();
    if (this.moderate) this.draw();
  }

  drawRule() {
    const silent = !this.moderate && (this.lockdown || this.mutedUntil > 0);
    const text =
      !this.moderate && this.mutedUntil > 0
        ? t('chat.youMuted')
        : this.lockdown
          ? t('chat.locked')
          : this.slowMs
            ? t('chat.slowNow', { n: Math.round(this.slowMs / 1000) })
            : '';
    this.rule.hidden = !text;
    this.rule.textContent = text;
    this.form.hidden = silent;
  }

  typing(data) {
    if (data.user === this.me) return;
    clearTimeout(this.typers.get(data.user)?.timer);
    this.typers.delete(data.user);
    if (data.typing) {
      const timer = setTimeout(() => {
        this.typers.delete(data.user);
        this.showTypers();
      }, 6000);
      this.typers.set(data.user, { name: data.name, timer });
    }
    this.showTypers();
  }

  showTypers() {
    const names = [...this.typers.values()].map((v) => v.name);
    this.who.textContent =
      names.length === 0
        ? ''
        : names.length < 3
          ? t('chat.typing', { n: names.length, names: names.join(', ') })
          : t('chat.typingMany');
  }

  tellTyping() {
    const now = Date.now();
    if (now - (this.toldTyping ?? 0) < 3000 || !this.input.value) return;
    this.toldTyping = now;
    this.room.request('chat:typing', { typing: true }).catch(() => {});
  }

  async send() {
    const text = this.input.value.trim();
    if (!text) return;
    this.input.value = '';
    this.fault.hidden = true;
    this.toldTyping = 0;
    try {
      await this.room.request('chat:send', { text, key: newKey() });
    } catch (error) {
      if (!this.input.value) this.input.value = text;
      this.fail(error);
    }
  }

  async act(op, data) {
    this.fault.hidden = true;
    try {
      await this.room.request(op, data);
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error) {
    this.fault.textContent = explain(error);
    this.fault.hidden = false;
  }

  draw() {
    const list = [...this.messages.values()];
    put(this.log, list.length ? list.map((m) => this.line(m)) : h('li', { class: 'muted' }, t('chat.empty')));
    this.log.scrollTop = this.log.scrollHeight;
    this.drawPins();
  }

  drawPins() {
    const list = this.pinned.map((id) => this.messages.get(id)).filter((m) => m && !m.deleted);
    this.pins.hidden = list.length === 0;
    put(
      this.pins,
      list.map((m) => h('p', { class: 'small' }, h('strong', {}, t('chat.pinned') + ': '), m.text)),
    );
  }

  line(m) {
    const mentioned = m.mentions?.includes(this.me) && m.user !== this.me;
    return h(
      'li',
      { 'data-id': m.id, class: mentioned ? 'mention' : '' },
      h('span', { class: 'from' }, m.name),
      staff.has(m.role) && h('span', { class: 'pill small' }, t(`role.${m.role}`)),
      ' ',
      h('time', { class: 'muted small', datetime: new Date(m.ts).toISOString() }, clockTime(m.ts)),
      m.deleted
        ? h('div', { class: 'gone' }, t('chat.deleted'))
        : h(
            'div',
            { class: 'text' },
            m.text,
            m.editedAt && h('span', { class: 'muted small' }, ` (${t('chat.edited')})`),
          ),
      !m.deleted &&
        m.links?.length > 0 &&
        h('div', { class: 'small note' }, t('chat.link', { hosts: m.links.join(', ') })),
      !m.deleted && this.acts(m),
    );
  }

  acts(m) {
    const own = m.user === this.me;
    const btn = (label, fn, more = {}) =>
      h('button', { class: 'btn quiet', type: 'button', onclick: fn, ...more }, label);
    const counts = m.reactions ?? {};
    const emojis = this.moderate
      ? Object.keys(counts).filter((e) => counts[e] > 0)
      : [...new Set([reaction, ...Object.keys(counts).filter((e) => counts[e] > 0)])];
    return h(
      'div',
      { class: 'acts' },
      emojis.map((e) =>
        btn(counts[e] ? `${e} ${counts[e]}` : e, () => this.act('chat:react', { id: m.id, emoji: e }), {
          'aria-label': t('chat.react', { emoji: e, n: counts[e] ?? 0 }),
        }),
      ),
      (own || this.moderate) && btn(t('chat.delete'), () => this.act('chat:delete', { id: m.id })),
      this.moderate &&
        btn(m.pinned ? t('chat.unpin') : t('chat.pin'), () => this.act('chat:pin', { id: m.id, pinned: !m.pinned })),
      this.moderate &&
        !own &&
        (this.muted.has(m.user)
          ? btn(t('chat.unmute'), () => this.act('mod:mute', { user: m.user, undo: true }))
          : btn(t('chat.mute'), () => this.act('mod:mute', { user: m.user, durationMs: 300_000 }))),
    );
  }
}

function clockTime(ts) {
  return new Date(ts).toLocaleTimeString(document.documentElement.lang, { hour: '2-digit', minute: '2-digit' });
}
