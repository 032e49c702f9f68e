package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"lectern/cmd/internal/config"
	"lectern/persist"
	"lectern/protocol/quizfile"
)

func quizCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "quiz",
		Short: "Import, export and check question files",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(quizImport(), quizExport(), quizValidate())
	return c
}

// readQuestions reads a question file; "-" is standard input.
func readQuestions(path, format string) (*quizfile.Import, error) {
	var data []byte
	var err error
	if path == "-" {
		data, err = io.ReadAll(os.Stdin)
	} else {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("the question file can't be read: %w", err)
	}
	if format != "" {
		return quizfile.DecodeAs(quizfile.Format(format), data)
	}
	return quizfile.Decode(filepath.Base(path), data)
}

// report prints what was found, and every problem with number, line and reason.
func report(out io.Writer, path string, imp *quizfile.Import) {
	fmt.Fprintf(out, "%s: %s, %d questions: %d can be played, %d are left out, %d are faulty\n", path, imp.Format,
		imp.Total+imp.Faulty, imp.Good, imp.Total-imp.Good, imp.Faulty)
	counts := imp.CountsByType()
	types := make([]string, 0, len(counts))
	for t := range counts {
		types = append(types, t)
	}
	sort.Strings(types)
	for _, t := range types {
		fmt.Fprintf(out, "  %-22s %d\n", t, counts[t])
	}
	for _, p := range imp.Problems {
		fmt.Fprintf(out, "%s:%d: question %d: %s: %s\n", path, p.Line, p.Number, strings.ReplaceAll(p.Severity, "_", " "),
			p.Reason)
	}
}

func quizValidate() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a question file: every fault with number, line and reason",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			imp, err := readQuestions(args[0], format)
			if err != nil {
				return err
			}
			report(cmd.OutOrStdout(), args[0], imp)
			if n := len(imp.Faults()); n > 0 {
				return fmt.Errorf("%d questions are faulty", n)
			}
			return nil
		},
	}
	formatFlag(c, &format)
	return c
}

func formatFlag(c *cobra.Command, format *string) {
	c.Flags().StringVar(format, "format", "", "gift, aiken, moodle-xml, csv, kahoot-xlsx or json (default: by name "+
		"and content)")
}

func quizImport() *cobra.Command {
	var file, format, owner, title string
	var skip bool
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Store the questions of a file as a quiz; all or nothing unless --skip-faulty",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			imp, err := readQuestions(args[0], format)
			if err != nil {
				return err
			}
			report(cmd.ErrOrStderr(), args[0], imp)
			faults := imp.Faults()
			if len(faults) > 0 && !skip {
				return fmt.Errorf("%d questions are faulty; nothing was imported (--skip-faulty imports the others)", len(faults))
			}
			if imp.Good == 0 {
				return fmt.Errorf("the file has no question that can be played live; nothing was imported")
			}
			q := imp.Quiz
			if title != "" {
				q.Title = title
			}
			if q.Title == "" {
				q.Title = strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0]))
			}
			return withStore(cmd, file, false, func(ctx context.Context, _ *config.Config, store persist.Store) error {
				id, err := store.PutQuiz(ctx, owner, &q)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), id)
				return err
			})
		},
	}
	storeFlags(c, &file)
	formatFlag(c, &format)
	c.Flags().StringVar(&owner, "owner", "demo-host", "id of the user whose library gets the quiz (the sub of the "+
		"host's token)")
	c.Flags().StringVar(&title, "title", "", "title of the quiz (default: the file's)")
	c.Flags().BoolVar(&skip, "skip-faulty", false, "import the good questions and leave the faulty ones out")
	return c
}

func quizExport() *cobra.Command {
	var file, format, id, owner string
	c := &cobra.Command{
		Use:   "export FILE --id QUIZ",
		Short: "Write a stored quiz to a file; without --id: list the owner's quizzes",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, file, true, func(ctx context.Context, _ *config.Config, store persist.Store) error {
				if id == "" {
					return listQuizzes(ctx, cmd.OutOrStdout(), store, owner)
				}
				if len(args) == 0 {
					return usageError{fmt.Errorf("name the file to write")}
				}
				return exportQuiz(ctx, cmd.ErrOrStderr(), store, id, format, args[0])
			})
		},
	}
	storeFlags(c, &file)
	c.Flags().StringVar(&format, "format", "", "json, gift, aiken, moodle-xml, csv or kahoot-xlsx (default: by the "+
		"file's ending)")
	c.Flags().StringVar(&id, "id", "", "the quiz's id")
	c.Flags().StringVar(&owner, "owner", "demo-host", "whose quizzes are listed")
	return c
}

func listQuizzes(ctx context.Context, out io.Writer, store persist.Store, owner string) error {
	list, err := store.ListQuizzes(ctx, owner)
	if err != nil {
		return err
	}
	for _, q := range list {
		fmt.Fprintf(out, "%s  %4d questions  %s\n", q.ID, q.Questions, q.Title)
	}
	return nil
}

var formatOfEnding = map[string]string{
	".json": "json", ".gift": "gift", ".txt": "aiken", ".xml": "moodle-xml", ".csv": "csv", ".xlsx": "kahoot-xlsx",
}

func exportQuiz(ctx context.Context, warn io.Writer, store persist.Store, id, format, path string) error {
	if format == "" {
		var ok bool
		if format, ok = formatOfEnding[strings.ToLower(filepath.Ext(path))]; !ok {
			return usageError{fmt.Errorf("name the --format; the ending of %s does not tell it", path)}
		}
	}
	q, _, err := store.GetQuiz(ctx, id)
	if errors.Is(err, persist.ErrNotFound) {
		return fmt.Errorf("the store has no quiz %q; lectern quiz export without --id lists the owner's", id)
	}
	if err != nil {
		return err
	}
	data, problems, err := quizfile.Encode(quizfile.Format(format), q)
	if err != nil {
		return err
	}
	for _, p := range problems {
		fmt.Fprintf(warn, "question %d: %s: %s\n", p.Number, strings.ReplaceAll(p.Severity, "_", " "), p.Reason)
	}
	if path == "-" {
		_, err = os.Stdout.Write(data)
		return err
	}
	return os.WriteFile(path, data, 0o644) //nolint:gosec // a question file for its owner's own use
}
