// Package server is the CloudLink-like service over HTTP: sign-in and consent, the token endpoint, and the resources of
// accounts, users and SIP endpoints. Its users come from one PBX driver per account.
//
// It owns pages, passwords of service admins, limits and the shape of replies. It does not own the rules of codes and
// tokens (cloudlink/oauth), their storage (store/cloudlink) or PBXs (cloudlink/pbx/...). Its callers meet it over HTTP
// alone, also inside one process.
//
//	/.well-known/oauth-authorization-server   metadata (RFC 8414)
//	/authentication/2017-09-01
//	  GET POST /authorize                     sign-in and consent (browser)
//	  POST     /token                         code, refresh token or client credentials for tokens
//	  GET      /token                         who am I
//	  POST     /revoke                        RFC 7009
//	  GET      /.well-known/jwks              an empty key set: access tokens are opaque
//	/admin/2017-09-01
//	  GET      /accounts/{id}                 psi:read
//	  GET      /users, /users/{id}            psi:read
//	  GET POST /accounts/{id}/clients         admin:clients; DELETE …/{clientId}
//	/psi/2017-09-01
//	  GET      /pbxs                          psi:read
//	  GET      /connectors                    psi:read: the apps linked to the account; DELETE …/{id} psi:write
//	  GET      /users, /users/{id}            psi:read, with $expand=sipendpoints
//	  GET      /users/{id}/sipendpoints       psi:read, …/{endpointId}
//	  GET      …/{endpointId}/credential      psi:credentials, never cached, audited
//	  POST     …/{endpointId}/rotate          psi:write, audited
//
// What is not in this table, not in the caller's account, or not there, is the same 404. No compatibility promise.
package server
