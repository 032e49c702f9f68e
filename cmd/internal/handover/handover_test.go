package handover

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func soon() time.Time { return time.Now().Add(10 * time.Second) }

func TestConversation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	if _, err := Dial(path); !errors.Is(err, ErrNobody) {
		t.Fatalf("without a server: %v", err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tcp.Close() }()
	client, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	served := make(chan error, 1)
	l, err := listen(t, path, func(p *Peer) {
		defer func() { _ = p.Close() }()
		served <- give(p, tcp)
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	p, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Tell(Message{Step: Hello, PID: 7}); err != nil {
		t.Fatal(err)
	}
	var adopted []net.Conn
	m, err := p.Receive(soon(), func(kind string, f *os.File) {
		c, err := net.FileConn(f)
		if err != nil || kind != Connection {
			t.Error(kind, err)
		}
		adopted = append(adopted, c)
	})
	if err != nil || m.Step != Released || m.Ended != 12 || len(adopted) != 1 {
		t.Fatalf("%+v %v, %d connections", m, err, len(adopted))
	}
	if _, err := adopted[0].Write([]byte("hi")); err != nil {
		t.Fatal(err)
	}
	_ = adopted[0].Close()
	if text, err := io.ReadAll(client); err != nil || string(text) != "hi" {
		t.Errorf("the client reads %q, %v", text, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := p.Receive(soon(), nil); !errors.Is(err, io.EOF) {
		t.Errorf("the other side has ended, and Receive says %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := Dial(path); !errors.Is(err, ErrNobody) {
		t.Errorf("after the end: %v", err)
	}
}

// give is the other side: it passes on one connection that was accepted after it was asked.
func give(p *Peer, tcp net.Listener) error {
	if m, err := p.Receive(soon(), nil); err != nil || m.Step != Hello || m.PID != 7 {
		return errors.Join(err, errors.New(m.Step))
	}
	c, err := tcp.Accept()
	if err != nil {
		return err
	}
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil || !p.Pass(Connection, fd) {
		return errors.Join(err, errors.New("not passed"))
	}
	_, _ = f.Close(), c.Close()
	return p.Tell(Message{Step: Released, Ended: 12})
}

func TestSocketThatACrashLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	left, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	_ = left.Close()
	if _, err := Dial(path); !errors.Is(err, ErrNobody) {
		t.Errorf("%v", err)
	}
	l, err := listen(t, path, func(p *Peer) { _ = p.Close() })
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTwoAtOnceWaitForEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sock")
	first, over := make(chan struct{}), make(chan struct{})
	l, err := listen(t, path, func(p *Peer) {
		m, _ := p.Receive(soon(), nil)
		if m.PID == 1 {
			close(first)
			<-over
		}
		_ = p.Tell(Message{Step: Refused, Why: "no"})
		_ = p.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close(context.Background()) }()
	one, two := dial(t, path, 1), dial(t, path, 2)
	<-first
	close(over)
	for _, p := range []*Peer{one, two} {
		if m, err := p.Receive(soon(), nil); err != nil || m.Step != Refused || m.Why != "no" {
			t.Errorf("%+v %v", m, err)
		}
		_ = p.Close()
	}
}

func dial(t *testing.T, path string, pid int) *Peer {
	t.Helper()
	p, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Tell(Message{Step: Hello, PID: pid}); err != nil {
		t.Fatal(err)
	}
	return p
}

// listen opens the socket and serves whoever comes.
func listen(t *testing.T, path string, serve func(*Peer)) (*Listener, error) {
	t.Helper()
	l, err := Listen(path)
	if err != nil {
		return nil, err
	}
	go l.Run(serve)
	return l, nil
}
