package main

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"lectern/cmd/internal/app"
	"lectern/cmd/internal/config"
	"lectern/persist"
	"lectern/protocol/wire"
	"lectern/rooms/auth"
)

// withStore runs f with the store that --store, the file or the environment names.
func withStore(c *cobra.Command, file string, readOnly bool, f func(context.Context, *config.Config,
	persist.Store) error,
) (err error) {
	cfg, err := loadConfig(c, file)
	if err != nil {
		return usageError{err}
	}
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	use := app.ForWriting
	if readOnly {
		use = app.ForReading
	}
	store, err := app.OpenStore(ctx, cfg, app.NewLogger(cfg, c.ErrOrStderr()), use)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := store.Close(); err == nil {
			err = closeErr
		}
	}()
	return f(ctx, cfg, store)
}

func storeFlags(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", os.Getenv("LECTERN_CONFIG"), "YAML file with settings")
	addConfigFlags(c, "store")
}

func tokenCommand() *cobra.Command {
	var file, sub, role, room, name string
	var ttl time.Duration
	var count int
	c := &cobra.Command{
		Use:   "token --sub ID --role ROLE [--room R]",
		Short: "Print a signed access token",
		Long: "Print a signed access token for tools, tests and hosts. It is signed with the newest key of the store, " +
			"which a " +
			"server may be using at the same time; the server must have run once.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, ok := wire.ParseRole(role)
			if !ok || r == wire.RoleNone {
				return usageError{fmt.Errorf("--role %q must be observer, participant, moderator, host or admin", role)}
			}
			if sub == "" {
				return usageError{fmt.Errorf("--sub must name the user")}
			}
			if count < 1 {
				return usageError{fmt.Errorf("--count must be 1 or more, not %d", count)}
			}
			return withStore(cmd, file, true, func(ctx context.Context, cfg *config.Config, store persist.Store) error {
				if ttl == 0 {
					ttl = cfg.Auth.AccessTTL
				}
				issuer, err := auth.NewIssuer(ctx, time.Now(), store, store, auth.Config{AccessTTL: ttl}, crand.Reader)
				if err != nil {
					return fmt.Errorf("%w (start the server once, so that it makes its keys)", err)
				}
				return printTokens(cmd.OutOrStdout(), issuer, auth.Claims{Subject: sub, Name: name, Role: r, Room: room}, count)
			})
		},
	}
	storeFlags(c, &file)
	c.Flags().StringVar(&sub, "sub", "", "the user's id")
	c.Flags().StringVar(&role, "role", "participant", "observer, participant, moderator, host or admin")
	c.Flags().StringVar(&room, "room", "", "the only room that the token is good for")
	c.Flags().StringVar(&name, "name", "", "display name")
	c.Flags().IntVar(&count, "count", 1, "so many tokens, one a line, for the users ID-1, ID-2, …: for load tests")
	c.Flags().DurationVar(&ttl, "ttl", 0, "how long it is good (default: the server's setting)")
	return c
}

// printTokens writes one token for the user of c, or count of them for as many users, named after that one.
func printTokens(w io.Writer, issuer *auth.Issuer, c auth.Claims, count int) error {
	user := c.Subject
	for i := range count {
		if count > 1 {
			c.Subject = fmt.Sprintf("%s-%d", user, i+1)
		}
		token, _, err := issuer.IssueAccess(time.Now(), c)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w, token); err != nil {
			return err
		}
	}
	return nil
}
