package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/digest"
)

// Directory is what a users file holds: the PBX's description and its subscribers in the order of the file.
type Directory struct {
	PBX         cloudlink.PBX
	Subscribers []Subscriber
}

// Subscriber is one person with an extension: who may register as that extension, and with which credential.
type Subscriber struct {
	UserID       string // stable: derived from account and extension
	Extension    string // also the user part of the AoR
	Name         string
	Email        string // lower case
	AuthUsername string // the user name of the digest
	Realm        string // of the credential
	Hashes       []digest.Hash
	Desktop      bool // has a licence for a desktop softphone
	Mobile       bool // has a licence for a mobile softphone
	Voicemail    string
	CallerID     string
	SRTP         string // required, preferred or off for this one's phones; empty: as for all
	Version      string // changes with the hashes and says nothing about them
}

// AoR returns the address that the subscriber registers.
func (s Subscriber) AoR(domain string) telephony.AoR { return telephony.NewAoR(s.Extension, domain) }

// Fingerprint is the same for the same row of a file, hashes included. It must be kept as secret as the hashes.
func (s Subscriber) Fingerprint() account.Secret {
	type hash struct{ Algorithm, Realm, HA1 string }
	hashes := make([]hash, 0, len(s.Hashes))
	for _, h := range s.Hashes {
		hashes = append(hashes, hash{string(h.Algorithm), h.Realm, h.HA1.Reveal()})
	}
	// Encoding strings and booleans cannot fail.
	fields := []any{s.Extension, s.Name, s.Email, s.AuthUsername, s.Realm, hashes, s.Desktop, s.Mobile, s.Voicemail, s.CallerID}
	if s.SRTP != "" { // else it is what it was before there was the field: rotated credentials stay rotated
		fields = append(fields, s.SRTP)
	}
	row, _ := json.Marshal(fields)
	sum := sha256.Sum256(row)
	return account.Secret(hex.EncodeToString(sum[:]))
}

// UserID derives the stable id of an extension in an account: the same file gives the same ids on every node and after
// every reload.
func UserID(owner account.ID, extension string) string {
	sum := sha256.Sum256([]byte(string(owner) + "\x00" + extension))
	return "usr_" + hex.EncodeToString(sum[:10])
}

// NewHashes makes the hashes of a password that phones of all ages can use.
func NewHashes(username, realm string, password account.Secret) []digest.Hash {
	return []digest.Hash{
		digest.NewHash(digest.MD5, username, realm, password),
		digest.NewHash(digest.SHA256, username, realm, password),
	}
}

// Rotated returns hashes of a fresh random password that nobody ever sees.
func (s Subscriber) Rotated() []digest.Hash {
	return NewHashes(s.AuthUsername, s.Realm, account.NewToken())
}
