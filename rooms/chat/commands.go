package chat

import (
	"slices"
	"strings"
	"unicode/utf8"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// send records a message, or repeats the reply of the message that the same key of the same user made before.
func (m *Machine) send(env effect.Env, from effect.Caller, d *wire.ChatSendData, out *effect.Effects) {
	if len(d.Key) > keyBytesMax {
		out.Refuse(from, wire.NewError(wire.CodeInvalidData, "use a key of at most %d bytes", keyBytesMax).At("key"))
		return
	}
	if d.Key != "" {
		if msg := m.byKey[sentKey{from.User, d.Key}]; msg != nil {
			out.Reply(from, &wire.ChatSendReply{ID: msg.id, Seq: msg.seq, TS: msg.ts})
			return
		}
	}
	slow, err := m.mayPost(env, from)
	var text string
	if err == nil {
		text, err = m.checkText(d.Text)
	}
	if err == nil && d.ReplyTo != "" && m.byID[d.ReplyTo] == nil {
		err = unknownMessage("replyTo")
	}
	if err != nil {
		out.Refuse(from, err)
		return
	}
	s := &Sent{
		N: m.lastN + 1, User: from.User, Name: from.Name, Role: from.Role, Text: text, ReplyTo: d.ReplyTo,
		Mentions: m.mentions(text, from.User), Links: m.policy.Links(text), Key: d.Key, SlowMs: slow,
	}
	m.record(effect.Fact{Kind: KindSent, At: env.Now, Data: s}, out)
	// The room fills in Seq: it is that of the chat:message event just made.
	out.Reply(from, &wire.ChatSendReply{ID: messageID(s.N), TS: env.Now})
}

// mayPost checks the right to write and slow mode; slow is the slow mode that holds for this author.
func (m *Machine) mayPost(env effect.Env, from effect.Caller) (slow int64, err *wire.Error) {
	if err := m.policy.MayWrite(from.User, from.Role, env.Now); err != nil {
		return 0, err
	}
	if from.Role >= wire.RoleModerator {
		return 0, nil
	}
	slow = m.policy.SlowMs()
	if slow <= 0 {
		return 0, nil
	}
	if last, ok := m.lastSent[from.User]; ok && env.Now-last < slow {
		wait := last + slow - env.Now
		err := wire.NewError(wire.CodeRateLimited, "slow mode: one message every %d s", (slow+999)/1000)
		err.RetryAfterMs = wait
		return 0, err
	}
	return slow, nil
}

// checkText checks length and content.
func (m *Machine) checkText(text string) (string, *wire.Error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", wire.NewError(wire.CodeInvalidData, "write a message that is not blank").At("text")
	}
	if !utf8.ValidString(text) {
		return "", wire.NewError(wire.CodeInvalidData, "send text in UTF-8").At("text")
	}
	if utf8.RuneCountInString(text) > m.cfg.TextRunesMax {
		return "", wire.NewError(wire.CodeTooLarge, "write at most %d characters", m.cfg.TextRunesMax).At("text")
	}
	return m.policy.CheckText(text)
}

// find gives a message that can still be acted on.
func (m *Machine) find(id string) (*message, *wire.Error) {
	msg := m.byID[id]
	if msg == nil || msg.deleted {
		return nil, unknownMessage("id")
	}
	return msg, nil
}

func unknownMessage(path string) *wire.Error {
	return wire.NewError(wire.CodeUnknownMessage, "no such message, or it is too old").At(path)
}

// edit changes the text of the caller's own message. It passes the same checks as a new one; nobody is notified again.
func (m *Machine) edit(env effect.Env, from effect.Caller, d *wire.ChatEditData, out *effect.Effects) *wire.Error {
	msg, err := m.find(d.ID)
	if err != nil {
		return err
	}
	if msg.user != from.User {
		return wire.NewError(wire.CodeForbidden, "only the author may edit a message")
	}
	if env.Now-msg.ts > m.cfg.EditWindowMs {
		return wire.NewError(wire.CodeForbidden, "messages can be edited for %d minutes", m.cfg.EditWindowMs/60_000)
	}
	if err := m.policy.MayWrite(from.User, from.Role, env.Now); err != nil {
		return err
	}
	text, err := m.checkText(d.Text)
	if err != nil {
		return err
	}
	if text == msg.text {
		return nil
	}
	e := &Edited{ID: msg.id, Text: text, Mentions: m.mentions(text, from.User), Links: m.policy.Links(text)}
	m.record(effect.Fact{Kind: KindEdited, At: env.Now, Data: e}, out)
	return nil
}

// remove deletes a message: the author always may, a moderator may when the author's role is not above the caller's.
// A second delete changes nothing and is no error.
func (m *Machine) remove(env effect.Env, from effect.Caller, d *wire.ChatIDData, out *effect.Effects) *wire.Error {
	msg := m.byID[d.ID]
	if msg == nil {
		return unknownMessage("id")
	}
	by := "author"
	if msg.user != from.User {
		by = "moderator"
		if from.Role < wire.RoleModerator || msg.role > from.Role {
			return wire.NewError(wire.CodeForbidden, "only the author or a moderator may delete this message")
		}
	}
	if msg.deleted {
		return nil
	}
	m.record(effect.Fact{Kind: KindDeleted, At: env.Now, Data: &Deleted{ID: msg.id, User: from.User, By: by}}, out)
	return nil
}

// react adds or takes back one emoji of the caller. Repeating it changes nothing and is no error.
func (m *Machine) react(env effect.Env, from effect.Caller, d *wire.ChatReactData, out *effect.Effects) *wire.Error {
	if !ValidEmoji(d.Emoji) {
		return wire.NewError(wire.CodeInvalidData, "react with one emoji").At("emoji")
	}
	msg, err := m.find(d.ID)
	if err != nil {
		return err
	}
	if err := m.policy.MayWrite(from.User, from.Role, env.Now); err != nil {
		return err
	}
	i := msg.reactionIndex(d.Emoji)
	has := false
	if i >= 0 {
		_, has = msg.reactions[i].users[from.User]
	}
	if has != d.Remove {
		return nil
	}
	if !d.Remove && (m.reactions >= m.cfg.ReactionsMax || i < 0 && len(msg.reactions) >= emojisMax) {
		return wire.NewError(wire.CodeTooLarge, "there are too many reactions already; use one that is there")
	}
	r := &Reacted{ID: msg.id, User: from.User, Emoji: d.Emoji, Remove: d.Remove}
	m.record(effect.Fact{Kind: KindReacted, At: env.Now, Data: r}, out)
	return nil
}

// reactionIndex is where an emoji stands in the message's reactions, -1 for nowhere.
func (msg *message) reactionIndex(emoji string) int {
	return slices.IndexFunc(msg.reactions, func(r reaction) bool { return r.emoji == emoji })
}

// pin puts a message up or takes it down: moderators only.
func (m *Machine) pin(env effect.Env, from effect.Caller, d *wire.ChatPinData, out *effect.Effects) *wire.Error {
	if from.Role < wire.RoleModerator {
		return wire.NewError(wire.CodeForbidden, "only moderators may pin messages")
	}
	msg, err := m.find(d.ID)
	if err != nil {
		return err
	}
	pinned := d.Pinned == nil || *d.Pinned
	if pinned == msg.pinned {
		return nil
	}
	if pinned && len(m.pins) >= m.cfg.PinsMax {
		return wire.NewError(wire.CodeWrongState, "at most %d messages can be pinned; take one down first", m.cfg.PinsMax)
	}
	m.record(effect.Fact{Kind: KindPinned, At: env.Now, Data: &Pinned{ID: msg.id, User: from.User, Pinned: pinned}}, out)
	return nil
}

// setTyping tells the others that the caller is typing, at most once a second and user; the rest is dropped in
// silence, as is a stop that no start went before.
func (m *Machine) setTyping(
	env effect.Env, from effect.Caller, d *wire.ChatTypingData, out *effect.Effects,
) *wire.Error {
	if err := m.policy.MayWrite(from.User, from.Role, env.Now); err != nil {
		return err
	}
	typing := d.Typing == nil || *d.Typing
	last, known := m.typing[from.User]
	if typing && known && env.Now-last.at < typingMs || !typing && !last.typing {
		return nil
	}
	if !known && len(m.typing) >= typingSweepSize {
		m.sweepTyping(env.Now)
	}
	if typing {
		last.at = env.Now
	}
	last.typing = typing
	m.typing[from.User] = last
	out.Volatile(wire.EvChatTyping, env.Now, from.Conn, &wire.ChatTyping{User: from.User, Name: from.Name, Typing: typing})
	return nil
}

// sweepTyping forgets those whose last event no longer limits them. When hundreds type at once it may find nobody;
// then all are forgotten, which costs a few extra volatile events and keeps the map bounded.
func (m *Machine) sweepTyping(now int64) {
	for user, s := range m.typing {
		if now-s.at >= typingMs {
			delete(m.typing, user)
		}
	}
	if len(m.typing) >= typingSweepSize {
		clear(m.typing)
	}
}

// history gives the messages before one, newest last.
func (m *Machine) history(d *wire.ChatHistoryData) (*wire.ChatSnapshot, *wire.Error) {
	limit := d.Limit
	if limit <= 0 {
		limit = historyDefault
	}
	limit = min(limit, historyMax)
	end := len(m.msgs)
	if d.Before != "" {
		n, ok := messageN(d.Before)
		if !ok || n > m.lastN {
			return nil, unknownMessage("before")
		}
		end, _ = slices.BinarySearchFunc(m.msgs, n, func(msg *message, n uint64) int {
			if msg.n < n {
				return -1
			}
			return 1
		})
	}
	start := max(end-limit, 0)
	return &wire.ChatSnapshot{Messages: views(m.msgs[start:end]), More: start > 0}, nil
}
