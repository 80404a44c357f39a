package lint

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// pure are the rooms whose results depend on their arguments alone.
var pure = words("stream/internal/record stream/codec stream/internal/topology stream/internal/assign stream/internal/task")

// clocks are the functions of package time that look at the clock. Durations
// and times as values are welcome everywhere.
var clocks = words("time.Now time.Since time.Until time.Sleep time.After time.AfterFunc time.NewTimer time.NewTicker time.Tick")

// outerWorld are the packages that reach outside of the process.
var outerWorld = words("os net syscall golang.org/x/sys math/rand math/rand/v2 crypto/rand")

const whyPure = "the same history must give the same result, in the simulation and in a second run"

// checkPure finds clocks, disks, networks and dice in the pure core.
func checkPure(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		if f.Test || !slices.Contains(pure, f.Room) {
			return nil
		}
		var found []Finding
		for _, spec := range f.syntax.Imports {
			p := importPath(spec)
			if slices.ContainsFunc(outerWorld, func(w string) bool { return under(p, w) }) {
				found = append(found, f.at(spec, "imports "+p, "take what it gives as an argument", whyPure))
			}
		}
		return append(found, f.forbid(clocks, "take the time as an argument", whyPure)...)
	})
}

// forbid finds uses of any of the named identifiers.
func (f *File) forbid(names []string, instead, because string) []Finding {
	var found []Finding
	for _, u := range f.uses() {
		if slices.Contains(names, u.name) {
			found = append(found, f.at(u.node, u.name, instead, because))
		}
	}
	return found
}

// environment are the functions whose answers depend on environment variables.
var environment = words(`os.Getenv os.LookupEnv os.Environ os.ExpandEnv
	os.Setenv os.Unsetenv os.Clearenv os.UserHomeDir os.UserCacheDir os.UserConfigDir`)

// checkEnvironment finds libraries that read the environment.
func checkEnvironment(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		if f.Test || f.Command() || under(f.Room, "cmd") {
			return nil
		}
		return f.forbid(environment, "take the value as an option, and read the environment in cmd",
			"a library that reads the environment has options nobody sees")
	})
}

// process are the things of which a process has only one. Packages other than
// its command leave them alone.
var process = words(`fmt.Print fmt.Printf fmt.Println
	os.Stdout os.Stderr os.Stdin os.Args os.Exit os.Chdir flag.Parse
	os/signal.Notify os/signal.NotifyContext
	log/slog.Debug log/slog.Info log/slog.Warn log/slog.Error log/slog.Log log/slog.SetDefault
	log/slog.DebugContext log/slog.InfoContext log/slog.WarnContext log/slog.ErrorContext
	net/http.DefaultServeMux net/http.Handle net/http.HandleFunc
	github.com/prometheus/client_golang/prometheus.DefaultRegisterer
	github.com/prometheus/client_golang/prometheus.MustRegister
	github.com/prometheus/client_golang/prometheus.Register`)

// checkProcess finds libraries that print, log by themselves, exit, or use
// what the whole process shares.
func checkProcess(t *Tree) []Finding {
	const (
		instead = "take a writer, a *slog.Logger or a registerer from the caller, and return errors"
		because = "the process, its output and its exit belong to the command"
	)
	return eachGo(t, func(f *File) []Finding {
		if f.Test || f.Command() {
			return nil
		}
		found := f.forbid(process, instead, because)
		for _, spec := range f.syntax.Imports {
			if p := importPath(spec); p == "log" || strings.HasSuffix(p, "/promauto") {
				found = append(found, f.at(spec, "imports "+p, instead, because))
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if id, ok := call.Fun.(*ast.Ident); ok && id.Obj == nil && (id.Name == "print" || id.Name == "println") {
				found = append(found, f.at(id, id.Name, instead, because))
			}
			return true
		})
		return found
	})
}

// checkInit finds init functions.
func checkInit(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		var found []Finding
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				found = append(found, f.at(fn, "func init", "use a constructor, or a variable with an initial value",
					"importing a package must have no effects"))
			}
		}
		return found
	})
}

// stateful are the types whose values exist to be changed.
var stateful = words(`sync.Mutex sync.RWMutex sync.Map sync.Cond sync.WaitGroup
	sync/atomic.Bool sync/atomic.Int32 sync/atomic.Int64 sync/atomic.Uint32 sync/atomic.Uint64
	sync/atomic.Uintptr sync/atomic.Pointer sync/atomic.Value`)

// checkGlobals finds package variables that hold state: locks, atomics,
// channels. Tables that are only read and pools are not among them.
func checkGlobals(t *Tree) []Finding {
	return eachGo(t, func(f *File) []Finding {
		if f.Test {
			return nil
		}
		var found []Finding
		for _, d := range f.syntax.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			if what, ok := f.holdsState(gen); ok {
				found = append(found, f.at(gen, "package variable of "+what, "put it into a struct that its user makes",
					"two users of a package must not meet in a variable"))
			}
		}
		return found
	})
}

// holdsState looks for stateful types in a declaration, function bodies excepted.
func (f *File) holdsState(gen *ast.GenDecl) (what string, found bool) {
	ast.Inspect(gen, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit, *ast.FuncType:
			return false
		case *ast.ChanType:
			what, found = "type chan", true
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(stateful, f.names[x.Name]+"."+n.Sel.Name) {
				what, found = "type "+x.Name+"."+n.Sel.Name, true
			}
		}
		return !found
	})
	return what, found
}
