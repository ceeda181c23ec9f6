"""Scenario: clients of a chat server that fall silent, vanish at any byte of what they say, are
killed, or only listen; and a server that is told to end while all of them talk.

Claim: whoever is gone has left, exactly once, and its name is free; a server that is told to end
tells everybody and is gone within two seconds, with status 0.
"""

import select
import signal
import subprocess
import time
import unittest

from chat_peer import FAREWELL, LIMIT, SLOW, TOOL, ChatCase, Client, Crowd

END_SECONDS_MAX = 2


class Idle(ChatCase):
    def setUp(self):
        self.server = self.serve("--idle", "0.3")

    def test_before_the_first_line(self):
        clients = [self.client(self.server) for _ in range(3)]
        clients[1].send(b"CONN")
        clients[2].send(b"CONNECT eve")
        for client in clients:
            self.assert_error(client)

    def test_only_who_says_nothing(self):
        """A line that is not finished is nothing said; who talks on stays."""
        ann = self.join(self.server, b"ann", 1)
        bob = self.join(self.server, b"bob", 2)
        eve = self.join(self.server, b"eve", 3)
        began = time.monotonic()
        eve.send(b"I was just about to")
        others = []
        while len(others) < 4:
            ann.send(b"still here\n")
            while (line := ann.line()) != b"ann: still here\n":
                others.append(line)
        self.assertGreaterEqual(time.monotonic() - began, 0.25)
        self.assertEqual(others[:2], [b"bob connected!\n", b"eve connected!\n"])
        self.assertEqual(others[2:], [b"bob has left the chat\n", b"eve has left the chat\n"])
        for gone in [bob, eve]:
            self.assertRegex(gone.rest(), rb"\nERROR [^\n]+\n\Z")
        while time.monotonic() - began < 1:
            ann.send(b"still here\n")
            self.assertEqual(ann.line(), b"ann: still here\n")

    def test_never_before_its_time(self):
        began = time.monotonic()
        self.assert_error(self.client(self.server))
        self.assertGreaterEqual(time.monotonic() - began, 0.3)

    def test_who_does_not_read_what_is_left(self):
        """It says more than all buffers hold without reading any of it. Being idle then, it is sent
        away, and does not hold its connection by not reading that either."""
        eve = self.join(self.server, b"eve", 1, receive_bytes=4096)
        eve.socket.setblocking(False)
        poll = select.poll()
        poll.register(eve.socket, select.POLLOUT)
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            while True:
                self.assertTrue(poll.poll(LIMIT * 1000), "its connection is still there")
                eve.socket.send((b"x" * 4000 + b"\n") * 10)


class Vanish(ChatCase):
    WORDS = "CONNECT zoë\nhello\r\n\nwörld\n".encode()
    NAME = "zoë".encode()
    LINES = [b"hello\n", b"\n", "wörld\n".encode()]

    def setUp(self):
        self.server = self.serve()
        self.ann = self.join(self.server, b"ann", 1)

    def told(self, n_lines):
        """What the others are told about a client that said so many whole lines after its name."""
        lines = [self.NAME + b": " + line for line in self.LINES[:n_lines]]
        return [self.NAME + b" connected!\n", *lines, self.NAME + b" has left the chat\n"]

    def possible(self, said):
        """All that the others may be told of a client that said this and vanished."""
        n_whole = said.count(b"\n")
        return [[]] + [self.told(n) for n in range(n_whole)]

    def heard_about_one(self):
        """What ann hears of the client that has just vanished. Its name is free then: the next one
        takes it, and marks the end."""
        probe = self.client(self.server)
        while True:
            probe.send(b"CONNECT " + self.NAME + b"\n")
            if probe.line().startswith(b"Welcome!"):
                break
            probe.close()
            probe = self.client(self.server)
        probe.send(b"the next one\n")
        probe.end()
        probe.rest()
        joined, left = self.told(0)
        end = [joined, self.NAME + b": the next one\n", left]
        heard = []
        while heard[-3:] != end:
            heard.append(self.ann.line())
        return heard[:-3]

    def test_end_at_every_byte(self):
        """An orderly end: all that was said counts, the last line without its end, too."""
        for length in range(len(self.WORDS) + 1):
            with self.subTest(said=self.WORDS[:length]):
                eve = self.client(self.server)
                eve.send(self.WORDS[:length])
                eve.end()
                eve.rest()
                self.check_end(self.WORDS[:length])

    def check_end(self, said):
        first, *lines = said.replace(b"\r", b"").split(b"\n")
        lines = lines if not lines or lines[-1] else lines[:-1]
        name = first.removeprefix(b"CONNECT ")
        expected = []
        if first.startswith(b"CONNECT ") and name and name != b"zo\xc3":
            expected.append(name + b" connected!\n")
            expected += [name + b": " + line + b"\n" for line in lines if line != b"w\xc3"]
            expected.append(name + b" has left the chat\n")
        self.assertEqual([self.ann.line() for _ in expected], expected)
        self.assert_silent(self.ann)

    def test_reset_at_every_byte(self):
        for length in range(len(self.WORDS) + 1):
            with self.subTest(said=self.WORDS[:length]):
                eve = self.client(self.server)
                eve.send(self.WORDS[:length])
                eve.reset()
                self.assertIn(self.heard_about_one(), self.possible(self.WORDS[:length]))

    def test_reset_after_every_answer(self):
        """As above, but once the server has answered all that was said."""
        for length in range(len(self.WORDS) + 1):
            with self.subTest(said=self.WORDS[:length]):
                said = self.WORDS[:length]
                n_whole = said.count(b"\n")
                eve = self.client(self.server)
                eve.send(said)
                eve.lines(n_whole + 1 if n_whole else 0)
                eve.reset()
                self.assertEqual(self.heard_about_one(), self.possible(said)[-1])

    def test_many_at_once(self):
        """Also while they are being told of each other."""
        for round_ in range(5):
            crowd = [Client(self.server) for _ in range(60)]
            names = [b"r%dc%d" % (round_, number) for number in range(len(crowd))]
            for client, name in zip(crowd, names):
                client.send(b"CONNECT " + name + b"\nhello\n")
            for number, client in enumerate(crowd):
                client.close() if number % 2 else client.reset()
            gone = set()
            joined = set()
            while not self.is_alone():
                pass
            while (line := self.ann.line()) != b"ann: alone\n":
                name, words = line.rstrip(b"\n").split(b" ", 1)
                if words == b"connected!":
                    if name != b"probe":  # which may have come several times
                        self.assertNotIn(name, joined)
                    joined.add(name)
                elif words == b"has left the chat":
                    gone.add(name)
            self.assertEqual(joined - {b"probe"}, gone - {b"probe"})
            self.assertLessEqual(gone, {*names, b"probe"})

    def is_alone(self):
        """Whether only ann is in; she says so."""
        probe = self.client(self.server)
        probe.send(b"CONNECT probe\n")
        alone = b" 2 user(s) " in probe.line()
        probe.end()
        probe.rest()
        if alone:
            self.ann.send(b"alone\n")
        return alone

    def test_killed(self):
        nc = subprocess.Popen(
            ["nc", self.server.host, str(self.server.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(nc.stdin.close)
        self.addCleanup(nc.stdout.close)
        nc.stdin.write(b"CONNECT bob\n")
        nc.stdin.flush()
        self.assertEqual(self.ann.line(), b"bob connected!\n")
        nc.kill()
        nc.wait()
        self.assertEqual(self.ann.line(), b"bob has left the chat\n")

    def test_listener_only(self):
        """Who ended its side after having said its words gets all that they led to."""
        bob = self.client(self.server)
        bob.send(b"CONNECT bob\n" + b"x" * 4096 + b"\n" + b"bye\n")
        bob.end()
        expected = b"bob connected!\nbob: " + b"x" * 4096 + b"\nbob: bye\n"
        self.assertEqual(bob.rest(), b"Welcome! 2 user(s) are online!\n" + expected)


class Shutdown(ChatCase):
    def end(self, server, number):
        """Tells it to end, and returns the seconds that took."""
        began = time.monotonic()
        server.signal(number)
        self.assertEqual(server.wait(), (0, ""))
        return time.monotonic() - began

    def test_nobody_there(self):
        for number in [signal.SIGINT, signal.SIGTERM]:
            seconds = self.end(self.serve(), number)
            self.assertLess(seconds, END_SECONDS_MAX * SLOW)

    def test_everybody_is_told(self):
        """Also who has not said its name; nobody is told that the others leave."""
        for number in [signal.SIGINT, signal.SIGTERM]:
            server = self.serve()
            ann = self.join(server, b"ann", 1)
            bob = self.join(server, b"bob", 2)
            nobody = self.client(server)
            nobody.send(b"CONN")
            self.assertEqual(ann.line(), b"bob connected!\n")
            self.assert_silent(ann, bob)
            self.assertLess(self.end(server, number), END_SECONDS_MAX * SLOW)
            for client in [ann, bob, nobody]:
                self.assertEqual(client.rest(), FAREWELL)

    def test_while_all_talk(self):
        """Half of them answer each line that they get, others never read, others never said a name;
        and it is told twice."""
        for number in [signal.SIGINT, signal.SIGTERM]:
            server = self.serve()
            talkers = [self.join(server, b"t%d" % n, n + 1) for n in range(40)]
            deaf = [self.join(server, b"d%d" % n, n + 41) for n in range(10)]
            for client in deaf:
                client.send(b"I do not listen\n")
            nobodies = [self.client(server) for _ in range(10)]
            crowd = Crowd(talkers)
            self.addCleanup(crowd.close)
            began = self.talk_until_signal(server, crowd, number)
            self.assertEqual(server.wait(), (0, ""))
            self.assertLess(time.monotonic() - began, END_SECONDS_MAX * SLOW)
            for heard in crowd.heard.values():
                self.assertTrue(heard.endswith(b"\n" + FAREWELL), heard[-200:])
                self.assertEqual(heard.count(FAREWELL), 1)
                self.assertNotIn(b"has left the chat", heard)
            for client in nobodies:
                self.assertEqual(client.rest(), FAREWELL)

    def talk_until_signal(self, server, crowd, number):
        """Lets the crowd talk, sends the signal in the middle, and goes on until all have ended:
        when that was."""
        n_heard = 0
        began = None

        def hear(client, data):
            nonlocal n_heard, began
            n_heard += data.count(b"\n")
            if n_heard > 20000 and not began:
                began = time.monotonic()
                server.signal(number)
                server.signal(number)
            try:
                client.socket.send(b"and so on\n")
            except OSError:  # it is gone, or has enough to hear
                pass

        for client in crowd.heard:
            client.socket.send(b"go on\n")
        crowd.read_until(lambda: len(crowd.ended) == len(crowd.heard), hear)
        return began

    def test_full_output(self):
        """Clients that do not read, whose output is full."""
        server = self.serve()
        deaf = [self.join(server, b"d%d" % n, n + 1, receive_bytes=4096) for n in range(5)]
        for client in deaf:
            client.socket.setblocking(False)
        line = b"x" * 4000 + b"\n"
        for _ in range(300):
            for client in deaf:
                try:
                    client.socket.send(line)
                except BlockingIOError:
                    pass
        self.assertLess(self.end(server, signal.SIGTERM), END_SECONDS_MAX * SLOW)

    def test_port_is_free_at_once(self):
        server = self.serve()
        ann = self.join(server, b"ann", 1)
        self.end(server, signal.SIGTERM)
        self.assertEqual(ann.rest(), FAREWELL)
        again = subprocess.Popen(
            [TOOL, "chat", "serve", "--port", str(server.port)],
            stdout=subprocess.PIPE,
        )
        self.assertEqual(again.stdout.readline(), server.start_line.encode())
        again.terminate()
        again.communicate(timeout=LIMIT)
        self.assertEqual(again.returncode, 0)


if __name__ == "__main__":
    unittest.main()
