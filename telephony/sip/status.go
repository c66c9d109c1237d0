package sip

// Reason returns the standard reason phrase of a status code (RFC 3261 §21), or one for its class.
func Reason(status int) string {
	switch status / 100 {
	case 1:
		return provisional(status)
	case 2:
		return success(status)
	case 3:
		return redirection(status)
	case 4:
		return requestFailure(status)
	case 5:
		return serverFailure(status)
	}
	return globalFailure(status)
}

// Standard returns a status code, or the first of its class (RFC 3261 §8.1.3.2) for one that no standard knows: there are hundreds of those.
func Standard(status int) int {
	if class := status / 100 * 100; Reason(status) == Reason(class+99) { // which none has
		return class
	}
	return status
}

func provisional(status int) string {
	switch status {
	case 100:
		return "Trying"
	case 180:
		return "Ringing"
	case 181:
		return "Call Is Being Forwarded"
	case 182:
		return "Queued"
	case 183:
		return "Session Progress"
	}
	return "Progress"
}

func success(status int) string {
	switch status {
	case 200:
		return "OK"
	case 202:
		return "Accepted" // RFC 6665 §8.3.1
	}
	return "OK"
}

func redirection(status int) string {
	switch status {
	case 300:
		return "Multiple Choices"
	case 301:
		return "Moved Permanently"
	case 302:
		return "Moved Temporarily"
	case 305:
		return "Use Proxy"
	case 380:
		return "Alternative Service"
	}
	return "Moved"
}

func requestFailure(status int) string {
	switch status {
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 402:
		return "Payment Required"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 406:
		return "Not Acceptable"
	case 407:
		return "Proxy Authentication Required"
	case 408:
		return "Request Timeout"
	case 410:
		return "Gone"
	case 413:
		return "Request Entity Too Large"
	case 414:
		return "Request-URI Too Long"
	case 415:
		return "Unsupported Media Type"
	case 416:
		return "Unsupported URI Scheme"
	case 420:
		return "Bad Extension"
	case 421:
		return "Extension Required" // RFC 3261 §21.4.16
	case 422:
		return "Session Interval Too Small" // RFC 4028 §6
	case 423:
		return "Interval Too Brief"
	case 429:
		return "Provide Referrer Identity" // RFC 3892 §5
	}
	return callFailure(status)
}

// callFailure has the second part of class 4: what concerns flows, calls and dialogs.
func callFailure(status int) string {
	switch status {
	case 430:
		return "Flow Failed" // RFC 5626 §11.5
	case 439:
		return "First Hop Lacks Outbound Support" // RFC 5626 §11.6
	case 480:
		return "Temporarily Unavailable"
	case 481:
		return "Call/Transaction Does Not Exist"
	case 482:
		return "Loop Detected"
	case 483:
		return "Too Many Hops"
	case 484:
		return "Address Incomplete"
	case 485:
		return "Ambiguous"
	case 486:
		return "Busy Here"
	case 487:
		return "Request Terminated"
	case 488:
		return "Not Acceptable Here"
	case 489:
		return "Bad Event" // RFC 6665 §8.3.2
	case 491:
		return "Request Pending"
	case 493:
		return "Undecipherable"
	}
	return "Request Failure"
}

func serverFailure(status int) string {
	switch status {
	case 500:
		return "Server Internal Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Server Time-out"
	case 505:
		return "Version Not Supported"
	case 513:
		return "Message Too Large"
	case 555:
		return "Push Notification Service Not Supported" // RFC 8599 §8.1
	case 580:
		return "Precondition Failure" // RFC 3312 §8
	}
	return "Server Failure"
}

func globalFailure(status int) string {
	switch status {
	case 600:
		return "Busy Everywhere"
	case 603:
		return "Decline"
	case 604:
		return "Does Not Exist Anywhere"
	case 606:
		return "Not Acceptable"
	}
	return "Global Failure"
}
