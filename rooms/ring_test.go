package rooms

import (
	"strings"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// TestRingBoundsWhatMembersWrote: chat messages count towards the ring's bytes, so that a resume fits into an outbox,
// and
// taking a text out gives its bytes back.
func TestRingBoundsWhatMembersWrote(t *testing.T) {
	var r ring
	text := strings.Repeat("x", 8000)
	for range ringEventsMax {
		r.add(effect.Output{Data: &wire.ChatMessage{ID: "m", Text: text}})
	}
	if r.bytes > ringBytesMax || r.count == ringEventsMax {
		t.Fatalf("%d bytes in %d events", r.bytes, r.count)
	}
	r.redact("m", &wire.ChatMessage{ID: "m", Text: "short"})
	if r.bytes != r.count*len("short") {
		t.Errorf("%d bytes in %d edited messages", r.bytes, r.count)
	}
	r.redact("m", nil)
	if r.bytes != 0 {
		t.Errorf("%d bytes in deleted messages", r.bytes)
	}
}
