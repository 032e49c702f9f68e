package moderation

import (
	"cmp"
	"slices"
)

// automaton finds many patterns in one pass (Aho and Corasick, "Efficient string matching", CACM 18(6), 1975). It
// works on symbols, that is on letters whose repetitions are counted, so "fuuuck" takes the path of "fuck"; whether
// the counts are enough is looked at when a path ends. After build it is immutable.
type automaton struct {
	nodes    []node
	patterns []pattern
}

// edge leads from a node to another.
type edge struct {
	r  rune
	to int32
}

type node struct {
	edges  []edge // in order of r
	fail   int32
	output int32 // nearest node on the fail path (this one included) where patterns end; -1: none
	depth  int32
	ends   []int32 // patterns that end here
}

// pattern is one entry of a word list.
type pattern struct {
	word    string // as the list has it
	symbols []symbol
	prefix  bool // may go on: "word*"
	suffix  bool // may begin inside a word: "*word"
	allow   bool // vetoes what it covers
}

func newAutomaton() *automaton { return &automaton{nodes: []node{{output: -1}}} }

// step is the node that an edge leads to, -1 for no edge.
func (a *automaton) step(at int32, r rune) int32 {
	edges := a.nodes[at].edges
	if len(edges) <= 4 {
		for _, e := range edges {
			if e.r == r {
				return e.to
			}
		}
		return -1
	}
	i, ok := slices.BinarySearchFunc(edges, r, func(e edge, r rune) int { return cmp.Compare(e.r, r) })
	if !ok {
		return -1
	}
	return edges[i].to
}

// insert adds a pattern; build must follow before find.
func (a *automaton) insert(p pattern) {
	at := int32(0)
	for _, s := range p.symbols {
		next := a.step(at, s.r)
		if next < 0 {
			next = int32(len(a.nodes))
			a.nodes = append(a.nodes, node{output: -1, depth: a.nodes[at].depth + 1})
			n := &a.nodes[at]
			i, _ := slices.BinarySearchFunc(n.edges, s.r, func(e edge, r rune) int { return cmp.Compare(e.r, r) })
			n.edges = slices.Insert(n.edges, i, edge{s.r, next})
		}
		at = next
	}
	a.nodes[at].ends = append(a.nodes[at].ends, int32(len(a.patterns)))
	a.patterns = append(a.patterns, p)
}

// build sets the fail and output links, breadth first.
func (a *automaton) build() {
	queue := []int32{0}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		n := &a.nodes[at]
		n.output = -1
		switch {
		case len(n.ends) > 0:
			n.output = at
		case at != 0:
			n.output = a.nodes[n.fail].output
		}
		for _, e := range n.edges {
			fail := int32(0)
			if at != 0 {
				fail = a.next(n.fail, e.r)
			}
			a.nodes[e.to].fail = fail
			queue = append(queue, e.to)
		}
	}
}

// next follows an edge, falling back along fail links until there is one.
func (a *automaton) next(at int32, r rune) int32 {
	for {
		if to := a.step(at, r); to >= 0 {
			return to
		}
		if at == 0 {
			return 0
		}
		at = a.nodes[at].fail
	}
}

// find calls hit for every pattern whose letters stand in text at symbols [from, to); counts and boundaries are the
// caller's to check. Time is O(text + hits); hits per place are at most the number of different pattern lengths.
func (a *automaton) find(text []symbol, hit func(p *pattern, from, to int)) {
	at := int32(0)
	for i := range text {
		at = a.next(at, text[i].r)
		for o := a.nodes[at].output; o >= 0; {
			n := &a.nodes[o]
			for _, p := range n.ends {
				hit(&a.patterns[p], i+1-int(n.depth), i+1)
			}
			if o == 0 {
				break
			}
			o = a.nodes[n.fail].output
		}
	}
}
