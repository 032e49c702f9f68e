//go:build race

package app

// slowness is how much slower everything is under the race detector.
const slowness = 3
