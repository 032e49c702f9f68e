// Command lectern is the server and its tools in one binary.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// Exit statuses: 0 done, 1 failed, 2 wrong usage.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a fault of the command line.
type usageError struct{ error }

// failed is a failure whose message has been printed.
var errSilent = errors.New("failed")

func main() {
	root := newRoot()
	err := root.Execute()
	var usage usageError
	switch {
	case err == nil:
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "lectern:", err)
		fmt.Fprintln(os.Stderr, "see lectern --help")
		os.Exit(exitUsage)
	default:
		if !errors.Is(err, errSilent) {
			fmt.Fprintln(os.Stderr, "lectern:", err)
		}
		os.Exit(exitFailed)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "lectern",
		Short:         "A real-time server for live quizzes, chat and classrooms",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(serveCommand(), benchCommand(), quizCommand(), tokenCommand(), replayCommand(), receiptCommand(),
		searchCommand(), migrateCommand(), doctorCommand(), conformanceCommand())
	for _, c := range root.Commands() {
		faultsAreUsage(c)
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return root
}

// faultsAreUsage makes wrong numbers of arguments exit with the status for wrong usage.
func faultsAreUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		faultsAreUsage(sub)
	}
}
