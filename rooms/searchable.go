package rooms

import (
	"strconv"
	"strings"

	"lectern/rooms/chat"
	"lectern/rooms/quiz"
)

// Kinds of texts that can be searched for.
const (
	TextMessage  = "message"
	TextQuestion = "question"
)

// TextChange is what one record means for an index of texts. Exactly one of Put, Edit, Delete and Asked is meant.
type TextChange struct {
	Change TextAct
	ID     string // of the text within its room: m17 for a message as in the chat, q3 for a question
	Doc    Text   // of TextPut; of TextEdit only Text
}

// TextAct is what happens to a text.
type TextAct uint8

// The acts.
const (
	TextPut    TextAct = iota // it is there now
	TextEdit                  // it reads otherwise
	TextDelete                // it is gone
	TextAsked                 // participants have seen it: a question that was opened
)

// Text is one text that can be searched for. It never holds what is right.
type Text struct {
	Kind   string
	Number int    // of a question
	User   string // author of a message
	Name   string
	Text   string // a question's with its options, a line each
	At     int64  // Unix milliseconds
	Asked  bool   // participants may see it; true for messages
}

// HasTexts says whether records of a kind may mean something for an index.
func HasTexts(kind string) bool {
	switch kind {
	case chat.KindSent, chat.KindEdited, chat.KindDeleted, quiz.FactCreated, quiz.FactOpened:
		return true
	}
	return false
}

// TextChanges are what a record means for an index, none for most. They can be carried out again.
func TextChanges(rec Record) ([]TextChange, error) {
	if !HasTexts(rec.Kind) {
		return nil, nil
	}
	f, err := DecodeFact(rec)
	if err != nil {
		return nil, err
	}
	switch d := f.Data.(type) {
	case *chat.Sent:
		return []TextChange{{TextPut, "m" + strconv.FormatUint(d.N, 10), Text{
			Kind: TextMessage, User: d.User, Name: d.Name, Text: d.Text, At: rec.At, Asked: true,
		}}}, nil
	case *chat.Edited:
		return []TextChange{{TextEdit, d.ID, Text{Text: d.Text}}}, nil
	case *chat.Deleted:
		return []TextChange{{Change: TextDelete, ID: d.ID}}, nil
	case *quiz.Opened:
		return []TextChange{{Change: TextAsked, ID: QuestionID(d.N)}}, nil
	case *quiz.Created:
		changes := make([]TextChange, len(d.Quiz.Questions))
		for i := range d.Quiz.Questions {
			q := &d.Quiz.Questions[i]
			lines := []string{q.Text}
			for _, o := range q.Options {
				lines = append(lines, o.Text)
			}
			changes[i] = TextChange{TextPut, QuestionID(i + 1), Text{
				Kind: TextQuestion, Number: i + 1, Text: strings.Join(lines, "\n"), At: rec.At,
			}}
		}
		return changes, nil
	}
	return nil, nil
}

// QuestionID is the id of a question's text.
func QuestionID(number int) string { return "q" + strconv.Itoa(number) }

// TextsQuery asks which of some texts, found in an index, the caller may read now, and how they read now: an index is
// always a little behind. It is refused to whoever may not read the room at all. The reply is a map from id to text.
type TextsQuery struct{ IDs []string }

// texts answers a TextsQuery: messages as the chat still has them, questions that were asked; to hosts all questions.
// Messages that the chat keeps no more are for moderators alone, whom the index has to be enough for: they come back
// empty, which means as indexed.
func (r *Room) texts(staff, host bool, ids []string) map[string]string {
	out := make(map[string]string, len(ids))
	for _, id := range ids {
		if n, ok := strings.CutPrefix(id, "q"); ok {
			number, err := strconv.Atoi(n)
			if text, asked := r.quiz.QuestionText(number); err == nil && text != "" && (asked || host) {
				out[id] = text
			}
			continue
		}
		text, known, deleted := r.chat.TextOf(id)
		switch {
		case deleted:
		case known:
			out[id] = text
		case staff:
			out[id] = ""
		}
	}
	return out
}
