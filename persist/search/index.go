package search

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"lectern/rooms"
)

// Changes are what records of one room, up to and with UpTo, mean for the index.
type Changes struct {
	Room string
	UpTo uint64
	List []rooms.TextChange
}

// Query asks for texts. Every term must be in a text.
type Query struct {
	Terms     []Term
	Rooms     []string // in these only; none: in no room at all
	Kinds     []string // of these only; none: of every kind
	AskedOnly bool     // what participants have seen only
	Limit     int      // at most so many
}

// Hit is a text that was found, as it was indexed.
type Hit struct {
	Room string
	ID   string
	rooms.Text
}

// Index is a full-text engine. Its methods block and may be called from any goroutine, Apply from one at a time.
type Index interface {
	// Apply carries the changes out, all or none, and notes how far each room's records are indexed. Changes that come
	// again are carried out again, which makes no difference once the later ones have followed.
	Apply(ctx context.Context, changes []Changes) error
	// UpTo is the index of the room's last record that was applied, zero for an unknown room.
	UpTo(ctx context.Context, room string) (uint64, error)
	// Search finds texts, the newest first; of the same time by room, then by id.
	Search(ctx context.Context, q Query) ([]Hit, error)
	// Rooms lists the rooms that something was applied for.
	Rooms(ctx context.Context) ([]string, error)
	// Forget removes all texts of some rooms, and what is noted of them. It may run beside Apply.
	Forget(ctx context.Context, list []string) error
	// Reset empties the index.
	Reset(ctx context.Context) error
	// Close releases the index.
	Close() error
}

// Memory is an Index in memory that looks at every text: for tests and for serve --store memory.
type Memory struct {
	mu    sync.Mutex
	texts map[[2]string]rooms.Text // room, id
	upTo  map[string]uint64
}

// NewMemory makes an empty index.
func NewMemory() *Memory {
	return &Memory{texts: make(map[[2]string]rooms.Text), upTo: make(map[string]uint64)}
}

// Apply implements Index.
func (m *Memory) Apply(_ context.Context, changes []Changes) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range changes {
		for i := range c.List {
			m.apply(c.Room, &c.List[i])
		}
		m.upTo[c.Room] = c.UpTo
	}
	return nil
}

func (m *Memory) apply(room string, c *rooms.TextChange) {
	key := [2]string{room, c.ID}
	text, known := m.texts[key]
	switch c.Change {
	case rooms.TextPut:
		m.texts[key] = c.Doc
	case rooms.TextDelete:
		delete(m.texts, key)
	case rooms.TextEdit:
		if known {
			text.Text = c.Doc.Text
			m.texts[key] = text
		}
	case rooms.TextAsked:
		if known {
			text.Asked = true
			m.texts[key] = text
		}
	}
}

// UpTo implements Index.
func (m *Memory) UpTo(_ context.Context, room string) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.upTo[room], nil
}

// Search implements Index.
func (m *Memory) Search(_ context.Context, q Query) ([]Hit, error) {
	m.mu.Lock()
	all := maps.Clone(m.texts)
	m.mu.Unlock()
	hits := []Hit{}
	for key, text := range all {
		if slices.Contains(q.Rooms, key[0]) && (len(q.Kinds) == 0 || slices.Contains(q.Kinds, text.Kind)) &&
			(text.Asked || !q.AskedOnly) && Matches(text.Text, q.Terms) {
			hits = append(hits, Hit{Room: key[0], ID: key[1], Text: text})
		}
	}
	slices.SortFunc(hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.At, a.At), strings.Compare(a.Room, b.Room), strings.Compare(a.ID, b.ID))
	})
	return hits[:min(len(hits), q.Limit)], nil
}

// Rooms implements Index.
func (m *Memory) Rooms(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.upTo)), nil
}

// Forget implements Index.
func (m *Memory) Forget(_ context.Context, list []string) error {
	gone := make(map[string]bool, len(list))
	for _, room := range list {
		gone[room] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.texts, func(key [2]string, _ rooms.Text) bool { return gone[key[0]] })
	maps.DeleteFunc(m.upTo, func(room string, _ uint64) bool { return gone[room] })
	return nil
}

// Reset implements Index.
func (m *Memory) Reset(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.texts)
	clear(m.upTo)
	return nil
}

// Close implements Index.
func (m *Memory) Close() error { return nil }
