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
	case 200:
		return "OK", true
	case 400:
		return "Bad Request", true
	case 401:
		return "Unauthorized", true
	case 403:
		return "Forbidden", true
	case 404:
		return "Not Found", true
	case 405:
		return "Method Not Allowed", true
	case 406:
		return "Not Acceptable", true
	case 408:
		return "Request Timeout", true
	case 413:
		return "Request Entity Too Large", true
	case 416:
		return "Unsupported URI Scheme", true
	case 420:
		return "Bad Extension", true
	case 423:
		return "Interval Too Brief", true
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
	case 489:
		return "Bad Event", true // RFC 6665 §8.3.2
	case 500:
		return "Server Internal Error", true
	case 501:
		return "Not Implemented", true
	case 503:
		return "Service Unavailable", true
	case 505:
		return "Version Not Supported", true
	case 504:
		return "Server Time-out", true
	case 555:
		return "Push Notification Service Not Supported", true // RFC 8599 §14.3
	case 513:
		return "Message Too Large", true
	}
	return "", false
}
