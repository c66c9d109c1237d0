// Package persontest is a person in front of demarc's pages, for tests: a browser without scripts, with cookies, redirects and
// forms, and the JSON API with the same session. No compatibility promise.
package persontest
