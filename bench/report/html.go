package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

//go:embed page.html
var pageSource string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"ms":      func(v float64) string { return trim(v) },
	"count":   groupDigits,
	"mib":     func(b int64) string { return trim(float64(b) / (1 << 20)) },
	"kib":     func(b float64) string { return trim(b / 1024) },
	"percent": func(v float64) string { return trim(100*v) + " %" },
	"plots":   plots,
	"title":   func(r *Result) string { return fmt.Sprintf("%s, %d connections", r.Scenario, r.Conns) },
}).Parse(pageSource))

// HTML is a self-contained page about the results: figures as tables, plots as inline SVG with their numbers in text
// beside them; it asks the network for nothing and follows the reader's light or dark setting.
func HTML(results []*Result) ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, results); err != nil {
		return nil, fmt.Errorf("bench: make the report: %w", err)
	}
	return b.Bytes(), nil
}

// Plot is one drawing with what a screen reader says of it.
type Plot struct {
	Title, Summary string
	SVG            template.HTML
}

func plots(r *Result) []Plot {
	var out []Plot
	for _, name := range sortedKeys(r.Distributions) {
		if points := r.Distributions[name]; len(points) > 1 {
			out = append(out, latencyPlot(name, points))
		}
	}
	if len(r.Series) > 1 {
		out = append(out,
			seriesPlot(r, "Deliveries per second", "/s", func(s Sample) float64 { return s.DeliveriesPS }),
			seriesPlot(r, "Server CPU", "CPUs", func(s Sample) float64 { return s.ServerCPU }),
			seriesPlot(r, "Server memory", "MiB", func(s Sample) float64 { return float64(s.ServerRSS) / (1 << 20) }),
			seriesPlot(r, "Members ready", "", func(s Sample) float64 { return float64(s.Ready) }))
	}
	return out
}

// latencyPlot has the slow end on a logarithmic scale: 50 %, 90 %, 99 %, 99.9 % are equally far apart.
func latencyPlot(name string, points []Distribution) Plot {
	var xs, ys []float64
	top := 0.0
	for _, p := range points {
		if p.Quantile >= 1 {
			continue
		}
		x := -math.Log10(1 - p.Quantile)
		xs, ys, top = append(xs, x), append(ys, p.MS), max(top, x)
	}
	var ticks []tick
	for i, label := range []string{"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"} {
		if float64(i) <= top {
			ticks = append(ticks, tick{at: float64(i), label: label})
		}
	}
	last := points[len(points)-1]
	return Plot{
		Title:   "Latency: " + name,
		Summary: fmt.Sprintf("Latency in milliseconds by percentile; the slowest took %s ms.", trim(last.MS)),
		SVG:     draw(xs, ys, ticks, "ms"),
	}
}

func seriesPlot(r *Result, title, unit string, of func(Sample) float64) Plot {
	var xs, ys []float64
	peak, sum := 0.0, 0.0
	for _, s := range r.Series {
		v := of(s)
		xs, ys = append(xs, s.AtS), append(ys, v)
		peak, sum = max(peak, v), sum+v
	}
	end := xs[len(xs)-1]
	var ticks []tick
	for step := niceStep(end / 5); len(ticks) < 12 && float64(len(ticks))*step <= end; {
		at := float64(len(ticks)) * step
		ticks = append(ticks, tick{at: at, label: trim(at) + " s"})
	}
	return Plot{
		Title: title,
		Summary: fmt.Sprintf("%s over %s seconds: at most %s %s, %s on average.",
			title, trim(end), trim(peak), unit, trim(sum/float64(len(ys)))),
		SVG: draw(xs, ys, ticks, unit),
	}
}

type tick struct {
	at    float64
	label string
}

// The drawing's measures, in SVG units.
const (
	plotWidth, plotHeight = 640.0, 240.0
	plotLeft, plotRight   = 64.0, 16.0
	plotTop, plotBottom   = 14.0, 32.0
)

// draw makes a line chart from x ≥ 0, y ≥ 0. Only numbers and our own labels get into it.
func draw(xs, ys []float64, xTicks []tick, unit string) template.HTML {
	xMax, yMax := 1e-9, 1e-9
	for i := range xs {
		xMax, yMax = max(xMax, xs[i]), max(yMax, ys[i])
	}
	step := niceStep(yMax / 4)
	yMax = math.Ceil(yMax/step) * step
	x := func(v float64) float64 { return plotLeft + v/xMax*(plotWidth-plotLeft-plotRight) }
	y := func(v float64) float64 { return plotHeight - plotBottom - v/yMax*(plotHeight-plotTop-plotBottom) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" aria-hidden="true" focusable="false">`, plotWidth, plotHeight)
	for i := 0; float64(i)*step <= yMax*1.001; i++ {
		v := float64(i) * step
		fmt.Fprintf(&b, `<line class="grid" x1="%g" y1="%.1f" x2="%g" y2="%.1f"/>`, plotLeft, y(v), plotWidth-plotRight, y(v))
		fmt.Fprintf(&b, `<text x="%g" y="%.1f" text-anchor="end">%s</text>`, plotLeft-8, y(v)+4, trim(v))
	}
	for _, t := range xTicks {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="middle">%s</text>`, x(t.at), plotHeight-10, t.label)
	}
	fmt.Fprintf(&b, `<text x="4" y="%g">%s</text>`, plotTop, template.HTMLEscapeString(unit))
	b.WriteString(`<polyline points="`)
	for i := range xs {
		fmt.Fprintf(&b, "%.1f,%.1f ", x(xs[i]), y(ys[i]))
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String()) //nolint:gosec // made of numbers and constants
}

// niceStep is the least of 1, 2, 5 times a power of ten that is not below v.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

// trim prints a number with three significant digits.
func trim(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1000:
		return groupDigits(int64(math.Round(v)))
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// groupDigits writes 1234567 as 1 234 567 with narrow no-break spaces.
func groupDigits(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return sign + s
}
