package server

import (
	"fmt"
	"strings"

	"demarc/cloudlink/oauth"
	"demarc/internal/account"
)

// people knows the service's accounts and their admins. It does not change while the server runs.
type people struct {
	accounts map[account.ID]Account
	byEmail  map[string]admin
	byID     map[string]admin
}

type admin struct {
	oauth.Person
	hash    phc
	mayLink bool
}

func newPeople(accounts []Account) (*people, error) {
	p := &people{
		accounts: make(map[account.ID]Account), byEmail: make(map[string]admin), byID: make(map[string]admin),
	}
	for _, a := range accounts {
		if _, twice := p.accounts[a.ID]; twice || a.ID == "" || a.PBX == nil {
			return nil, fmt.Errorf("cloudlink account %q needs an id of its own and a PBX", a.ID)
		}
		p.accounts[a.ID] = a
		for _, person := range a.Admins {
			if err := p.add(a.ID, person); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func (p *people) add(acc account.ID, a Admin) error {
	email := foldEmail(a.Email)
	hash, err := parsePHC(a.PasswordHash)
	if err != nil {
		return fmt.Errorf("cloudlink admin %q: %w", a.Email, err)
	}
	if _, twice := p.byEmail[email]; twice || !strings.Contains(email, "@") {
		return fmt.Errorf("cloudlink admin %q: an email address must be whole and belong to one account alone", a.Email)
	}
	// The id follows from account and address, so that grants survive a restart without a table of admins.
	id := "adm_" + account.Secret(string(acc) + "\x00" + email).Hash()[:20]
	known := admin{
		Person: oauth.Person{Account: acc, ID: id, Email: email, Name: a.Name, Role: a.Role},
		hash:   hash, mayLink: a.PhoneSystemIntegration,
	}
	p.byEmail[email], p.byID[id] = known, known
	return nil
}

// mayLink reports whether a person still holds the permission "Phone System Integration".
func (p *people) mayLink(acc account.ID, id string) bool {
	a, ok := p.byID[id]
	return ok && a.Account == acc && a.mayLink
}

func (p *people) lifetimes(acc account.ID) oauth.Lifetimes { return p.accounts[acc].lifetimes() }

func foldEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
