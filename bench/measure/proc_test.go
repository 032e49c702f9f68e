package measure

import (
	"net"
	"os"
	"testing"
)

func TestListenerPIDFindsThisProcess(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if pid, err := ListenerPID(port); err != nil || pid != os.Getpid() {
		t.Fatalf("pid %d, %v; want %d", pid, err, os.Getpid())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenerPID(port); err == nil {
		t.Fatal("found a listener after it was closed")
	}
}

func TestReadProcess(t *testing.T) {
	p, err := ReadProcess(os.Getpid())
	if err != nil || p.RSSBytes < 1<<20 {
		t.Fatalf("%+v, %v", p, err)
	}
	if self := SelfCPU(); self <= 0 || p.CPU > 2*self+clockTick {
		t.Fatalf("the process's clock says %v, rusage %v", p.CPU, self)
	}
	if _, err := ReadProcess(1 << 29); err == nil {
		t.Fatal("read a process that can't exist")
	}
}

func TestSNMPCounter(t *testing.T) {
	table := "Ip: A B\nIp: 1 2\nTcp: RtoAlgorithm RetransSegs X\nTcp: 1 42 7\n"
	if got := snmpCounter(table, "Tcp:", "RetransSegs"); got != 42 {
		t.Fatal(got)
	}
}

func TestMemoryOfTheKernelAndThePeak(t *testing.T) {
	before := ReadKernelMemory()
	if before.Bytes < 1<<20 {
		t.Errorf("%+v", before)
	}
	const listeners = 4
	for range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
	}
	// Others on the machine close sockets too.
	if after := ReadKernelMemory(); after.TCPSockets == 0 {
		t.Errorf("no TCP sockets with %d listeners: %+v", listeners, after)
	}
	self, err := ReadProcess(os.Getpid())
	if err != nil || PeakRSS(os.Getpid()) < self.RSSBytes/2 || PeakRSS(-1) != 0 {
		t.Errorf("peak %d, resident %d, %v", PeakRSS(os.Getpid()), self.RSSBytes, err)
	}
	if got := kibOf("MemTotal: 5 kB\nSlab:   12 kB\n", "Slab:"); got != 12<<10 {
		t.Error(got)
	}
}
