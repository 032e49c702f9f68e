package scenario

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lectern/bench/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func perform(t *testing.T, s *fake, opt Options) report.Result {
	t.Helper()
	opt.Target, opt.ConnectTimeout, opt.quiet = s.target(), 10*time.Second, 700*time.Millisecond
	if opt.Duration == 0 {
		opt.Duration = 300 * time.Millisecond
	}
	res, err := Run(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if res.Server == nil || res.Server.PID != os.Getpid() || res.Server.RSSBytes == 0 {
		t.Errorf("the server's process was not measured: %+v", res.Server)
	}
	if res.DurationS <= 0 || res.ConnectMS == nil {
		t.Errorf("%+v", res)
	}
	return res
}

func clean(t *testing.T, res report.Result) {
	t.Helper()
	if res.Expected == 0 || res.Delivered != res.Expected || res.Lost != 0 || res.Duplicated != 0 || len(res.Errors) != 0 {
		t.Fatalf("expected %d, delivered %d, lost %d, duplicated %d, errors %v", res.Expected, res.Delivered, res.Lost,
			res.Duplicated, res.Errors)
	}
}

func TestIdleCountsMembers(t *testing.T) {
	var shown []Progress
	res := perform(t, startFake(t), Options{
		Scenario: "idle", Conns: 50, Rooms: 5, Engines: 2,
		Progress: func(p Progress) { shown = append(shown, p) },
	})
	clean(t, res)
	if res.Delivered != 50 || len(shown) == 0 || shown[len(shown)-1].Ready != 50 {
		t.Fatalf("%d members, progress %+v", res.Delivered, shown)
	}
}

func TestStormCountsRefusedHandshakes(t *testing.T) {
	s := startFake(t)
	s.takeOnly(40)
	res := perform(t, s, Options{Scenario: "storm", Conns: 50, Engines: 2})
	if res.Delivered != 40 || res.Lost != 10 || res.Errors["handshake_503"] != 10 || res.LatencyMS.N != 40 {
		t.Fatalf("%+v", res)
	}
}

func TestStormKeepsItsRate(t *testing.T) {
	res := perform(t, startFake(t), Options{Scenario: "storm", Conns: 40, Rate: 200, Engines: 2})
	clean(t, res)
	if res.DurationS < 0.15 {
		t.Fatalf("40 connections at 200/s took %v s", res.DurationS)
	}
}

func TestFanoutCountsEveryDelivery(t *testing.T) {
	for _, adaptor := range []string{"lectern", "raw"} {
		for _, burst := range []int{0, 5} {
			res := perform(t, startFake(t), Options{
				Scenario: "fanout", Adaptor: adaptor, Conns: 30, Rooms: 3, Rate: 50, Burst: burst, Engines: 2,
			})
			clean(t, res)
			if res.Sent < 15 || res.Expected != res.Sent*10 || res.LatencyMS.N != res.Delivered {
				t.Fatalf("%s, burst %d: %+v", adaptor, burst, res.Counts)
			}
		}
	}
}

func TestFanoutFindsLostDoubledAndRefused(t *testing.T) {
	s := startFake(t)
	s.order("lose " + publishEvent)
	res := perform(t, s, Options{Scenario: "fanout", Conns: 6, Rooms: 2, Rate: 20})
	if res.Lost != 1 || res.Duplicated != 0 || res.Errors["gap"] != 1 {
		t.Fatalf("lost: %+v %v", res.Counts, res.Errors)
	}
	s.order("double " + publishEvent)
	res = perform(t, s, Options{Scenario: "fanout", Conns: 6, Rooms: 2, Rate: 20})
	if res.Lost != 0 || res.Duplicated != 1 {
		t.Fatalf("doubled: %+v", res.Counts)
	}
	s.order("refuse")
	res = perform(t, s, Options{Scenario: "fanout", Conns: 6, Rooms: 2, Rate: 20})
	if res.Lost != 0 || res.Errors["room:publish rate_limited"] != 1 || res.Expected != (res.Sent-1)*3 {
		t.Fatalf("refused: %+v %v", res.Counts, res.Errors)
	}
}

func TestEchoOpenAndClosedLoop(t *testing.T) {
	s := startFake(t)
	clean(t, perform(t, s, Options{Scenario: "echo", Conns: 4}))
	res := perform(t, s, Options{Scenario: "echo", Conns: 4, Rate: 100})
	clean(t, res)
	if res.Sent < 20 || res.Sent > 40 {
		t.Fatalf("%d requests in 300 ms at 100/s", res.Sent)
	}
}

func TestChatCountsEveryDelivery(t *testing.T) {
	s := startFake(t)
	res := perform(t, s, Options{Scenario: "chat", Conns: 12, Rooms: 3, Rate: 30, Engines: 2})
	clean(t, res)
	if res.Expected != res.Sent*4 || res.Sent < 15 {
		t.Fatalf("%+v", res.Counts)
	}
	s.order("lose chat:message")
	if res = perform(t, s, Options{Scenario: "chat", Conns: 12, Rooms: 3, Rate: 30}); res.Lost != 1 {
		t.Fatalf("%+v", res.Counts)
	}
}

func quizOptionsFor(conns int) Options {
	return Options{Scenario: "quiz", Conns: conns, Engines: 2, Quiz: QuizOptions{
		Questions: 3, TimeLimit: 10 * time.Second, Window: 50 * time.Millisecond, RetryShare: 0.5,
	}}
}

func TestQuizChecksEverything(t *testing.T) {
	res := perform(t, startFake(t), quizOptionsFor(40))
	clean(t, res)
	q := res.Quiz
	if res.Sent != 120 || q.Answers.Delivered != 120 || q.QuestionViews.Delivered != 120 || q.Ranks.Delivered != 120 {
		t.Fatalf("%+v", q)
	}
	if q.Retried < 20 || q.WrongOutcome+q.WrongScore+q.WrongRank+q.WrongBoard != 0 || q.AnsweredCount != 120 {
		t.Fatalf("%+v", q)
	}
	if res.LatenciesMS["question"].N != 120 || res.LatenciesMS["rank"].N != 120 || len(res.Phases) < 8 {
		t.Fatalf("%+v %+v", res.LatenciesMS, res.Phases)
	}
}

func TestQuizFindsFaults(t *testing.T) {
	for fault, found := range map[string]func(report.Result) bool{
		"lose quiz:rank":       func(r report.Result) bool { return r.Lost == 1 && r.Quiz.Ranks.Lost == 1 },
		"lose quiz:results":    func(r report.Result) bool { return r.Lost == 1 && r.Quiz.Results.Lost == 1 },
		"lose quiz:end":        func(r report.Result) bool { return r.Errors["quiz_end_missing"] == 1 },
		"double quiz:question": func(r report.Result) bool { return r.Duplicated == 1 },
		"receipt":              func(r report.Result) bool { return r.Errors["receipt_changed"] == 1 },
		"score":                func(r report.Result) bool { return r.Quiz.WrongScore > 0 },
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			s := startFake(t)
			s.order(fault)
			if res := perform(t, s, quizOptionsFor(8)); !found(res) {
				t.Fatalf("%+v %+v %v", res.Counts, res.Quiz, res.Errors)
			}
		})
	}
}

// playTogether plays one quiz with a generator that hosts it and one that follows.
func playTogether(t *testing.T, s *fake, hosts, follows int) (host, follower report.Result) {
	t.Helper()
	opt := quizOptionsFor(hosts)
	opt.Target, opt.quiet, opt.Patience = s.target(), 700*time.Millisecond, 10*time.Second
	opt.Quiz.Of, opt.Quiz.Hold = hosts+follows, 100*time.Millisecond
	done := make(chan struct{})
	opt.Quiz.Opened = func(room string) {
		second := opt
		second.Conns, second.Quiz.First, second.Quiz.Room, second.Quiz.Opened = follows, hosts, room, nil
		go func() {
			defer close(done)
			var err error
			if follower, err = Run(context.Background(), second); err != nil {
				t.Error(err)
			}
		}()
	}
	host, err := Run(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	return host, follower
}

func TestGeneratorsPlayOneQuizTogether(t *testing.T) {
	host, follower := playTogether(t, startFake(t), 20, 30)
	clean(t, host)
	clean(t, follower)
	if host.Delivered != 20*3*duePerQuestion || follower.Delivered != 30*3*duePerQuestion {
		t.Fatalf("delivered %d and %d", host.Delivered, follower.Delivered)
	}
	if host.Quiz.AnsweredCount != 150 || len(host.Notes) != 0 {
		t.Errorf("the host counted %d answers; notes %v", host.Quiz.AnsweredCount, host.Notes)
	}
	if rows := host.Quiz.BoardRows + follower.Quiz.BoardRows; rows != 50 || host.Quiz.BoardRows != 20 {
		t.Errorf("%d rows checked, %d of them by the host", rows, host.Quiz.BoardRows)
	}
	all := slices.Concat(host.Quiz.Standings, follower.Quiz.Standings)
	if wrong := report.WrongRanks(all); wrong != 0 || len(all) == 0 {
		t.Errorf("%d wrong ranks of %d standings", wrong, len(all))
	}
	if !slices.ContainsFunc(host.Phases, func(p report.Phase) bool { return p.Name == "hold" && p.DurationS >= 0.1 }) {
		t.Errorf("no hold: %+v", host.Phases)
	}
}

func TestAFollowerFindsItsOwnLosses(t *testing.T) {
	s := startFake(t)
	s.order("lose quiz:results")
	host, follower := playTogether(t, s, 4, 4)
	if host.Lost+follower.Lost != 1 || host.Quiz.Results.Lost+follower.Quiz.Results.Lost != 1 {
		t.Fatalf("%+v\n%+v", host.Counts, follower.Counts)
	}
}

func TestNobodyWaitsForMembersThatCantCome(t *testing.T) {
	s := startFake(t)
	s.takeOnly(4) // the host itself and three members
	opt := quizOptionsFor(4)
	opt.Target, opt.Quiz.Of, opt.ConnectTimeout = s.target(), 9, time.Minute
	if _, err := Run(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "handshake_503:1") {
		t.Error(err)
	}
	opt.Quiz.Room, opt.Quiz.First = "q", 4
	if _, err := Run(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "handshake_503:4") {
		t.Error(err)
	}
}

func TestTheHostDoesNotWaitForEver(t *testing.T) {
	opt := quizOptionsFor(4)
	opt.Target, opt.Quiz.Of, opt.ConnectTimeout = startFake(t).target(), 9, 1500*time.Millisecond
	if _, err := Run(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "of 9 participants 4 came") {
		t.Fatal(err)
	}
}

func TestWrongUsageIsToldBeforeAnythingStarts(t *testing.T) {
	for _, opt := range []Options{
		{Scenario: "nonsense", Target: "ws://127.0.0.1:1"},
		{Scenario: "idle", Target: "wss://127.0.0.1:1"},
		{Scenario: "idle", Target: "ftp://127.0.0.1:1"},
		{Scenario: "idle", Target: "ws://127.0.0.1:1", Adaptor: "telnet"},
		{Scenario: "quiz", Target: "ws://127.0.0.1:1", Adaptor: "raw"},
		{Scenario: "idle", Target: "ws://127.0.0.1:1", Conns: 2, Rooms: 3},
		{Scenario: "idle", Target: "ws://127.0.0.1:1", Conns: -1},
		{Scenario: "quiz", Target: "ws://127.0.0.1:1", Conns: 5, Quiz: QuizOptions{First: 1, Of: 5}},
	} {
		if _, err := Run(t.Context(), opt); !errors.Is(err, ErrUsage) {
			t.Errorf("%+v: %v", opt, err)
		}
	}
	_, err := Run(t.Context(), Options{Scenario: "idle", Target: "ws://127.0.0.1:1", Conns: 1 << 30})
	if err == nil || !strings.Contains(err.Error(), "--conns") {
		t.Errorf("too many connections: %v", err)
	}
	_, err = Run(t.Context(), Options{Scenario: "idle", Target: "ws://127.0.0.1:1", Conns: 3})
	if err == nil || !strings.Contains(err.Error(), "connect:3") {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestARunCanBeBrokenOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	opt := Options{Scenario: "idle", Target: startFake(t).target(), Conns: 5, Duration: time.Hour}
	opt.Progress = func(p Progress) {
		if p.Phase == "hold" {
			cancel()
		}
	}
	res, err := Run(ctx, opt)
	if !errors.Is(err, context.Canceled) || res.Delivered != 5 {
		t.Fatalf("%v, %+v", err, res.Counts)
	}
}

func TestLettersAreTheirOwnInverse(t *testing.T) {
	for _, n := range []uint64{0, 7, 10, 99999, 1 << 60} {
		if got, ok := readLetters(appendLetters(nil, n, 5)); !ok || got != n {
			t.Fatalf("%d became %d", n, got)
		}
	}
}

func TestMixedCountsEveryPart(t *testing.T) {
	res := perform(t, startFake(t), Options{
		Scenario: "mixed", Conns: 40, Rooms: 4, Rate: 20, Engines: 2,
		Quiz: QuizOptions{Questions: 2, TimeLimit: time.Second, Window: 300 * time.Millisecond},
	})
	clean(t, res)
	if q := res.Quiz; q == nil || q.Participants != 10 || q.Ranks.Delivered != 20 || res.Delivered <= 60 {
		t.Fatalf("%+v, %d delivered", q, res.Delivered)
	}
}

// Those that stop reading are not expected to get anything, and the others get everything.
func TestFanoutWithStalledMembers(t *testing.T) {
	opt := Options{Scenario: "fanout", Conns: 30, Rooms: 3, Rate: 50, Stalled: 6, Engines: 2, floodTexts: -1}
	res := perform(t, startFake(t), opt)
	clean(t, res)
	if res.Stalled != 6 || res.Expected != res.Sent*8 {
		t.Errorf("%d of 30 stalled, %d expected of %d sent in 3 rooms", res.Stalled, res.Expected, res.Sent)
	}
	opt.Stalled, opt.Target = 25, "ws://127.0.0.1:1"
	if _, err := Run(t.Context(), opt); !errors.Is(err, ErrUsage) {
		t.Errorf("25 of 30 stalled in 3 rooms: %v", err)
	}
}
