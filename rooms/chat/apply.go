package chat

import (
	"maps"
	"slices"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// Apply makes what has happened true and tells the members. It is the only writer of recorded state and reads no
// clock, so the same facts give the same state and the same events. A fact that is not the chat's is ignored.
func (m *Machine) Apply(f effect.Fact, out *effect.Effects) {
	switch d := f.Data.(type) {
	case *Sent:
		m.applySent(f.At, d, out)
	case *Edited:
		m.applyEdited(f.At, d, out)
	case *Deleted:
		m.applyDeleted(f.At, d, out)
	case *Reacted:
		m.applyReacted(f.At, d, out)
	case *Pinned:
		m.applyPinned(f.At, d, out)
	default:
		return
	}
	m.snap = nil
}

func (m *Machine) applySent(at int64, d *Sent, out *effect.Effects) {
	msg := &message{
		n: d.N, id: messageID(d.N), user: d.User, name: d.Name, role: d.Role, text: d.Text, replyTo: d.ReplyTo,
		key: d.Key, mentions: d.Mentions, links: d.Links, ts: at,
	}
	m.lastN = d.N
	m.byID[msg.id] = msg
	if d.Key != "" {
		m.byKey[sentKey{d.User, d.Key}] = msg
	}
	m.msgs = append(m.msgs, msg)
	if len(m.msgs) > m.cfg.MessagesMax {
		m.evict()
	}
	m.noteSlow(at, d)
	delete(m.typing, d.User)
	v := msg.view()
	out.Broadcast(wire.EvChatMessage, at, &v)
	if out.Replaying {
		return
	}
	for _, user := range d.Mentions {
		out.User(user, wire.EvNotify, at, &wire.Notification{
			Kind: "mention", Message: msg.id, From: d.User, Name: d.Name, Text: d.Text,
		})
	}
}

// noteSlow remembers when the author last wrote, while that matters. SlowMs comes from the fact, so that replay does
// not depend on what moderation knows at the time.
func (m *Machine) noteSlow(at int64, d *Sent) {
	if d.SlowMs <= 0 {
		return
	}
	m.slowMs = max(m.slowMs, d.SlowMs)
	// The sweep may find little to forget, so it runs only at sizes that are powers of two: each doubling pays for it.
	size := len(m.lastSent)
	if _, known := m.lastSent[d.User]; !known && size >= slowSweepSize && size&(size-1) == 0 {
		maps.DeleteFunc(m.lastSent, func(_ string, last int64) bool { return at-last >= m.slowMs })
	}
	m.lastSent[d.User] = at
}

// evict drops the oldest message from memory. A pinned one can still be found, and goes when it is taken down.
func (m *Machine) evict() {
	old := m.msgs[0]
	m.msgs[0] = nil
	m.msgs = m.msgs[1:]
	if old.key != "" {
		delete(m.byKey, sentKey{old.user, old.key})
	}
	if !old.pinned {
		m.forget(old)
	}
}

// evicted is true for a message that is older than all that are kept.
func (m *Machine) evicted(msg *message) bool { return len(m.msgs) == 0 || msg.n < m.msgs[0].n }

// forget drops the last reference to a message.
func (m *Machine) forget(msg *message) {
	delete(m.byID, msg.id)
	m.dropReactions(msg)
}

func (m *Machine) dropReactions(msg *message) {
	for _, r := range msg.reactions {
		m.reactions -= len(r.users)
	}
	msg.reactions = nil
}

func (m *Machine) applyEdited(at int64, d *Edited, out *effect.Effects) {
	msg := m.byID[d.ID]
	if msg == nil || msg.deleted {
		return
	}
	msg.text, msg.mentions, msg.links, msg.editedAt = d.Text, d.Mentions, d.Links, at
	v := msg.view()
	out.Broadcast(wire.EvChatEdited, at, &v)
}

func (m *Machine) applyDeleted(at int64, d *Deleted, out *effect.Effects) {
	msg := m.byID[d.ID]
	if msg == nil || msg.deleted {
		return
	}
	msg.deleted, msg.text, msg.mentions, msg.links = true, "", nil, nil
	m.dropReactions(msg)
	m.unpin(msg)
	out.Broadcast(wire.EvChatDeleted, at, &wire.ChatDeleted{ID: msg.id, By: d.By})
}

// unpin takes a message down, and drops it when only the pin has kept it.
func (m *Machine) unpin(msg *message) {
	if !msg.pinned {
		return
	}
	msg.pinned = false
	m.pins = slices.DeleteFunc(m.pins, func(p *message) bool { return p == msg })
	if m.evicted(msg) {
		m.forget(msg)
	}
}

func (m *Machine) applyReacted(at int64, d *Reacted, out *effect.Effects) {
	msg := m.byID[d.ID]
	if msg == nil || msg.deleted {
		return
	}
	i := msg.reactionIndex(d.Emoji)
	if i < 0 {
		if d.Remove {
			return
		}
		i = len(msg.reactions)
		msg.reactions = append(msg.reactions, reaction{emoji: d.Emoji, users: make(map[string]struct{}, 1)})
	}
	users := msg.reactions[i].users
	before := len(users)
	if d.Remove {
		delete(users, d.User)
	} else {
		users[d.User] = struct{}{}
	}
	count := len(users)
	m.reactions += count - before
	if count == 0 {
		msg.reactions = slices.Delete(msg.reactions, i, i+1)
	}
	out.Broadcast(wire.EvChatReaction, at, &wire.ChatReaction{ID: msg.id, Emoji: d.Emoji, Count: count})
}

func (m *Machine) applyPinned(at int64, d *Pinned, out *effect.Effects) {
	msg := m.byID[d.ID]
	if msg == nil || msg.deleted || msg.pinned == d.Pinned {
		return
	}
	if d.Pinned {
		msg.pinned = true
		m.pins = append(m.pins, msg)
	} else {
		m.unpin(msg)
	}
	out.Broadcast(wire.EvChatPinned, at, &wire.ChatPinned{ID: msg.id, Pinned: d.Pinned})
}

// Snapshot is the chat as a member who joins sees it: the newest messages and the pinned ones. It is shared between
// callers until something changes, so it must not be written to.
func (m *Machine) Snapshot(effect.Caller) *wire.ChatSnapshot {
	slow, lockdown := m.policy.SlowMs(), m.policy.Lockdown()
	if m.snap == nil || m.snap.SlowMs != slow || m.snap.Lockdown != lockdown {
		start := max(len(m.msgs)-m.cfg.SnapshotCount, 0)
		m.snap = &wire.ChatSnapshot{
			Messages: views(m.msgs[start:]), SlowMs: slow, Lockdown: lockdown, More: start > 0,
		}
		if len(m.pins) > 0 {
			m.snap.Pinned = views(m.pins)
		}
	}
	return m.snap
}

// views are messages as members see them; never nil, so that JSON has an array.
func views(msgs []*message) []wire.ChatMessage {
	out := make([]wire.ChatMessage, 0, len(msgs))
	for _, msg := range msgs {
		out = append(out, msg.view())
	}
	return out
}

// view is a message as members see it. It shares nothing that Apply writes to: outputs are encoded later.
func (msg *message) view() wire.ChatMessage {
	v := wire.ChatMessage{
		ID: msg.id, User: msg.user, Name: msg.name, Role: msg.role, Text: msg.text, ReplyTo: msg.replyTo,
		Mentions: msg.mentions, Links: msg.links, TS: msg.ts, EditedAt: msg.editedAt,
		Deleted: msg.deleted, Pinned: msg.pinned,
	}
	if len(msg.reactions) > 0 {
		v.Reactions = make(map[string]int, len(msg.reactions))
		for _, r := range msg.reactions {
			v.Reactions[r.emoji] = len(r.users)
		}
	}
	return v
}

// TextOf is how a message reads now. known is false for one that the room keeps no more; an unknown one may have been
// deleted before it was forgotten.
func (m *Machine) TextOf(id string) (text string, known, deleted bool) {
	msg := m.byID[id]
	if msg == nil {
		return "", false, false
	}
	return msg.text, !msg.deleted, msg.deleted
}
