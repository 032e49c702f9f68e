package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/effect"
)

// stompWalk is a client that does whatever comes to its mind, and a room that answers when it likes. It knows which
// receipts are due.
type stompWalk struct {
	*stompClient
	rnd     *rand.Rand
	numbers int
	subs    []string
	due     []string              // receipts that must come
	asked   map[string]*walkFrame // by the text of the SEND
	open    map[string]*walkCommit
}

// walkFrame is a SEND; commit is the COMMIT that has carried it out.
type walkFrame struct {
	receipt string
	commit  *walkCommit
}

// walkCommit is a transaction, and after its COMMIT the receipt of that.
type walkCommit struct {
	receipt string
	texts   []string
	left    int
	refused bool
}

func (w *stompWalk) number() string { w.numbers++; return fmt.Sprint(w.numbers) }

// receipt makes a header, or none.
func (w *stompWalk) receipt() (id, header string) {
	if w.rnd.IntN(3) == 0 {
		return "", ""
	}
	id = "r" + w.number()
	return id, "|receipt:" + id
}

func (w *stompWalk) await(id string) {
	if id != "" {
		w.due = append(w.due, id)
	}
}

func (w *stompWalk) act() {
	id, receipt := w.receipt()
	switch w.rnd.IntN(8) {
	case 0:
		sub := "s" + w.number()
		target := []string{"/topic/room.r", "/topic/room.*", "/user/queue/*|ack:client", "/user/queue/events"}[w.rnd.IntN(4)]
		if len(w.subs) > 40 {
			return
		}
		w.subs = append(w.subs, sub)
		w.say("SUBSCRIBE|id:" + sub + "|destination:" + target + receipt + "||")
		w.await(id)
	case 1:
		if len(w.subs) > 0 {
			at := w.rnd.IntN(len(w.subs))
			w.say("UNSUBSCRIBE|id:" + w.subs[at] + receipt + "||")
			w.subs = slices.Delete(w.subs, at, at+1)
			w.await(id)
		}
	case 2, 3:
		w.send(id, receipt)
	case 4:
		w.say([]string{"ACK", "NACK"}[w.rnd.IntN(2)] + "|id:" + fmt.Sprint(w.rnd.IntN(30)) + receipt + "||")
		w.await(id)
	case 5, 6:
		w.transact(id, receipt)
	default:
		w.h.Deliver(0, []rooms.Delivery{{Room: "r", Output: effect.Output{
			Seq: uint64(w.numbers), Name: "x", Class: wire.Class(w.rnd.IntN(3)), Data: json.RawMessage("1"),
		}}}, func() {})
	}
}

func (w *stompWalk) send(id, receipt string) {
	text := "t" + w.number()
	frame := &walkFrame{receipt: id}
	for _, name := range slices.Sorted(maps.Keys(w.open)) {
		transaction := w.open[name]
		if w.rnd.IntN(2) == 0 {
			receipt += "|transaction:" + name
			transaction.texts = append(transaction.texts, text)
			frame.commit = transaction
			break
		}
	}
	w.asked[text] = frame
	w.say("SEND|destination:/app/chat.send|room:r" + receipt + `||{"text":"` + text + `"}`)
}

func (w *stompWalk) transact(id, receipt string) {
	if names := slices.Sorted(maps.Keys(w.open)); len(names) > 0 {
		name := names[0]
		transaction := w.open[name]
		delete(w.open, name)
		if w.rnd.IntN(3) == 0 {
			w.await(id)
			w.say("ABORT|transaction:" + name + receipt + "||")
			return
		}
		transaction.receipt, transaction.left = id, len(transaction.texts)
		if transaction.left == 0 {
			w.await(id)
		}
		w.say("COMMIT|transaction:" + name + receipt + "||")
		return
	}
	name := "x" + w.number()
	w.open[name] = &walkCommit{}
	w.await(id)
	w.say("BEGIN|transaction:" + name + receipt + "||")
}

// answer lets the room answer one of the commands that it has.
func (w *stompWalk) answer() {
	all := w.h.posts.all
	if len(all) == 0 {
		return
	}
	at := w.rnd.IntN(len(all))
	cmd := all[at]
	w.h.posts.all = slices.Delete(all, at, at+1)
	reply := rooms.Delivery{Room: "r", Output: effect.Output{Kind: effect.Reply, Conn: cmd.From.Conn, Req: cmd.From.Req}}
	var before []rooms.Delivery
	switch body := cmd.Body.(type) {
	case *wire.JoinData:
		reply.Data = &wire.JoinReply{Room: "r", Epoch: "e"}
		join := effect.Output{Kind: effect.Join, Conn: cmd.From.Conn, Role: wire.RoleParticipant}
		before = append(before, rooms.Delivery{Room: "r", Output: join})
	case *wire.ChatSendData:
		refused := w.rnd.IntN(4) == 0
		if refused {
			reply.Err = wire.NewError(wire.CodeMuted, "no")
		}
		w.answered(w.asked[body.Text], refused)
	}
	w.h.Deliver(0, append(before, reply), func() {})
	w.h.net.Run()
}

func (w *stompWalk) answered(frame *walkFrame, refused bool) {
	if !refused {
		w.await(frame.receipt)
	}
	if c := frame.commit; c != nil {
		c.refused = c.refused || refused
		if c.left--; c.left == 0 && !c.refused {
			w.await(c.receipt)
		}
	}
}

// Whatever a client asks for, in whatever order the room answers: every receipt that is due comes once and no other
// does, and nothing ends the connection or panics.
func TestStompReceiptsWhateverHappens(t *testing.T) {
	receipts := 0
	for seed := range uint64(60) {
		h := newHall(t)
		h.posts.keep = true
		w := &stompWalk{
			stompClient: signedIn(t, h, "r"), rnd: rand.New(rand.NewPCG(seed, 1)),
			asked: map[string]*walkFrame{}, open: map[string]*walkCommit{},
		}
		w.say("SUBSCRIBE|id:first|destination:/topic/room.r||", "SUBSCRIBE|id:q|destination:/user/queue/replies||")
		var came []string
		read := func() {
			for _, line := range w.read() {
				if id, ok := strings.CutPrefix(line, "RECEIPT|receipt-id:"); ok {
					came = append(came, strings.TrimSuffix(id, "|"))
				}
			}
		}
		for range 80 {
			w.act()
			for range w.rnd.IntN(3) {
				w.answer()
			}
			read()
		}
		for len(h.posts.all) > 0 {
			w.answer()
		}
		read()
		slices.Sort(came)
		slices.Sort(w.due)
		if !slices.Equal(came, w.due) || w.closed != "" {
			t.Fatalf("seed %d: the receipts %v came, not %v; closed: %q", seed, came, w.due, w.closed)
		}
		if n := h.net.Stats().Panics; n != 0 {
			t.Fatalf("seed %d: %d panics", seed, n)
		}
		receipts += len(came)
	}
	if receipts < 400 {
		t.Errorf("only %d receipts came in all", receipts)
	}
}
