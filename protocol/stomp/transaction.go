package stomp

import "slices"

// transaction holds frames until COMMIT.
type transaction struct {
	id     string
	frames []Frame
	bytes  int
}

func (s *Session) transaction(id string) int {
	return slices.IndexFunc(s.transactions, func(t *transaction) bool { return t.id == id })
}

func (s *Session) begin(f *Frame, sink Sink) *Error {
	id := f.Get("transaction")
	switch {
	case id == "":
		return breach("BEGIN needs the header transaction, a name of the client's choice")
	case s.transaction(id) >= 0:
		return breach("there is an open transaction of this name")
	case len(s.transactions) >= s.limits.TransactionsMax:
		return tooMany("a connection may have %d open transactions: COMMIT or ABORT some", s.limits.TransactionsMax)
	}
	s.transactions = append(s.transactions, &transaction{id: id})
	s.receipt(f.Get("receipt"), sink)
	return nil
}

// hold keeps a copy of a frame for the COMMIT.
func (s *Session) hold(id string, f *Frame) *Error {
	at := s.transaction(id)
	if at < 0 {
		return breach("there is no open transaction of this name: BEGIN it first")
	}
	size := len(f.Body)
	for _, h := range f.Headers {
		size += len(h.Name) + len(h.Value)
	}
	if s.heldFrames >= s.limits.TransactionFramesMax || s.heldBytes+size > s.limits.TransactionBytesMax {
		return tooMany("open transactions may hold %d frames and %d bytes: COMMIT sooner",
			s.limits.TransactionFramesMax, s.limits.TransactionBytesMax)
	}
	t := s.transactions[at]
	t.frames = append(t.frames, Frame{f.Command, slices.Clone(f.Headers), slices.Clone(f.Body)})
	t.bytes += size
	s.heldFrames++
	s.heldBytes += size
	return nil
}

// end takes a transaction out of the list.
func (s *Session) end(f *Frame) (*transaction, *Error) {
	at := s.transaction(f.Get("transaction"))
	if at < 0 {
		return nil, breach(f.Command.String() + " names no open transaction")
	}
	t := s.transactions[at]
	s.transactions = slices.Delete(s.transactions, at, at+1)
	s.heldFrames -= len(t.frames)
	s.heldBytes -= t.bytes
	return t, nil
}

// commit carries the held frames out, in order. Its receipt waits for all of them; each keeps a receipt of its own.
func (s *Session) commit(f *Frame, sink Sink) *Error {
	t, fail := s.end(f)
	if fail != nil {
		return fail
	}
	var whole *Pending
	if id := f.Get("receipt"); id != "" {
		whole = &Pending{id: id, left: len(t.frames)}
	}
	if len(t.frames) == 0 {
		s.receipt(f.Get("receipt"), sink)
		return nil
	}
	for i := range t.frames {
		held := &t.frames[i]
		if fail := s.carryOut(held, NewPending(held.Get("receipt"), whole), sink); fail != nil {
			return fail
		}
		if s.state == Closed { // the sink has closed the connection
			return nil
		}
	}
	return nil
}

func (s *Session) abort(f *Frame, sink Sink) *Error {
	if _, fail := s.end(f); fail != nil {
		return fail
	}
	s.receipt(f.Get("receipt"), sink)
	return nil
}
