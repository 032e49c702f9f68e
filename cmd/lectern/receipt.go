package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lectern/cmd/internal/app"
	"lectern/cmd/internal/config"
	"lectern/persist"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/auth"
)

func receiptCommand() *cobra.Command {
	c := &cobra.Command{Use: "receipt", Short: "Check receipts of answers"}
	var file string
	var asJSON bool
	verify := &cobra.Command{
		Use:   "verify RECEIPT",
		Short: "Check a receipt's signature and whether its answer is in the log",
		Long: "Check a receipt's signature and whether its answer is in the log. \"-\" reads the receipt from the standard " +
			"input. A server may be running on the same store. The exit status is 0 for a receipt whose answer counts.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			receipt := args[0]
			if receipt == "-" {
				line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 8<<10)).ReadString('\n')
				if err != nil && !errors.Is(err, io.EOF) {
					return err
				}
				receipt = strings.TrimSpace(line)
			}
			return withStore(cmd, file, true, func(ctx context.Context, cfg *config.Config, store persist.Store) error {
				return verifyReceipt(ctx, cmd.OutOrStdout(), cfg, store, "", receipt, asJSON)
			})
		},
	}
	storeFlags(verify, &file)
	verify.Flags().BoolVar(&asJSON, "json", false, "print the verdict as JSON")
	c.AddCommand(verify)
	return c
}

// verifyReceipt prints the verdict on a receipt. With a session, a receipt's number is looked up in it as well.
func verifyReceipt(ctx context.Context, out io.Writer, cfg *config.Config, store persist.Store, session, receipt string,
	asJSON bool,
) error {
	keys, err := auth.LoadReceipts(ctx, store)
	if err != nil {
		return err
	}
	claims, fault := keys.Open(receipt)
	var verdict *wire.ReceiptVerdict
	switch {
	case fault == auth.ReceiptUnsigned && session != "":
		room, err := rebuild(cfg, store, session)
		if err != nil {
			return err
		}
		number, _ := auth.ReceiptNumber(receipt)
		verdict = room.Quiz().FindReceipt(number)
	case fault != "":
		verdict = fault.Verdict()
	default:
		if session == "" {
			session = claims.Room
		}
		room, err := rebuild(cfg, store, session)
		if err != nil {
			return err
		}
		verdict = rooms.CheckReceipt(room, claims)
	}
	if err := printVerdict(out, verdict, asJSON); err != nil {
		return err
	}
	if verdict.Verdict != wire.ReceiptValid || !verdict.Counts {
		return errors.New("the receipt does not stand for an answer that counts")
	}
	return nil
}

func rebuild(cfg *config.Config, store persist.Store, id string) (*rooms.Room, error) {
	roomsCfg, err := app.RoomsConfig(cfg)
	if err != nil {
		return nil, err
	}
	return rooms.Rebuild(persist.New(store, persist.Config{}), id, roomsCfg)
}

func printVerdict(out io.Writer, v *wire.ReceiptVerdict, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	fmt.Fprintf(out, "%s: %s\n", v.Verdict, v.Message)
	for _, line := range []struct{ name, value string }{
		{"reason", v.Reason},
		{"number", v.Number},
		{"session", v.Room},
		{"quiz", printable(v.Title)},
		{"participant", v.Name},
		{"user", v.User},
	} {
		if line.value != "" {
			fmt.Fprintf(out, "%-12s %s\n", line.name, line.value)
		}
	}
	if v.Question > 0 {
		fmt.Fprintf(out, "%-12s %d\n%-12s %s\n", "question", v.Question, "accepted", clock(v.AcceptedAt))
	}
	return nil
}
