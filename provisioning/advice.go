package provisioning

import "fmt"

// The causes in a RegistrationReport. CauseSIP has a status code; the others failed below SIP.
const (
	CauseSIP          = "sip"
	CauseTLSUntrusted = "tls_untrusted"
	CauseTLSExpired   = "tls_expired"
	CauseTLSName      = "tls_name"
	CauseTLSClient    = "tls_client_cert"
	CauseTimeout      = "timeout"
	CauseRefused      = "refused"
	CauseClosed       = "closed"
	CauseDNS          = "dns"
)

// Advice says in plain words what a failed registration means and who can do what about it.
func Advice(code int, cause string) string {
	if code == 0 {
		return adviceBelowSIP(cause)
	}
	switch code {
	case 401, 407:
		return "The SIP credential does not match the PBX: the password was changed there, or realm or algorithm differ. " +
			"Sync this user, then let the phone fetch its credential again."
	case 403:
		return "The PBX refused this phone: licence, policy or a blocked address. Ask the PBX admin."
	case 404:
		return "There is no such extension on that registrar. Check the user's extension and the mapping at the PBX."
	case 408, 504:
		return "The registrar did not answer in time. Check firewall and address on the network."
	case 423:
		return "The registration time the phone asks for is too short. Raise the expiry in the phone's settings."
	case 480, 503:
		return "The registrar is busy or down; the phone tries the backup. If it lasts, ask the PBX admin."
	case 488, 606:
		return "Codec or SRTP do not fit what the PBX wants. Compare the SRTP policy of phone and PBX."
	}
	switch {
	case code >= 300 && code < 400:
		return "The registrar points to another address. Check the registrar addresses at the PBX."
	case code >= 500 && code < 600:
		return "The registrar failed on its side. If it lasts, ask the PBX admin."
	}
	return "The registration was refused. Ask the PBX admin, and name the code."
}

func adviceBelowSIP(cause string) string {
	switch cause {
	case CauseTLSUntrusted:
		return "The phone does not trust the registrar's certificate. Install the CA on the phone, or enrol the phone again."
	case CauseTLSExpired:
		return "The registrar's certificate has expired or is not valid yet. Ask the PBX admin to renew it; check the " +
			"phone's clock."
	case CauseTLSName:
		return "The registrar's certificate is for another name. Ask the PBX admin for a certificate with the name that " +
			"phones use."
	case CauseTLSClient:
		return "The registrar asks for a client certificate, which phones do not have. Ask the PBX admin to turn that off " +
			"on the phones' port."
	case CauseDNS:
		return "The registrar's name cannot be found in DNS. Check the name at the PBX and the phone's network."
	case CauseClosed:
		return "The connection to the registrar broke, or the registrar closed it. The phone connects again by itself; if it " +
			"lasts, look at the network between them."
	case CauseRefused:
		return "Nothing listens at the registrar's address. Check address and port, and whether the registrar runs."
	}
	return "No answer from the registrar. Check firewall and address on the network."
}

// failureText joins what was answered with the advice.
func failureText(code int, cause, text string) string {
	advice := Advice(code, cause)
	switch {
	case code != 0 && text != "":
		return fmt.Sprintf("%d %s. %s", code, text, advice)
	case code != 0:
		return fmt.Sprintf("%d. %s", code, advice)
	case text != "":
		return fmt.Sprintf("%s (%s)", advice, text)
	}
	return advice
}
