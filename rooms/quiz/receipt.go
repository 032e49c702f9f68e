package quiz

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"strings"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// saltBytes is the length of the random word that is recorded with each answer. In questions without a receipt key
// (those of earlier versions) that word is the receipt. Otherwise it is the secret of the receipt's digest: without it
// nobody can find out by trying which of four options was picked.
const saltBytes = 10

type salt [saltBytes]byte

var saltEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

func newSalt(r effect.Random) salt {
	var b salt
	hi, lo := r.Uint64(), r.Uint64()
	for i := range 8 {
		b[i] = byte(hi >> (8 * i))
	}
	b[8], b[9] = byte(lo), byte(lo>>8)
	return b
}

// String is the salt's form in a fact.
func (b salt) String() string { return saltEncoding.EncodeToString(b[:]) }

func parseSalt(s string) (b salt, ok bool) {
	if len(s) != saltEncoding.EncodedLen(saltBytes) || strings.ContainsAny(s, "\r\n") {
		return b, false
	}
	n, err := saltEncoding.Decode(b[:], []byte(s))
	return b, err == nil && n == saltBytes
}

// number is the receipt's number: it follows from the salt and does not give it away.
func (b salt) number() string {
	sum := sha256.Sum256(append([]byte("receipt\x00"), b[:]...))
	return saltEncoding.EncodeToString(sum[:saltBytes])
}

// digest commits to an answer in its canonical form.
func (b salt) digest(canonical json.RawMessage) string {
	sum := sha256.Sum256(append(b[:], canonical...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// receipt is the receipt of an answer: a word that is ready, or claims that are yet to be signed. Both follow from what
// is recorded, so the same answer gets the same receipt at any time.
func (m *Machine) receipt(n int, user string, a *answer) (word string, claims *wire.ReceiptClaims) {
	q := &m.questions[n-1]
	if q.receiptKey == "" {
		return a.salt.String(), nil
	}
	return "", &wire.ReceiptClaims{
		ID: a.salt.number(), Room: m.cfg.Room, Question: n, User: user, At: a.at,
		Digest: a.salt.digest(q.canonical(a)), Key: q.receiptKey,
	}
}

// receiptNumber is what exports show of a receipt.
func (q *question) receiptNumber(a *answer) string {
	if q.receiptKey == "" {
		return a.salt.String()
	}
	return a.salt.number()
}

// CheckReceipt says what the game knows of a receipt whose signature is good.
func (m *Machine) CheckReceipt(c *wire.ReceiptClaims) *wire.ReceiptVerdict {
	v := &wire.ReceiptVerdict{
		Verdict: wire.ReceiptNotInLog, Reason: "no_answer", Number: c.ID, Room: c.Room, Title: m.Title(),
		Question: c.Question, User: c.User, AcceptedAt: c.At,
		Message: "the log has no answer of this participant to this question at this time",
	}
	if c.Question < 1 || c.Question > len(m.questions) {
		return v
	}
	q := &m.questions[c.Question-1]
	for i := range q.answers {
		a := &q.answers[i]
		p := &m.players[a.player]
		if p.user != c.User || a.at != c.At {
			continue
		}
		if _, own := m.receipt(c.Question, p.user, a); own == nil || *own != *c {
			v.Reason, v.Message = "differs", "the log has another answer of this participant to this question"
			return v
		}
		m.found(v, q, p)
		return v
	}
	return v
}

// FindReceipt looks a receipt up by its number. What it finds is not proved by a signature.
func (m *Machine) FindReceipt(number string) *wire.ReceiptVerdict {
	for n := range m.questions {
		q := &m.questions[n]
		for i := range q.answers {
			a := &q.answers[i]
			if q.receiptNumber(a) != number {
				continue
			}
			p := &m.players[a.player]
			v := &wire.ReceiptVerdict{
				Number: number, Room: m.cfg.Room, Title: m.Title(), Question: n + 1, User: p.user, AcceptedAt: a.at,
			}
			m.found(v, q, p)
			return v
		}
	}
	return &wire.ReceiptVerdict{
		Verdict: wire.ReceiptNotInLog, Reason: "no_answer", Number: number, Room: m.cfg.Room, Title: m.Title(),
		Message: "no answer of this session has a receipt with this number",
	}
}

// found completes the verdict on a receipt whose answer is in the log.
func (m *Machine) found(v *wire.ReceiptVerdict, q *question, p *player) {
	v.Verdict, v.Name, v.Reason = wire.ReceiptValid, p.name, ""
	switch {
	case p.removed:
		v.Reason, v.Message = "removed", "the answer was accepted, but the participant was removed from the game"
	case q.void:
		v.Reason, v.Message = "void", "the answer was accepted, but the question was declared void and counts for nobody"
	case q.skipped:
		v.Reason, v.Message = "skipped", "the answer was accepted, but the host skipped the question"
	default:
		v.Counts, v.Message = true, "the answer was accepted and counts"
	}
}
