package main

import "context"

func bare(context.Context, []string) error { return nil }
