package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// kinds are the kinds of every server here; points have a limit, so that it is refused sometimes.
var kinds = [...]string{"points", "money"}

// pointsMax is the most that an account may have of points.
const pointsMax = 60

const configuration = "[kind.points]\nmax_balance = 60\n[kind.money]\n"

// startMax is how long a server may take to be ready, on a machine that is busy with other things.
const startMax = 60 * time.Second

// server is one zandaka process on a store, behind a proxy. One goroutine uses it.
type server struct {
	binary    string
	store     string
	directory string
	number    int
	proxy     *proxy
	process   *exec.Cmd
	ended     chan error // the process's end, once
}

func (s *server) path(name string) string {
	return filepath.Join(s.directory, fmt.Sprintf("%s-%d", name, s.number))
}

// start runs the process and points the proxy to it.
func (s *server) start() error {
	config, address := s.path("config"), s.path("address")
	if err := os.WriteFile(config, []byte(configuration), 0o600); err != nil {
		return err
	}
	if err := os.Remove(address); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	log, err := os.OpenFile(s.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	process := exec.Command(s.binary, "serve", "--config", config, "--listen", "127.0.0.1:0",
		"--store", s.store, "--address-file", address)
	process.Stdout, process.Stderr = log, log
	// However this program ends, no server is left behind.
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	s.process, s.ended = process, ended
	return s.await(address)
}

func (s *server) await(addressFile string) error {
	deadline := time.Now().Add(startMax)
	for {
		if text, err := os.ReadFile(addressFile); err == nil && bytes.HasSuffix(text, []byte("\n")) {
			s.proxy.setTarget(strings.TrimSpace(string(text)))
			return nil
		}
		select {
		case err := <-s.ended:
			s.process = nil
			return fmt.Errorf("server %d ended at its start (%v):\n%s", s.number, err, s.logTail())
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("server %d is not ready after %v:\n%s", s.number, startMax, s.logTail())
		}
	}
}

// health is an error if the process has ended although nobody ended it.
func (s *server) health() error {
	select {
	case err := <-s.ended:
		s.process = nil
		return fmt.Errorf("server %d ended by itself (%v):\n%s", s.number, err, s.logTail())
	default:
		return nil
	}
}

// kill is SIGKILL, which is to a process what a power cut is.
func (s *server) kill() error {
	if s.process == nil {
		return nil
	}
	if err := s.health(); err != nil {
		return err
	}
	if err := s.process.Process.Kill(); err != nil {
		return err
	}
	<-s.ended
	s.process = nil
	return nil
}

// drain is SIGTERM: the calls under way are answered, and the exit status is 0.
func (s *server) drain() error {
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := <-s.ended
	s.process = nil
	if err != nil {
		return fmt.Errorf("server %d drained, and ended with %v:\n%s", s.number, err, s.logTail())
	}
	return nil
}

func (s *server) pause() error  { return s.process.Process.Signal(syscall.SIGSTOP) }
func (s *server) resume() error { return s.process.Process.Signal(syscall.SIGCONT) }

func (s *server) logTail() string {
	text, err := os.ReadFile(s.path("log"))
	if err != nil {
		return err.Error()
	}
	if len(text) > 4000 {
		text = text[len(text)-4000:]
	}
	return string(text)
}
