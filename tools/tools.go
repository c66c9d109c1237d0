// Package tools pins the programs that check the code; the product never imports it.
package tools
