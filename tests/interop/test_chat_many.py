"""Scenario: a hundred clients of a chat server that all talk at once, a thousand that listen, and
clients that stop reading.

Claim: everybody hears the same lines in the same order, each talker's in the order in which it said
them; who stops reading is dropped while the others go on; who reads slowly what it says itself is
slowed down, not dropped.
"""

import re
import selectors
import time
import unittest

from chat_peer import LIMIT, ChatCase, Crowd, allow_many_descriptors


class Many(ChatCase):
    def setUp(self):
        allow_many_descriptors()
        self.server = self.serve()

    def join_all(self, count):
        """So many users, who have not read who joined after them."""
        clients = []
        for number in range(count):
            clients.append(self.join(self.server, b"u%d" % number, number + 1))
        return clients

    def later(self, clients, number):
        """What this one hears of those who joined after it."""
        return b"".join(b"u%d connected!\n" % n for n in range(number + 1, len(clients)))

    def test_hundred_talk_at_once(self):
        n_lines = 50
        clients = self.join_all(100)
        crowd = Crowd(clients)
        self.addCleanup(crowd.close)
        for client in clients:
            client.socket.send(b"".join(b"line %d\n" % n for n in range(n_lines)))
        n_all = n_lines * len(clients)
        missing = {
            client: n_all + len(clients) - 1 - number for number, client in enumerate(clients)
        }

        def hear(client, data):
            missing[client] -= data.count(b"\n")
            if missing[client] <= 0:
                missing.pop(client)

        crowd.read_until(lambda: not missing or crowd.ended, hear)
        self.assertFalse(crowd.ended)
        talk = bytes(crowd.heard[clients[-1]])
        for number, client in enumerate(clients):
            self.assertEqual(bytes(crowd.heard[client]), self.later(clients, number) + talk)
            said = re.findall(rb"^u%d: line (\d+)$" % number, talk, re.MULTILINE)
            self.assertEqual([int(n) for n in said], list(range(n_lines)))
        self.assertEqual(talk.count(b"\n"), n_all)

    def test_thousand_users(self):
        clients = self.join_all(1000)
        clients[500].send("hello, all öf you\n".encode())
        told = "u500: hello, all öf you\n".encode()
        for number, client in enumerate(clients):
            expected = self.later(clients, number) + told
            self.assertEqual(client.lines(expected.count(b"\n")), expected)
        clients[0].end()
        self.assertEqual(clients[0].rest(), b"")
        for client in clients[1:]:
            self.assertEqual(client.line(), b"u0 has left the chat\n")

    def test_who_stops_reading_is_dropped(self):
        """The others hear each line before the next one is said, so none of them waits."""
        ann = self.join(self.server, b"ann", 1)
        bob = self.join(self.server, b"bob", 2)
        deaf = [
            self.join(self.server, b"d%d" % n, n + 3, receive_bytes=4096) for n in range(3)
        ]
        self.assertEqual(ann.lines(4), b"bob" + b"".join(
            b" connected!\n" + name for name in (b"d0", b"d1", b"d2")
        ) + b" connected!\n")
        bob.lines(3)
        line = b"x" * 4000
        left = []
        slowest = 0
        for _ in range(20000):
            began = time.monotonic()
            ann.send(line + b"\n")
            for client in (ann, bob):
                while (heard := client.line()) != b"ann: " + line + b"\n":
                    self.assertRegex(heard, rb"\Ad[0-2] has left the chat\n\Z")
                    left.append((client, heard))
            slowest = max(slowest, time.monotonic() - began)
            if len(left) == 6:
                break
        self.assertEqual(len(set(left)), 6, "each of the three has left, and both were told once")
        self.assertLess(slowest, LIMIT / 3)
        self.assert_silent(ann, bob)
        for client in deaf:
            with self.assertRaises(ConnectionResetError):
                while client.socket.recv(1 << 20):
                    pass

    def test_name_of_a_dropped_user_is_free(self):
        ann = self.join(self.server, b"ann", 1)
        self.join(self.server, b"deaf", 2, receive_bytes=4096)
        self.assertEqual(ann.line(), b"deaf connected!\n")
        heard = b""
        while heard != b"deaf has left the chat\n":
            ann.send(b"x" * 4000 + b"\n")
            heard = ann.line()
        again = self.client(self.server)
        again.send(b"CONNECT deaf\n")
        self.assertEqual(again.line(), b"Welcome! 2 user(s) are online!\n")

    def test_flood(self):
        """One client says more than all buffers hold, and reads only when it can't go on."""
        ann = self.join(self.server, b"ann", 1, receive_bytes=65536)
        said = b"".join(b"%07d " % n + b"x" * 1000 + b"\n" for n in range(12000))
        expected = said.replace(b"\n", b"\nann: ")
        expected = b"ann: " + expected.removesuffix(b"ann: ")
        heard = bytearray()
        sent = 0
        ann.socket.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(ann.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while sent < len(said):
                events = selector.select(LIMIT)
                self.assertTrue(events, "nothing moves any more")
                if events[0][1] & selectors.EVENT_WRITE:
                    sent += ann.socket.send(said[sent : sent + (1 << 20)])
                else:
                    heard += ann.socket.recv(1000)
        ann.socket.settimeout(LIMIT)
        while len(heard) < len(expected):
            data = ann.socket.recv(1 << 20)
            self.assertTrue(data, "dropped")
            heard += data
        self.assertEqual(heard, expected)


if __name__ == "__main__":
    unittest.main()
