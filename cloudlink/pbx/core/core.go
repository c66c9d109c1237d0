package core

import (
	"context"
	"fmt"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/telephony/digest"
	"demarc/telephony/directory"
)

// Subscribers is the registrar's directory of one account. What is not there is cloudlink.ErrNotFound.
type Subscribers interface {
	PBX(ctx context.Context, acc account.ID) (cloudlink.PBX, error)
	// Page returns up to limit subscribers whose user id comes after the given one, in the order of ids.
	Page(ctx context.Context, acc account.ID, after string, limit int) ([]directory.Subscriber, error)
	User(ctx context.Context, acc account.ID, userID string) (directory.Subscriber, error)
	// ReplaceHashes ends the old credential: the phone's next REGISTER with it fails.
	ReplaceHashes(ctx context.Context, acc account.ID, userID string, hashes []digest.Hash) error
}

// Config of a PBX.
type Config struct {
	Account     account.ID
	Subscribers Subscribers
	// Registrars returns the addresses of demarc's own SIP listeners, for a users file that names none.
	Registrars func() []cloudlink.Registrar
}

// PBX is the built-in core as cloudlink/server sees it.
type PBX struct{ config Config }

// New returns the driver of one account.
func New(c Config) *PBX { return &PBX{config: c} }

// PBX describes the phone system.
func (p *PBX) PBX(ctx context.Context) (cloudlink.PBX, error) {
	pbx, err := p.config.Subscribers.PBX(ctx, p.config.Account)
	if err != nil {
		return cloudlink.PBX{}, err
	}
	if len(pbx.Registrars) == 0 && p.config.Registrars != nil {
		pbx.Registrars = p.config.Registrars()
	}
	return pbx, nil
}

// Users returns up to limit users after the given one, in the order of their ids.
func (p *PBX) Users(ctx context.Context, after string, limit int) ([]cloudlink.UserWithEndpoints, error) {
	pbx, err := p.PBX(ctx)
	if err != nil {
		return nil, err
	}
	page, err := p.config.Subscribers.Page(ctx, p.config.Account, after, limit)
	if err != nil {
		return nil, err
	}
	users := make([]cloudlink.UserWithEndpoints, 0, len(page))
	for _, s := range page {
		users = append(users, s.Endpoints(p.config.Account, pbx))
	}
	return users, nil
}

// User returns one user, or cloudlink.ErrNotFound.
func (p *PBX) User(ctx context.Context, userID string) (cloudlink.UserWithEndpoints, error) {
	s, pbx, err := p.find(ctx, userID)
	if err != nil {
		return cloudlink.UserWithEndpoints{}, err
	}
	return s.Endpoints(p.config.Account, pbx), nil
}

// Credential returns what a softphone of the endpoint registers with.
func (p *PBX) Credential(ctx context.Context, userID, endpointID string) (cloudlink.Credential, error) {
	s, pbx, err := p.find(ctx, userID)
	if err != nil {
		return cloudlink.Credential{}, err
	}
	return s.Credential(endpointID, pbx)
}

// Rotate gives the user a new random password that nobody ever sees. Desktop and mobile are one SIP user, so both
// endpoints change.
func (p *PBX) Rotate(ctx context.Context, userID, endpointID string) error {
	s, _, err := p.find(ctx, userID)
	if err != nil {
		return err
	}
	if err := s.CheckEndpoint(endpointID); err != nil {
		return err
	}
	if err := p.config.Subscribers.ReplaceHashes(ctx, p.config.Account, userID, s.Rotated()); err != nil {
		return fmt.Errorf("rotate extension %s: %w", s.Extension, err)
	}
	return nil
}

func (p *PBX) find(ctx context.Context, userID string) (directory.Subscriber, cloudlink.PBX, error) {
	pbx, err := p.PBX(ctx)
	if err != nil {
		return directory.Subscriber{}, pbx, err
	}
	s, err := p.config.Subscribers.User(ctx, p.config.Account, userID)
	return s, pbx, err
}
