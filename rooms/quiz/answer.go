package quiz

import (
	"bytes"
	"encoding/json"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

const (
	elapsedMsMax   = math.MaxInt32 // over 24 days
	textRunesMax   = 200           // of a short_text answer
	multiOptionMax = 64            // options of a multiple_choice question: bits of an answer's value
)

// answer is one accepted answer. 100,000 participants give as many per question, so it is small and holds no pointers.
type answer struct {
	// Option index; multiple_choice: set of option bits; numeric, short_text: index into question.texts.
	value     uint64
	key       uint64 // hash of the idempotency key
	at        int64  // accepted, Unix milliseconds
	player    int32
	elapsedMs int32
	points    int32 // streak bonus included; set when the question closes
	salt      salt
	outcome   outcome // set when the question closes
}

// parsed is an answer in its canonical form.
type parsed struct {
	value     uint64          // as answer.value, except for texts
	text      string          // numeric, short_text
	canonical json.RawMessage // what the fact holds; parsing it again gives the same
}

func invalidAnswer(format string, args ...any) *wire.Error {
	return wire.NewError(wire.CodeInvalidData, format, args...).At("answer")
}

// parseAnswer reads the answer of a client, or the canonical one of a fact, for a question. raw is borrowed.
func parseAnswer(q *wire.Question, raw json.RawMessage) (parsed, *wire.Error) {
	switch q.Type {
	case wire.SingleChoice, wire.Poll:
		i, err := optionIndex(raw, len(q.Options))
		if err != nil {
			return parsed{}, err
		}
		return parsed{value: uint64(i), canonical: strconv.AppendInt(nil, int64(i), 10)}, nil
	case wire.MultipleChoice:
		return parseMultiple(q, raw)
	case wire.TrueFalse:
		switch string(bytes.TrimSpace(raw)) {
		case `true`, `"true"`:
			return parsed{value: 1, canonical: json.RawMessage("true")}, nil
		case `false`, `"false"`:
			return parsed{value: 0, canonical: json.RawMessage("false")}, nil
		}
		return parsed{}, invalidAnswer("answer true or false")
	case wire.Numeric:
		return parseNumeric(raw)
	case wire.ShortText:
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return parsed{}, invalidAnswer("answer with a text")
		}
		s = strings.Join(strings.Fields(s), " ")
		if s == "" || utf8.RuneCountInString(s) > textRunesMax {
			return parsed{}, invalidAnswer("answer with 1 to %d characters", textRunesMax)
		}
		canonical, err := json.Marshal(s)
		if err != nil {
			return parsed{}, invalidAnswer("answer with a text")
		}
		return parsed{text: s, canonical: canonical}, nil
	}
	return parsed{}, wire.NewError(wire.CodeWrongState, "a question of this kind takes no answers")
}

// optionIndex reads an option's id ("2") or index (2).
func optionIndex(raw []byte, options int) (int, *wire.Error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) >= 2 && raw[0] == '"' && raw[len(raw)-1] == '"' {
		raw = raw[1 : len(raw)-1]
	}
	if len(raw) == 0 || len(raw) > 4 {
		return 0, invalidAnswer("answer with the id of an option, 0 to %d", options-1)
	}
	n := 0
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, invalidAnswer("answer with the id of an option, 0 to %d", options-1)
		}
		n = 10*n + int(c-'0')
	}
	if n >= options || (len(raw) > 1 && raw[0] == '0') {
		return 0, invalidAnswer("answer with the id of an option, 0 to %d", options-1)
	}
	return n, nil
}

func parseMultiple(q *wire.Question, raw json.RawMessage) (parsed, *wire.Error) {
	var ids []json.RawMessage
	if json.Unmarshal(raw, &ids) != nil || len(ids) == 0 {
		return parsed{}, invalidAnswer("answer with a list of at least one option id")
	}
	var set uint64
	for _, id := range ids {
		i, err := optionIndex(id, min(len(q.Options), multiOptionMax))
		if err != nil {
			return parsed{}, err
		}
		set |= 1 << i
	}
	return parsed{value: set, canonical: optionSet(set)}, nil
}

// optionSet is the canonical form of an answer to a multiple_choice question: [0,2].
func optionSet(set uint64) json.RawMessage {
	canonical := []byte{'['}
	for s := set; s != 0; s &= s - 1 {
		if len(canonical) > 1 {
			canonical = append(canonical, ',')
		}
		canonical = strconv.AppendInt(canonical, int64(bits.TrailingZeros64(s)), 10)
	}
	return append(canonical, ']')
}

func parseNumeric(raw json.RawMessage) (parsed, *wire.Error) {
	s := string(bytes.TrimSpace(raw))
	if strings.HasPrefix(s, `"`) {
		if json.Unmarshal(raw, &s) != nil {
			return parsed{}, invalidAnswer("answer with a number")
		}
		s = strings.TrimSpace(s)
	}
	s, ok := decimalPoint(s)
	if !ok {
		return parsed{}, invalidAnswer("answer with a number, a point as its decimal mark and no thousands separators")
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(x, 0) || len(s) > 40 || strings.Trim(s, "0123456789+-.eE") != "" {
		return parsed{}, invalidAnswer("answer with a number")
	}
	if x == 0 {
		x = 0 // -0 is 0
	}
	s = formatNumber(x)
	return parsed{text: s, canonical: json.RawMessage(s)}, nil
}

// decimalPoint turns a decimal comma into a point where it can't be meant as a thousands separator ("1,000").
func decimalPoint(s string) (string, bool) {
	before, after, found := strings.Cut(s, ",")
	if !found {
		return s, true
	}
	if strings.ContainsAny(after, ",.") || strings.Contains(before, ".") {
		return "", false
	}
	if len(after) == 3 && strings.Trim(before, "+-0") != "" {
		return "", false
	}
	return before + "." + after, true
}

func formatNumber(x float64) string {
	if x == 0 {
		return "0"
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// keyHash is FNV-1a: it only tells one participant's keys for one question apart.
func keyHash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h
}

// answer handles quiz:answer. The same key for the same question gets the first reply again, in any state.
func (m *Machine) answer(env effect.Env, from effect.Caller, d *wire.AnswerData, out *effect.Effects) *wire.Error {
	if m.phase == wire.PhaseNone {
		return wire.NewError(wire.CodeWrongState, "there is no quiz in this room")
	}
	player, ok := m.byUser[from.User]
	if !ok {
		return wire.NewError(wire.CodeForbidden, "only participants answer: join the room as a participant")
	}
	if d.Question < 1 || d.Question > len(m.questions) {
		return wire.NewError(wire.CodeInvalidData, "the questions are 1 to %d", len(m.questions)).At("question")
	}
	q := &m.questions[d.Question-1]
	if a := q.answerOf(player); a != nil {
		if a.key != keyHash(d.Key) {
			return wire.NewError(wire.CodeAlreadyAnswer, "your first answer to question %d counts", d.Question)
		}
		m.acknowledge(from, d.Question, a, out)
		return nil
	}
	if err := m.answerable(env.Now, d.Question); err != nil {
		return err
	}
	p, err := parseAnswer(q.spec, d.Answer)
	if err != nil {
		return err
	}
	m.record(FactAnswered, env.Now, &Answered{
		N: d.Question, User: from.User, Answer: p.canonical, Key: d.Key,
		ElapsedMs: min(max(env.Now-q.opensAt, 0), q.limitMs()),
		Receipt:   newSalt(env.Rand).String(),
	}, out)
	m.acknowledge(from, d.Question, q.answerOf(player), out)
	m.touchProgress(env.Now, out)
	m.closeIfAllAnswered(env.Now, out)
	return nil
}

// acknowledge replies with the receipt of an answer to question n.
func (m *Machine) acknowledge(to effect.Caller, n int, a *answer, out *effect.Effects) {
	word, claims := m.receipt(n, to.User, a)
	out.Reply(to, &wire.AnswerReply{Receipt: word, AcceptedAt: a.at, Durable: true, Claims: claims})
}

// answerable says whether question n takes new answers at now.
func (m *Machine) answerable(now int64, n int) *wire.Error {
	q := &m.questions[n-1]
	switch {
	case n-1 > m.current || (n-1 == m.current && m.phase == wire.PhaseOpen && now < q.opensAt):
		return wire.NewError(wire.CodeQuestionClosed, "question %d is not open yet", n)
	case n-1 == m.current && m.phase == wire.PhasePaused && m.pausedFrom == wire.PhaseOpen:
		return wire.NewError(wire.CodeQuestionClosed, "the quiz is paused: answer when it goes on")
	case n-1 != m.current || m.phase != wire.PhaseOpen || now > q.closesAt+m.cfg.GraceMs:
		return wire.NewError(wire.CodeQuestionClosed, "question %d is closed", n)
	}
	return nil
}

// question is one question in play.
type question struct {
	// Immutable once created.
	spec  *wire.Question
	match matcher
	// Times of the latest opening, Unix milliseconds; zero before.
	opensAt, closesAt int64
	receiptKey        string // id of the key that signs the receipts; empty: they are random words

	answers  []answer         // in order of acceptance
	slots    []int32          // by player: index into answers plus one
	answered int              // answers of participants who were not removed
	texts    []string         // distinct texts and numbers given
	textOf   map[string]int32 // index into texts; dropped at the close
	results  *wire.QuizResults
	skipped  bool
	void     bool // it counts no more
}

// counts is false for a question that nobody gets points for and that leaves streaks as they are.
func (q *question) counts() bool { return !q.skipped && !q.void }

func (q *question) limitMs() int64 { return q.closesAt - q.opensAt }

func (q *question) answerOf(player int32) *answer {
	if int(player) >= len(q.slots) || q.slots[player] == 0 {
		return nil
	}
	return &q.answers[q.slots[player]-1]
}

func (q *question) add(a answer) {
	if need := int(a.player) + 1; need > len(q.slots) {
		q.slots = slices.Grow(q.slots, need-len(q.slots))[:need]
	}
	q.answers = append(q.answers, a)
	q.slots[a.player] = int32(len(q.answers))
	q.answered++
}

// intern gives a text its index.
func (q *question) intern(text string) uint64 {
	i, ok := q.textOf[text]
	if !ok {
		if q.textOf == nil {
			q.textOf = make(map[string]int32)
		}
		i = int32(len(q.texts))
		q.textOf[text] = i
		q.texts = append(q.texts, text)
	}
	return uint64(i)
}

// canonical is an answer as its fact holds it.
func (q *question) canonical(a *answer) json.RawMessage {
	switch q.spec.Type {
	case wire.TrueFalse:
		return strconv.AppendBool(nil, a.value == 1)
	case wire.MultipleChoice:
		return optionSet(a.value)
	case wire.Numeric:
		return json.RawMessage(q.texts[a.value])
	case wire.ShortText:
		b, _ := json.Marshal(q.texts[a.value]) // strings always marshal
		return b
	}
	return strconv.AppendUint(nil, a.value, 10)
}

// given is an answer as JSON, as clients get it: options by their ids.
func (q *question) given(a *answer) json.RawMessage {
	switch q.spec.Type {
	case wire.MultipleChoice:
		ids := []string{}
		for s := a.value; s != 0; s &= s - 1 {
			ids = append(ids, strconv.Itoa(bits.TrailingZeros64(s)))
		}
		b, _ := json.Marshal(ids) // strings always marshal
		return b
	case wire.SingleChoice, wire.Poll:
		return strconv.AppendQuote(nil, strconv.FormatUint(a.value, 10))
	}
	return q.canonical(a)
}
