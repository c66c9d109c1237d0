package interop_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"demarc/softphone"
)

func is(state string) func(user) bool { return func(u user) bool { return u.State == state } }

func agent(prefix string) func(string) bool {
	return func(s string) bool { return strings.HasPrefix(s, prefix) }
}

// Linphone is given a link and nothing else. It registers with the HA1 of the document; when it stops the user is
// inactive; when the PBX's password changed, support reads why.
func TestLinphone(t *testing.T) {
	s := newSystem(t)
	s.await("1001", "has a credential", is("inactive"))
	phone := newLinphone(t, s.documentLink("1001"), s.caFile)
	first := phone.start()
	u := s.await("1001", "is registered", is("registered"))
	if len(u.Devices) != 1 || u.Devices[0].Origin != "document" || u.Devices[0].Transport != "tls" {
		t.Errorf("devices: %+v", u.Devices)
	}
	first.say("quit")
	if err := first.wait(); err != nil {
		t.Errorf("linphonec ended with %v", err)
	}
	u = s.await("1001", "is inactive", is("inactive"))
	if !strings.Contains(u.Text, "ended its registration") {
		t.Errorf("inactive says %q", u.Text)
	}

	second := phone.start() // from what it kept: the link is used up
	u = s.await("1001", "is registered again", is("registered"))
	if len(u.Devices) != 1 {
		t.Errorf("the second start looks like another device: %+v", u.Devices)
	}
	second.kill()
	s.await("1001", "is inactive after the phone died", is("inactive"))

	s.rotate("1001")
	phone.start()
	u = s.await("1001", "is refused", func(u user) bool { return u.State == "sip_error" && u.SIPCode == 401 })
	if !strings.Contains(u.Text, "Sync this user") || !strings.Contains(u.Device, "Linphone") {
		t.Errorf("support reads %q of %q", u.Text, u.Device)
	}
}

// Three makes of phone on one AoR, and each is a device of its own.
func TestSeveralPhonesOnOneAoR(t *testing.T) {
	s := newSystem(t)
	newLinphone(t, s.documentLink("1001"), s.caFile).start()
	other := baresip(t, s.sip("tls"), s.caFile, "1001", domain, adaPassword)
	runSDK(t, s, "1001")
	u := s.await("1001", "has three phones", func(u user) bool {
		return u.registered(agent("Linphone")) && u.registered(agent("baresip")) && u.registered(agent("demarc"))
	})
	if len(u.Devices) != 3 {
		t.Errorf("devices: %+v", u.Devices)
	}
	other.terminate()
	s.await("1001", "has lost baresip only", func(u user) bool {
		return u.registered(agent("Linphone")) && !u.registered(agent("baresip")) && u.registered(agent("demarc"))
	})
	if u := s.user("1001"); u.State != "registered" {
		t.Errorf("the user is %s: %s", u.State, u.Text)
	}
}

func TestSippOverUDP(t *testing.T) {
	s := newSystem(t)
	if err := sipp(t, "register.xml", s.sip("udp"), "1002", domain, gracePassword); err != nil {
		t.Fatalf("sipp: %v", err)
	}
	u := s.await("1002", "is registered", is("registered"))
	if len(u.Devices) != 1 || u.Devices[0].Transport != "udp" || u.Devices[0].Origin != "observed" {
		t.Errorf("devices: %+v", u.Devices)
	}
	if err := sipp(t, "register.xml", s.sip("udp"), "1002", domain, "wrong"); err == nil {
		t.Error("sipp registered with a wrong password")
	}
}

// The SDK against the real thing: a changed password is an error that support can read, and one sync mends it.
func TestSDKRecoversByItself(t *testing.T) {
	s := newSystem(t)
	s.rotate("1001")
	runSDK(t, s, "1001")
	u := s.await("1001", "is refused", is("sip_error"))
	if u.SIPCode != 401 {
		t.Errorf("support reads %d %q", u.SIPCode, u.Text)
	}
	s.sync()
	s.await("1001", "is registered", is("registered"))
}

// runSDK enrols a phone of the SDK for a user and runs it until the test's end.
func runSDK(t *testing.T, s *system, extension string) {
	t.Helper()
	profile, err := softphone.Enrol(t.Context(), softphone.Enrolment{Link: s.enrolmentLink(extension), Name: "SDK"})
	if err != nil {
		t.Fatal(err)
	}
	phone, err := softphone.New(softphone.Config{
		Profile: profile, Retry: softphone.Retry{Quick: quickly, Base: quickly, Max: 10 * quickly},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := phone.Run(ctx); err != nil {
			t.Errorf("the phone ended: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}
