package rooms

import (
	"fmt"
	"sync"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// pinsMax is the number of PINs of six digits without a leading zero; at most half of them are given out, so that a
// free one is found in a few tries and a guessed one is likely to be nobody's.
const pinsMax = 900_000

// Directory knows which room a PIN leads to. It is safe for any goroutine.
type Directory struct {
	mu      sync.RWMutex
	rooms   map[string]string // PIN → room
	missing bool              // rooms that have PINs are not back yet
}

// NewDirectory makes an empty one.
func NewDirectory() *Directory { return &Directory{rooms: make(map[string]string)} }

// Await says that rooms with PINs of their own are still on their way (true) or all there (false). Meanwhile no PIN can
// be reserved: it might be one of theirs.
func (d *Directory) Await(missing bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.missing = missing
}

// Missing is nil when a PIN that is not known is nobody's; otherwise it says to try again. Any goroutine.
func (d *Directory) Missing() *wire.Error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !d.missing {
		return nil
	}
	err := wire.NewError(wire.CodeUnavailable, "the server has just started and its rooms are coming back; try again")
	err.RetryAfterMs = missingRetryMs
	return err
}

// missingRetryMs is when it makes sense to ask again for a PIN, milliseconds.
const missingRetryMs = 2000

// Reserve picks a free PIN for the room. It fails with CodeUnavailable when half of all PINs are taken, or while rooms
// are missing.
func (d *Directory) Reserve(rand effect.Random, room string) (string, *wire.Error) {
	if err := d.Missing(); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.rooms) >= pinsMax/2 {
		return "", wire.NewError(wire.CodeUnavailable, "all PINs are in use; end games that are over")
	}
	for {
		pin := fmt.Sprintf("%06d", 100_000+rand.IntN(pinsMax))
		if _, taken := d.rooms[pin]; !taken {
			d.rooms[pin] = room
			return pin, nil
		}
	}
}

// Bind enters a PIN that a recovered room already has. A PIN that leads to another room is left alone and reported.
func (d *Directory) Bind(pin, room string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if other, taken := d.rooms[pin]; taken && other != room {
		return false
	}
	d.rooms[pin] = room
	return true
}

// Room is the room that a PIN leads to.
func (d *Directory) Room(pin string) (room string, ok bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	room, ok = d.rooms[pin]
	return room, ok
}

// Release frees the PIN if it still leads to this room.
func (d *Directory) Release(pin, room string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rooms[pin] == room {
		delete(d.rooms, pin)
	}
}

// Len is the number of PINs in use.
func (d *Directory) Len() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.rooms)
}
