package native

import (
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

const idMax = 1 << 53

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
		return req, wire.NewError(wire.CodeBadMessage, "id is missing").At("id")
	}
	id, ok := parseID(env.id)
	if !ok {
		return req, wire.NewError(wire.CodeBadMessage, "id must be an integer from 1 to 2^53").At("id")
	}
	req.ID = id
	if env.doubled != "" {
		return req, wire.NewError(wire.CodeBadMessage, "%s stands twice", env.doubled).At(env.doubled)
	}
	if env.op == nil || env.op[0] != '"' {
		return req, wire.NewError(wire.CodeBadMessage, "op must be a string").At("op")
	}
	req.Op = wire.ParseOpBytes(env.op[1 : len(env.op)-1])
	if req.Op == wire.OpNone {
		// An op's name needs no escapes, but JSON allows them.
		if name, ok := unquote(env.op); ok {
			req.Op = wire.ParseOp(name)
		}
		if req.Op == wire.OpNone {
			return req, wire.NewError(wire.CodeUnknownOp, "there is no such op").At("op")
		}
	}
	if env.room != nil && !isNull(env.room) {
		room, ok := unquote(env.room)
		if !ok || room != "" && !wire.ValidRoomID(room) {
			return req, wire.NewError(wire.CodeBadMessage, "room must be at most %d characters of A-Z a-z 0-9 . _ : -",
				wire.RoomIDBytesMax).At("room")
		}
		req.Room = room
	}
	if env.data != nil && !isNull(env.data) {
		req.Data = env.data
	}
	return req, nil
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
	switch string(name) {
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
		env.doubled = string(name)
		return
	}
	*slot = value
}

func isNull(raw []byte) bool { return len(raw) == 4 && raw[0] == 'n' }

func parseID(raw []byte) (uint64, bool) {
	if len(raw) > 16 {
		return 0, false
	}
	var id uint64
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		id = id*10 + uint64(c-'0')
	}
	return id, id >= 1 && id <= idMax
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
// which has checked its grammar; nothing returned refers to it. Errors are invalid_data with the path of the faulty
// member.
func DecodeData(op wire.Op, data []byte) (any, *wire.Error) {
	if int(op) >= len(payloads) || payloads[op] == nil {
		return nil, nil
	}
	if op == wire.OpQuizAnswer && len(data) > 0 && data[0] == '{' {
		answer, fail := decodeAnswer(data)
		if fail == nil {
			fail = answer.Validate()
		}
		if fail != nil {
			return nil, fail
		}
		return answer, nil
	}
	body := payloads[op]()
	if len(data) > 0 {
		if data[0] != '{' {
			if op != wire.OpQuizCreate || data[0] != '"' {
				return nil, wire.NewError(wire.CodeInvalidData, "data must be an object").At("data")
			}
		}
		if err := decoding.Unmarshal(data, body); err != nil {
			return nil, dataError(err, data)
		}
	}
	if fail := body.Validate(); fail != nil {
		return nil, fail
	}
	return body, nil
}
