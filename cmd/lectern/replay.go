package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lectern/cmd/internal/config"
	"lectern/persist"
	"lectern/protocol/quizfile"
	"lectern/rooms"
	"lectern/rooms/quiz"
)

func replayCommand() *cobra.Command {
	var file string
	var asJSON, asCSV, records, audit bool
	var receipt string
	c := &cobra.Command{
		Use:   "replay SESSION",
		Short: "Read a session back from its log",
		Long: "Read a session back from its log: SESSION is the room's id. Scores are computed anew from the recorded " +
			"answers. " +
			"A server may be running on the same store. Without SESSION: list the latest sessions.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, file, true, func(ctx context.Context, cfg *config.Config, store persist.Store) error {
				out := cmd.OutOrStdout()
				if len(args) == 0 {
					return listSessions(ctx, out, store)
				}
				if receipt != "" {
					return verifyReceipt(ctx, out, cfg, store, args[0], receipt, asJSON)
				}
				if audit {
					return printAudit(ctx, out, store, args[0], asJSON, asCSV)
				}
				if records {
					return printRecords(ctx, out, store, args[0])
				}
				return replay(out, cfg, store, args[0], asJSON)
			})
		},
	}
	storeFlags(c, &file)
	c.Flags().BoolVar(&asJSON, "json", false, "print the results, or the audit trail, as JSON")
	c.Flags().BoolVar(&asCSV, "csv", false, "print the audit trail as CSV")
	c.Flags().BoolVar(&audit, "audit", false, "print what hosts and moderators did: who, when, what, on whom, why")
	c.Flags().StringVar(&receipt, "receipt", "", "check a receipt, or a receipt's number, against the session's log")
	c.Flags().BoolVar(&records, "records", false, "print every record, one JSON object a line")
	return c
}

func listSessions(ctx context.Context, out io.Writer, store persist.Store) error {
	list, err := store.Rooms(ctx, 50)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 2, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tCREATED\tCLOSED\tRECORDS")
	for _, r := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", r.Room, clock(r.CreatedAt), clock(r.ClosedAt), r.Records)
	}
	return w.Flush()
}

func clock(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).Format("2006-01-02 15:04:05")
}

func printRecords(ctx context.Context, out io.Writer, store persist.Store, room string) error {
	n := 0
	err := store.ReadRoom(ctx, room, func(r rooms.Record) error {
		n++
		line, err := json.Marshal(struct {
			Index uint64          `json:"index"`
			At    int64           `json:"at"`
			Kind  string          `json:"kind"`
			Data  json.RawMessage `json:"data"`
		}{r.Index, r.At, r.Kind, r.Data})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", line)
		return err
	})
	if err == nil && n == 0 {
		return unknownSession(room)
	}
	return err
}

func unknownSession(room string) error {
	return fmt.Errorf("the store has no session %q; lectern replay without an argument lists them", room)
}

func replay(out io.Writer, cfg *config.Config, store persist.Store, id string, asJSON bool) error {
	began := time.Now()
	room, err := rebuild(cfg, store, id)
	if err != nil {
		return err
	}
	if room.Index() == 0 {
		return unknownSession(id)
	}
	table := room.Quiz().Results()
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(table)
	}
	fmt.Fprintf(out, "%s: %d records, %d events, replayed in %s\n", id, room.Index(), room.Seq(),
		time.Since(began).Round(time.Millisecond))
	return printTable(out, &table)
}

func printTable(out io.Writer, t *quiz.Table) error {
	fmt.Fprintf(out, "%s (PIN %s, %s)\ncreated %s, started %s, ended %s\n\n", printable(t.Title), t.PIN, t.Phase,
		clock(t.CreatedAt), clock(t.StartedAt), clock(t.EndedAt))
	w := tabwriter.NewWriter(out, 2, 4, 2, ' ', 0)
	fmt.Fprintln(w, "QUESTION\tTYPE\tANSWERED\tRIGHT\tTEXT")
	for _, q := range t.Questions {
		fmt.Fprintf(w, "%d\t%s\t%d\t%d\t%.60s\n", q.Results.Number, q.Results.Type, q.Results.Answered, q.Results.Correct,
			printable(q.Text))
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "RANK\tSCORE\tNAME\tPOINTS PER QUESTION")
	for _, p := range t.Participants {
		fmt.Fprintf(w, "%d\t%d\t%s\t", p.Rank, p.Score, p.Name)
		for i, a := range p.Answers {
			if i > 0 {
				fmt.Fprint(w, " ")
			}
			fmt.Fprintf(w, "%d", a.Points)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// auditTrail reads the acts of hosts and moderators from a session's log.
func auditTrail(ctx context.Context, store persist.Store, room string) ([]rooms.AuditEntry, error) {
	entries := []rooms.AuditEntry{}
	var audit rooms.Audit
	known := false
	err := store.ReadRoom(ctx, room, func(rec rooms.Record) error {
		known = true
		e, ok, err := audit.Next(rec)
		if ok {
			entries = append(entries, e)
		}
		return err
	})
	if err == nil && !known {
		err = unknownSession(room)
	}
	return entries, err
}

func printAudit(ctx context.Context, out io.Writer, store persist.Store, room string, asJSON, asCSV bool) error {
	entries, err := auditTrail(ctx, store, room)
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(entries)
	}
	rows := [][]string{rooms.AuditHeader()}
	for i := range entries {
		rows = append(rows, entries[i].Cells())
	}
	if asCSV {
		_, err := out.Write(quizfile.EncodeTableCSV(rows))
		return err
	}
	w := tabwriter.NewWriter(out, 2, 4, 2, ' ', 0)
	for _, row := range rows {
		for i := range row { // a reason may have line breaks, which would pass for acts of their own
			row[i] = printable(row[i])
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}
