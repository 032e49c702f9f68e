//go:build !linux

package netpoll

type rawScratch struct{}
