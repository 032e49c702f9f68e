package netpoll

// Each calls visit for every open connection of the loop. It walks all of them, so it is for rare events: a drain, a
// revocation. visit may close connections. Loop's goroutine.
func (l *Loop) Each(visit func(*Conn)) {
	for i := range l.slots {
		if c := l.slots[i].c; c != nil {
			visit(c)
		}
	}
}
