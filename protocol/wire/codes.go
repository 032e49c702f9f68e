package wire

import (
	"fmt"
	"strings"
)

// Code is the machine-readable reason of a refusal, as it stands in error.code. The set only grows.
type Code string

// The error codes.
const (
	CodeBadJSON        Code = "bad_json"         // the frame is not a JSON object
	CodeBadMessage     Code = "bad_message"      // an object, but without a usable id or op
	CodeUnknownOp      Code = "unknown_op"       // no such op
	CodeInvalidData    Code = "invalid_data"     // data does not fit the op; path names the member
	CodeAuthRequired   Code = "auth_required"    // the op needs a token first
	CodeInvalidToken   Code = "invalid_token"    // malformed, wrong signature, revoked
	CodeTokenExpired   Code = "token_expired"    // was good once
	CodeForbidden      Code = "forbidden"        // the role does not allow it
	CodeUnknownRoom    Code = "unknown_room"     // no such room or PIN
	CodeNotMember      Code = "not_member"       // join the room first
	CodeRoomLocked     Code = "room_locked"      // the host admits nobody new
	CodeRoomFull       Code = "room_full"        // the room's member limit is reached
	CodeBanned         Code = "banned"           // removed by the host and not to come back
	CodeMuted          Code = "muted"            // may read, not write
	CodeNameTaken      Code = "name_taken"       // another participant has this name
	CodeNameRejected   Code = "name_rejected"    // the name filter refuses it
	CodeTextRejected   Code = "text_rejected"    // the word filter refuses it
	CodeWrongState     Code = "wrong_state"      // not possible in the quiz's present state
	CodeQuestionClosed Code = "question_closed"  // too late (or too early) for this question
	CodeAlreadyAnswer  Code = "already_answered" // another answer with another key is recorded
	CodeUnknownQuiz    Code = "unknown_quiz"     // no such stored quiz
	CodeUnknownMessage Code = "unknown_message"  // no such chat message
	CodeRateLimited    Code = "rate_limited"     // come back after retryAfterMs
	CodeTooLarge       Code = "too_large"        // over a size limit
	CodeUnavailable    Code = "unavailable"      // a store is away or full; try again with the same key
	CodeInternal       Code = "internal"         // our fault; counted and logged
)

// Error is a refusal: error in a reply. It implements the error interface.
type Error struct {
	Code         Code   `json:"code"`
	Message      string `json:"message"`
	Path         string `json:"path,omitempty"`         // the faulty member of data, for example "questions[3].options"
	Pointer      string `json:"pointer,omitempty"`      // the same in the whole message, as RFC 6901 writes it
	Rule         Rule   `json:"rule,omitempty"`         // the keyword of the published schema that it breaks
	RetryAfterMs int64  `json:"retryAfterMs,omitempty"` // milliseconds
}

// Error is the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// NewError makes an Error; the message says what to do, in lower case, without personal data.
func NewError(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// At returns a copy of e that names the faulty member: of the message itself when that could not be understood, of its
// data otherwise. Names in path hold none of the characters . [ ] / ~.
func (e *Error) At(path string) *Error {
	c := *e
	c.Path, c.Pointer = path, ""
	if path == "" {
		return &c
	}
	c.Pointer = "/" + pointers.Replace(path)
	switch c.Code {
	case CodeBadJSON, CodeBadMessage, CodeUnknownOp:
	default:
		if path != "data" {
			c.Pointer = "/data" + c.Pointer
		}
	}
	return &c
}

var pointers = strings.NewReplacer(".", "/", "[", "/", "]", "")

// Breaking returns a copy of e that names the broken rule.
func (e *Error) Breaking(rule Rule) *Error {
	c := *e
	c.Rule = rule
	return &c
}

// Rule is a keyword of JSON Schema (2020-12) or one of our own, which begin with x-.
type Rule string

// The rules that messages can break. PROTOCOL.md explains our own.
const (
	RuleType          Rule = "type"
	RuleRequired      Rule = "required"
	RuleEnum          Rule = "enum"
	RulePattern       Rule = "pattern"
	RuleMinLength     Rule = "minLength"
	RuleMaxLength     Rule = "maxLength"
	RuleMinimum       Rule = "minimum"
	RuleMaximum       Rule = "maximum"
	RuleMinItems      Rule = "minItems"
	RuleMaxItems      Rule = "maxItems"
	RuleContains      Rule = "contains"
	RuleNot           Rule = "not"
	RuleMaxBytes      Rule = "x-maxBytes"      // the value's JSON text is too long
	RuleNotAbove      Rule = "x-notAbove"      // one member must not be above another one
	RuleUniqueMembers Rule = "x-uniqueMembers" // a member stands twice
)

// CloseCode is a WebSocket close status (RFC 6455 section 7.4). The range tells a client whether to come back:
// 4000–4099 at once with the same token, 4100–4199 after retryAfterMs, 4200–4299 not at all, 4300 with the last seq.
type CloseCode uint16

// The close codes.
const (
	CloseNormal          CloseCode = 1000
	CloseGoingAway       CloseCode = 1001
	CloseProtocolError   CloseCode = 1002
	CloseUnsupportedData CloseCode = 1003
	CloseNoStatus        CloseCode = 1005 // never sent
	CloseAbnormal        CloseCode = 1006 // never sent
	CloseInvalidPayload  CloseCode = 1007 // invalid UTF-8
	ClosePolicyViolation CloseCode = 1008
	CloseMessageTooBig   CloseCode = 1009
	CloseInternalError   CloseCode = 1011

	CloseDrain          CloseCode = 4000
	CloseNodeChange     CloseCode = 4001
	CloseTokenExpired   CloseCode = 4002 // come back after renewing the token
	CloseRateLimited    CloseCode = 4100
	CloseAuthTimeout    CloseCode = 4101
	CloseOverloaded     CloseCode = 4102
	CloseIdle           CloseCode = 4103 // no pong in time
	CloseBanned         CloseCode = 4200
	CloseTokenRevoked   CloseCode = 4201
	CloseKicked         CloseCode = 4202
	CloseInvalidToken   CloseCode = 4203
	CloseSlowConsumer   CloseCode = 4300
	closeApplicationMin CloseCode = 4000
)

// Application is true for Lectern's own codes, false for those of RFC 6455.
func (c CloseCode) Application() bool { return c >= closeApplicationMin }
