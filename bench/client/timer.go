package client

// timer is one entry of an engine's heap: of a connection, or a function of the engine's own.
type timer struct {
	at   int64 // Now
	conn *Conn
	do   func()
	kind uint8
}

// timerHeap is a binary min-heap by time. container/heap would box every entry.
type timerHeap []timer

func (h *timerHeap) push(t timer) {
	*h = append(*h, t)
	s := *h
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if s[parent].at <= s[i].at {
			break
		}
		s[parent], s[i] = s[i], s[parent]
		i = parent
	}
}

func (h *timerHeap) pop() timer {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s[last] = timer{}
	s = s[:last]
	*h = s
	i := 0
	for {
		child := 2*i + 1
		if child >= len(s) {
			return top
		}
		if child+1 < len(s) && s[child+1].at < s[child].at {
			child++
		}
		if s[i].at <= s[child].at {
			return top
		}
		s[i], s[child] = s[child], s[i]
		i = child
	}
}
