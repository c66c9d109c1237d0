package account

import "fmt"

// Role says what a member may do in the account.
type Role string

// The roles, most powerful first.
const (
	Owner   Role = "owner"   // everything, including naming admins
	Admin   Role = "admin"   // links, members, users
	Support Role = "support" // reads every user's status, changes nothing
	User    Role = "user"    // owns devices, sees only their own
)

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case Owner, Admin, Support, User:
		return r, nil
	}
	return "", fmt.Errorf("unknown role %q: use owner, admin, support or user", s)
}
