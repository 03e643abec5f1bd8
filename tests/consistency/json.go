package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// jsonWire is HTTP/1.1 with JSON. Go's client sends a POST again only where no byte of it was
// written, or the server had closed the connection before: never one that may have arrived.
type jsonWire struct {
	base   string
	client *http.Client
}

func connectJSON(address string) (*connection, error) {
	transport := &http.Transport{Proxy: nil, DisableCompression: true, MaxIdleConnsPerHost: 1}
	return &connection{&jsonWire{"http://" + address + service,
		&http.Client{Transport: transport}}}, nil
}

func (w *jsonWire) close() { w.client.CloseIdleConnections() }

func (w *jsonWire) invoke(timeout time.Duration, method string, message, blank proto.Message) (
	[]byte, bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	text, err := protojson.Marshal(message)
	if err != nil {
		return nil, false, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+method,
		bytes.NewReader(text))
	if err != nil {
		return nil, false, err
	}
	request.Header.Set("content-type", "application/json")
	request.Header.Set("connect-timeout-ms", strconv.FormatInt(timeout.Milliseconds(), 10))
	response, err := w.client.Do(request)
	if err != nil {
		return nil, false, err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(response.Body)
	if err != nil {
		return nil, false, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, false, refusalOfJSON(response.StatusCode, text)
	}
	if err := protojson.Unmarshal(text, blank); err != nil {
		return nil, false, &garbledError{fmt.Sprintf("%s: %v: %s", method, err, text)}
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(blank)
	return body, response.Header.Get("zandaka-replayed") == "true", err
}

// refusalOfJSON reads an error in the Connect protocol's form.
func refusalOfJSON(status int, text []byte) error {
	var told struct {
		Message string
		Details []struct {
			Type  string
			Debug struct {
				Reason   string
				Metadata map[string]string
			}
		}
	}
	if err := json.Unmarshal(text, &told); err != nil {
		return &garbledError{fmt.Sprintf("HTTP status %d: %s", status, text)}
	}
	for _, detail := range told.Details {
		if detail.Type == "google.rpc.ErrorInfo" {
			return &refusedError{refusalOf(detail.Debug.Reason, detail.Debug.Metadata)}
		}
	}
	return &garbledError{fmt.Sprintf("HTTP status %d without ErrorInfo: %s", status, text)}
}
