package main

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// composeFile is what the tests need to know of deploy/compose.yaml.
type composeFile struct {
	Services map[string]service
	Volumes  map[string]any
}

type service struct {
	Image       string
	Command     []string
	Environment map[string]string
	Ports       []string
	Volumes     []string
	Build       struct{ Context, Dockerfile string }
}

func deployed(t *testing.T, name string, to any) (text string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	if to != nil {
		if err := yaml.Unmarshal(data, to); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return string(data)
}

// imageEnv are the variables that the image sets.
func imageEnv(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^ENV (.+)$`).FindAllStringSubmatch(deployed(t, "Dockerfile", nil), -1) {
		for pair := range strings.FieldsSeq(line[1]) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
	}
	return env
}

// parsed parses a command line as a container would, with its environment.
func parsed(t *testing.T, args []string, env map[string]string) (c cli, chosen *kong.Context) {
	t.Helper()
	var environ []string
	for name, value := range env {
		t.Setenv(name, value)
		environ = append(environ, name+"="+value)
	}
	parser := newParser(&c, std{nil, io.Discard, io.Discard}, func(int) {})
	if unknown := unknownEnv(parser, environ); len(unknown) > 0 {
		t.Errorf("variables that mean nothing: %v", unknown)
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		t.Fatalf("tagtide %s: %v", strings.Join(args, " "), err)
	}
	return c, chosen
}

// ports are those that a command listens on.
func ports(t *testing.T, c cli, command string) (listen, admin int) {
	t.Helper()
	number := func(address string) int {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatalf("%s listens on %q: %v", command, address, err)
		}
		n, _ := strconv.Atoi(port)
		return n
	}
	switch command {
	case "emit":
		return 0, number(c.Emit.AdminListen)
	case "process":
		return 0, number(c.Process.AdminListen)
	case "serve":
		return number(c.Serve.Listen), number(c.Serve.AdminListen)
	}
	t.Fatalf("%s is no part of a deployment", command)
	return 0, 0
}

// Every service of the compose file is a command line that tagtide takes, asks
// a broker that is there, and publishes ports that somebody listens on; and
// Prometheus scrapes what is served.
func TestComposeFitsTheProgram(t *testing.T) {
	var compose composeFile
	deployed(t, "compose.yaml", &compose)
	var scraped struct {
		ScrapeConfigs []struct {
			DNS []struct {
				Names []string
				Port  int
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	deployed(t, "prometheus/prometheus.yml", &scraped)
	scrapes := map[string]int{}
	for _, c := range scraped.ScrapeConfigs {
		for _, d := range c.DNS {
			for _, name := range d.Names {
				scrapes[name] = d.Port
			}
		}
	}
	ours := map[string]bool{}
	for name, s := range compose.Services {
		if s.Image != "tagtide" {
			continue
		}
		ours[name] = true
		t.Run(name, func(t *testing.T) { checkService(t, s, compose.Services["kafka"], scrapes[name]) })
	}
	if want := []string{"emit", "process", "serve"}; !slices.Equal(slices.Sorted(maps.Keys(ours)), want) {
		t.Errorf("services %v, want %v", slices.Sorted(maps.Keys(ours)), want)
	}
	for name := range scrapes {
		if !ours[name] {
			t.Errorf("Prometheus asks %s, which is no service", name)
		}
	}
}

func checkService(t *testing.T, s, kafka service, scraped int) {
	env := imageEnv(t)
	maps.Copy(env, s.Environment)
	c, chosen := parsed(t, s.Command, env)
	listen, admin := ports(t, c, chosen.Command())
	if scraped != admin {
		t.Errorf("Prometheus asks port %d, metrics are on %d", scraped, admin)
	}
	for _, p := range s.Ports {
		if fields := strings.Split(p, ":"); fields[len(fields)-1] != strconv.Itoa(listen) {
			t.Errorf("publishes %s, listens on %d", p, listen)
		}
	}
	brokers := map[string][]string{"emit": c.Emit.Brokers, "process": c.Process.Brokers, "serve": c.Serve.Brokers}[chosen.Command()]
	for _, b := range brokers {
		if !strings.Contains(kafka.Environment["KAFKA_ADVERTISED_LISTENERS"], "://"+b) {
			t.Errorf("asks broker %s, which says it is %s", b, kafka.Environment["KAFKA_ADVERTISED_LISTENERS"])
		}
	}
	if len(s.Volumes) != 1 || !strings.HasSuffix(s.Volumes[0], ":"+env["XDG_STATE_HOME"]) {
		t.Errorf("volumes %v, state is in %s", s.Volumes, env["XDG_STATE_HOME"])
	}
	file := filepath.Join("..", "..", "deploy", s.Build.Context, s.Build.Dockerfile)
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// The image runs nothing as root, and its health check asks where the admin
// endpoints are.
func TestImageFitsTheProgram(t *testing.T) {
	text := deployed(t, "Dockerfile", nil)
	find := func(pattern string) string {
		t.Helper()
		m := regexp.MustCompile(`(?m)` + pattern).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("the Dockerfile has no %s", pattern)
		}
		return m[1]
	}
	if user := find(`^USER (\d+):`); user == "0" {
		t.Error("runs as root")
	}
	if !strings.Contains(find(`^RUN (.*go build.*)$`), "CGO_ENABLED=0") {
		t.Error("the binary is not static")
	}
	var check []string
	if err := json.Unmarshal([]byte(find(`^HEALTHCHECK .*CMD (\[.*\])$`)), &check); err != nil {
		t.Fatal(err)
	}
	c, chosen := parsed(t, check[1:], imageEnv(t))
	if chosen.Command() != "healthcheck" || check[0] != "/tagtide" {
		t.Errorf("the health check is %v", check)
	}
	asked, err := url.Parse(c.Healthcheck.URL)
	if err != nil || asked.Path != "/healthz" || ":"+asked.Port() != imageEnv(t)["TAGTIDE_ADMIN_LISTEN"] {
		t.Errorf("the health check asks %s (%v)", c.Healthcheck.URL, err)
	}
	for port := range strings.FieldsSeq(find(`^EXPOSE (.*)$`)) {
		if !slices.Contains(slices.Collect(maps.Values(imageEnv(t))), ":"+port) {
			t.Errorf("exposes %s, where nobody listens", port)
		}
	}
}

// Every metric in a rule is one that tagtide has, and every topic one of the
// group's.
func TestRulesNameWhatIsThere(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct {
				Record, Alert, Expr string
				Annotations         map[string]string
			}
		}
	}
	text := deployed(t, "prometheus/rules.yml", &rules)
	p := launch(t, "run", "--rate", "500", "--listen", "127.0.0.1:0")
	page := p.said(`page on (http://\S+)`)
	waitFor(t, page)
	body, err := get(t.Context(), page+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	there, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]bool{}
	named := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			recorded[r.Record] = true
			for _, name := range regexp.MustCompile(`\btagtide[a-z0-9_:]+`).FindAllString(r.Expr, -1) {
				named++
				if family := strings.TrimSuffix(name, "_bucket"); there[name] == nil && there[family] == nil && !recorded[name] {
					t.Errorf("rule %s%s asks for %s, which nothing has", r.Record, r.Alert, name)
				}
			}
		}
	}
	if named == 0 {
		t.Error("no rule names a metric")
	}
	graph := groupFlags{nameFlags: nameFlags{Group: "hashtags", InputTopic: "tweets"}}.graph()
	for _, topic := range regexp.MustCompile(`\bhashtags-[a-z-]+`).FindAllString(text, -1) {
		if !slices.Contains(graph.OwnTopics(), topic) {
			t.Errorf("names topic %s, which is none of %v", topic, graph.OwnTopics())
		}
	}
}
