package client

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"demarc/cloudlink"
	"demarc/connector"
	"demarc/internal/account"
)

// How a GET is tried again.
const (
	tries         = 4
	firstPause    = 300 * time.Millisecond // doubles with each try
	longestPause  = 30 * time.Second       // a service that asks for more gets an error, and the caller plans anew
	errorBodyMost = 16 << 10
)

// get reads JSON into a value, with tries as long as the call's time lasts.
func (c *Client) get(ctx context.Context, address string, token account.Secret, into any) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	for try := 0; ; try++ {
		err := c.once(ctx, address, token, into)
		if err == nil {
			return nil
		}
		pause, again := c.pause(ctx, err, try)
		if !again {
			return err
		}
		if stop := c.cfg.Wait(ctx, pause); stop != nil {
			return err // what the service said is worth more than "deadline exceeded"
		}
	}
}

func (c *Client) once(ctx context.Context, address string, token account.Secret, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", connector.ErrInvalid, err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", connector.ErrUnreachable, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return c.refused(res)
	}
	body, err := io.ReadAll(res.Body)
	if late := ctx.Err(); late != nil { // a connection given up may still end its body in good order
		return fmt.Errorf("%w: %w", connector.ErrUnreachable, late)
	}
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return &unusable{correlation: res.Header.Get(cloudlink.HeaderCorrelationID), cause: err}
	}
	return nil
}

// unusable is an answer that came and cannot be read.
type unusable struct {
	correlation string
	cause       error
}

// Error says what came.
func (u *unusable) Error() string {
	return fmt.Sprintf("%v: its answer cannot be used: %v (correlation id %s)", connector.ErrUnreachable, u.cause,
		u.correlation)
}

// Unwrap lets errors.Is see both.
func (u *unusable) Unwrap() []error { return []error{connector.ErrUnreachable, u.cause} }

// refused reads an error reply. It never fails: a service that cannot say what is wrong still has a status.
func (c *Client) refused(res *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, errorBodyMost)) // a cut message is better than none
	return classified(c.errorOf(res, body))
}

// errorOf reads the body of an error reply.
func (c *Client) errorOf(res *http.Response, body []byte) *cloudlink.Error {
	e := &cloudlink.Error{}
	if json.Unmarshal(body, e) != nil || e.Code == "" {
		*e = cloudlink.Error{Code: "http_" + strconv.Itoa(res.StatusCode), Message: http.StatusText(res.StatusCode)}
	}
	e.Status, e.RetryAfter = res.StatusCode, c.retryAfter(res.Header.Get("Retry-After"))
	if id := res.Header.Get(cloudlink.HeaderCorrelationID); id != "" {
		e.CorrelationID = id
	}
	return e
}

// classified adds the connector's word for an error reply. What has no word stays a *cloudlink.Error alone.
func classified(e *cloudlink.Error) error {
	switch {
	case e.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", connector.ErrReauthorize, e)
	case e.Status == http.StatusTooManyRequests, e.Status >= 500, e.Status < 400:
		return fmt.Errorf("%w: %w", connector.ErrUnreachable, e)
	}
	return e
}

// pause returns how long to wait before the next try, or that there is none.
func (c *Client) pause(ctx context.Context, err error, try int) (time.Duration, bool) {
	if try+1 >= tries || !worthAnother(err) || ctx.Err() != nil {
		return 0, false
	}
	pause := firstPause << try
	pause = pause/2 + rand.N(pause/2+1) // many clients must not come back together
	var e *cloudlink.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		pause = e.RetryAfter + rand.N(firstPause)
		if e.RetryAfter > longestPause {
			return 0, false
		}
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return 0, false
	}
	return pause, true
}

// worthAnother reports whether the same request may have a better answer soon.
func worthAnother(err error) bool {
	var e *cloudlink.Error
	if errors.As(err, &e) {
		return e.Status == http.StatusTooManyRequests || e.Status >= 500
	}
	var bad *unusable
	var hostname x509.HostnameError
	var authority x509.UnknownAuthorityError
	var certificate x509.CertificateInvalidError
	switch {
	case errors.As(err, &bad), errors.Is(err, ErrPrivateAddress), errors.Is(err, connector.ErrInvalid):
		return false
	case errors.As(err, &hostname), errors.As(err, &authority), errors.As(err, &certificate):
		return false
	}
	return errors.Is(err, connector.ErrUnreachable)
}

// retryAfter reads seconds or a date (RFC 9110 §10.2.3); 0 if there is neither.
func (c *Client) retryAfter(value string) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(c.cfg.Now()))
	}
	return 0
}
