package gateway

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"demarc/internal/config"
	"demarc/telephony"
)

// The registrar tells of phones of other nodes as soon as it runs, while what carries calls is still being made. That this is safe is for
// the race detector to say.
func TestPhonesComeWhileCallsAreNotThereYet(t *testing.T) {
	effective, err := config.Load("", []string{"DEMARC_DATA_DIR=" + t.TempDir(), "DEMARC_ROLES=telephony"})
	if err != nil {
		t.Fatal(err)
	}
	c := effective.Config
	c.Telephony.Listeners = []config.Listener{{Name: "udp", Transport: string(telephony.UDP), Address: "127.0.0.1:0"}}
	g := New(Config{Config: c, Log: slog.New(slog.DiscardHandler)})
	defer func() {
		if err := g.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	registrar := func(ctx context.Context) error {
		_, err := g.startRegistrar(ctx)
		return err
	}
	for _, step := range []func(context.Context) error{g.openData, g.openAccount, g.openEdge, registrar} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	made, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for open := true; open; {
			g.registrationsChanged([]telephony.AoR{lea})
			select {
			case <-made:
				open = false
			default:
			}
		}
	}()
	err = g.startExchange(t.Context())
	close(made)
	<-ended
	serving, cancel := context.WithCancel(t.Context())
	cancel()
	if err = errors.Join(err, g.telephony.edge.Serve(serving, handler{})); err != nil { // which closes its socket
		t.Fatal(err)
	}
}
