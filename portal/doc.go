// Package portal owns the web pages for admins, support staff and users: the status table, a user's page, connectors,
// the OAuth callback, adding users and members, and sign-in by one-time link.
//
// It does not own rules (access, provisioning and connector do) or the JSON API. Pages are html/template with one
// stylesheet and one small script, all embedded; every page works without the script. Nothing is loaded from elsewhere.
//
//	GET  /                       status table (chips, search), /live refreshes it
//	GET  /users/{id}             one user; POST …/code …/document …/sync …/remove …/devices/{device}/revoke
//	GET  /connectors             POST /app, /connectors, …/{id}/connect, …/{id}/disconnect, /sync
//	GET  /connect/callback       where the CloudLink-like service sends the browser back
//	GET  /import                 POST /users, /import (dry run), /import/apply
//	GET  /members                POST /members
//	GET  /sign-in                POST /sign-in burns the link, POST /sign-out
//
// No compatibility promise.
package portal
