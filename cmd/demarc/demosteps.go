package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"demarc/docs/examples"
	"demarc/softphone"
)

func (d *demo) signIn(ctx context.Context) error {
	link, err := d.gateway.SignInLink(ctx)
	if err != nil {
		return err
	}
	d.admin, err = signIn(ctx, d.gateway.CAPEM(), d.gateway.URL(), link.Reveal())
	return err
}

func (d *demo) link(ctx context.Context) error {
	c, err := d.admin.install(ctx, d.gateway.CloudLinkURL())
	if err != nil {
		return err
	}
	email, password, err := d.gateway.CloudLinkAdmin()
	if err != nil {
		return err
	}
	_, err = d.admin.connect(ctx, c, email, password)
	return err
}

func (d *demo) importPeople(ctx context.Context) error {
	for _, query := range []string{"?dryRun=true", ""} {
		var report struct {
			Add    int `json:"add"`
			Errors []struct {
				Row     int    `json:"row"`
				Message string `json:"message"`
			} `json:"errors"`
		}
		if err := d.admin.call(ctx, http.MethodPost, "/v1/users/import"+query, examples.People, &report); err != nil {
			return err
		}
		if report.Add != 25 || len(report.Errors) > 0 {
			return fmt.Errorf("the import would add %d people and names these errors: %v", report.Add, report.Errors)
		}
	}
	return nil
}

func (d *demo) sync(ctx context.Context) error {
	var run struct {
		Error  string `json:"error"`
		Looked int    `json:"looked"`
	}
	if err := d.admin.call(ctx, http.MethodPost, "/v1/sync", nil, &run); err != nil {
		return err
	}
	if run.Error != "" || run.Looked != 25 {
		return fmt.Errorf("the sync looked at %d people: %s", run.Looked, run.Error)
	}
	return d.await(ctx, func(counts map[string]int) bool { return counts["inactive"] == 25 })
}

// await reads the users until the counts are as wished.
func (d *demo) await(ctx context.Context, wished func(counts map[string]int) bool) error {
	for {
		var page struct {
			Users  []userRow      `json:"users"`
			Counts map[string]int `json:"counts"`
		}
		if err := d.admin.call(ctx, http.MethodGet, "/v1/users?limit=100", nil, &page); err != nil {
			return err
		}
		d.users = map[string]userRow{}
		for _, u := range page.Users {
			d.users[u.Extension] = u
		}
		if wished(page.Counts) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the users are %v: %w", page.Counts, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// demoPhone is one softphone of the demo.
type demoPhone struct {
	extension string
	profile   *softphone.Profile
	phone     *softphone.Phone
}

func (d *demo) enrol(ctx context.Context) error {
	for _, extension := range []string{"1001", "1002", "1003"} {
		user, ok := d.users[extension]
		if !ok {
			return fmt.Errorf("nobody has the extension %s", extension)
		}
		var code struct {
			Link string `json:"link"`
		}
		path := "/v1/users/" + url.PathEscape(user.ID) + "/enrolment-codes"
		if err := d.admin.call(ctx, http.MethodPost, path, map[string]string{"kind": "desktop"}, &code); err != nil {
			return err
		}
		profile, err := softphone.Enrol(ctx, softphone.Enrolment{Link: code.Link, Name: "Demo softphone " + extension})
		if err != nil {
			return err
		}
		d.phones = append(d.phones, &demoPhone{extension: extension, profile: profile})
	}
	return nil
}

func (d *demo) breakOne(ctx context.Context) error { return d.gateway.RotateCredential(ctx, "1003") }

func (d *demo) register(ctx context.Context) error {
	for _, p := range d.phones {
		phone, err := softphone.New(softphone.Config{Profile: p.profile})
		if err != nil {
			return err
		}
		p.phone = phone
		running, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = phone.Run(running) // its status tells how it goes
		}()
		d.stop = append(d.stop, func() { cancel(); <-done })
	}
	return d.await(ctx, func(counts map[string]int) bool { return counts["registered"] == 2 && counts["sip_error"] == 1 })
}

// show prints the table and how to go on.
func (d *demo) show(ctx context.Context) error {
	link, err := d.gateway.SignInLink(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(d.out)
	if err := d.table(); err != nil {
		return err
	}
	document, err := d.documentLink(ctx, "1004")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.out, `
Portal       %s
             signs you in once as the owner, within ten minutes (your browser does not know the demo's CA yet:
             %s, or accept its warning)
Linphone     to register a phone of your own as extension 1004, let it trust that CA, then fetch this document once
             (Assistant → fetch remote configuration):
             %s
Softphone    demarc phone enrol LINK, with a link from the user's page in the portal, then demarc phone run
Log          %s
`, link.Reveal(), d.gateway.URL()+"/ca.pem", document, d.dir)
	return err
}

func (d *demo) documentLink(ctx context.Context, extension string) (string, error) {
	var made struct {
		URL string `json:"url"`
	}
	path := "/v1/users/" + url.PathEscape(d.users[extension].ID) + "/document-links"
	err := d.admin.call(ctx, http.MethodPost, path, map[string]string{"app": "linphone", "kind": "desktop"}, &made)
	return made.URL, err
}
