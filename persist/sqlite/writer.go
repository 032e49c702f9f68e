package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"lectern/persist"
)

// groupMax is how many writes share one transaction at most.
const groupMax = 1024

// write is one caller's change, waiting for its turn.
type write struct {
	change func(*writer) error
	result chan error // one slot
}

// writer owns the writing connection. Whoever holds the turn takes all waiting writes into one transaction.
type writer struct {
	// Immutable.
	store *Store
	db    *sql.DB
	turn  chan struct{} // one slot: full while somebody writes

	mu     sync.Mutex
	queue  []*write
	closed bool

	// Owned by the holder of the turn.
	conn  *sql.Conn
	stmts statements
	rooms roomCache
}

func (w *writer) prepare(ctx context.Context) (err error) {
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	w.rooms.clear()
	return w.stmts.prepare(ctx, w.conn)
}

// do runs change within a transaction and returns once that is committed. When change fails, what it did is undone, and
// its error is returned. Others' changes in the same transaction are not affected.
func (w *writer) do(ctx context.Context, change func(*writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	mine := &write{change: change, result: make(chan error, 1)}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return persist.ErrClosed
	}
	w.queue = append(w.queue, mine)
	w.mu.Unlock()
	for {
		select {
		case err := <-mine.result:
			return err
		case w.turn <- struct{}{}:
			w.runGroup()
			<-w.turn
		case <-ctx.Done():
			if w.withdraw(mine) {
				return ctx.Err()
			}
			return <-mine.result // somebody has it in a transaction already
		}
	}
}

func (w *writer) withdraw(mine *write) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, q := range w.queue {
		if q == mine {
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
			return true
		}
	}
	return false
}

// runGroup writes what waits, up to groupMax. The caller holds the turn.
func (w *writer) runGroup() {
	w.mu.Lock()
	group := w.queue
	if len(group) > groupMax {
		group = group[:groupMax:groupMax]
	}
	w.queue = w.queue[len(group):]
	w.mu.Unlock()
	if len(group) == 0 {
		return
	}
	results := make([]error, len(group))
	if err := w.transaction(group, results); err != nil {
		w.rooms.clear()
		for i := range results {
			if results[i] == nil {
				results[i] = err
			}
		}
	}
	for i, q := range group {
		q.result <- results[i]
	}
}

// transaction runs group in one transaction. Its own error means that nothing was committed. Statements run without the
// callers' contexts: one that gives up must not break the others' transaction.
func (w *writer) transaction(group []*write, results []error) error {
	if err := w.exec(w.stmts.begin); err != nil {
		return err
	}
	wrote := false
	kept := make([]bool, len(group))
	for i, q := range group {
		err := w.change(q, len(group) == 1, &results[i])
		if err != nil {
			return w.rollback(err)
		}
		var keep *keepError
		if errors.As(results[i], &keep) {
			results[i], kept[i] = keep.err, true
		}
		wrote = wrote || results[i] == nil || kept[i]
	}
	if !wrote {
		return w.exec(w.stmts.rollback)
	}
	if err := w.exec(w.stmts.commit); err != nil {
		for i := range kept {
			if kept[i] { // what was to be kept is lost too, so its outcome is the commit's
				results[i] = nil
			}
		}
		return w.rollback(err)
	}
	return nil
}

// change runs one write within a savepoint; alone it needs none (a savepoint makes SQLite copy each page before it
// changes it, a fifth of the cost of a big batch). The write's own outcome goes to result, and is undone here unless
// alone; an error returned means that the transaction is broken.
func (w *writer) change(q *write, alone bool, result *error) error {
	if !alone {
		if err := w.exec(w.stmts.savepoint); err != nil {
			return err
		}
	}
	*result = q.change(w)
	var keep *keepError
	failed := *result != nil && !errors.As(*result, &keep)
	if failed {
		w.rooms.clear()
	}
	if alone {
		return nil
	}
	if failed {
		if err := w.exec(w.stmts.rollbackTo); err != nil {
			return err
		}
	}
	return w.exec(w.stmts.release)
}

// keepError is an outcome that is an error to the caller, and yet a change to be kept.
type keepError struct{ err error }

func (e *keepError) Error() string { return e.err.Error() }

func (w *writer) rollback(cause error) error {
	// SQLite has rolled back by itself after some errors (full disk); then this fails, and may.
	_ = w.exec(w.stmts.rollback)
	return cause
}

// close refuses further writes, fails those that wait, and closes the connection.
func (w *writer) close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	waiting := w.queue
	w.queue = nil
	w.mu.Unlock()
	for _, q := range waiting {
		q.result <- persist.ErrClosed
	}
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	w.stmts.close()
	if w.conn != nil {
		_ = w.conn.Close()
	}
	return w.db.Close()
}
