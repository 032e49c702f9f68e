package quizfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"lectern/protocol/wire"
)

// decodeJSON reads a wire.Quiz, a bare array of questions, or an answer of the Open Trivia DB. Questions are decoded
// one by one, so that a wrong one costs nothing but itself; a syntax error ends the file there, with what came before
// kept.
func decodeJSON(c *collector, s string) error {
	r := &jsonReader{c: c, s: s, dec: json.NewDecoder(strings.NewReader(s))}
	tok, err := r.dec.Token()
	if err != nil {
		return fmt.Errorf("%w: it is not JSON (line %d: %s)", ErrDamaged, r.line(), jsonReason(err))
	}
	switch tok {
	case json.Delim('['):
		r.questions(questionOfQuiz)
	case json.Delim('{'):
		if err := r.object(); err != nil {
			c.note(Fault, r.line(), "the JSON is damaged here, what follows was not read: "+jsonReason(err))
		}
	default:
		return fmt.Errorf("%w: it holds neither a quiz nor a list of questions", ErrDamaged)
	}
	return nil
}

type jsonReader struct {
	c   *collector
	s   string
	dec *json.Decoder
}

func (r *jsonReader) line() int { return lineAt(r.s, int(r.dec.InputOffset())) }

func jsonReason(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends too early"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// object reads the members of the outermost object.
func (r *jsonReader) object() error {
	for r.dec.More() {
		key, err := r.dec.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if name == "questions" || name == "results" {
			tok, err := r.dec.Token()
			if err != nil {
				return err
			}
			if tok != json.Delim('[') {
				return fmt.Errorf("%q is not a list", name)
			}
			if name == "results" {
				r.c.imp.Format = OpenTDB
				r.questions(questionOfOpenTDB)
			} else {
				r.questions(questionOfQuiz)
			}
			if _, err := r.dec.Token(); err != nil {
				return err
			}
			continue
		}
		var raw json.RawMessage
		if err := r.dec.Decode(&raw); err != nil {
			return err
		}
		r.member(name, raw)
	}
	_, err := r.dec.Token()
	return err
}

// member takes a property of the quiz itself.
func (r *jsonReader) member(name string, raw json.RawMessage) {
	quiz := &r.c.imp.Quiz
	var err error
	switch name {
	case "title":
		var t string
		if err = json.Unmarshal(raw, &t); err == nil && cleanText(t) != "" {
			quiz.Title = clip(cleanText(t), wire.TitleCharsMax)
		}
	case "language":
		err = json.Unmarshal(raw, &quiz.Language)
	case "settings":
		err = json.Unmarshal(raw, &quiz.Settings)
	case "id", "response_code":
	default:
		r.c.note(Warning, r.line(), fmt.Sprintf("the member %q is not known and was ignored", clip(name, 40)))
	}
	if err != nil {
		r.c.note(Warning, r.line(), fmt.Sprintf("the member %q has a wrong type and was ignored", name))
		return
	}
	if err := validateHead(*quiz); err != nil {
		r.c.note(Warning, r.line(), fmt.Sprintf("the member %q was ignored: %s", name, err.Error()))
		if name == "language" {
			quiz.Language = ""
		} else {
			quiz.Settings = wire.QuizSettings{}
		}
	}
}

// questions reads the elements of a list whose opening bracket was read.
func (r *jsonReader) questions(one func(d *draft, raw []byte)) {
	line, from := 1, 0
	for r.dec.More() {
		start := int(r.dec.InputOffset())
		start += len(r.s[start:]) - len(strings.TrimLeft(r.s[start:], ", \t\n"))
		line += strings.Count(r.s[from:start], "\n")
		from = start
		var raw json.RawMessage
		if err := r.dec.Decode(&raw); err != nil {
			d := r.c.begin(r.line())
			d.kind = "unknown"
			d.faultf("the JSON is damaged here: %s", jsonReason(err))
			r.c.finish(d)
			return
		}
		d := r.c.begin(line)
		one(d, raw)
		r.c.finish(d)
	}
}

// kindOf names a wire type in the words of Item.Type.
func kindOf(t wire.QuestionType) string {
	switch t {
	case wire.MultipleChoice:
		return "multi_choice"
	case wire.ShortText:
		return "short_answer"
	case wire.Numeric:
		return "numerical"
	}
	return string(t)
}

func questionOfQuiz(d *draft, raw []byte) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(&d.q)
	if err != nil && strings.Contains(err.Error(), "unknown field") {
		d.warnf("%s: it was ignored", jsonReason(err))
		d.q = wire.Question{}
		err = json.Unmarshal(raw, &d.q)
	}
	d.kind = kindOf(d.q.Type)
	switch {
	case err != nil:
		if d.kind == "" {
			d.kind = "unknown"
		}
		d.faultf("%s", jsonReason(err))
	case d.q.Type == "":
		d.kind = "unknown"
		d.faultf("the member \"type\" is missing")
	case !d.q.Type.Playable():
		d.leftOut = fmt.Sprintf("questions of type %q can't be played live", clip(string(d.q.Type), 40))
	}
}

// questionOfOpenTDB reads one result of the Open Trivia DB; its texts carry HTML entities, decoded once.
func questionOfOpenTDB(d *draft, raw []byte) {
	var in struct {
		Type      string   `json:"type"`
		Category  string   `json:"category"`
		Question  string   `json:"question"`
		Correct   string   `json:"correct_answer"`
		Incorrect []string `json:"incorrect_answers"`
	}
	d.kind = "single_choice"
	if err := json.Unmarshal(raw, &in); err != nil {
		d.faultf("%s", jsonReason(err))
		return
	}
	d.q.Text, d.q.Category = decodeEntities(in.Question), decodeEntities(in.Category)
	correct := decodeEntities(in.Correct)
	if in.Type == "boolean" {
		d.kind, d.q.Type = "true_false", wire.TrueFalse
		right := strings.EqualFold(strings.TrimSpace(correct), "true")
		if !right && !strings.EqualFold(strings.TrimSpace(correct), "false") {
			d.faultf("the right answer must be True or False, not %q", clip(correct, 40))
		}
		d.q.Correct = &right
		return
	}
	d.q.Type = wire.SingleChoice
	if strings.TrimSpace(correct) == "" {
		d.faultf("the right answer is missing")
	}
	d.q.Options = mixOptions([]string{correct}, decodeAll(in.Incorrect))
}

func decodeAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = decodeEntities(s)
	}
	return out
}

// mixOptions puts right and wrong answers into one list, ordered by their text, so that the place gives nothing away.
func mixOptions(right, wrong []string) []wire.Option {
	var out []wire.Option
	for _, t := range right {
		out = append(out, wire.Option{Text: t, Correct: true})
	}
	for _, t := range wrong {
		out = append(out, wire.Option{Text: t})
	}
	slices.SortStableFunc(out, func(a, b wire.Option) int {
		if c := strings.Compare(strings.ToLower(a.Text), strings.ToLower(b.Text)); c != 0 {
			return c
		}
		return strings.Compare(a.Text, b.Text)
	})
	return out
}

func encodeJSON(e *exporter) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(e.quiz); err != nil {
		return nil, fmt.Errorf("quizfile: encode JSON: %w", err)
	}
	return b.Bytes(), nil
}
