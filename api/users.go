package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"demarc/internal/access"
	"demarc/internal/timeline"
	"demarc/provisioning"
	"demarc/store"
)

const timelineLimit = 100

type usersInput struct {
	State []string `query:"state" enum:"pending,inactive,registered,sip_error" doc:"Only these states"`
	Query string   `query:"q" maxLength:"100" doc:"Part of name, e-mail address or extension"`
	After string   `query:"after" maxLength:"500" doc:"next of the page before"`
	Limit int      `query:"limit" minimum:"1" maximum:"500" default:"100"`
}

type usersOutput struct {
	Body struct {
		Users  []userBody     `json:"users" nullable:"false"`
		Next   string         `json:"next,omitempty" doc:"Send it as after for the next page; absent on the last"`
		Counts map[string]int `json:"counts" doc:"Users by state over the whole account"`
	}
}

type userInput struct {
	UserID string `path:"userId"`
}

type userOutput struct{ Body userBody }

type userBody struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	Email        string       `json:"email"`
	Extension    string       `json:"extension"`
	State        string       `json:"state" enum:"pending,inactive,registered,sip_error"`
	SIPCode      int          `json:"sipCode,omitempty" doc:"Of the last refusal; absent when no SIP answer came"`
	Text         string       `json:"text" doc:"Plain words: why, whose turn it is, what to do"`
	Device       string       `json:"device,omitempty" doc:"Name of the device that decides the state"`
	Changed      time.Time    `json:"changed,omitzero"`
	AddedAt      time.Time    `json:"addedAt,omitzero"`
	PendingSince time.Time    `json:"pendingSince,omitzero"`
	LastSync     time.Time    `json:"lastSync,omitzero"`
	Devices      []deviceBody `json:"devices" nullable:"false"`
	Timeline     []entryBody  `json:"timeline,omitempty" doc:"Newest first; only when one user is read"`
}

type deviceBody struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	Kind           string    `json:"kind"`
	Origin         string    `json:"origin" enum:"sdk,document,observed"`
	State          string    `json:"state" enum:"pending,inactive,registered,sip_error"`
	SIPCode        int       `json:"sipCode,omitempty"`
	Text           string    `json:"text,omitempty"`
	Changed        time.Time `json:"changed,omitzero"`
	EnrolledAt     time.Time `json:"enrolledAt,omitzero"`
	LastSeen       time.Time `json:"lastSeen,omitzero"`
	LastRegistered time.Time `json:"lastRegistered,omitzero" doc:"Absent: never"`
	UserAgent      string    `json:"userAgent,omitempty"`
	Remote         string    `json:"remote,omitempty"`
	Transport      string    `json:"transport,omitempty"`
}

type entryBody struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Device string    `json:"device,omitempty"`
	Code   int       `json:"code,omitempty"`
	Text   string    `json:"text"`
	Actor  string    `json:"actor"`
}

type addUserInput struct {
	Body struct {
		Email     string `json:"email" maxLength:"254"`
		Name      string `json:"name" maxLength:"200"`
		Extension string `json:"extension,omitempty" maxLength:"64" doc:"As the PBX knows it; found by e-mail when absent"`
	}
}

type importInput struct {
	DryRun   bool   `query:"dryRun" doc:"Check the file and change nothing"`
	Filename string `query:"filename" maxLength:"200" doc:"For messages; it must not end in .xlsx"`
	RawBody  []byte `contentType:"text/csv"`
}

type importOutput struct{ Body importBodyDoc }

type importBodyDoc struct {
	DryRun    bool         `json:"dryRun"`
	Rows      int          `json:"rows"`
	Add       int          `json:"add"`
	Update    int          `json:"update"`
	Unchanged int          `json:"unchanged"`
	Errors    []FieldError `json:"errors" nullable:"false" doc:"While there is one, nothing is applied"`
	Warnings  []FieldError `json:"warnings" nullable:"false"`
}

func (s *server) userRoutes() {
	handle(s, route("GET", "/v1/users", "list-users", "List integrated users with their state", "Users", 200, "session"),
		s.users)
	handle(s, route("POST", "/v1/users", "add-user", "Put a person on the integration", "Users", 201, "session"),
		s.addUser)
	handle(s, route("GET", "/v1/users/{userId}", "read-user", "Read one user with devices and timeline", "Users", 200,
		"session"), s.readUser)
	handle(s, route("DELETE", "/v1/users/{userId}", "remove-user", "Take a user off the integration", "Users", 204,
		"session"), s.removeUser)
	csv := route("POST", "/v1/users/import", "import-users", "Import users from a CSV file", "Users", 200, "session")
	csv.MaxBodyBytes, csv.BodyReadTimeout = importBody, time.Minute
	csv.Middlewares = huma.Middlewares{s.before(access.ChangeUsers)} // strangers must not fill the memory with files
	handle(s, csv, s.importUsers)
}

func (s *server) users(ctx context.Context, in *usersInput) (*usersOutput, error) {
	p, scope, err := s.may(ctx, access.ReadUsers)
	if err != nil {
		return nil, err
	}
	if err := store.CheckText(in.Query, in.After); err != nil {
		return nil, err
	}
	f := provisioning.StatusFilter{Search: in.Query, After: in.After, Limit: in.Limit}
	for _, state := range in.State {
		f.States = append(f.States, provisioning.SyncState(state))
	}
	if scope == access.Own {
		f = provisioning.StatusFilter{Search: p.Member.Email, Limit: 500}
	}
	page, err := s.Provisioning.Statuses(ctx, p.Account, f)
	if err != nil {
		return nil, err
	}
	if scope == access.Own {
		page = ownOnly(page, p)
	}
	out := &usersOutput{}
	out.Body.Users, out.Body.Next, out.Body.Counts = []userBody{}, page.Next, map[string]int{}
	for _, st := range page.Users {
		out.Body.Users = append(out.Body.Users, describeUser(st))
	}
	for state, n := range page.Counts {
		out.Body.Counts[string(state)] = n
	}
	return out, nil
}

// ownOnly leaves the member's own line, and counts it alone: how many others there are is not theirs to see.
func ownOnly(page provisioning.StatusPage, p access.Principal) provisioning.StatusPage {
	own := provisioning.StatusPage{Counts: map[provisioning.SyncState]int{}}
	for _, st := range page.Users {
		if st.User.Member == p.Member.ID {
			own.Users = append(own.Users, st)
			own.Counts[st.State]++
		}
	}
	return own
}

func (s *server) readUser(ctx context.Context, in *userInput) (*userOutput, error) {
	p, st, err := s.user(ctx, access.ReadUsers, in.UserID)
	if err != nil {
		return nil, err
	}
	entries, err := s.Provisioning.Timeline(ctx, p.Account, st.User.ID, timelineLimit)
	if err != nil {
		return nil, err
	}
	body := describeUser(st)
	for _, e := range entries {
		body.Timeline = append(body.Timeline, describeEntry(e))
	}
	return &userOutput{Body: body}, nil
}

func (s *server) addUser(ctx context.Context, in *addUserInput) (*userOutput, error) {
	p, _, err := s.may(ctx, access.ChangeUsers)
	if err != nil {
		return nil, err
	}
	b := in.Body
	if err := store.CheckText(b.Email, b.Name, b.Extension); err != nil {
		return nil, err
	}
	u, err := s.Provisioning.AddUser(ctx, p.Member, provisioning.NewUser{
		Email: b.Email, Name: b.Name, Extension: b.Extension,
	})
	if err != nil {
		return nil, err
	}
	st, err := s.Provisioning.Status(ctx, p.Account, u.ID)
	if err != nil {
		return nil, err
	}
	return &userOutput{Body: describeUser(st)}, nil
}

func (s *server) removeUser(ctx context.Context, in *userInput) (*struct{}, error) {
	p, st, err := s.user(ctx, access.ChangeUsers, in.UserID)
	if err != nil {
		return nil, err
	}
	return nil, s.Provisioning.RemoveUser(ctx, p.Member, st.User.ID)
}

func (s *server) importUsers(ctx context.Context, in *importInput) (*importOutput, error) {
	p, _, err := s.may(ctx, access.ChangeUsers)
	if err != nil {
		return nil, err
	}
	name := in.Filename
	if name == "" {
		name = "users.csv"
	}
	report, err := s.Provisioning.Import(ctx, p.Member, bytes.NewReader(in.RawBody), name, in.DryRun)
	if err != nil {
		return nil, err
	}
	if len(report.Errors) > 0 && !in.DryRun {
		refused := newProblem(http.StatusUnprocessableEntity, "import_refused",
			fmt.Sprintf("Nothing was imported: correct %d rows and send the file again.", len(report.Errors)))
		refused.Errors = describeRows(report.Errors)
		return nil, refused
	}
	return &importOutput{Body: importBodyDoc{
		DryRun: report.DryRun, Rows: report.Rows, Add: report.Add, Update: report.Update, Unchanged: report.Unchanged,
		Errors: describeRows(report.Errors), Warnings: describeRows(report.Warnings),
	}}, nil
}

func describeRows(rows []provisioning.RowError) []FieldError {
	out := []FieldError{}
	for _, r := range rows {
		location := fmt.Sprintf("row %d", r.Row)
		if r.Column != "" {
			location += ", " + r.Column
		}
		out = append(out, FieldError{Location: location, Message: r.Message})
	}
	return out
}

func describeUser(st provisioning.Status) userBody {
	u := st.User
	b := userBody{
		ID: string(u.ID), Name: u.Name, Email: u.Email, Extension: u.Extension, State: string(st.State),
		SIPCode: st.SIPCode, Text: st.Text, Device: st.Device, Changed: st.Changed, AddedAt: u.AddedAt,
		PendingSince: u.PendingSince, LastSync: u.LastSync, Devices: []deviceBody{},
	}
	for _, d := range st.Devices {
		b.Devices = append(b.Devices, describeDevice(d))
	}
	return b
}

func describeDevice(d provisioning.Device) deviceBody {
	return deviceBody{
		ID: string(d.ID), Name: d.Name, Kind: string(d.Kind), Origin: string(d.Origin), State: string(d.State),
		SIPCode: d.SIPCode, Text: d.SIPText, Changed: d.ChangedAt, EnrolledAt: d.EnrolledAt, LastSeen: d.LastSeen,
		LastRegistered: d.LastRegistered, UserAgent: d.UserAgent, Remote: d.Remote, Transport: d.Transport,
	}
}

func describeEntry(e timeline.Entry) entryBody {
	return entryBody{
		At: e.At, Kind: string(e.Kind), Device: e.Device, Code: e.Code, Text: e.Text, Actor: e.Actor,
	}
}
