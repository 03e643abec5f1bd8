#!/usr/bin/python3
"""What systemd is told, by a socket that stands in for it; signs of life; the lame duck; the unit."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from server import Server, add

SOURCE = pathlib.Path(__file__).resolve().parents[2]
UNIT = pathlib.Path(os.environ.get("ZANDAKA", "build/release/zandaka")).parent / \
    "deploy/zandaka.service"


class Notified(unittest.TestCase):
    def start(self, config="", abstract=False, **environment):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.settimeout(30)
        path = f"{self.directory.name}/notify"
        if abstract:
            path = "@" + path
        self.socket.bind(path.replace("@", "\0"))
        server = Server(config)
        server.environment = {"NOTIFY_SOCKET": path, **environment}
        server.start()
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def told(self):
        return self.socket.recv(4096).decode()

    def assert_silent(self):
        self.socket.setblocking(False)
        with self.assertRaises(BlockingIOError):
            self.socket.recv(4096)
        self.socket.settimeout(30)

    def test_ready_reload_stop(self):
        for abstract in (False, True):
            with self.subTest(abstract=abstract):
                server = self.start(abstract=abstract)
                self.assertEqual(self.told(), "READY=1")
                self.assertEqual(server.get("/readyz"), (200, b"ok"))
                server.process.send_signal(signal.SIGHUP)
                self.assertRegex(self.told(), r"\ARELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+\Z")
                self.assertEqual(self.told(), "READY=1")
                self.assertEqual(server.stop(), 0)
                self.assertEqual(self.told(), "STOPPING=1")
                self.assert_silent()

    def test_signs_of_life(self):
        """Four in each watchdog's time, also when SIGHUP comes more often than that."""
        server = self.start(WATCHDOG_USEC="400000")
        self.assertEqual(self.told(), "READY=1")
        self.assertEqual(self.told(), "WATCHDOG=1")
        began = time.monotonic()
        lives = 0
        while lives < 5:
            server.process.send_signal(signal.SIGHUP)
            lives += self.told() == "WATCHDOG=1"
        self.assertLess(time.monotonic() - began, 25)
        self.assertEqual(server.stop(), 0)

    def test_who_does_not_listen_stops_nothing(self):
        """Nobody reads the socket, whose queue a few reloads fill, each with two messages."""
        server = self.start()
        self.assertEqual(self.told(), "READY=1")
        queue = int(pathlib.Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
        for _ in range(queue // 2 + 2):
            reloads = server.log_text().count("SIGHUP")
            server.process.send_signal(signal.SIGHUP)
            while server.log_text().count("SIGHUP") == reloads:
                time.sleep(0.001)
        self.assertEqual(server.stop(), 0)
        self.assertIn("systemd could not be told", server.log_text())

    def test_a_stopped_process_gives_no_sign(self):
        server = self.start(WATCHDOG_USEC="200000")
        self.assertEqual([self.told(), self.told()], ["READY=1", "WATCHDOG=1"])
        server.process.send_signal(signal.SIGSTOP)
        while "T" not in pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().split()[2]:
            time.sleep(0.001)
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(4096)
        except BlockingIOError:
            pass
        self.socket.settimeout(1)
        with self.assertRaises(TimeoutError):
            self.socket.recv(4096)
        server.process.send_signal(signal.SIGCONT)

    def test_a_watchdog_of_another_process_or_none(self):
        for environment in ({"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"},
                            {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "-5"},
                            {"WATCHDOG_USEC": "soon"}, {}):
            with self.subTest(environment=environment):
                server = self.start(**environment)
                self.assertEqual(self.told(), "READY=1")
                self.assertEqual(server.stop(), 0)
                self.assertEqual(self.told(), "STOPPING=1")

    def test_a_socket_that_is_none_stops_nothing(self):
        for path in ("here", "/nowhere/at/all", "/" + "x" * 200):
            with self.subTest(path=path), Server() as server:
                server.stop()
                server.environment = {"NOTIFY_SOCKET": path}
                server.start()
                self.assertEqual(server.get("/livez"), (200, b"ok"))
                self.assertEqual(server.stop(), 0)
                self.assertIn("systemd", server.log_text())


class LameDuck(unittest.TestCase):
    def test_it_serves_on_and_is_not_ready(self):
        with Server("[server]\nlame_duck_ms = 60000\n") as server:
            server.process.send_signal(signal.SIGTERM)
            while server.get("/readyz")[0] == 200:
                pass
            self.assertEqual(server.get("/readyz"), (503, b"draining"))
            self.assertEqual(server.call("Add", add("late", points=1))[0], 200)
            # A second signal cuts it short.
            self.assertEqual(server.stop(), 0)
        with Server("[server]\nlame_duck_ms = 1\n") as server:
            self.assertEqual(server.stop(), 0)


class Unit(unittest.TestCase):
    def test_what_it_names_is_there(self):
        text = UNIT.read_text()
        flags = subprocess.run([os.environ["ZANDAKA"], "serve", "--help"], capture_output=True,
                               text=True, check=True).stdout
        for flag in re.findall(r" (--[a-z-]+)", text):
            self.assertIn(flag, flags)
        limit = int(re.search(r"LimitNOFILE=(\d+)", text)[1])
        self.assertGreaterEqual(limit, 20768)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_systemd_takes_it(self):
        with tempfile.TemporaryDirectory() as directory:
            text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text())
            text = re.sub(r"(?m)^Documentation=.*\n", "", text)
            unit = pathlib.Path(directory) / "zandaka.service"
            unit.write_text(text)
            checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True,
                                     text=True, timeout=60)
            complaints = [line for line in checked.stderr.splitlines() if "zandaka.service" in line]
            self.assertEqual(complaints, [])
            rated = subprocess.run(["systemd-analyze", "security", "--offline=yes",
                                    "--threshold=20", unit], capture_output=True, text=True,
                                   timeout=60)
            self.assertEqual(rated.returncode, 0, rated.stdout + rated.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
