package rooms

import (
	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// publishKeysMax is the number of idempotency keys of published events that a room remembers.
const publishKeysMax = 1024

// publish sends a member's own event to everybody. A volatile one leaves no trace; any other is a fact with a seq.
func (r *Room) publish(env effect.Env, from effect.Caller, data *wire.PublishData, out *effect.Effects) {
	if !r.cfg.OpenPublish && from.Role < wire.RoleModerator {
		out.Refuse(from, wire.NewError(wire.CodeForbidden, "publishing here needs the role moderator"))
		return
	}
	if data.Volatile {
		out.Volatile(data.Event, env.Now, 0, data.Payload)
		out.Reply(from, &wire.PublishReply{})
		return
	}
	key := ""
	if data.Key != "" {
		key = from.User + "\x00" + data.Key
		if seq, ok := r.keys.seq(key); ok {
			out.Reply(from, &wire.PublishReply{Seq: seq})
			return
		}
	}
	r.record(effect.Fact{Kind: kindPublished, At: env.Now, Data: &published{
		Event: data.Event, Payload: data.Payload, User: from.User, Key: data.Key,
		Staff: from.Role >= wire.RoleModerator,
	}}, out)
	out.Reply(from, &wire.PublishReply{})
}

// keyMemory remembers the last publishKeysMax idempotency keys and the seq of their events.
type keyMemory struct {
	seqs  map[string]uint64
	order []string // a circle once it is full
	next  int
	open  string // the key whose event has no seq yet
}

func (k *keyMemory) seq(key string) (uint64, bool) {
	seq, ok := k.seqs[key]
	return seq, ok
}

// add remembers a key; setSeq follows as soon as its event is numbered.
func (k *keyMemory) add(key string) {
	if k.seqs == nil {
		k.seqs = make(map[string]uint64)
	}
	if len(k.order) < publishKeysMax {
		k.order = append(k.order, key)
	} else {
		delete(k.seqs, k.order[k.next])
		k.order[k.next] = key
		k.next = (k.next + 1) % publishKeysMax
	}
	k.seqs[key] = 0
	k.open = key
}

func (k *keyMemory) setSeq(seq uint64) {
	if k.open != "" {
		k.seqs[k.open] = seq
		k.open = ""
	}
}

// apply changes the state of the room by one fact, its own or a domain's.
func (r *Room) apply(f effect.Fact, out *effect.Effects) {
	switch fact := f.Data.(type) {
	case *created:
		r.created, r.epoch, r.owner = true, fact.Epoch, fact.Owner
	case *closed:
		r.closed = true
	case *published:
		if fact.Key != "" {
			r.keys.add(fact.User + "\x00" + fact.Key)
		}
		out.Broadcast(fact.Event, f.At, fact.Payload)
	}
}
