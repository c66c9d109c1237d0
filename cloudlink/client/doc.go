// Package client speaks to a CloudLink-like service as the app: OAuth for the link, then users and SIP endpoints for
// the sync. The service's address comes from an admin and is not trusted: addresses inside the operator's network are
// not dialled unless allowed, redirects are not followed, bodies and waiting are bounded.
//
// It owns no state beyond open connections, and no rules about grants (connector) or users (provisioning). Only GETs
// are tried again; a token request never is, because its answer may be lost after its effect. No compatibility promise.
package client
