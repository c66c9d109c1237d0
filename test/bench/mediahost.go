package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/media"
	"demarc/telephony/sdp"
)

// mediaHost is demarc's media in a process of its own, so that nothing else counts in its figures.
type mediaHost struct {
	*process
	url string
}

// startMedia starts this program again as the host.
func (b *bench) startMedia(ctx context.Context) (*mediaHost, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	h := &mediaHost{url: "http://" + ports[0]}
	if h.process, err = start(nil, b.dir, self, "media", ports[0]); err != nil {
		return nil, err
	}
	return h, h.awaitReady(ctx, h.url+"/heap")
}

// heap is the heap in use after a collection, in bytes.
func (h *mediaHost) heap(ctx context.Context) (float64, error) {
	var bytes float64
	return bytes, h.ask(ctx, http.MethodGet, "/heap", nil, &bytes)
}

// hostedPhone is a phone as it goes to the host.
type hostedPhone struct {
	Addr       netip.AddrPort
	Suite, Key string
}

func (h *mediaHost) call(ctx context.Context, n int, phones [2]phoneMedia) (to [2]netip.AddrPort, err error) {
	asked := [2]hostedPhone{}
	for i, p := range phones {
		asked[i] = hostedPhone{p.Addr, p.Key.Suite, p.Key.Key.Reveal()}
	}
	return to, h.ask(ctx, http.MethodPost, fmt.Sprintf("/call/%d", n), asked, &to)
}

func (h *mediaHost) hangUp(ctx context.Context, n int) error {
	return h.ask(ctx, http.MethodDelete, fmt.Sprintf("/call/%d", n), nil, nil)
}

func (h *mediaHost) ask(ctx context.Context, method, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(reply.Body)
		return fmt.Errorf("%s: %s", reply.Status, text)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(reply.Body).Decode(answer)
}

// hostMedia is the host itself.
func hostMedia(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("media ADDRESS")
	}
	m, err := media.New(media.Config{Ports: media.PortRange{First: 20000, Last: 29999}})
	if err != nil {
		return err
	}
	served := make(chan struct{})
	go func() { m.Serve(ctx); close(served) }()
	defer func() { <-served }()
	server := &http.Server{Addr: args[0], Handler: hostRoutes(m), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case err := <-ended:
		return fmt.Errorf("media host: %w", err)
	case <-ctx.Done():
		return server.Close()
	}
}

func hostRoutes(m *media.Media) http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /heap", func(w http.ResponseWriter, _ *http.Request) {
		runtime.GC()
		runtime.GC() // what a pool holds goes with the second one
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		reply(w, float64(s.HeapAlloc), nil)
	})
	routes.HandleFunc("POST /call/{n}", func(w http.ResponseWriter, r *http.Request) {
		var phones [2]hostedPhone
		if err := json.NewDecoder(r.Body).Decode(&phones); err != nil {
			reply(w, nil, err)
			return
		}
		to, err := relayCall(m, idOf(r), phones)
		reply(w, to, err)
	})
	routes.HandleFunc("DELETE /call/{n}", func(w http.ResponseWriter, r *http.Request) {
		m.Close(idOf(r))
		m.Close(idOf(r) + 1)
		reply(w, nil, nil)
	})
	return routes
}

func idOf(r *http.Request) telephony.MediaID {
	var n telephony.MediaID
	_, _ = fmt.Sscan(r.PathValue("n"), &n) // 0 for nonsense, which is a call like others
	return 2*n + 1
}

func reply(w http.ResponseWriter, answer any, err error) {
	if err == nil {
		err = json.NewEncoder(w).Encode(answer)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func relayCall(m *media.Media, id telephony.MediaID, phones [2]hostedPhone) (to [2]netip.AddrPort, err error) {
	for i, p := range phones {
		id := id + telephony.MediaID(i)
		local, err := m.Open(telephony.MediaOpening{ID: id, Peer: p.Addr.Addr()})
		if err != nil {
			return to, err
		}
		if err := m.Agree(id, p.agreed(local)); err != nil {
			return to, err
		}
		to[i] = netip.AddrPortFrom(local.Addr, local.Audio.RTP)
	}
	m.Relay(id, id+1)
	return to, nil
}

func (p hostedPhone) agreed(local sdp.Local) sdp.Agreed {
	a := sdp.Agreed{Security: sdp.Plain, Signalled: p.Addr.Addr(), Audio: sdp.Stream{
		Remote: p.Addr, RemoteRTCP: p.Addr, Mux: true, Direction: sdp.SendRecv, Codec: sdp.Codec{Name: "PCMU", Rate: 8000}, Ptime: frame,
	}}
	if p.Suite != "" {
		a.Security = sdp.SDES
		a.Audio.RemoteKey = sdp.Key{Tag: 1, Suite: p.Suite, Key: account.Secret(p.Key)}
		a.Audio.LocalKey = local.Audio.Keys[slices.IndexFunc(local.Audio.Keys, func(k sdp.Key) bool { return k.Suite == p.Suite })]
	}
	return a
}
