// Command tagtide counts hashtags: it pushes posts into a topic, keeps the
// counts as a table, exactly once, and serves them over REST and as a page.
// `tagtide run` does all of it in one process with nothing to install.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit codes.
const (
	exitDone   = 0 // also after a clean stop by a signal
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	os.Exit(tagtide(ctx, os.Args[1:], std{os.Stdin, os.Stdout, os.Stderr}))
}

// std are the standard streams: results go to out, everything else to err. The
// parts of a command write at once, so both must take a line from several.
type std struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func usagef(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

// tagtide runs the command line and returns the exit code.
func tagtide(ctx context.Context, args []string, s std) int {
	var c cli
	exited := -1
	parser := newParser(&c, s, func(code int) { exited = code })
	k, err := parser.Parse(usual(args))
	if exited >= 0 { // help was asked for and given
		return exited
	}
	if err == nil {
		for _, name := range unknownEnv(parser, os.Environ()) {
			fmt.Fprintf(s.err, "tagtide: warning: environment variable %s means nothing here\n", name)
		}
		k.BindTo(ctx, (*context.Context)(nil))
		err = k.Run(s, &c.Globals)
	} else {
		err = usageError{err}
	}
	return exitCode(s.err, err)
}

// usual puts what people ask every program into this one's words.
func usual(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case args[0] == "help":
		return append(args[1:len(args):len(args)], "--help")
	case args[0] == "--version":
		return append([]string{"version"}, args[1:]...)
	}
	return args
}

// newParser makes the parser of the command line.
func newParser(c *cli, s std, exit func(code int)) *kong.Kong {
	parser, err := kong.New(c,
		kong.Name("tagtide"),
		kong.Description("Counts hashtags: posts in, a live ranking out, exactly once."),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(s.out, s.err), kong.DefaultEnvars("TAGTIDE"), kong.Exit(exit),
		kong.Vars{"sources": strings.Join(sourceNames, ",")},
	)
	if err != nil {
		panic(err) // the flags' own definition is wrong
	}
	return parser
}

// exitCode tells what went wrong, and returns the code for it.
func exitCode(w io.Writer, err error) int {
	var usage usageError
	switch {
	case err == nil || err == context.Canceled:
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintf(w, "tagtide: %v (see --help)\n", err)
		return exitUsage
	}
	fmt.Fprintf(w, "tagtide: %v\n", explain(err))
	return exitFailed
}

// unknownEnv names TAGTIDE_ variables that mean nothing: a mistake, or
// something that an orchestrator injects. Those of our own tests are known.
func unknownEnv(parser *kong.Kong, environ []string) (unknown []string) {
	known := map[string]bool{}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			for _, name := range f.Envs {
				known[name] = true
			}
		}
		for _, child := range n.Children {
			walk(child)
		}
	}
	walk(parser.Model.Node)
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "TAGTIDE_") && !strings.HasPrefix(name, "TAGTIDE_TEST_") && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}
