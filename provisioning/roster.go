package provisioning

import (
	"context"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"demarc/internal/account"
	"demarc/internal/timeline"
)

// AddUser puts a person on the integration, as a new member when the email is new to the account.
func (s *Service) AddUser(ctx context.Context, actor account.Member, u NewUser) (IntegratedUser, error) {
	u, err := u.canonical()
	if err != nil {
		return IntegratedUser{}, err
	}
	var added IntegratedUser
	err = s.Store.Admit(ctx, actor.Account, func(existing []IntegratedUser) (Admission, error) {
		roll := newRoll(existing)
		if _, ok := roll.byEmail[u.Email]; ok {
			return Admission{}, fmt.Errorf("%w: %s is an integrated user already", ErrConflict, u.Email)
		}
		if other, ok := roll.byExtension[u.Extension]; ok && u.Extension != "" {
			return Admission{}, fmt.Errorf("%w: the extension %s belongs to %s", ErrConflict, u.Extension, other.Email)
		}
		added = u.integrated(actor.Account, s.Now())
		return Admission{Add: []IntegratedUser{added}, Entries: []timeline.Entry{addedEntry(added, actor, "by hand")}}, nil
	})
	if err != nil {
		return IntegratedUser{}, err
	}
	r, err := s.Store.Record(ctx, actor.Account, added.ID)
	return r.User, err
}

// RemoveUser takes a user off the integration; their devices lose access at once. The person stays a member.
func (s *Service) RemoveUser(ctx context.Context, actor account.Member, id UserID) error {
	return s.Store.Remove(ctx, actor.Account, id, timeline.Entry{
		Account: actor.Account, User: string(id), At: s.Now(), Kind: timeline.Removed, Actor: string(actor.ID),
		Text: "Taken off the integration. Softphones that know the SIP credential keep it: rotate it at the PBX when needed.",
	})
}

// canonical checks and trims what somebody typed.
func (u NewUser) canonical() (NewUser, error) {
	u.Email, u.Name, u.Extension = canonicalEmail(u.Email), strings.TrimSpace(u.Name), strings.TrimSpace(u.Extension)
	if _, text := u.fault(); text != "" {
		return u, fmt.Errorf("%w: %s", ErrInvalid, text)
	}
	return u, nil
}

// fault names the column and what is wrong with it, or nothing.
func (u NewUser) fault() (column, text string) {
	at, err := mail.ParseAddress(u.Email)
	switch {
	case u.Email == "":
		return "email", "an email is needed: users are matched by it"
	case err != nil || at.Address != u.Email || len(u.Email) > 254 || strings.ContainsAny(u.Email, "\x00\r\n"):
		return "email", fmt.Sprintf("%q is not an email address", clip(u.Email, 80))
	case len(u.Name) > 200 || clip(u.Name, 200) != u.Name:
		return "name", "a name has at most 200 plain characters"
	case len(u.Extension) > 40 || strings.Trim(u.Extension, "0123456789+*#-. ()/") != "" && !sipUser(u.Extension):
		return "extension", fmt.Sprintf("%q is not an extension: use digits, and a leading + for a full number",
			clip(u.Extension, 80))
	}
	return "", ""
}

// sipUser allows extensions that are SIP user names, as some PBXs use.
func sipUser(s string) bool {
	return strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789+-_.") == ""
}

func (u NewUser) integrated(acc account.ID, now time.Time) IntegratedUser {
	return IntegratedUser{
		Account: acc, ID: UserID(account.NewID("usr")), Email: u.Email, Name: u.Name, Extension: u.Extension,
		GivenExtension: u.Extension, AddedAt: now,
	}
}

func addedEntry(u IntegratedUser, actor account.Member, how string) timeline.Entry {
	return timeline.Entry{
		Account: u.Account, User: string(u.ID), At: u.AddedAt, Kind: timeline.Added, Actor: string(actor.ID),
		Text: "Put on the integration " + how + ". The next sync asks for the SIP credential.",
	}
}

// NewRecord is the record of a user who was just added: pending until the first sync.
func NewRecord(u IntegratedUser) Record {
	r := Record{User: u, Gaps: []Gap{{
		Cause: NeverSynced, Text: "No sync has looked at this user yet.", Since: u.AddedAt,
	}}}
	r.changes.Gaps = true
	r.Settle()
	return r
}

// roll indexes the integrated users of an account.
type roll struct {
	byEmail     map[string]IntegratedUser
	byExtension map[string]IntegratedUser // by given extension
}

func newRoll(users []IntegratedUser) roll {
	r := roll{byEmail: map[string]IntegratedUser{}, byExtension: map[string]IntegratedUser{}}
	for _, u := range users {
		r.byEmail[u.Email] = u
		if u.GivenExtension != "" {
			r.byExtension[u.GivenExtension] = u
		}
	}
	return r
}

// importPlan compares the rows of a file with who is there. With an error in any row there is nothing to apply.
func importPlan(rows []row, existing []IntegratedUser, actor account.Member, now time.Time) (Admission, ImportReport) {
	report := ImportReport{Rows: len(rows)}
	there := newRoll(existing)
	var a Admission
	seen := map[string]int{}
	extensions := map[string]int{}
	for _, r := range rows {
		column, text := r.user.fault()
		if text == "" {
			column, text = r.repeats(seen, extensions)
		}
		if other, ok := there.byExtension[r.user.Extension]; text == "" && ok && r.user.Extension != "" &&
			other.Email != r.user.Email {
			column, text = "extension", fmt.Sprintf("extension %s belongs to %s", r.user.Extension, other.Email)
		}
		if text != "" {
			report.Errors = append(report.Errors, RowError{Row: r.number, Column: column, Message: text})
			continue
		}
		old, ok := there.byEmail[r.user.Email]
		switch {
		case !ok:
			u := r.user.integrated(actor.Account, now)
			a.Add = append(a.Add, u)
			a.Entries = append(a.Entries, addedEntry(u, actor, "by CSV import"))
		case r.changes(&old):
			a.Update = append(a.Update, old)
		default:
			report.Unchanged++
		}
	}
	report.Add, report.Update = len(a.Add), len(a.Update)
	if len(report.Errors) > 0 {
		return Admission{}, report
	}
	return a, report
}

// repeats finds a row that contradicts an earlier one.
func (r row) repeats(emails, extensions map[string]int) (column, text string) {
	if earlier, ok := emails[r.user.Email]; ok {
		return "email", fmt.Sprintf("%s is in row %d already", r.user.Email, earlier)
	}
	emails[r.user.Email] = r.number
	if r.user.Extension == "" {
		return "", ""
	}
	if earlier, ok := extensions[r.user.Extension]; ok {
		return "extension", fmt.Sprintf("extension %s is in row %d already", r.user.Extension, earlier)
	}
	extensions[r.user.Extension] = r.number
	return "", ""
}

// changes puts the row's name and extension on a user who is there; empty fields leave what is stored.
func (r row) changes(u *IntegratedUser) bool {
	before := *u
	u.Name = first(r.user.Name, u.Name)
	if r.user.Extension != "" {
		u.GivenExtension, u.Extension = r.user.Extension, r.user.Extension
	}
	return *u != before
}

func sortErrors(list []RowError) {
	slices.SortStableFunc(list, func(a, b RowError) int { return a.Row - b.Row })
}
