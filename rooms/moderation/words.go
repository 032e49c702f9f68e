package moderation

import (
	"embed"
	"fmt"
	"sync"
)

//go:embed lists/*.txt
var lists embed.FS

// DefaultWords are the lists that come with Lectern: small, English and German, for classrooms.
// They are part of the binary: one that does not parse is our mistake, and panics.
var DefaultWords = sync.OnceValue(func() Words {
	var all Words
	entries, err := lists.ReadDir("lists")
	if err != nil {
		panic(fmt.Sprintf("moderation: embedded lists: %v", err))
	}
	for _, e := range entries {
		f, err := lists.Open("lists/" + e.Name())
		if err != nil {
			panic(fmt.Sprintf("moderation: embedded list %s: %v", e.Name(), err))
		}
		w, err := ReadWords(f)
		if err != nil {
			panic(fmt.Sprintf("moderation: embedded list %s: %v", e.Name(), err))
		}
		_ = f.Close() // an embedded file
		all = all.Add(w)
	}
	return all
})

// DefaultFilter is the filter of DefaultWords, made once and shared.
var DefaultFilter = sync.OnceValue(func() *Filter { return NewFilter(DefaultWords()) })
