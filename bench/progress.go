package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"lectern/bench/report"
)

// plainEvery is the distance of progress lines where no terminal shows them.
const plainEvery = 5 * time.Second

// NewProgress makes a display for Options.Progress and the function that ends it. In a terminal one line is drawn again
// and again; elsewhere (logs, CI) a plain line comes every five seconds and at each new phase.
func NewProgress(w *os.File) (show func(Progress), done func()) {
	if isTerminal(w) {
		return liveProgress(w)
	}
	return plainProgress(w), func() {}
}

// isTerminal asks what kind of file w is; a character device that is not /dev/null is near enough to a terminal.
func isTerminal(w *os.File) bool {
	info, err := w.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && w.Name() != os.DevNull && os.Getenv("TERM") != "dumb"
}

const barCells = 20

func liveProgress(w io.Writer) (show func(Progress), done func()) {
	show = func(p Progress) {
		filled := barCells
		if p.Conns > 0 {
			filled = int(min(p.Ready*barCells/p.Conns, barCells))
		}
		bar := strings.Repeat("█", filled) + strings.Repeat("░", barCells-filled)
		// ESC [2K clears the line, so that a shorter text leaves nothing of a longer one.
		_, _ = fmt.Fprintf(w, "\r\x1b[2K%s %s", bar, progressLine(p))
	}
	return show, func() { _, _ = fmt.Fprint(w, "\r\x1b[2K") }
}

func plainProgress(w io.Writer) func(Progress) {
	var last time.Duration
	phase := ""
	return func(p Progress) {
		if p.Phase == phase && p.Elapsed-last < plainEvery {
			return
		}
		phase, last = p.Phase, p.Elapsed
		_, _ = fmt.Fprintln(w, progressLine(p))
	}
}

func progressLine(p Progress) string {
	line := fmt.Sprintf("%6.1fs %-12s ready %d/%d, sent %d, delivered %d (%.0f/s), errors %d",
		p.Elapsed.Seconds(), p.Phase, p.Ready, p.Conns, p.Sent, p.Delivered, p.PerSecond, p.Errors)
	if p.ServerRSS > 0 {
		line += fmt.Sprintf("; server %.0f %% cpu, %.0f MiB", 100*p.ServerCPU, float64(p.ServerRSS)/(1<<20))
	}
	return line
}

// WriteText prints a result for people.
func WriteText(w io.Writer, r *Result) { report.WriteText(w, r) }
