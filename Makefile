# demarc: make help lists what this file does.
SHELL   := /bin/bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build demo test check bench profile verify fuzz release clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/demarc
	go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/demarc ./cmd/demarc

demo: build ## run the main job on this machine with SQLite; needs Go alone, ends with Ctrl-C
	bin/demarc demo

test: ## install what the tests need, then run every check and every test with the race detector
	test/setup/packages
	$(MAKE) --no-print-directory check verify
	CGO_ENABLED=1 go test -race -pgo=off -count=1 -timeout 20m ./...

check: ## gofmt, go vet, staticcheck, tidy modules
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run gofmt -w on these files'; exit 1; }
	go mod tidy -diff
	go vet -pgo=off ./...
	cd tools && GOBIN=$(CURDIR)/bin go install honnef.co/go/tools/cmd/staticcheck
	GOFLAGS=-pgo=off bin/staticcheck ./...

bench: ## measure (docs/performance.md says how to read it)
	test/setup/packages bench
	go run ./test/bench

profile: ## take the profile by which the compiler optimises, again (docs/adr/0032)
	test/setup/packages bench
	rm -rf bin/profiles
	go run ./test/bench -alone -rounds 2 -profiles bin/profiles -only udp,tls,connections,postgres,sqlite,calls,callsdigest,callstls,fetch,relay200,srtp
	go tool pprof -proto bin/profiles/*.pprof >cmd/demarc/default.pgo

verify: build ## make the docs that come from code again and fail when they differ
	bin/demarc docs docs
	@test -z "$$(git status --porcelain -- docs)" || { git status --short -- docs; echo 'docs that come from code have changed: commit them'; exit 1; }

fuzz: ## fuzz every parser for FUZZTIME (30s) each
	test/setup/fuzz $(or $(FUZZTIME),30s)

release: ## reproducible archives with checksums and a systemd unit, in dist/
	test/setup/release '$(VERSION)'

clean: ## remove what was built
	rm -rf bin dist
