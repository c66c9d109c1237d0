// Package interop holds the tests with real third-party programs: linphonec, baresip, sipp, sipsak, Kamailio, SIPVicious and
// Chromium from Debian's packages, and JsSIP from npm. They speak to a whole gateway in this process, over loopback, with its own private CA.
//
// The programs run in folders of their own and are ended by their own process group. A missing program is a failure,
// not a skip: test/setup/packages installs them.
package interop
