package client

import "time"

var processStart = time.Now()

// Now is a monotonic clock in nanoseconds; only differences mean anything. Any goroutine may call it.
func Now() int64 { return int64(time.Since(processStart)) }

// UnixMillis is the wall clock at the monotonic time now, in Unix milliseconds with a fraction. It ignores steps of the
// wall clock after the process started, so latencies against a server's timestamps assume that nobody set the clock.
func UnixMillis(now int64) float64 {
	return float64(processStart.UnixMicro())/1e3 + float64(now)/1e6
}

// FromUnixMillis is the inverse of UnixMillis.
func FromUnixMillis(ms int64) int64 {
	return (ms*1000 - processStart.UnixMicro()) * 1000
}
