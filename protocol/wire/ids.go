package wire

// ConnID names one connection of this process. It is opaque here; netpoll.ConnID says how it is made. A stale
// ConnID never reaches a newer connection. Zero is no connection.
type ConnID uint64

// Role is what somebody may do. Roles are ordered: each may do what the ones below it may.
type Role uint8

// The roles, lowest first.
const (
	RoleNone Role = iota
	RoleObserver
	RoleParticipant
	RoleModerator
	RoleHost
	RoleAdmin
)

var roleNames = [...]string{"none", "observer", "participant", "moderator", "host", "admin"}

// String is the role's name in tokens, on the wire, in logs and in metric labels.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return "invalid"
}

// ParseRole is the inverse of String; ok is false for a name that is no role.
func ParseRole(name string) (role Role, ok bool) {
	for i, n := range roleNames {
		if n == name {
			return Role(i), true
		}
	}
	return RoleNone, false
}

// MarshalText makes a Role a string in JSON.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText accepts a role's name; an unknown one is an invalid_data error.
func (r *Role) UnmarshalText(text []byte) error {
	role, ok := ParseRole(string(text))
	if !ok {
		return NewError(CodeInvalidData, "unknown role %q", text)
	}
	*r = role
	return nil
}

// Class says what may happen to a message that a connection can't take at once.
type Class uint8

const (
	// ClassReliable is kept up to the hard limit, then the connection is closed with CloseSlowConsumer.
	ClassReliable Class = iota
	// ClassState is kept, but only the newest per key.
	ClassState
	// ClassVolatile is dropped and counted.
	ClassVolatile
)

var classNames = [...]string{"reliable", "state", "volatile"}

// String is the class's name in logs and metric labels.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "invalid"
}
