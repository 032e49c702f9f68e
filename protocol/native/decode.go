package native

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/bytedance/sonic"

	"lectern/protocol/wire"
)

// Request is one message of a client.
type Request struct {
	ID   uint64 // 1 to 2^53; 0 when it could not be read
	Op   wire.Op
	Room string
	Data []byte // borrowed from the payload; nil when absent or null
}

// Decode reads the envelope {"id":7,"op":"room:join","room":"r1","data":{…}}. Unknown members are ignored. Data is
// borrowed from payload, the rest is copied. Errors are bad_json (not one JSON object), bad_message (no usable id,
// op or room) and unknown_op; when the id could be read it is in the Request even so, for the reply.
func Decode(payload []byte) (Request, *wire.Error) {
	var req Request
	var env envelope
	s := scanner{in: payload}
	s.space()
	if s.pos == len(payload) || payload[s.pos] != '{' || !s.envelope(&env) {
		return req, wire.NewError(wire.CodeBadJSON, "the message is not a JSON object")
	}
	s.space()
	if s.pos != len(payload) {
		return req, wire.NewError(wire.CodeBadJSON, "something follows the JSON object")
	}
	if env.id == nil {
		return req, badMessage("id", wire.RuleRequired, "id is missing")
	}
	id, rule := parseNumber(env.id, wire.SeqMax)
	if rule != "" {
		return req, badMessage("id", rule, "id must be an integer from 1 to 2^53")
	}
	req.ID = id
	if env.doubled != "" {
		return req, badMessage(env.doubled, wire.RuleUniqueMembers, "a member of the message stands twice")
	}
	if env.op == nil {
		return req, badMessage("op", wire.RuleRequired, "op is missing")
	}
	if env.op[0] != '"' {
		return req, badMessage("op", wire.RuleType, "op must be a string")
	}
	req.Op = wire.ParseOpBytes(env.op[1 : len(env.op)-1])
	if req.Op == wire.OpNone {
		// An op's name needs no escapes, but JSON allows them.
		if name, ok := unquote(env.op); ok {
			req.Op = wire.ParseOp(name)
		}
		if req.Op == wire.OpNone {
			return req, wire.NewError(wire.CodeUnknownOp, "there is no such op").At("op").Breaking(wire.RuleEnum)
		}
	}
	if env.room != nil && !isNull(env.room) {
		room, ok := unquote(env.room)
		if !ok {
			return req, badMessage("room", wire.RuleType, "room must be a string")
		}
		if room != "" && !wire.ValidRoomID(room) {
			return req, BadRoom()
		}
		req.Room = room
	}
	if env.data != nil && !isNull(env.data) {
		req.Data = env.data
	}
	return req, nil
}

func badMessage(path string, rule wire.Rule, message string) *wire.Error {
	return wire.NewError(wire.CodeBadMessage, "%s", message).At(path).Breaking(rule)
}

// envelope holds the raw values of the members that matter.
type envelope struct {
	id, op, room, data []byte
	doubled            string
}

func (s *scanner) envelope(env *envelope) bool {
	s.pos++
	s.depth++
	s.space()
	if s.take('}') {
		return true
	}
	for {
		s.space()
		name, ok := s.key()
		if !ok {
			return false
		}
		start := s.pos
		if !s.value() {
			return false
		}
		env.put(name, s.in[start:s.pos])
		s.space()
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (env *envelope) put(name, value []byte) {
	var slot *[]byte
	switch string(plainName(name)) {
	case "id":
		slot = &env.id
	case "op":
		slot = &env.op
	case "room":
		slot = &env.room
	case "data":
		slot = &env.data
	default:
		return
	}
	// Two readers could choose differently, so a member that matters stands once.
	if *slot != nil && env.doubled == "" {
		env.doubled = string(plainName(name))
		return
	}
	*slot = value
}

func isNull(raw []byte) bool { return len(raw) == 4 && raw[0] == 'n' }

// parseNumber reads an integer from 1 to most. rule is what raw breaks otherwise.
func parseNumber(raw []byte, most int64) (n uint64, rule wire.Rule) {
	if len(raw) <= 16 {
		plain := true
		for _, c := range raw {
			plain = plain && c >= '0' && c <= '9'
			n = n*10 + uint64(c-'0')
		}
		if plain && n >= 1 && n <= uint64(most) {
			return n, ""
		}
	}
	v, rule := integerOf(raw)
	switch {
	case rule != "":
	case v < 1:
		rule = wire.RuleMinimum
	case v > most:
		rule = wire.RuleMaximum
	}
	return uint64(v), rule
}

// plainName is a member's name without escapes. raw is what stands between the quotes.
func plainName(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	name, _ := unquote(slices.Concat([]byte{'"'}, raw, []byte{'"'}))
	return []byte(name)
}

// unquote is the text of a JSON string that the scanner has passed.
func unquote(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	inner := raw[1 : len(raw)-1]
	for _, c := range inner {
		if c == '\\' {
			var text string
			err := decoding.Unmarshal(raw, &text)
			return text, err == nil
		}
	}
	return string(inner), true
}

// decoding copies every string (borrowed bytes must not outlive the callback) and takes member names as they are
// written.
var decoding = sonic.Config{
	CopyString:    true,
	CaseSensitive: true,
}.Froze()

// payloads makes the payload type of each op; nil for ops that take no data.
var payloads = [wire.OpCount]func() wire.Payload{
	wire.OpAuth:           func() wire.Payload { return new(wire.AuthData) },
	wire.OpTimeSync:       func() wire.Payload { return new(wire.TimeSyncData) },
	wire.OpRoomJoin:       func() wire.Payload { return new(wire.JoinData) },
	wire.OpRoomPublish:    func() wire.Payload { return new(wire.PublishData) },
	wire.OpRoomPresence:   func() wire.Payload { return new(wire.PresenceData) },
	wire.OpQuizCreate:     func() wire.Payload { return new(wire.QuizCreateData) },
	wire.OpQuizExtend:     func() wire.Payload { return new(wire.QuizExtendData) },
	wire.OpQuizRegrade:    func() wire.Payload { return new(wire.RegradeData) },
	wire.OpQuizLock:       func() wire.Payload { return new(wire.QuizLockData) },
	wire.OpQuizAnswer:     func() wire.Payload { return new(wire.AnswerData) },
	wire.OpChatSend:       func() wire.Payload { return new(wire.ChatSendData) },
	wire.OpChatEdit:       func() wire.Payload { return new(wire.ChatEditData) },
	wire.OpChatDelete:     func() wire.Payload { return new(wire.ChatIDData) },
	wire.OpChatReact:      func() wire.Payload { return new(wire.ChatReactData) },
	wire.OpChatPin:        func() wire.Payload { return new(wire.ChatPinData) },
	wire.OpChatTyping:     func() wire.Payload { return new(wire.ChatTypingData) },
	wire.OpChatHistory:    func() wire.Payload { return new(wire.ChatHistoryData) },
	wire.OpModMute:        func() wire.Payload { return new(wire.ModUserData) },
	wire.OpModBan:         func() wire.Payload { return new(wire.ModUserData) },
	wire.OpModKick:        func() wire.Payload { return new(wire.ModUserData) },
	wire.OpModApprove:     func() wire.Payload { return new(wire.ChatIDData) },
	wire.OpModReject:      func() wire.Payload { return new(wire.ChatIDData) },
	wire.OpModLockdown:    func() wire.Payload { return new(wire.ModLockdownData) },
	wire.OpModSlow:        func() wire.Payload { return new(wire.ModSlowData) },
	wire.OpProgressUpdate: func() wire.Payload { return new(wire.ProgressData) },
}

// DecodeData reads the data of an op: a pointer to its payload type (quiz:answer: *wire.AnswerData), validated, or
// nil for an op that takes none (its data is ignored then). Absent data counts as {}. data must come from Decode,
// which has checked its grammar; nothing returned refers to it. It accepts what the op's published schema accepts
// (package schema). Errors are invalid_data or too_large with the place of the faulty member and the rule it breaks.
func DecodeData(op wire.Op, data []byte) (any, *wire.Error) {
	if int(op) >= len(payloads) || payloads[op] == nil {
		return nil, nil
	}
	if len(data) == 0 {
		data = []byte("{}")
	}
	body, fault := decodeData(op, data)
	if fault == nil {
		fault = body.Validate()
	}
	if fault != nil {
		return nil, missing(fault, data)
	}
	return body, nil
}

// DecodeText is DecodeData for data that has not come through Decode.
func DecodeText(op wire.Op, text []byte) (any, *wire.Error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || !Valid(text) {
		return nil, wire.NewError(wire.CodeBadJSON, "this is not JSON")
	}
	return DecodeData(op, text)
}

func decodeData(op wire.Op, data []byte) (wire.Payload, *wire.Error) {
	switch {
	case op == wire.OpQuizCreate:
		return decodeCreate(data)
	case data[0] != '{':
		return nil, wrongType("data", "data must be an object")
	case op == wire.OpQuizAnswer:
		return decodeAnswer(data)
	}
	body := payloads[op]()
	return body, decodeInto(shapes[op], data, body)
}

// decodeInto checks data by its shape and decodes it.
func decodeInto(s *shape, data []byte, into any) *wire.Error {
	w := walker{scanner: scanner{in: data}}
	if f := w.walk(s); f != nil {
		return f.asError()
	}
	if err := decoding.Unmarshal(w.canonical(), into); err != nil {
		return dataError(err)
	}
	return nil
}

// dataError is for what the shape does not know: names of roles.
func dataError(err error) *wire.Error {
	var own *wire.Error
	if errors.As(err, &own) {
		// Only a Role refuses, and only room:join has one. What the client sent is not sent back.
		return wire.NewError(wire.CodeInvalidData, "there is no such role").At("role").Breaking(wire.RuleEnum)
	}
	return wrongType("data", "data does not fit the op")
}

func wrongType(path, message string) *wire.Error {
	return wire.NewError(wire.CodeInvalidData, "%s", message).At(path).Breaking(wire.RuleType)
}

// missing tells a member that is not there, or null, from an empty one, which Validate can't.
func missing(fault *wire.Error, data []byte) *wire.Error {
	switch fault.Rule {
	case wire.RuleRequired, wire.RuleMinLength, wire.RulePattern, wire.RuleMinItems, wire.RuleMinimum, wire.RuleEnum:
	default:
		return fault
	}
	pointer, ok := strings.CutPrefix(fault.Pointer, "/data/")
	if !ok {
		return fault
	}
	switch raw := valueAt(data, pointer); {
	case raw == nil:
		return fault.Breaking(wire.RuleRequired)
	case isNull(raw):
		return fault.Breaking(wire.RuleType)
	}
	return fault
}
