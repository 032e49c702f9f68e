package e2e

import (
	"testing"

	"lectern/protocol/wire"
)

// TestConsole: a newcomer sends and watches ops in the browser, with forms made from the published schemas.
func TestConsole(t *testing.T) {
	s := need(t)
	p := serve(t, s, t.TempDir())
	var result struct {
		Ops    []string `json:"ops"`
		Faults []string `json:"faults"`
	}
	script(t, s, "console.mjs", map[string]any{"base": p.base}, &result, nil)
	for _, f := range result.Faults {
		t.Errorf("in the browser: %s", f)
	}
	if len(result.Ops) != len(wire.Ops()) {
		t.Errorf("the console offers %d ops, there are %d", len(result.Ops), len(wire.Ops()))
	}
}
