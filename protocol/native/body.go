package native

import "lectern/protocol/wire"

// Body checks the data of a request that another protocol's envelope has carried, so that DecodeData may be given it:
// one JSON value, with nothing around it but white space. Nothing at all and null count as no data. Of an object, room
// is the text of its member of that name; a room in data is what clients put there whose envelope has no place for it.
// data is payload without the white space around it. Errors are bad_json and bad_message.
func Body(payload []byte) (data []byte, room string, fail *wire.Error) {
	s := scanner{in: payload}
	s.space()
	start := s.pos
	if start == len(payload) {
		return nil, "", nil
	}
	if payload[start] != '{' {
		if !s.value() {
			return nil, "", wire.NewError(wire.CodeBadJSON, "the body is not JSON")
		}
	} else if room, fail = s.room(); fail != nil {
		return nil, "", fail
	}
	end := s.pos
	s.space()
	if s.pos != len(payload) {
		return nil, "", wire.NewError(wire.CodeBadJSON, "something follows the JSON of the body")
	}
	if data = payload[start:end]; isNull(data) {
		return nil, "", nil
	}
	return data, room, nil
}

// room walks over an object and finds the member room.
func (s *scanner) room() (string, *wire.Error) {
	bad := wire.NewError(wire.CodeBadJSON, "the body is not JSON")
	s.pos++
	s.depth++
	s.space()
	if s.take('}') {
		return "", nil
	}
	var raw []byte
	for {
		s.space()
		name, ok := s.key()
		start := s.pos
		if !ok || !s.value() {
			return "", bad
		}
		if string(name) == "room" {
			if raw != nil {
				return "", badMessage("room", wire.RuleUniqueMembers, "room stands twice")
			}
			raw = s.in[start:s.pos]
		}
		s.space()
		if s.take('}') {
			break
		}
		if !s.take(',') {
			return "", bad
		}
	}
	if raw == nil || isNull(raw) {
		return "", nil
	}
	room, ok := unquote(raw)
	if !ok {
		return "", badMessage("room", wire.RuleType, "room must be a string")
	}
	if room != "" && !wire.ValidRoomID(room) {
		return "", BadRoom()
	}
	return room, nil
}

// BadRoom is the error for a room's name that can't be one.
func BadRoom() *wire.Error {
	return badMessage("room", wire.RulePattern, "room must be at most 64 characters of A-Z a-z 0-9 . _ : -")
}
