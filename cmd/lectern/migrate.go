package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"lectern/cmd/internal/app"
	"lectern/cmd/internal/config"
	"lectern/persist"
	"lectern/persist/sqlite"
)

func migrateCommand() *cobra.Command {
	var file, from, to string
	c := &cobra.Command{
		Use:   "migrate [--from STORE --to STORE]",
		Short: "Bring the store's schema up to date, or move everything to another store",
		Long: "Bring the store's schema up to date. With --from and --to: copy everything from one store to another, for " +
			"example\n\n  lectern migrate --from sqlite:data/lectern.db --to postgres://lectern@db.example.org/lectern\n\n" +
			"and compare what both hold. The other store must be empty, and no server may run on either meanwhile. The first " +
			"store stays as it is.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (from == "") != (to == "") {
				return usageError{errors.New("--from and --to belong together")}
			}
			if from != "" {
				return move(cmd, file, from, to)
			}
			return withStore(cmd, file, false, func(ctx context.Context, cfg *config.Config, store persist.Store) error {
				version, err := store.SchemaVersion(ctx)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s has schema version %d\n", cfg.StoreName(), version)
				return err
			})
		},
	}
	storeFlags(c, &file)
	c.Flags().StringVar(&from, "from", "", "the store that everything is copied from")
	c.Flags().StringVar(&to, "to", "", "the empty store that it is copied to")
	return c
}

// move copies everything from one store to another.
func move(cmd *cobra.Command, file, from, to string) (err error) {
	ctx := cmd.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	open := func(name string) (store persist.Store, shown string, err error) {
		cfg, err := loadConfig(cmd, file)
		if err != nil {
			return nil, "", usageError{err}
		}
		cfg.Store = name
		kind, path, err := cfg.StoreKind()
		if err != nil {
			return nil, "", usageError{err}
		}
		if kind == "memory" {
			return nil, "", usageError{errors.New("memory holds nothing that could be moved")}
		}
		if _, err := os.Stat(path); name == from && kind == "sqlite" && err != nil {
			return nil, "", fmt.Errorf("there is nothing to move: %w", err)
		}
		if name == from && kind == "postgres" {
			if err := nothingSpooled(ctx, cfg.Spool.File); err != nil {
				return nil, "", err
			}
		}
		store, err = app.OpenStore(ctx, cfg, app.NewLogger(cfg, cmd.ErrOrStderr()), app.ForWriting)
		return store, cfg.StoreName(), err
	}
	source, sourceName, err := open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, targetName, err := open(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	moved, err := persist.Transfer(ctx, source, target, sometimes(cmd.ErrOrStderr()))
	if err != nil {
		return fmt.Errorf("nothing is moved; make %s empty before the next attempt: %w", targetName, err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s now holds what %s holds, compared record by record:\n%s\n", targetName,
		sourceName, moved)
	return err
}

// nothingSpooled refuses to move a database without the acknowledged records that have not reached it yet.
func nothingSpooled(ctx context.Context, path string) (err error) {
	if path == "" {
		return nil
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	spool, err := sqlite.OpenSpool(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, spool.Close()) }()
	_, records, _, err := spool.Tails(ctx)
	if err == nil && records > 0 {
		return fmt.Errorf("the spool %s holds %d records that the database does not have yet: start the server on it, which "+
			"writes them there, and stop it again; or name another spool.file if this one belongs to another database",
			path, records)
	}
	return err
}

// sometimes tells of every so many records.
func sometimes(out io.Writer) func(records int) {
	const every = 100_000
	next := every
	return func(records int) {
		if records >= next {
			fmt.Fprintf(out, "%d records are copied\n", records)
			next = records + every
		}
	}
}
