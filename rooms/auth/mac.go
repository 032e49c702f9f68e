package auth

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
)

// macKey is a key for MACs that follows from a signing key: whoever has the store has both, and nobody else has either.
func macKey(key *rsa.PrivateKey) []byte {
	mac := hmac.New(sha256.New, key.D.Bytes())
	mac.Write([]byte("lectern.mac.v1"))
	return mac.Sum(nil)
}

// MAC authenticates data of this server's own that a client keeps for it; purpose tells uses apart. It costs a few
// microseconds. Checked by CheckMAC, also after a restart and, while the old signing key still verifies, after a
// rotation. Any goroutine.
func (i *Issuer) MAC(purpose string, data []byte) [32]byte {
	return sum(i.set.Load().macKeys[0], purpose, data)
}

// CheckMAC reports whether mac was made by MAC for that purpose and data. Any goroutine.
func (i *Issuer) CheckMAC(purpose string, data, mac []byte) bool {
	for _, key := range i.set.Load().macKeys {
		if want := sum(key, purpose, data); hmac.Equal(mac, want[:]) {
			return true
		}
	}
	return false
}

func sum(key []byte, purpose string, data []byte) (out [32]byte) {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write(data)
	mac.Sum(out[:0])
	return out
}
