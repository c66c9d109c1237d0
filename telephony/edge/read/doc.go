// Package read turns scanned messages into what the registrar, the subscriptions and the calls are asked: it takes the texts out that they
// need, and refuses with a reason phrase what they could not keep, show or write into a message of their own. It decides nothing else. No
// compatibility promise.
package read
