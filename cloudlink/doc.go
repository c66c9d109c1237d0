// Package cloudlink holds the wire types of the CloudLink-like API: what stands between demarc and the PBX on the cloud
// side. The client and the service both speak them; the service's users come from a PBX driver.
//
// Names follow the public facts of such services; what is our own addition is marked "(ours)". No compatibility
// promise.
package cloudlink
