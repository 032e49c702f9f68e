package quiz

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

var rewrite = flag.Bool("rewrite", false, "write what the machine says into testdata/*.txt")

// TestTranscripts plays testdata/*.txt. A line that starts with "> " is a command; what the machine says follows it,
// indented.
//
//	> create [setting ...]     kahoot… streak auto nolate top=N
//	> join USER NAME           > leave USER           > kick USER
//	> HOSTOP [NUMBER]          start next skip pause resume extend lock unlock end
//	> answer USER QUESTION KEY JSON
//	> wait MS                  ticks on the way
//	> state USER               > restart              > down MS (the server is away)
//	> as USER OP               a host's op by somebody else
//
// Each transcript ends with a check that a replay of its facts gives the same state and events.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playTranscript(t, want)
			if *rewrite {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s (-rewrite accepts it):\n%s", file, firstDifference(got, want))
			}
		})
	}
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\ngot  %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}

func playTranscript(t *testing.T, script []byte) []byte {
	var b bytes.Buffer
	g := newGame(t, Config{ParticipantsMax: 4})
	g.onFact = func(f effect.Fact) {
		if f.Kind == FactCreated {
			fmt.Fprintf(&b, "    fact %s\n", f.Kind)
			return
		}
		fmt.Fprintf(&b, "    fact %s %s\n", f.Kind, mustJSON(t, f.Data))
	}
	g.onOutput = func(o effect.Output) { printOutput(t, &b, o) }
	lines := bufio.NewScanner(bytes.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "> "):
			fmt.Fprintf(&b, "%s\n", line)
			g.command(&b, strings.Fields(line[2:]))
		case strings.HasPrefix(line, "    "): // what it said last time
		default:
			fmt.Fprintf(&b, "%s\n", line)
		}
	}
	g.checkReplay()
	return b.Bytes()
}

func printOutput(t *testing.T, b *bytes.Buffer, o effect.Output) {
	if o.Kind == effect.Reply {
		if o.Err != nil {
			fmt.Fprintf(b, "    refused %s\n", mustJSON(t, o.Err))
		} else {
			fmt.Fprintf(b, "    reply %s\n", mustJSON(t, o.Data))
		}
		return
	}
	to := [...]string{"all", "staff", "user " + o.User, "conn"}[o.Audience]
	how := ""
	if o.Class != wire.ClassReliable {
		how = " (" + o.Class.String() + ")"
	}
	fmt.Fprintf(b, "    %s to %s%s at +%d %s\n", o.Name, to, how, o.TS-startOfTime, mustJSON(t, o.Data))
}

func (g *game) command(b *bytes.Buffer, w []string) {
	num := func(i int) int64 {
		n, err := strconv.ParseInt(w[i], 10, 64)
		if err != nil {
			g.t.Fatal(err)
		}
		return n
	}
	switch w[0] {
	case "create":
		g.create(quizWith(g.t, w[1:]))
	case "join":
		if err := g.enter(w[1], strings.Join(w[2:], " ")); err != nil {
			fmt.Fprintf(b, "    not admitted %s\n", mustJSON(g.t, err))
		}
	case "leave":
		g.m.Leave(g.env, w[1], &g.out)
		g.collect()
	case "kick":
		g.m.Remove(g.env, w[1], &g.out)
		g.collect()
	case "answer":
		_, _ = g.answer(w[1], int(num(2)), w[3], strings.Join(w[4:], " "))
	case "wait":
		g.advance(num(1))
		fmt.Fprintf(b, "    now +%d\n", g.env.Now-startOfTime)
	case "down":
		g.env.Now += num(1)
		g.restart()
	case "restart":
		g.restart()
	case "state":
		g.op(w[1], wire.OpQuizState, nil)
	case "as":
		g.op(w[1], wire.ParseOp("quiz:"+w[2]), nil)
	case "extend":
		g.op("host", wire.OpQuizExtend, &wire.QuizExtendData{ByMs: num(1)})
	case "unlock":
		g.op("host", wire.OpQuizLock, &wire.QuizLockData{Locked: ptr(false)})
	default:
		op := wire.ParseOp("quiz:" + w[0])
		if op == wire.OpNone {
			g.t.Fatalf("unknown command %q", w[0])
		}
		g.op("host", op, nil)
	}
}

func quizWith(t testing.TB, settings []string) *wire.Quiz {
	q := everyKind()
	for _, s := range settings {
		switch {
		case s == "streak":
			q.Settings.StreakBonus = true
		case s == "auto":
			q.Settings.AutoAdvance = true
		case s == "nolate":
			q.Settings.LateJoin = ptr(false)
		case strings.HasPrefix(s, "top="):
			q.Settings.LeaderboardTop, _ = strconv.Atoi(s[4:])
		case strings.HasPrefix(s, "questions="):
			n, _ := strconv.Atoi(s[len("questions="):])
			q.Questions = q.Questions[:n]
		case s == ScoringKahoot || s == ScoringLinear || s == ScoringFlat || s == ScoringWayground:
			q.Settings.Scoring = s
		default:
			t.Fatalf("unknown setting %q", s)
		}
	}
	return q
}
