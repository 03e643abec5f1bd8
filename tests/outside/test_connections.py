#!/usr/bin/python3
"""Many connections: they never take from the store what it needs to write."""
import http.client
import json
import socket
import unittest

from server import SERVICE, Server, add

# What a server keeps for other things than connections (src/app/open_files.c).
OTHER_FILES = 768
ROOM = 20


class Connections(unittest.TestCase):
    def test_connections_never_take_the_last_open_files(self):
        """A store that cannot open a file stops the server, so connections must leave it some."""
        with Server("[kind.points]\n", open_files=OTHER_FILES + ROOM) as server:
            host, port = server.address.rsplit(":", 1)
            idle = []
            self.addCleanup(lambda: [each.close() for each in idle])
            connection = http.client.HTTPConnection(server.address, timeout=30)
            self.addCleanup(connection.close)
            self.assertEqual(self.add(connection, "t-1"), 200)
            for _ in range(ROOM):
                idle.append(socket.create_connection((host, int(port)), timeout=30))
            self.assertEqual(idle[-1].recv(1), b"")  # closed, since there is no room for it
            self.assertEqual(self.add(connection, "t-2"), 200)

    def add(self, connection, transaction_id):
        connection.request("POST", SERVICE + "Add", json.dumps(add(transaction_id, points=1)),
                           {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def test_a_server_without_room_for_connections_does_not_start(self):
        server = Server("[kind.points]\n", open_files=256)
        self.addCleanup(server.__exit__, None, None, None)
        with self.assertRaisesRegex(RuntimeError, "raise the limit"):
            server.start()

    def test_room_for_few_connections_is_worth_a_warning_and_for_many_it_is_not(self):
        for open_files, few in [(768 + 999, True), (768 + 1000, False)]:
            server = Server("[kind.points]\n", open_files=open_files, store="memory:")
            self.addCleanup(server.__exit__, None, None, None)
            server.start()
            self.assertEqual("room for 999 connections" in server.log_text(), few,
                             server.log_text())


if __name__ == "__main__":
    unittest.main()
