package ws

import "unicode/utf8"

// utf8Check validates UTF-8 that comes in pieces and fails at the first byte after which the text can't become
// valid any more. The zero value is ready.
type utf8Check struct {
	pending [utf8.UTFMax]byte // the start of a rune whose rest is still to come
	n       uint8
}

// feed is false when the text so far is not the start of any valid text.
func (u *utf8Check) feed(p []byte) bool {
	for u.n > 0 && len(p) > 0 {
		u.pending[u.n] = p[0]
		u.n++
		p = p[1:]
		// An impossible start counts as full, so this fails as early as can be.
		if utf8.FullRune(u.pending[:u.n]) {
			if !utf8.Valid(u.pending[:u.n]) {
				return false
			}
			u.n = 0
		}
	}
	cut := len(p)
	for i := len(p) - 1; i >= 0 && i >= len(p)-(utf8.UTFMax-1); i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				cut = i
			}
			break
		}
	}
	if !utf8.Valid(p[:cut]) {
		return false
	}
	u.n += uint8(copy(u.pending[u.n:], p[cut:]))
	return true
}

// done is true when no rune is left unfinished.
func (u *utf8Check) done() bool { return u.n == 0 }
