package rooms

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"lectern/rooms/chat"
	"lectern/rooms/effect"
	"lectern/rooms/moderation"
	"lectern/rooms/quiz"
)

// AuditEntry is one act of a host or moderator, as the room's log has it. It holds no texts of messages and no answers.
type AuditEntry struct {
	Index    uint64 `json:"index"` // of the record
	At       int64  `json:"at"`    // Unix milliseconds
	Act      string `json:"act"`   // the record's kind
	By       string `json:"by"`    // user id; empty where records of version 0.1.0 don't say which host it was
	On       string `json:"on,omitempty"`
	OnName   string `json:"onName,omitempty"`   // as last known
	Question int    `json:"question,omitempty"` // number
	Message  string `json:"message,omitempty"`  // id
	Undo     bool   `json:"undo,omitempty"`     // taken back
	Until    int64  `json:"until,omitempty"`    // Unix milliseconds; of mutes, bans and kicks
	Detail   string `json:"detail,omitempty"`   // what else matters, in words
	Reason   string `json:"reason,omitempty"`   // as it was given
}

// Audit finds the acts of hosts and moderators among a room's records. Give it the records in order; the zero value is
// ready. It costs memory for the names of participants and for the authors of messages.
type Audit struct {
	names   map[string]string // user → display name
	authors map[string]string // message → user
}

// Next looks at one record. ok is false for what is nobody's act of this kind. An error means that the record can't be
// read.
func (a *Audit) Next(rec Record) (_ AuditEntry, ok bool, err error) {
	if rec.Kind == quiz.FactAnswered || strings.HasPrefix(rec.Kind, "progress.") { // most records, and never an act
		return AuditEntry{}, false, nil
	}
	f, err := DecodeFact(rec)
	if err != nil {
		return AuditEntry{}, false, err
	}
	e := AuditEntry{Index: rec.Index, At: rec.At, Act: rec.Kind}
	switch domain, _, _ := strings.Cut(rec.Kind, "."); domain {
	case "room":
		ok = a.own(f, &e)
	case "quiz":
		ok = a.quiz(f, &e)
	case "chat":
		ok = a.chat(f, &e)
	case "mod":
		ok = a.moderation(f, &e)
	}
	if e.On != "" {
		e.OnName = a.names[e.On]
	}
	return e, ok, nil
}

func (a *Audit) own(f effect.Fact, e *AuditEntry) bool {
	switch d := f.Data.(type) {
	case *created:
		e.By = d.Owner
		return d.Owner != ""
	case *published:
		e.By, e.Detail = d.User, "event "+d.Event
		return d.Staff
	}
	return false
}

func (a *Audit) name(user, name string) {
	if a.names == nil {
		a.names = make(map[string]string)
	}
	a.names[user] = name
}

func (a *Audit) quiz(f effect.Fact, e *AuditEntry) bool {
	if act, ok := f.Data.(quiz.HostAct); ok {
		e.By = act.Host()
	}
	switch d := f.Data.(type) {
	case *quiz.Created:
		e.By, e.Detail = d.Owner, d.Quiz.Title
		return true
	case *quiz.Joined:
		a.name(d.User, d.Name)
		return false
	case *quiz.Locked:
		e.Undo = !d.Locked
		return true
	case *quiz.Started, *quiz.Paused, *quiz.Resumed:
		return true
	case *quiz.Extended:
		e.Question, e.Detail = d.N, fmt.Sprintf("%d ms longer", d.ByMs)
		return true
	case *quiz.Regraded:
		e.Question, e.Reason = d.N, d.Reason
		switch {
		case d.Void:
			e.Detail = "void"
		case d.Key != nil:
			e.Detail = "another key"
		default:
			e.Detail = "counts again"
		}
		return true
	case *quiz.Opened:
		e.Question = d.N
	case *quiz.Closed:
		e.Question = d.N
		if d.Skipped {
			e.Detail = "skipped"
		}
	case *quiz.Ranked:
		e.Question = d.N
	case *quiz.Ended:
	default:
		return false
	}
	return e.By != "" // otherwise time or the last answer did it
}

func (a *Audit) chat(f effect.Fact, e *AuditEntry) bool {
	switch d := f.Data.(type) {
	case *chat.Sent:
		if a.authors == nil {
			a.authors = make(map[string]string)
		}
		a.authors["m"+strconv.FormatUint(d.N, 10)] = d.User
		a.name(d.User, d.Name)
	case *chat.Deleted:
		e.By, e.Message, e.On = d.User, d.ID, a.authors[d.ID]
		return d.By == "moderator"
	case *chat.Pinned:
		e.By, e.Message, e.Undo, e.On = d.User, d.ID, !d.Pinned, a.authors[d.ID]
		return true
	}
	return false
}

func (a *Audit) moderation(f effect.Fact, e *AuditEntry) bool {
	var act moderation.Act
	switch d := f.Data.(type) {
	case *moderation.Muted:
		act = d.Act
	case *moderation.Banned:
		act = d.Act
	case *moderation.Kicked:
		act = d.Act
	case *moderation.Slow:
		e.By, e.Undo, e.Detail = d.By, d.EveryMs == 0, fmt.Sprintf("a message every %d ms", d.EveryMs)
		return true
	case *moderation.Lockdown:
		e.By, e.Undo = d.By, !d.On
		return true
	default:
		return false
	}
	e.By, e.On, e.Until, e.Undo, e.Reason = act.By, act.User, act.Until, act.Undo, act.Reason
	return act.By != "" // otherwise its time was over
}

// OwnerOf is the user who created the room of a record of KindRoomCreated; empty for every other record, and for rooms
// that nobody owns.
func OwnerOf(rec Record) string {
	if rec.Kind != KindRoomCreated {
		return ""
	}
	f, err := DecodeFact(rec)
	if err != nil {
		return ""
	}
	return f.Data.(*created).Owner
}

// AuditHeader names the columns of AuditEntry.Cells.
func AuditHeader() []string {
	return []string{
		"Time (UTC)", "By", "Act", "On", "Name", "Question", "Message", "Taken back", "Until (UTC)", "Detail",
		"Reason", "Record",
	}
}

// Cells is the entry as a row of a table.
func (e *AuditEntry) Cells() []string {
	undo, question := "", ""
	if e.Undo {
		undo = "yes"
	}
	if e.Question > 0 {
		question = strconv.Itoa(e.Question)
	}
	return []string{
		utc(e.At), e.By, e.Act, e.On, e.OnName, question, e.Message, undo, utc(e.Until), e.Detail, e.Reason,
		strconv.FormatUint(e.Index, 10),
	}
}

func utc(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000")
}
