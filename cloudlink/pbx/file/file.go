package file

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/telephony/directory"
)

// Config of a PBX.
type Config struct {
	Account  account.ID
	Path     string
	Defaults cloudlink.PBX // what the file leaves out of the PBX's description
	Key      []byte        // makes etags out of hashes; random when empty, so that etags change with a restart
	Recheck  time.Duration // how often to look whether the file has changed; 1 s when 0
	Log      *slog.Logger
}

// PBX is a users file as cloudlink/server sees it.
type PBX struct {
	config Config

	mu          sync.Mutex
	looked      time.Time // when the file was last looked at
	size        int64
	modified    time.Time
	description cloudlink.PBX
	subscribers []directory.Subscriber // by user id
}

// New reads the file. Its errors name line and column.
func New(c Config) (*PBX, error) {
	if len(c.Key) == 0 {
		c.Key = make([]byte, 32)
		rand.Read(c.Key) // never fails: crypto/rand ends the process instead
	}
	if c.Recheck == 0 {
		c.Recheck = time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &PBX{config: c}
	if err := p.read(); err != nil {
		return nil, err
	}
	return p, nil
}

// PBX describes the phone system.
func (p *PBX) PBX(context.Context) (cloudlink.PBX, error) {
	pbx, _ := p.current()
	return pbx, nil
}

// Users returns up to limit users after the given one, in the order of their ids.
func (p *PBX) Users(_ context.Context, after string, limit int) ([]cloudlink.UserWithEndpoints, error) {
	pbx, subscribers := p.current()
	at, found := search(subscribers, after)
	if found {
		at++
	}
	var users []cloudlink.UserWithEndpoints
	for _, s := range subscribers[at:min(at+max(limit, 0), len(subscribers))] {
		users = append(users, s.Endpoints(p.config.Account, pbx))
	}
	return users, nil
}

// User returns one user, or cloudlink.ErrNotFound.
func (p *PBX) User(_ context.Context, userID string) (cloudlink.UserWithEndpoints, error) {
	s, pbx, err := p.find(userID)
	if err != nil {
		return cloudlink.UserWithEndpoints{}, err
	}
	return s.Endpoints(p.config.Account, pbx), nil
}

// Credential returns what a softphone of the endpoint registers with.
func (p *PBX) Credential(_ context.Context, userID, endpointID string) (cloudlink.Credential, error) {
	s, pbx, err := p.find(userID)
	if err != nil {
		return cloudlink.Credential{}, err
	}
	return s.Credential(endpointID, pbx)
}

// Rotate is not possible here: it returns cloudlink.ErrReadOnly.
func (p *PBX) Rotate(_ context.Context, userID, endpointID string) error {
	s, _, err := p.find(userID)
	if err != nil {
		return err
	}
	if err := s.CheckEndpoint(endpointID); err != nil {
		return err
	}
	return cloudlink.ErrReadOnly
}

func (p *PBX) find(userID string) (directory.Subscriber, cloudlink.PBX, error) {
	pbx, subscribers := p.current()
	at, found := search(subscribers, userID)
	if !found {
		return directory.Subscriber{}, pbx, fmt.Errorf("%w: user %.64q", cloudlink.ErrNotFound, userID)
	}
	return subscribers[at], pbx, nil
}

func search(subscribers []directory.Subscriber, userID string) (int, bool) {
	return slices.BinarySearchFunc(subscribers, userID, func(s directory.Subscriber, id string) int {
		return strings.Compare(s.UserID, id)
	})
}

// current returns what the file says now; what it returns is never written to again.
func (p *PBX) current() (cloudlink.PBX, []directory.Subscriber) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.looked) >= p.config.Recheck {
		if err := p.read(); err != nil {
			p.config.Log.Warn("the users file cannot be read: its last good version stays", "error", err)
		}
	}
	return p.description, p.subscribers
}

// read reads the file if it has changed. A broken one is not read again until it changes.
func (p *PBX) read() error {
	p.looked = time.Now()
	stat, err := os.Stat(p.config.Path)
	if err != nil {
		return fmt.Errorf("users file: %w", err)
	}
	if stat.Size() == p.size && stat.ModTime().Equal(p.modified) {
		return nil
	}
	p.size, p.modified = stat.Size(), stat.ModTime()
	d, err := directory.ReadFile(p.config.Path, p.config.Account, p.config.Defaults)
	if err != nil {
		return err
	}
	for i, s := range d.Subscribers {
		d.Subscribers[i].Version = p.version(s)
	}
	slices.SortFunc(d.Subscribers, func(a, b directory.Subscriber) int { return strings.Compare(a.UserID, b.UserID) })
	p.description, p.subscribers = d.PBX, d.Subscribers
	return nil
}

// version changes with the hashes; the key keeps guesses at them from being checked against it.
func (p *PBX) version(s directory.Subscriber) string {
	mac := hmac.New(sha256.New, p.config.Key)
	mac.Write([]byte(s.Fingerprint().Reveal()))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}
