package wire

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of the members of commands. Characters are Unicode code points.
const (
	RoomIDBytesMax    = 64
	NameCharsMax      = 40
	TokenCharsMax     = 8 << 10
	KeyCharsMax       = 64  // idempotency keys
	IDCharsMax        = 128 // ids of users, messages and stored quizzes
	EventNameBytesMax = 64
	PublishBytesMax   = 64 << 10 // the payload of room:publish as JSON
	AnswerBytesMax    = 4 << 10  // the answer of quiz:answer as JSON
	ChatCharsMax      = 2000
	EmojiCharsMax     = 16 // a family with skin tones has ten
	ReasonCharsMax    = 200
	UnitCharsMax      = 64
	PageMax           = 100
	DurationMsMax     = 366 * 24 * 3600 * 1000
	SlowMsMax         = 3600 * 1000
	TimeLimitMsMin    = 1000
	TimeLimitMsMax    = 600_000
	ProgressTotalMax  = 1_000_000
	SeqMax            = 1 << 53 // of ids of requests too: what a double still counts one by one
)

// Payload is the data of an op.
type Payload interface {
	// Validate is nil when every member is within its limits; otherwise an error with code invalid_data or
	// too_large whose Path names the first faulty member. It changes nothing and does no I/O.
	Validate() *Error
}

// invalid is the fault of one member: rule is the keyword of its published schema that it breaks.
func invalid(path string, rule Rule, format string, args ...any) *Error {
	return NewError(CodeInvalidData, format, args...).At(path).Breaking(rule)
}

func tooLarge(path string, rule Rule, format string, args ...any) *Error {
	return NewError(CodeTooLarge, format, args...).At(path).Breaking(rule)
}

// ValidRoomID is true for 1 to RoomIDBytesMax characters of A–Z a–z 0–9 . _ : -.
func ValidRoomID(id string) bool { return validToken(id, RoomIDBytesMax) }

func validToken(id string, bytesMax int) bool {
	if id == "" || len(id) > bytesMax {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z', c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}

// ValidName is true for a display name: 1 to NameCharsMax characters, not only white space, no control characters.
// Whether it is decent or taken is for the room to say.
func ValidName(name string) bool {
	return utf8.ValidString(name) && utf8.RuneCountInString(name) <= NameCharsMax && strings.TrimSpace(name) != "" &&
		!hasControls(name, "")
}

// hasControls is true when s has a control character other than those in allowed.
func hasControls(s, allowed string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(allowed, r) })
}

// ownEvents are the prefixes of event names that only the server may use.
var ownEvents = [...]string{
	"quiz", "chat", "mod", "room", "progress", "notify", "session", "error",
	"connect", "connect_error", "disconnect", "disconnecting", // Socket.IO's libraries can't bear them as events
}

// OwnEvents gives the prefixes of event names that only the server may use.
func OwnEvents() []string { return slices.Clone(ownEvents[:]) }

// ValidPublishEvent is true for [a-z0-9][a-z0-9:._-]{0,63} outside the server's own names: ownEvents, alone or
// followed by a colon and more.
func ValidPublishEvent(name string) bool { return eventFault(name) == "" }

// eventFault is the rule that the name of a published event breaks.
func eventFault(name string) Rule {
	if name == "" || len(name) > EventNameBytesMax {
		return RulePattern
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z':
		case i > 0 && (c == ':' || c == '.' || c == '_' || c == '-'):
		default:
			return RulePattern
		}
	}
	prefix, _, _ := strings.Cut(name, ":")
	for _, own := range ownEvents {
		if prefix == own {
			return RuleNot
		}
	}
	return ""
}

func checkID(path, id string) *Error {
	switch {
	case id == "":
		return invalid(path, RuleMinLength, "%s is missing", path)
	case utf8.RuneCountInString(id) > IDCharsMax:
		return invalid(path, RuleMaxLength, "%s must be an id of at most %d characters", path, IDCharsMax)
	}
	return checkControls(path, id, "")
}

func checkOptionalID(path, id string) *Error {
	if id == "" {
		return nil
	}
	return checkID(path, id)
}

func checkControls(path, text, allowed string) *Error {
	if hasControls(text, allowed) {
		return invalid(path, RulePattern, "%s must not have control characters", path)
	}
	return nil
}

// checkName takes an empty name for none.
func checkName(path, name string) *Error {
	switch {
	case name == "" || ValidName(name):
		return nil
	case utf8.RuneCountInString(name) > NameCharsMax:
		return invalid(path, RuleMaxLength, "%s must have at most %d characters", path, NameCharsMax)
	}
	return invalid(path, RulePattern, "%s must have 1 to %d characters and no control characters", path, NameCharsMax)
}

func checkKey(path, key string) *Error {
	if utf8.RuneCountInString(key) > KeyCharsMax {
		return invalid(path, RuleMaxLength, "%s must have at most %d characters", path, KeyCharsMax)
	}
	return checkControls(path, key, "")
}

func checkRange(path string, n, least, most int64) *Error {
	rule := RuleMinimum
	switch {
	case n > most:
		rule = RuleMaximum
	case n >= least:
		return nil
	}
	return invalid(path, rule, "%s must be from %d to %d", path, least, most)
}

// checkText allows line breaks and tabs.
func checkText(path, text string, charsMax int) *Error {
	if fault := checkControls(path, text, "\n\r\t"); fault != nil {
		return fault
	}
	if utf8.RuneCountInString(text) > charsMax {
		return tooLarge(path, RuleMaxLength, "%s must have at most %d characters", path, charsMax)
	}
	return nil
}

// checkSomeText is checkText for a text that must say something.
func checkSomeText(path, text string, charsMax int) *Error {
	if strings.TrimSpace(text) == "" {
		return invalid(path, RulePattern, "%s is empty", path)
	}
	return checkText(path, text, charsMax)
}

func checkRaw(path string, raw json.RawMessage, bytesMax int) *Error {
	if len(raw) > bytesMax {
		return tooLarge(path, RuleMaxBytes, "%s must be at most %d bytes of JSON", path, bytesMax)
	}
	return nil
}

// first is the first fault of several checks.
func first(faults ...*Error) *Error {
	for _, f := range faults {
		if f != nil {
			return f
		}
	}
	return nil
}

// Validate implements Payload: whether a name is enough, or neither, depends on the server.
func (d *AuthData) Validate() *Error {
	if utf8.RuneCountInString(d.Token) > TokenCharsMax {
		return tooLarge("token", RuleMaxLength, "token must have at most %d characters", TokenCharsMax)
	}
	return checkName("name", d.Name)
}

// Validate implements Payload; any number is good.
func (d *TimeSyncData) Validate() *Error { return nil }

// Validate implements Payload.
func (d *JoinData) Validate() *Error {
	if d.Epoch != "" && !validToken(d.Epoch, IDCharsMax) {
		return invalid("epoch", RulePattern, "epoch must be one that the server gave")
	}
	if d.Since != nil && *d.Since > SeqMax {
		return invalid("since", RuleMaximum, "since must be a seq that the server gave")
	}
	return checkName("name", d.Name)
}

// Validate implements Payload.
func (d *PublishData) Validate() *Error {
	if rule := eventFault(d.Event); rule != "" {
		return invalid("event", rule, "event must be 1 to %d characters of a-z 0-9 : . _ - starting with a letter or digit, "+
			"and none of the server's own", EventNameBytesMax)
	}
	return first(checkRaw("payload", d.Payload, PublishBytesMax), checkKey("key", d.Key))
}

// Validate implements Payload.
func (d *PresenceData) Validate() *Error {
	switch d.Mode {
	case "", "count", "sample", "page":
	default:
		return invalid("mode", RuleEnum, "mode must be count, sample or page")
	}
	return first(checkRange("limit", int64(d.Limit), 0, PageMax), checkOptionalID("after", d.After))
}

// Validate implements Payload: either a stored quiz's id or a quiz.
func (d *QuizCreateData) Validate() *Error {
	switch {
	case d.QuizID != "" && d.Quiz != nil:
		return invalid("quizId", RuleNot, "give quizId or quiz, not both")
	case d.Quiz != nil:
		return under("quiz", d.Quiz.Validate())
	}
	return checkID("quizId", d.QuizID)
}

// under puts a path before that of an error.
func under(path string, e *Error) *Error {
	switch {
	case e == nil:
		return nil
	case e.Path == "":
		return e.At(path)
	}
	return e.At(path + "." + e.Path)
}

// Validate implements Payload; zero stands for the default.
func (d *QuizExtendData) Validate() *Error {
	if d.ByMs == 0 {
		return nil
	}
	return checkRange("byMs", d.ByMs, TimeLimitMsMin, TimeLimitMsMax)
}

// Validate implements Payload; nothing can be wrong with it.
func (d *QuizLockData) Validate() *Error { return nil }

// Validate implements Payload. Whether the key fits its question is for the quiz to say.
func (d *RegradeData) Validate() *Error {
	if fault := checkRange("question", int64(d.Question), 1, QuestionsMax); fault != nil {
		return fault
	}
	switch k := d.AnswerKey; {
	case k == nil && d.Void == nil:
		return invalid("answerKey", RuleRequired, "give answerKey or void")
	case k == nil:
	case d.Void != nil && *d.Void:
		return invalid("void", RuleNot, "a question that gets a key counts: give answerKey or void, not both")
	default:
		fault := first(checkCount("answerKey.options", "options", len(k.Options), 0, OptionsMax),
			checkCount("answerKey.numbers", "accepted numbers", len(k.Numbers), 0, AcceptedMax),
			checkCount("answerKey.texts", "accepted texts", len(k.Texts), 0, AcceptedMax))
		if fault != nil {
			return fault
		}
	}
	return checkText("reason", d.Reason, ReasonCharsMax)
}

// Validate implements Payload. Whether the answer fits its question is for the quiz to say.
func (d *AnswerData) Validate() *Error {
	if fault := checkRange("question", int64(d.Question), 1, QuestionsMax); fault != nil {
		return fault
	}
	switch {
	case d.Key == "":
		return invalid("key", RuleMinLength, "key is missing")
	case len(d.Answer) == 0:
		return invalid("answer", RuleRequired, "answer is missing")
	}
	return first(checkRaw("answer", d.Answer, AnswerBytesMax), checkKey("key", d.Key))
}

// Validate implements Payload.
func (d *ChatSendData) Validate() *Error {
	return first(checkSomeText("text", d.Text, ChatCharsMax), checkOptionalID("replyTo", d.ReplyTo),
		checkKey("key", d.Key))
}

// Validate implements Payload.
func (d *ChatEditData) Validate() *Error {
	return first(checkID("id", d.ID), checkSomeText("text", d.Text, ChatCharsMax))
}

// Validate implements Payload.
func (d *ChatIDData) Validate() *Error { return checkID("id", d.ID) }

// Validate implements Payload.
func (d *ChatReactData) Validate() *Error {
	if fault := checkID("id", d.ID); fault != nil {
		return fault
	}
	switch {
	case d.Emoji == "":
		return invalid("emoji", RuleMinLength, "emoji is missing")
	case utf8.RuneCountInString(d.Emoji) > EmojiCharsMax:
		return invalid("emoji", RuleMaxLength, "emoji must be one emoji of at most %d characters", EmojiCharsMax)
	case strings.ContainsFunc(d.Emoji, unicode.IsSpace) || hasControls(d.Emoji, ""):
		return invalid("emoji", RulePattern, "emoji must be one emoji, without white space")
	}
	return nil
}

// Validate implements Payload.
func (d *ChatPinData) Validate() *Error { return checkID("id", d.ID) }

// Validate implements Payload; nothing can be wrong with it.
func (d *ChatTypingData) Validate() *Error { return nil }

// Validate implements Payload.
func (d *ChatHistoryData) Validate() *Error {
	return first(checkOptionalID("before", d.Before), checkRange("limit", int64(d.Limit), 0, PageMax))
}

// Validate implements Payload.
func (d *ModUserData) Validate() *Error {
	return first(checkID("user", d.User), checkRange("durationMs", d.DurationMs, 0, DurationMsMax),
		checkText("reason", d.Reason, ReasonCharsMax))
}

// Validate implements Payload.
func (d *ModSlowData) Validate() *Error { return checkRange("everyMs", d.EveryMs, 0, SlowMsMax) }

// Validate implements Payload; nothing can be wrong with it.
func (d *ModLockdownData) Validate() *Error { return nil }

// Validate implements Payload. User and Name are set by the server, so a client's are of no account.
func (d *ProgressData) Validate() *Error {
	switch {
	case d.Unit == "":
		return invalid("unit", RuleMinLength, "unit is missing")
	case utf8.RuneCountInString(d.Unit) > UnitCharsMax:
		return invalid("unit", RuleMaxLength, "unit must have at most %d characters", UnitCharsMax)
	}
	fault := first(checkControls("unit", d.Unit, ""), checkRange("total", int64(d.Total), 0, ProgressTotalMax),
		checkRange("done", int64(d.Done), 0, ProgressTotalMax))
	if fault == nil && d.Done > d.Total {
		fault = invalid("done", RuleNotAbove, "done must not be above total")
	}
	return fault
}
