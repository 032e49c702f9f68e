package app

import (
	"math"
	"net/http"
	"net/netip"
	"strings"

	"lectern/netpoll/limit"
	"lectern/protocol/forwarded"
)

// addressLimit caps the open connections of one address. A trusted proxy speaks for many: it is not counted when it
// connects, but whom it speaks for when that one's WebSocket is asked for.
type addressLimit struct {
	limiter *limit.Limiter
	proxies forwarded.Proxies
}

// newAddressLimit is nil without a cap.
func newAddressLimit(most int, proxies forwarded.Proxies) *addressLimit {
	if most == 0 {
		return nil
	}
	// Only what is open counts here: how fast everybody together may come is conns.accept_rate's.
	return &addressLimit{
		limit.New(limit.Config{ConnsPerAddr: most, OpensPerSecond: math.MaxInt32, OpensBurst: math.MaxInt32}), proxies,
	}
}

// atAccept is netpoll.Config.Admit; nil without a cap.
func (l *addressLimit) atAccept() func(remote string) (released func(), ok bool) {
	if l == nil {
		return nil
	}
	return func(remote string) (released func(), ok bool) {
		if peer, err := netip.ParseAddrPort(remote); err == nil && l.proxies.Contains(peer.Addr()) {
			return nil, true
		}
		return l.limiter.Admit(remote)
	}
}

// behindProxy is gateway.Config.AdmitClient; nil without a cap.
func (l *addressLimit) behindProxy() func(client netip.Addr) (released func(), ok bool) {
	if l == nil {
		return nil
	}
	return func(client netip.Addr) (released func(), ok bool) {
		released, ok = l.limiter.Admit(netip.AddrPortFrom(client, 0).String())
		if ok && released == nil {
			released = func() {}
		}
		return released, ok
	}
}

// notFresh answers a WebSocket handshake on a connection that net/http has: a loop must see a connection's first bytes
// to keep it. RFC 9110 section 15.5.20 lets the client try again on another connection. Proxies meet this when they
// reuse connections for upgrades.
func notFresh(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			w.Header().Set("Connection", "close")
			http.Error(w, "a WebSocket needs a connection that has not carried other requests: "+
				"a proxy in between must not reuse connections for upgrades", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fromClients gives handlers the client's address as RemoteAddr where a trusted proxy says it. What others say about
// themselves is taken out of the request.
func fromClients(proxies forwarded.Proxies, next http.Handler) http.Handler {
	if len(proxies) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err == nil && proxies.Contains(peer.Addr()) {
			if client := proxies.Client(peer.Addr(), r.Header.Values("X-Forwarded-For")); client != peer.Addr().Unmap() {
				r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
			}
		} else {
			r.Header.Del("X-Forwarded-For")
			r.Header.Del("X-Forwarded-Proto")
		}
		next.ServeHTTP(w, r)
	})
}
