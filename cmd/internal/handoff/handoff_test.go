package handoff

import (
	"errors"
	"io"
	"net"
	"testing"
)

func TestBytesReadBeforeComeFirst(t *testing.T) {
	l := New(1)
	near, far := net.Pipe()
	read := []byte("GET / ")
	if !l.Give(near, read) {
		t.Fatal("the first connection is refused")
	}
	copy(read, "xxxxxx") // borrowed until Give returns
	other, _ := net.Pipe()
	if l.Give(other, nil) {
		t.Error("more wait than may")
	}
	if _, err := other.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the refused connection is open: %v", err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = far.Write([]byte("HTTP/1.1"))
		_ = far.Close()
	}()
	if got, err := io.ReadAll(c); err != nil || string(got) != "GET / HTTP/1.1" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestCloseEndsAll(t *testing.T) {
	l := New(2)
	waiting, _ := net.Pipe()
	l.Give(waiting, nil)
	_ = l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept says %v", err)
	}
	late, _ := net.Pipe()
	l.Give(late, nil)
	for _, c := range []net.Conn{waiting, late} {
		if _, err := c.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a connection is left open: %v", err)
		}
	}
}
