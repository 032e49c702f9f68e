package e2e

import (
	"slices"
	"strings"
	"testing"

	"lectern/protocol/wire"
)

// TestPublishedContracts: others' tools understand what the server publishes about itself.
func TestPublishedContracts(t *testing.T) {
	s := need(t)
	p := serve(t, s, t.TempDir())
	var result struct {
		Faults   []string `json:"faults"`
		OpenAPI  string   `json:"openapi"`
		Receives []string `json:"receives"`
		Sends    int      `json:"sends"`
	}
	script(t, s, "contracts.mjs", map[string]any{"base": p.base}, &result, nil)
	for _, fault := range result.Faults {
		t.Error(fault)
	}
	if result.OpenAPI != "3.1" {
		t.Errorf("the HTTP side is described in OpenAPI %q", result.OpenAPI)
	}
	for _, op := range wire.Ops() {
		if !slices.Contains(result.Receives, strings.ReplaceAll(op.Op.String(), ":", ".")) {
			t.Errorf("the document has no operation for %v", op.Op)
		}
	}
	if result.Sends != len(wire.Events()) {
		t.Errorf("%d events are described, want %d", result.Sends, len(wire.Events()))
	}
}
