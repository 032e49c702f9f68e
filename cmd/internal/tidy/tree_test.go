package tidy

import "testing"

// TestThisRepository runs every rule on the tree that this package lies in.
func TestThisRepository(t *testing.T) {
	tree, err := Load("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tree.Go(true)); n < 100 {
		t.Fatalf("only %d Go files found: the rules would pass without looking", n)
	}
	for _, v := range Check(tree) {
		t.Error(v)
	}
}
