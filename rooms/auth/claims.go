package auth

import (
	"time"

	"github.com/golang-jwt/jwt/v5"

	"lectern/protocol/wire"
)

// Claims is what a token says about its bearer.
type Claims struct {
	Subject   string    // the user's id
	Name      string    // display name; may be empty
	Role      wire.Role // the highest role the bearer may take
	Room      string    // the only room the token is good for; empty: any
	Family    string    // sid: the refresh family; empty for a token that can't be refreshed or revoked
	ID        string    // jti; set by IssueAccess
	IssuedAt  time.Time // set by IssueAccess; whole seconds
	ExpiresAt time.Time // set by IssueAccess; whole seconds
}

// Sizes that Verify and NewFamily enforce, in bytes.
const (
	subjectBytesMax = 256
	nameBytesMax    = 512
	roomBytesMax    = 256
)

// fault names the member that makes c unfit for a token; empty when there is none.
func (c *Claims) fault() string {
	switch {
	case c.Subject == "" || len(c.Subject) > subjectBytesMax:
		return "sub"
	case len(c.Name) > nameBytesMax:
		return "name"
	case c.Role == wire.RoleNone || c.Role > wire.RoleAdmin:
		return "role"
	case len(c.Room) > roomBytesMax:
		return "room"
	case len(c.Family) > subjectBytesMax:
		return "sid"
	}
	return ""
}

// payload is the JSON of an access token. It implements jwt.Claims through RegisteredClaims.
type payload struct {
	jwt.RegisteredClaims
	Name   string    `json:"name,omitempty"`
	Role   wire.Role `json:"role"`
	Room   string    `json:"room,omitempty"`
	Family string    `json:"sid,omitempty"`
}

func (p *payload) claims() Claims {
	c := Claims{
		Subject: p.Subject, Name: p.Name, Role: p.Role, Room: p.Room, Family: p.Family, ID: p.ID,
		ExpiresAt: p.ExpiresAt.Time,
	}
	if p.IssuedAt != nil {
		c.IssuedAt = p.IssuedAt.Time
	}
	return c
}

func familyClaims(f *Family) Claims {
	return Claims{Subject: f.Subject, Name: f.Name, Role: f.Role, Room: f.Room, Family: f.ID}
}
