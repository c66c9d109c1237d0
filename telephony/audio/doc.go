// Package audio owns sound as samples, 8000 a second: G.711 and back, WAV files, tones, the default music, and mixing.
//
// It knows no packets, files, clocks or calls. No compatibility promise.
package audio
