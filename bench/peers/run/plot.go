package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The plot's geometry, in pixels: a panel a measure, a bar a server.
const (
	plotColumns  = 2
	panelWidth   = 440
	barHeight    = 16
	barGap       = 6
	nameWidth    = 110 // left of the bars
	valueWidth   = 70  // right of the longest bar
	panelHead    = 34
	panelPadding = 18
	panelMargin  = 12
)

// plotName is the picture beside the page, in its folder img.
const plotName = "benchmarks.svg"

// writePlot draws every measure as bars: medians, with a line from the lowest to the highest round. Lectern's bars are
// dark, its variants' lighter, the others' grey; the numbers stand beside them, so that colour is not needed to read
// it.
func writePlot(page string, s *summary) error {
	var shown []measure
	for _, m := range measures {
		if len(s.Figures[m.name]) > 1 { // a bar alone compares nothing
			shown = append(shown, m)
		}
	}
	rowsMost := len(present(s))
	panelHeight := panelHead + rowsMost*(barHeight+barGap) + panelPadding
	rows := (len(shown) + plotColumns - 1) / plotColumns
	width := plotColumns*(panelWidth+panelMargin) + panelMargin
	height := rows*(panelHeight+panelMargin) + panelMargin
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" `+
		`font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="Lectern and other servers, measure by `+
		`measure; the tables on the page hold the same numbers">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	for i, m := range shown {
		x := panelMargin + i%plotColumns*(panelWidth+panelMargin)
		y := panelMargin + i/plotColumns*(panelHeight+panelMargin)
		drawPanel(&b, s, m, x, y)
	}
	b.WriteString("</svg>\n")
	dir := filepath.Join(filepath.Dir(page), "img")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // pictures for everybody
		return err
	}
	return os.WriteFile(filepath.Join(dir, plotName), b.Bytes(), 0o644) //nolint:gosec // as above
}

func drawPanel(b *bytes.Buffer, s *summary, m measure, x, y int) {
	best := "less is better"
	if m.more {
		best = "more is better"
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="600" fill="#1f2328">%s</text>`+"\n", x, y+14, titles[m.name])
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#59636e" font-size="11" text-anchor="end">%s</text>`+"\n", x+panelWidth,
		y+14, best)
	figures := s.Figures[m.name]
	longest := 0.0
	for _, v := range figures {
		longest = max(longest, v.Max)
	}
	scale := float64(panelWidth-nameWidth-valueWidth) / longest
	at := y + panelHead
	for _, name := range present(s) {
		v := figures[name]
		if v.N == 0 {
			continue
		}
		left, middle := x+nameWidth, at+barHeight/2
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="#1f2328" text-anchor="end">%s</text>`+"\n", left-6, middle+4, name)
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>`+"\n", left, at,
			max(1, v.Median*scale), barHeight, barColour(name))
		fmt.Fprintf(b, `<path d="M%.1f %dH%.1f" stroke="#1f2328" stroke-width="1.5"/>`+"\n", float64(left)+v.Min*scale,
			middle, float64(left)+v.Max*scale)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#1f2328">%s</text>`+"\n", float64(left)+v.Max*scale+6, middle+4,
			number(v))
		at += barHeight + barGap
	}
}

func barColour(name string) string {
	switch {
	case name == "lectern":
		return "#0b5cad"
	case strings.HasPrefix(name, "lectern"):
		return "#8fbce6"
	}
	return "#c3c9d0"
}
