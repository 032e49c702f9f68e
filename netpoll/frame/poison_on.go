//go:build invariants

package frame

// poison overwrites released bytes, so that whoever still reads them notices.
func poison(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = 0xDB
	}
}

// Poisons reports whether released bytes are overwritten in this build.
const Poisons = true
