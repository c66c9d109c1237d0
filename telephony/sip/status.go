package sip

// Reason returns the standard reason phrase of a status code (RFC 3261 §21), or one for its class.
func Reason(status int) string {
	if r, ok := exact(status); ok {
		return r
	}
	switch status / 100 {
	case 1:
		return "Progress"
	case 2:
		return "OK"
	case 3:
		return "Moved"
	case 4:
		return "Request Failure"
	case 5:
		return "Server Failure"
	}
	return "Global Failure"
}

func exact(status int) (string, bool) {
	switch status {
	case 100:
		return "Trying", true
	case 180:
		return "Ringing", true
	case 181:
		return "Call Is Being Forwarded", true
	case 182:
		return "Queued", true
	case 183:
		return "Session Progress", true
	case 200:
		return "OK", true
	case 202:
		return "Accepted", true // RFC 6665 §8.3.1
	case 300:
		return "Multiple Choices", true
	case 301:
		return "Moved Permanently", true
	case 302:
		return "Moved Temporarily", true
	case 305:
		return "Use Proxy", true
	case 380:
		return "Alternative Service", true
	case 400:
		return "Bad Request", true
	case 401:
		return "Unauthorized", true
	case 402:
		return "Payment Required", true
	case 403:
		return "Forbidden", true
	case 404:
		return "Not Found", true
	case 405:
		return "Method Not Allowed", true
	case 406:
		return "Not Acceptable", true
	case 407:
		return "Proxy Authentication Required", true
	case 408:
		return "Request Timeout", true
	case 410:
		return "Gone", true
	case 413:
		return "Request Entity Too Large", true
	case 414:
		return "Request-URI Too Long", true
	case 415:
		return "Unsupported Media Type", true
	case 416:
		return "Unsupported URI Scheme", true
	case 420:
		return "Bad Extension", true
	case 421:
		return "Extension Required", true // RFC 3261 §21.4.16
	case 422:
		return "Session Interval Too Small", true // RFC 4028 §6
	case 423:
		return "Interval Too Brief", true
	case 429:
		return "Provide Referrer Identity", true // RFC 3892 §5
	case 430:
		return "Flow Failed", true // RFC 5626 §11.5
	case 439:
		return "First Hop Lacks Outbound Support", true // RFC 5626 §11.6
	case 480:
		return "Temporarily Unavailable", true
	case 481:
		return "Call/Transaction Does Not Exist", true
	case 482:
		return "Loop Detected", true
	case 483:
		return "Too Many Hops", true
	case 484:
		return "Address Incomplete", true
	case 485:
		return "Ambiguous", true
	case 486:
		return "Busy Here", true
	case 487:
		return "Request Terminated", true
	case 488:
		return "Not Acceptable Here", true
	case 489:
		return "Bad Event", true // RFC 6665 §8.3.2
	case 491:
		return "Request Pending", true
	case 493:
		return "Undecipherable", true
	case 500:
		return "Server Internal Error", true
	case 501:
		return "Not Implemented", true
	case 502:
		return "Bad Gateway", true
	case 503:
		return "Service Unavailable", true
	case 504:
		return "Server Time-out", true
	case 505:
		return "Version Not Supported", true
	case 513:
		return "Message Too Large", true
	case 555:
		return "Push Notification Service Not Supported", true // RFC 8599 §14.3
	case 580:
		return "Precondition Failure", true // RFC 3312 §8
	case 600:
		return "Busy Everywhere", true
	case 603:
		return "Decline", true
	case 604:
		return "Does Not Exist Anywhere", true
	case 606:
		return "Not Acceptable", true
	}
	return "", false
}
