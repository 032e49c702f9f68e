package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lectern/cmd/internal/app"
	"lectern/cmd/internal/config"
	"lectern/persist"
	"lectern/persist/search"
)

func searchCommand() *cobra.Command {
	var file, room string
	var asJSON, rebuild bool
	var limit int
	c := &cobra.Command{
		Use:   "search [QUERY]",
		Short: "Find messages and questions in all sessions, or build the search index anew",
		Long: "Find messages and questions in all sessions, also those that participants can't read. --rebuild empties the " +
			"index and reads every session again; a server may be running on the same store. With --store memory there is " +
			"nothing to find.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !rebuild && len(args) == 0 {
				return usageError{errors.New("name what to search for, or give --rebuild")}
			}
			if limit < 1 || limit > 1000 {
				return usageError{fmt.Errorf("--limit must be 1 to 1000, not %d", limit)}
			}
			return withStore(cmd, file, true, func(ctx context.Context, cfg *config.Config, store persist.Store) (err error) {
				index, err := app.OpenSearch(ctx, cfg)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, index.Close()) }()
				out := cmd.OutOrStdout()
				if rebuild {
					log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
					n, err := search.NewIndexer(index, store, log).Rebuild(ctx)
					fmt.Fprintf(out, "%d sessions indexed\n", n)
					if err != nil || len(args) == 0 {
						return err
					}
				}
				return runSearch(ctx, out, store, index, args[0], room, limit, asJSON)
			})
		},
	}
	storeFlags(c, &file)
	c.Flags().StringVar(&room, "room", "", "search in this session only")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	c.Flags().BoolVar(&rebuild, "rebuild", false, "build the index anew from the records")
	c.Flags().IntVar(&limit, "limit", 50, "print at most so many, the newest")
	return c
}

func runSearch(ctx context.Context, out io.Writer, store persist.Store, index search.Index, query, room string,
	limit int, asJSON bool,
) error {
	terms, refused := search.Parse(query)
	if refused != nil {
		return usageError{refused}
	}
	in := []string{room}
	if room == "" {
		list, err := store.Rooms(ctx, 100_000)
		if err != nil {
			return err
		}
		in = in[:0]
		for _, r := range list {
			in = append(in, r.Room)
		}
	}
	hits, err := index.Search(ctx, search.Query{Terms: terms, Rooms: in, Limit: limit})
	if err != nil {
		return err
	}
	for i := range hits {
		h := &hits[i]
		if asJSON {
			line, err := json.Marshal(struct {
				Room  string        `json:"room"`
				ID    string        `json:"id"`
				At    int64         `json:"at"`
				User  string        `json:"user,omitempty"`
				Name  string        `json:"name,omitempty"`
				Parts []search.Part `json:"parts"`
			}{h.Room, h.ID, h.At, h.User, h.Name, search.Excerpt(h.Text.Text, terms)})
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%s\n", line)
			continue
		}
		text := ""
		for _, p := range search.Excerpt(h.Text.Text, terms) {
			text += p.Text
		}
		at := time.UnixMilli(h.At).Format("2006-01-02 15:04:05")
		fmt.Fprintf(out, "%s  %s  %s  %s: %s\n", at, h.Room, h.ID, h.Name, printable(text))
	}
	return nil
}

// printable keeps what people wrote from moving the cursor of a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
