package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A service is one and the same however its address is written: linking it again makes no second connector, and another one
// gets a name of its own.
func TestInstallFindsTheConnector(t *testing.T) {
	for service, want := range map[string]connectorRow{
		"https://localhost":      {ID: "con_1", Name: "Phone system", BaseURL: "https://localhost"},
		"https://localhost:443":  {ID: "con_1", Name: "Phone system", BaseURL: "https://localhost"},
		"https://LOCALHOST/":     {ID: "con_1", Name: "Phone system", BaseURL: "https://localhost"},
		"https://localhost:8444": {ID: "con_2", Name: "Phone system at localhost:8444", BaseURL: "https://localhost:8444"},
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /v1/app", func(http.ResponseWriter, *http.Request) {})
		mux.HandleFunc("GET /v1/connectors", func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"connectors": []connectorRow{{ID: "con_1", Name: "Phone system", BaseURL: "https://localhost"}}})
		})
		mux.HandleFunc("POST /v1/connectors", func(w http.ResponseWriter, r *http.Request) {
			made := connectorRow{ID: "con_2"}
			if err := json.NewDecoder(r.Body).Decode(&made); err != nil {
				t.Error(err)
			}
			_ = json.NewEncoder(w).Encode(made)
		})
		server := httptest.NewServer(mux)
		a := &admin{browser: &browser{client: server.Client()}, server: server.URL}
		if got, err := a.install(t.Context(), service); err != nil || got != want {
			t.Errorf("%s: %+v, %v", service, got, err)
		}
		server.Close()
	}
}

// What cannot be reached is told without the one-time link that leads there.
func TestBrowserErrorsHideLinks(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	b, err := newBrowser(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.open(t.Context(), server.URL+"/sign-in?token=canary"); err == nil || strings.Contains(err.Error(), "canary") ||
		!strings.Contains(err.Error(), strings.TrimPrefix(server.URL, "http://")) {
		t.Errorf("%v", err)
	}
}
