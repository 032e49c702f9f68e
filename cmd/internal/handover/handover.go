// Package handover is what the process that serves and the one that takes over from it say to each other, over a Unix
// socket beside the data file.
//
//	taker: hello           it would like to
//	giver: ready           it may, if it listens on this address; or refused, why
//	taker: listening       from here on new connections wait at the taker; the giver passes on those that it gets
//	giver: released        the rooms have ended, all is on disk, the store is free
//	taker: serving         the rooms are back; the giver sends its members over, and ends
//
// Whoever dies on the way is noticed by the other one: the socket ends. Before "listening" nothing has changed; after
// it the taker goes on as after a crash of the giver.
//
// The socket is of the kind unixpacket, so each message is whole, and a descriptor travels with its own message.
package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Steps of the conversation.
const (
	Hello     = "hello"
	Ready     = "ready"
	Refused   = "refused"
	Listening = "listening"
	Released  = "released"
	Serving   = "serving"

	// With a descriptor each: a connection that the giver has accepted, and a socket that it listens on.
	Connection = "connection"
	Socket     = "socket"
)

// Message is one step. What a step does not need is left out.
type Message struct {
	Step   string `json:"step"`
	PID    int    `json:"pid,omitempty"`
	Addr   string `json:"addr,omitempty"`   // Ready: where the giver listens
	Why    string `json:"why,omitempty"`    // Refused
	Ended  int64  `json:"ended,omitempty"`  // Released: when the rooms ended, Unix milliseconds
	Failed string `json:"failed,omitempty"` // Released: what could not be written out, for the log
}

// messageBytesMax bounds one message.
const messageBytesMax = 4096

// ErrNobody means that no process is there to take over from.
var ErrNobody = errors.New("handover: nobody serves here")

// Peer is the other process. Tell and Pass may be called from any goroutine, Receive from one.
type Peer struct {
	conn *net.UnixConn
	mu   sync.Mutex // guards the order of writes
}

// Tell sends a step.
func (p *Peer) Tell(m Message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.conn.SetWriteDeadline(time.Now().Add(tellMax))
	_, err = p.conn.Write(text)
	return err
}

// tellMax is how long the other side may leave a message lying.
const tellMax = 5 * time.Second

// Pass sends a descriptor, of the kind Connection or Socket, and closes it here. It does not wait for more than
// passMax: false means that the other side did not get it.
func (p *Peer) Pass(kind string, fd int) bool {
	defer func() { _ = syscall.Close(fd) }()
	text := []byte(`{"step":"` + kind + `"}`)
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.conn.SetWriteDeadline(time.Now().Add(passMax))
	_, _, err := p.conn.WriteMsgUnix(text, syscall.UnixRights(fd), nil)
	return err == nil
}

// passMax is how long a loop may be held up by a connection that it passes on.
const passMax = 50 * time.Millisecond

// Receive waits for the next step, until the deadline; descriptors that come before it are given to take, whose they
// are until it returns. The error is io.EOF when the other side has ended.
func (p *Peer) Receive(deadline time.Time, take func(kind string, f *os.File)) (Message, error) {
	buf, oob := make([]byte, messageBytesMax), make([]byte, syscall.CmsgSpace(4))
	_ = p.conn.SetReadDeadline(deadline)
	for {
		n, oobn, _, _, err := p.conn.ReadMsgUnix(buf, oob)
		if err != nil {
			return Message{}, err
		}
		if n == 0 && oobn == 0 {
			return Message{}, io.EOF
		}
		var m Message
		if err := json.Unmarshal(buf[:n], &m); err != nil {
			return Message{}, fmt.Errorf("handover: a message is no JSON: %w", err)
		}
		if m.Step != Connection && m.Step != Socket {
			return m, nil
		}
		if f := descriptor(oob[:oobn]); f != nil {
			if take != nil {
				take(m.Step, f)
			}
			_ = f.Close()
		}
	}
}

// descriptor is what came with a message; nil: nothing did.
func descriptor(oob []byte) *os.File {
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range messages {
		if fds, err := syscall.ParseUnixRights(&messages[i]); err == nil && len(fds) == 1 {
			return os.NewFile(uintptr(fds[0]), "passed on")
		}
	}
	return nil
}

// Close ends the conversation.
func (p *Peer) Close() error { return p.conn.Close() }

// Dial asks whoever serves at path. ErrNobody: no process does.
func Dial(path string) (*Peer, error) {
	c, err := net.DialUnix(network, nil, &net.UnixAddr{Name: path, Net: network})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED): // or a socket that a crash left
		return nil, ErrNobody
	case err != nil:
		return nil, fmt.Errorf("handover: can't reach the server that runs: %w", err)
	}
	return &Peer{conn: c}, nil
}

const network = "unixpacket"

// Listener waits for processes that want to take over.
type Listener struct {
	l    *net.UnixListener
	done chan struct{}
}

// Listen opens the socket at path, in the place of one that a crash has left: whoever calls it must own the store
// beside it. Run must follow.
func Listen(path string) (*Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("handover: %w", err)
	}
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		return nil, fmt.Errorf("handover: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("handover: %w", err)
	}
	return &Listener{l: l, done: make(chan struct{})}, nil
}

// Run gives each process that comes to serve, one after another, until Close; serve must close it. A process of another
// user is sent away.
func (h *Listener) Run(serve func(*Peer)) {
	defer close(h.done)
	for {
		c, err := h.l.AcceptUnix()
		if err != nil {
			return
		}
		p := &Peer{conn: c}
		if !sameUser(c) {
			_ = p.Tell(Message{Step: Refused, Why: "only the user that runs the server may take over from it"})
			_ = p.Close()
			continue
		}
		serve(p)
	}
}

// Shut closes the socket, so that another process can open it; it does not wait for serve.
func (h *Listener) Shut() { _ = h.l.Close() }

// Close closes the socket and waits for Run's end, or until ctx ends.
func (h *Listener) Close(ctx context.Context) error {
	h.Shut()
	select {
	case <-h.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("handover: a takeover is under way: %w", ctx.Err())
	}
}
