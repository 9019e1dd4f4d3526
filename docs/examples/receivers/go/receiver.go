// Receives webhooks, with the standard library alone: WEBHOOK_SECRET=whsec_… PORT=8080 go run receiver.go
//
// The key may also be a public one, whpk_…, of an endpoint that is signed with v1a.
package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	tolerance    = 5 * time.Minute
	maxBodyBytes = 1 << 20
)

// verify fails unless a message is authentic, unaltered and recent. The body has the received bytes.
func verify(key string, header http.Header, body []byte) error {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return errors.New("headers are missing")
	}
	if age := time.Since(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return errors.New("too old, or too new")
	}
	version, encoded, _ := strings.Cut(key, "_")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return errors.New("the key is not base64")
	}
	signed := append([]byte(id+"."+timestamp+"."), body...)
	// During a rotation there are several: one match is enough. Other versions are skipped.
	for _, entry := range strings.Split(header.Get("webhook-signature"), " ") {
		given, text, _ := strings.Cut(entry, ",")
		signature, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		if given == "v1" && version == "whsec" && fitsSecret(raw, signed, signature) {
			return nil
		}
		if given == "v1a" && version == "whpk" && len(raw) == ed25519.PublicKeySize && ed25519.Verify(raw, signed, signature) {
			return nil
		}
	}
	return errors.New("no signature fits")
}

func fitsSecret(secret, signed, signature []byte) bool {
	mac := hmac.New(sha256.New, secret)
	mac.Write(signed)
	return hmac.Equal(mac.Sum(nil), signature) // in constant time
}

// taken holds the ids of accepted messages. In production, store them in a table with the message.
var taken sync.Map

func receive(key string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
		if err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		if err := verify(key, r.Header, body); err != nil {
			fmt.Println("refused:", err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		// The same message may come twice: acknowledge it again, and do no more.
		if _, known := taken.LoadOrStore(r.Header.Get("webhook-id"), true); known {
			fmt.Println("duplicate", r.Header.Get("webhook-id"))
		} else {
			go work(body) // respond first, work later
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func work(body []byte) {
	var event struct{ ID, Type string }
	if err := json.Unmarshal(body, &event); err == nil {
		fmt.Println("processed", event.Type, event.ID)
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	http.HandleFunc("/webhooks", receive(os.Getenv("WEBHOOK_SECRET")))
	fmt.Printf("listening on http://%s/webhooks\n", listener.Addr())
	fmt.Fprintln(os.Stderr, http.Serve(listener, nil))
}
