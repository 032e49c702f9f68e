package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lectern/cmd/internal/config"
	"lectern/persist/sqlite"
	"lectern/rooms"
)

// goodMachine has procfs as a large server would.
func goodMachine(t *testing.T) machine {
	t.Helper()
	dir := t.TempDir()
	m := machine{
		proc: filepath.Join(dir, "proc"), cgroups: filepath.Join(dir, "cgroup"),
		limits: func() (uint64, uint64, error) { return 1 << 20, 1 << 20, nil },
		uring:  func() error { return nil },
		clock:  func() (bool, error) { return true, nil },
	}
	for path, text := range map[string]string{
		"sys/net/core/somaxconn":            "4096",
		"sys/net/core/netdev_max_backlog":   "10000",
		"sys/net/ipv4/tcp_max_syn_backlog":  "8192",
		"sys/net/ipv4/ip_local_port_range":  "1024\t65535",
		"sys/net/ipv4/tcp_rmem":             "4096\t131072\t6291456",
		"sys/net/ipv4/tcp_wmem":             "4096\t16384\t4194304",
		"sys/net/ipv4/tcp_mem":              "378258\t504345\t756516",
		"sys/fs/nr_open":                    "1048576",
		"sys/kernel/io_uring_disabled":      "0",
		"self/cgroup":                       "0::/system.slice/lectern.service",
		"meminfo":                           "MemFree: 1 kB\nMemTotal:       16384000 kB\n",
		"../cgroup/system.slice/memory.max": "max",
	} {
		m.put(t, path, text)
	}
	return m
}

// put writes a file of procfs.
func (m machine) put(t *testing.T, path, text string) {
	t.Helper()
	name := filepath.Join(m.proc, path)
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func quietConfig() *config.Config {
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Store = "127.0.0.1:0", "", "memory"
	return cfg
}

func TestDoctorFindsNothingOnAGoodMachine(t *testing.T) {
	t.Parallel()
	// 60,000: what a port range can hold for one address.
	for _, f := range diagnose(t.Context(), quietConfig(), goodMachine(t), 60_000) {
		if !f.OK || f.What == "" || f.Advice != "" {
			t.Errorf("%+v", f)
		}
		if strings.Contains(f.What, "can't be") {
			t.Errorf("not read: %s", f.What)
		}
	}
}

// spoiled is one thing that stands in the way, and a part of the advice against it.
type spoiled struct {
	spoil  func(t *testing.T, m *machine, cfg *config.Config)
	advice string
}

func spoilers() map[string]spoiled {
	return map[string]spoiled{
		"few descriptors": {func(_ *testing.T, m *machine, _ *config.Config) {
			m.limits = func() (uint64, uint64, error) { return 1024, 1 << 20, nil }
		}, "ulimit -n 61024, or LimitNOFILE=61024"},
		"a low hard limit": {func(t *testing.T, m *machine, _ *config.Config) {
			m.put(t, "sys/fs/nr_open", "20000")
			m.limits = func() (uint64, uint64, error) { return 1024, 20_000, nil }
		}, "sysctl -w fs.nr_open=61024, then ulimit -n 61024"},
		"the accept queue": {func(t *testing.T, m *machine, _ *config.Config) {
			m.put(t, "sys/net/core/somaxconn", "128")
		}, "sysctl -w net.core.somaxconn=4096"},
		"connects under way": {func(t *testing.T, m *machine, _ *config.Config) {
			m.put(t, "sys/net/ipv4/tcp_max_syn_backlog", "512")
		}, "sysctl -w net.ipv4.tcp_max_syn_backlog=4096"},
		"the packet queue": {func(t *testing.T, m *machine, _ *config.Config) {
			m.put(t, "sys/net/core/netdev_max_backlog", "1000")
		}, "sysctl -w net.core.netdev_max_backlog=10000"},
		"ports": {func(t *testing.T, m *machine, _ *config.Config) {
			m.put(t, "sys/net/ipv4/ip_local_port_range", "32768\t60999")
		}, `sysctl -w net.ipv4.ip_local_port_range="1024 65535"`},
		"large minimums": {func(t *testing.T, m *machine, _ *config.Config) {
			m.put(t, "sys/net/ipv4/tcp_rmem", "131072 131072 6291456")
		}, `sysctl -w net.ipv4.tcp_rmem="4096 131072 6291456"`},
		"little memory for TCP": {func(t *testing.T, m *machine, _ *config.Config) {
			m.put(t, "sys/net/ipv4/tcp_mem", "1000 2000 3000")
		}, `sysctl -w net.ipv4.tcp_mem="`},
		"a small machine": {func(t *testing.T, m *machine, _ *config.Config) {
			m.put(t, "meminfo", "MemTotal: 512000 kB")
		}, "docker run --memory 1065m"},
		"a small group": {func(t *testing.T, m *machine, _ *config.Config) {
			m.put(t, "../cgroup/system.slice/memory.max", "268435456")
		}, "MemoryMax=1065M"},
		"a small group of version 1": {func(t *testing.T, m *machine, _ *config.Config) {
			m.put(t, "self/cgroup", "4:memory:/x\n3:cpuset:/x\n0::/")
			m.put(t, "../cgroup/memory/x/memory.limit_in_bytes", "268435456")
		}, "MemoryMax=1065M"},
		"io_uring switched off": {func(t *testing.T, m *machine, _ *config.Config) {
			m.put(t, "sys/kernel/io_uring_disabled", "2")
			m.uring = func() error { return syscall.EPERM }
		}, "sysctl -w kernel.io_uring_disabled=0"},
		"io_uring forbidden": {func(_ *testing.T, m *machine, _ *config.Config) {
			m.uring = func() error { return syscall.EPERM }
		}, "seccomp"},
		"the clock": {func(_ *testing.T, m *machine, _ *config.Config) {
			m.clock = func() (bool, error) { return false, nil }
		}, "timedatectl set-ntp true"},
		"an open door": {func(_ *testing.T, _ *machine, cfg *config.Config) {
			cfg.Listen, cfg.Dev = ":0", true
		}, "leave --dev out"},
		"open profiles": {func(_ *testing.T, _ *machine, cfg *config.Config) { cfg.Admin = ":0" }, "--admin 127.0.0.1:9090"},
		"a bad address": {func(_ *testing.T, _ *machine, cfg *config.Config) { cfg.Listen = "127.0.0.1:99999" }, "--listen"},
	}
}

func TestDoctorNamesWhatLiftsEachLimit(t *testing.T) {
	t.Parallel()
	for name, c := range spoilers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, cfg := goodMachine(t), quietConfig()
			c.spoil(t, &m, cfg)
			var bad []finding
			for _, f := range diagnose(t.Context(), cfg, m, 60_000) {
				if !f.OK {
					bad = append(bad, f)
				}
			}
			if len(bad) != 1 || !strings.Contains(bad[0].Advice, c.advice) {
				t.Errorf("findings %+v, wanted one with %q", bad, c.advice)
			}
		})
	}
}

func TestDoctorOnAMachineWithoutProcfs(t *testing.T) {
	t.Parallel()
	m := machine{
		proc: filepath.Join(t.TempDir(), "none"), cgroups: filepath.Join(t.TempDir(), "none"),
		limits: func() (uint64, uint64, error) { return 1 << 20, 1 << 20, nil },
		uring:  func() error { return errNotHere },
		clock:  func() (bool, error) { return false, errNotHere },
	}
	for _, f := range diagnose(t.Context(), quietConfig(), m, 1000) {
		if !f.OK {
			t.Errorf("what can't be read is held against the machine: %+v", f)
		}
	}
}

func TestDoctorReports(t *testing.T) {
	t.Parallel()
	findings := []finding{fine("a"), look("do it", "b")}
	var text, asJSON bytes.Buffer
	if err := giveFindings(&text, findings, false); err == nil {
		t.Error("something wants a look, and the status is 0")
	}
	if want := "ok    a\nlook  b\n      do it\n\n1 of 2 things want a look\n"; text.String() != want {
		t.Errorf("%q", text.String())
	}
	_ = giveFindings(&asJSON, findings, true)
	var got struct {
		OK       bool
		Findings []finding
	}
	if err := json.Unmarshal(asJSON.Bytes(), &got); err != nil || got.OK || len(got.Findings) != 2 ||
		got.Findings[1] != findings[1] {
		t.Errorf("%v %s", err, asJSON.String())
	}
	if err := giveFindings(&text, findings[:1], false); err != nil {
		t.Errorf("nothing wants a look: %v", err)
	}
}

// A spool with records that are nowhere else is not to be overlooked.
func TestDoctorLooksAtTheSpool(t *testing.T) {
	t.Parallel()
	cfg := quietConfig()
	cfg.Store, cfg.Spool.File = "postgres://u@127.0.0.1:1/db", filepath.Join(t.TempDir(), "spool.db")
	said := func(want string, ok bool) {
		t.Helper()
		if f := spoolOf(t.Context(), cfg); f.OK != ok || !strings.Contains(f.What, want) || f.OK == (f.Advice != "") {
			t.Errorf("%+v, want %q", f, want)
		}
	}
	said("does not exist yet", true)
	spool, err := sqlite.OpenSpool(t.Context(), cfg.Spool.File)
	if err != nil {
		t.Fatal(err)
	}
	said("running server's", true)
	record := rooms.Record{Room: "a", Index: 1, Kind: "x"}
	if err := spool.Append(t.Context(), []rooms.Record{record, {Room: "b", Index: 1, Kind: "x"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := spool.Refuse(t.Context(), "a", "another writer"); err != nil {
		t.Fatal(err)
	}
	if err := spool.Close(); err != nil {
		t.Fatal(err)
	}
	said("holds 1 records", false)
	if err := os.WriteFile(cfg.Spool.File, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	said("damaged", false)
	cfg.Spool.File = ""
	said("none", false)
}
