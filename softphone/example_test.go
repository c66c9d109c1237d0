package softphone_test

import (
	"fmt"

	"demarc/softphone"
)

// An enrolment link is what the portal shows as text and as a QR picture.
func ExampleParseLink() {
	link, err := softphone.ParseLink("demarc://pbx.example.org:8443/enrol?code=7K3M-QX9T-2HCV")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(link.Server)
	fmt.Println(link.Code)
	// Output:
	// https://pbx.example.org:8443
	// ***
}
