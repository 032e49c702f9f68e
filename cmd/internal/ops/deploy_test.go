package ops

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const deployDir = "../../../deploy"

// scraped is what Prometheus would see: the lines of each series by the name of its metric.
func scraped(t *testing.T) map[string][]string {
	t.Helper()
	status, text := serve(t, fakes())("GET", "/metrics")
	if status != 200 {
		t.Fatal(status, text)
	}
	series := make(map[string][]string)
	for line := range strings.Lines(text) {
		if end := strings.IndexAny(line, "{ "); end > 0 && line[0] != '#' {
			series[line[:end]] = append(series[line[:end]], line)
		}
	}
	return series
}

var (
	// used is a metric in an expression with its matchers.
	used    = regexp.MustCompile(`\b((?:lectern|go|process)_[a-z0-9_]+)(\{[^}]*\})?`)
	matcher = regexp.MustCompile(`([a-z]+)(=~|!=|!~|=)"([^"]*)"`)
	legend  = regexp.MustCompile(`\{\{ ?([a-z]+) ?\}\}`)
	added   = map[string]bool{"instance": true, "job": true} // by Prometheus
)

// checkExpression says what of an expression the server does not have. It also returns the metrics in it.
func checkExpression(series map[string][]string, expr string) (faults, names []string) {
	for _, m := range used.FindAllStringSubmatch(expr, -1) {
		name := m[1]
		names = append(names, name)
		lines := series[name]
		if len(lines) == 0 {
			faults = append(faults, "no metric "+name)
		}
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			want := fmt.Sprintf(`%s="%s"`, l[1], l[3])
			if !added[l[1]] && l[2] == "=" && !strings.Contains(strings.Join(lines, ""), want) {
				faults = append(faults, name+" is never "+want)
			}
		}
	}
	return faults, names
}

// checkLegend wants the labels that a text names on one of the metrics.
func checkLegend(series map[string][]string, text string, names []string) (faults []string) {
	for _, l := range legend.FindAllStringSubmatch(text, -1) {
		found := added[l[1]]
		for _, name := range names {
			found = found || strings.Contains(strings.Join(series[name], ""), l[1]+`="`)
		}
		if !found {
			faults = append(faults, fmt.Sprintf("no label %s on %v", l[1], names))
		}
	}
	return faults
}

func TestDashboardShowsMetricsThatExist(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(deployDir, "grafana/lectern.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID                       int
			Type, Title, Description string
			Targets                  []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(raw, &dashboard); err != nil {
		t.Fatal(err)
	}
	series, seen, exprs := scraped(t), map[int]bool{}, 0
	for _, p := range dashboard.Panels {
		if seen[p.ID] {
			t.Errorf("%s: the id %d is another panel's too", p.Title, p.ID)
		}
		seen[p.ID] = true
		if p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("%s: says and shows too little", p.Title)
		}
		for _, target := range p.Targets {
			exprs++
			faults, names := checkExpression(series, target.Expr)
			if len(names) == 0 {
				t.Errorf("%s: no metric in %s", p.Title, target.Expr)
			}
			for _, fault := range append(faults, checkLegend(series, target.LegendFormat, names)...) {
				t.Errorf("%s: %s", p.Title, fault)
			}
		}
	}
	if exprs < 20 {
		t.Errorf("only %d expressions were found", exprs)
	}
}

// rule takes the expression and the texts of a rule from the file, which has each on a line of its own.
var rule = regexp.MustCompile(`(?m)^[ -]+(alert|expr|summary): (.*)$`)

func TestAlertsWatchMetricsThatExist(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(deployDir, "prometheus/alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	series, alert, rules := scraped(t), "", 0
	var names []string
	for _, m := range rule.FindAllStringSubmatch(string(raw), -1) {
		var faults []string
		switch m[1] {
		case "alert":
			alert = m[2]
			rules++
			continue
		case "expr":
			faults, names = checkExpression(series, m[2])
			if len(names) == 0 && !strings.HasPrefix(m[2], "up{") {
				t.Errorf("%s: no metric in %s", alert, m[2])
			}
		case "summary":
			faults = checkLegend(series, m[2], names)
		}
		for _, fault := range faults {
			t.Errorf("%s: %s", alert, fault)
		}
	}
	if rules < 8 {
		t.Errorf("only %d rules were found", rules)
	}
}

func TestOperatorsPageNamesMetricsThatExist(t *testing.T) {
	raw, err := os.ReadFile("../../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	series := scraped(t)
	for _, m := range regexp.MustCompile("`((?:lectern|process|go)_[a-z0-9_]+)").FindAllStringSubmatch(string(raw), -1) {
		if len(series[m[1]]) == 0 && len(series[m[1]+"_count"]) == 0 {
			t.Errorf("no metric %s", m[1])
		}
	}
}

func TestCheckedExpressionsFail(t *testing.T) {
	series := scraped(t)
	for expr, want := range map[string]string{
		`rate(lectern_nothing_total[1m])`:                  "no metric lectern_nothing_total",
		`lectern_connections_closed_total{reason="bored"}`: `is never reason="bored"`,
	} {
		if faults, _ := checkExpression(series, expr); len(faults) != 1 || !strings.Contains(faults[0], want) {
			t.Errorf("%s: %v", expr, faults)
		}
	}
	if faults := checkLegend(series, "{{code}}", []string{"lectern_connections_open"}); len(faults) != 1 {
		t.Errorf("a label that is not there: %v", faults)
	}
}

// promtool finds Prometheus' own checker: in the path, or where the scripts in .ci put it.
func promtool(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("promtool"); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("promtool is not in the path, and there is no cache folder:", err)
	}
	path := filepath.Join(cache, "lectern", "bin", "promtool")
	if _, err := os.Stat(path); err != nil {
		t.Skip("promtool is not here; make test fetches it from Debian's package prometheus")
	}
	return path
}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	tool := promtool(t)
	for _, args := range [][]string{
		{"check", "rules", "alerts.yml"}, {"check", "config", "prometheus.yml"}, {"test", "rules", "alerts_test.yml"},
	} {
		c := exec.CommandContext(t.Context(), tool, args...)
		c.Dir = filepath.Join(deployDir, "prometheus")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestPromtoolAcceptsTheMetrics(t *testing.T) {
	tool := promtool(t)
	_, text := serve(t, fakes())("GET", "/metrics")
	c := exec.CommandContext(t.Context(), tool, "check", "metrics")
	c.Stdin = strings.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
