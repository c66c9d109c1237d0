package rtp_test

import (
	"testing"
	"time"

	"demarc/telephony/rtp"
)

func BenchmarkProtect(b *testing.B) {
	for _, k := range rtp.NewKeys() {
		b.Run(k.Suite, func(b *testing.B) {
			protect, err := rtp.NewProtection(k)
			if err != nil {
				b.Fatal(err)
			}
			sender, p := rtp.NewSender(true), rtp.Packet(rtp.Append(nil, 0, false, make([]byte, 160)))
			dst := make([]byte, 0, rtp.MaxPacket+rtp.Overhead)
			b.ReportAllocs()
			for b.Loop() {
				sender.Next(p, 160, time.Second, 8000)
				if _, err := protect.RTP(dst, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUnprotect(b *testing.B) {
	for _, k := range rtp.NewKeys() {
		b.Run(k.Suite, func(b *testing.B) {
			protect, err := rtp.NewProtection(k)
			if err != nil {
				b.Fatal(err)
			}
			unprotect, err := rtp.NewUnprotection(k)
			if err != nil {
				b.Fatal(err)
			}
			sender, p := rtp.NewSender(true), rtp.Packet(rtp.Append(nil, 0, false, make([]byte, 160)))
			all := make([][]byte, 1024)
			in := make([]byte, rtp.MaxPacket)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%len(all) == 0 {
					b.StopTimer()
					for i := range all {
						sender.Next(p, 160, time.Second, 8000)
						if all[i], err = protect.RTP(nil, p); err != nil {
							b.Fatal(err)
						}
					}
					b.StartTimer()
				}
				sealed := all[n%len(all)]
				if _, err := unprotect.RTP(in[:copy(in, sealed)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkForward(b *testing.B) {
	var source rtp.Source
	sender, feeder, p := rtp.NewSender(true), rtp.NewSender(true), rtp.Packet(rtp.Append(nil, 0, false, make([]byte, 160)))
	b.ReportAllocs()
	for b.Loop() {
		feeder.Next(p, 160, time.Second, 8000)
		number, _ := source.Count(p, time.Second, 8000)
		sender.Forward(p, &source, number, time.Second, 8000)
	}
}
