package netpoll

import (
	"bufio"
	"context"
	"net"
	"testing"
	"time"
)

type echo struct{ started, turns int }

func (e *echo) LoopStarted(l *Loop)           {}
func (e *echo) Opened(c *Conn)                {}
func (e *echo) Data(c *Conn, in []byte)       { c.StopTimer(TimerHandshake); c.SendBytes(Reliable, in) }
func (e *echo) Task(l *Loop, task any)        { task.(chan int) <- l.Index() }
func (e *echo) TurnEnded(l *Loop)             {}
func (e *echo) Timer(c *Conn, kind TimerKind) {}
func (e *echo) Closed(c *Conn, r Reason)      {}

func TestSmoke(t *testing.T) {
	s, err := New(Config{Addr: "127.0.0.1:0", Loops: 2}, &echo{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, l := range s.Loops() {
		ch := make(chan int, 1)
		if !l.Post(ch) {
			t.Fatal("post")
		}
		if <-ch != l.Index() {
			t.Fatal("index")
		}
	}
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("hello\n"))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || line != "hello\n" {
		t.Fatal(line, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", s.Stats())
}
