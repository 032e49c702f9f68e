package scenario

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"lectern/bench/client"
)

// Options say what to run. The zero value of every field but Scenario and Target means its default.
type Options struct {
	// Scenario is one of Names.
	Scenario string
	// Target is the server's URL: ws://host:port, http://host:port or with a path. Without a path the adaptor's own is
	// used.
	Target string
	// Adaptor is how to talk to the server: lectern (default), raw (the prototype under bench/peers/gnetproto and the
	// simple servers beside it), socketio or centrifuge.
	Adaptor string
	// Conns is the number of connections (default 1,000). A quiz has one more, the host's.
	Conns int
	// Rooms is the number of rooms, over which the members are spread evenly (default 1; a quiz has one).
	Rooms int
	// Rate is messages per second: of each room in fanout, chat and mixed (default 1), of all connections together in echo
	// (zero: closed loop, each connection sends when its reply is there), connections per second in storm (zero: as
	// fast as possible).
	Rate float64
	// Burst, in fanout, takes the place of Rate: so many messages of each room are sent at once, and again when all
	// have arrived.
	Burst int
	// Stalled, in fanout, is how many of the connections stop reading once all have joined. They are flooded first, so
	// that whatever they are sent waits with the server. Nothing is expected of them.
	Stalled int
	// Duration is how long the measured phase sends (default 10 s). storm and quiz end when they are done.
	Duration time.Duration
	// PayloadBytes is the size of a published payload as JSON (fanout; default 128, at least 40).
	PayloadBytes int
	// ConnectRate is connections per second while a scenario sets up (zero: as fast as possible). ConnectTimeout ends
	// the wait for members that do not get ready (default 60 s).
	ConnectRate    float64
	ConnectTimeout time.Duration
	// Patience is how long the server may owe something: this long for a reply that is expected and for everything that
	// is due after a phase, a twentieth of it for silence in between, a quarter for one of the host's requests (default
	// 60 s). Emulated machines need more.
	Patience time.Duration
	// Engines is the number of generator goroutines (default: 1 below 2,000 connections, else 2, at most the CPUs).
	Engines int
	// Tokens are access tokens, one for each member: members then sign in with them and are no guests (lectern only).
	Tokens []string
	// Quiz has the quiz's own settings.
	Quiz QuizOptions
	// ServerPID is the server's process; zero: found from the target's port.
	ServerPID int
	// Commit names the tested version in the result.
	Commit string
	// Progress, if set, is called about four times a second from one goroutine.
	Progress func(Progress)
	// PhaseDone, if set, is called on Run's goroutine at the end of each phase, with its name in Result.Phases.
	PhaseDone func(name string)

	// quiet is how long nothing may arrive before what is missing counts as lost; tests shorten it.
	quiet time.Duration
	// floodTexts is how many messages stalled members are flooded with; negative: none. Tests shorten it.
	floodTexts int
}

// QuizOptions are the settings of the scenario quiz.
type QuizOptions struct {
	// Questions is the number of questions (default 5).
	Questions int
	// TimeLimit of each question (default 10 s); Window is how long after its opening the answers come, spread evenly
	// at random (default half of TimeLimit).
	TimeLimit, Window time.Duration
	// RetryShare is the share of answers that are sent a second time with the same key (default 0.05; negative: none).
	RetryShare float64
	// HostToken is the access token of a host, for servers without --dev.
	HostToken string
	// Room is the room of a quiz that another generator hosts, to take part in it. Questions, TimeLimit, Hold and
	// Patience must be the host's, or longer. Empty: this generator hosts the quiz.
	Room string
	// First is the number of this generator's first member, so that members of several have names of their own.
	First int
	// Of is the number of participants of all generators. The host's waits for them (ConnectTimeout) before it goes on
	// (default: Conns, it plays alone).
	Of int
	// Hold is how long the host keeps everybody waiting, connected, before the first question.
	Hold time.Duration
	// Opened, if set, is called on Run's goroutine with the room once the quiz is there and may be joined.
	Opened func(room string)
}

// alone is true when no other generator takes part.
func (o *Options) alone() bool { return o.Quiz.Room == "" && o.Quiz.Of <= o.Conns }

// Progress is what a run looks like while it is going on.
type Progress struct {
	Phase        string
	Elapsed      time.Duration
	Ready, Conns int64
	Sent         int64
	Delivered    int64
	PerSecond    float64 // deliveries
	Errors       int64
	ServerCPU    float64 // CPUs in use
	ServerRSS    int64
}

// Names are the scenarios.
func Names() []string { return []string{"idle", "storm", "fanout", "echo", "chat", "quiz", "mixed"} }

// ErrUsage marks errors of the options: the caller's exit status is 2.
var ErrUsage = errors.New("wrong usage")

func usage(format string, args ...any) error {
	return fmt.Errorf("bench: %w: %s", ErrUsage, fmt.Sprintf(format, args...))
}

const payloadBytesMin = 40

// withDefaults checks o and fills in what is not set.
func (o Options) withDefaults() (Options, error) {
	if !slices.Contains(Names(), o.Scenario) {
		return o, usage("no scenario %q: use one of %s", o.Scenario, strings.Join(Names(), ", "))
	}
	if o.Adaptor == "" {
		o.Adaptor = "lectern"
	}
	if o.Conns < 0 || o.Rooms < 0 || o.Rate < 0 || o.Burst < 0 || o.Duration < 0 || o.Patience < 0 {
		return o, usage("numbers must not be negative")
	}
	o.Conns = orDefault(o.Conns, 1000)
	o.Rooms = orDefault(o.Rooms, 1)
	o.Duration = orDefault(o.Duration, 10*time.Second)
	o.PayloadBytes = max(orDefault(o.PayloadBytes, 128), payloadBytesMin)
	o.ConnectTimeout = orDefault(o.ConnectTimeout, time.Minute)
	o.Patience = orDefault(o.Patience, time.Minute)
	o.quiet = orDefault(o.quiet, o.Patience/20)
	o.floodTexts = max(orDefault(o.floodTexts, floodTexts), 0)
	if o.Scenario == "quiz" {
		o.Rooms = 1
	}
	if o.Stalled < 0 || o.Stalled > o.Conns-2*o.Rooms || o.Stalled > 0 && o.Scenario != "fanout" {
		return o, usage("in fanout nearly all connections may stop reading, but not the publishers: not %d of %d",
			o.Stalled, o.Conns)
	}
	if o.Rooms > o.Conns {
		return o, usage("%d rooms need at least as many connections, not %d", o.Rooms, o.Conns)
	}
	if o.Scenario == "mixed" && o.Rooms < 2 {
		o.Rooms = max(2, o.Conns/100)
	}
	if n := len(o.Tokens); n > 0 && (n < o.Conns || o.Adaptor != "lectern") {
		return o, usage("%d tokens don't do for %d connections of the adaptor %s: make one for each, for lectern",
			n, o.Conns, o.Adaptor)
	}
	if o.Rate == 0 && slices.Contains([]string{"fanout", "chat", "mixed"}, o.Scenario) {
		o.Rate = 1
	}
	engines := 1
	if o.Conns >= 2000 {
		engines = 2
	}
	o.Engines = min(orDefault(o.Engines, min(engines, runtime.NumCPU())), o.Conns)
	o.Quiz.Questions = orDefault(o.Quiz.Questions, 5)
	o.Quiz.TimeLimit = orDefault(o.Quiz.TimeLimit, 10*time.Second)
	o.Quiz.Window = orDefault(o.Quiz.Window, o.Quiz.TimeLimit/2)
	if o.Quiz.RetryShare == 0 {
		o.Quiz.RetryShare = 0.05
	}
	o.Quiz.Of = orDefault(o.Quiz.Of, o.Conns)
	if o.Quiz.First < 0 || o.Quiz.Hold < 0 || o.Quiz.First+o.Conns > o.Quiz.Of && o.Quiz.Room == "" {
		return o, usage("members %d to %d are not among the %d of all generators", o.Quiz.First, o.Quiz.First+o.Conns-1,
			o.Quiz.Of)
	}
	return o, nil
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// endpoint is the resolved target.
type endpoint struct {
	addr *net.TCPAddr
	host string
	path string // with its query, empty if the URL has none
}

func resolve(target string) (endpoint, error) {
	if !strings.Contains(target, "://") {
		target = "ws://" + target
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" {
		return endpoint{}, usage("target %q is no URL such as ws://127.0.0.1:8080", target)
	}
	switch u.Scheme {
	case "ws", "http":
	case "wss", "https":
		return endpoint{}, usage("the harness does not speak TLS: point it at the server behind the proxy")
	default:
		return endpoint{}, usage("target %q: use ws:// or http://", target)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	addr, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return endpoint{}, fmt.Errorf("bench: resolve the target: %w", err)
	}
	if addr.IP == nil {
		addr.IP = net.IPv4(127, 0, 0, 1)
	}
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return endpoint{addr: addr, host: u.Host, path: path}, nil
}

// checkLimits fails early, with what to do, instead of half way through a run.
func checkLimits(o Options) error { return client.CheckDescriptors(o.Conns + 1) }
