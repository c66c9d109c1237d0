package registrar

import (
	"encoding/json"

	"demarc/internal/account"
	"demarc/telephony/digest"
)

// hashText is a hash within the sealed column.
type hashText struct {
	Algorithm string `json:"algorithm"`
	Realm     string `json:"realm"`
	HA1       string `json:"ha1"`
}

func (s *Store) sealHashes(acc account.ID, userID string, hashes []digest.Hash) ([]byte, error) {
	texts := make([]hashText, 0, len(hashes))
	for _, h := range hashes {
		texts = append(texts, hashText{string(h.Algorithm), h.Realm, h.HA1.Reveal()})
	}
	text, err := json.Marshal(texts)
	if err != nil {
		return nil, err
	}
	return s.sealer.Seal(hashesPlace(acc, userID), account.Secret(text))
}

func (s *Store) openHashes(acc account.ID, userID string, sealed []byte) ([]digest.Hash, error) {
	text, err := s.sealer.Open(hashesPlace(acc, userID), sealed)
	if err != nil {
		return nil, err
	}
	var texts []hashText
	if err := json.Unmarshal([]byte(text.Reveal()), &texts); err != nil {
		return nil, err
	}
	hashes := make([]digest.Hash, 0, len(texts))
	for _, t := range texts {
		hashes = append(hashes, digest.Hash{
			Algorithm: digest.Algorithm(t.Algorithm), Realm: t.Realm, HA1: account.Secret(t.HA1),
		})
	}
	return hashes, nil
}
