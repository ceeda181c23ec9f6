"""Scenario: a few clients of a chat server that speak its wire format, or do not.

Claim: everybody gets exactly the bytes that the format says, and who breaks it gets one line that
says so and the end, while the others are told that it has left.
"""

import subprocess
import threading
import unittest

from chat_peer import LIMIT, ChatCase

LINE_BYTES_MAX = 4096
NAME_BYTES_MAX = 64

BAD_UTF8 = [
    b"\x80",
    b"\xbf",
    b"\xc0\x80",
    b"\xc1\xbf",
    b"\xc3",
    b"\xc3(",
    b"\xe0\x80\x80",
    b"\xe0\x9f\xbf",
    b"\xe2\x82",
    b"\xe2\x82(",
    b"\xe2(\xac",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x80\x80\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xf0\x9f\x98",
    b"\xf0\x9f(\x80",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xfe",
    b"\xff",
]
GOOD_CHARACTERS = [0, 1, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000]
GOOD_CHARACTERS += [0x10FFFF]


class Talk(ChatCase):
    def setUp(self):
        self.server = self.serve()

    def test_two_clients(self):
        ann = self.join(self.server, b"ann", 1)
        bob = self.join(self.server, b"bob", 2)
        ann.send(b"hello\n")
        self.assertEqual(bob.line(), b"ann: hello\n")
        bob.send(b"hi ann\nhow are you?\n")
        bob.end()
        ann.send(b"bye\n")
        self.assertEqual(
            ann.line(), b"bob connected!\n", "everybody is told who joined, not only the newcomer"
        )
        told = ann.lines(5)
        self.assertTrue(told.startswith(b"ann: hello\nbob: hi ann\n"), told)
        self.assertEqual(
            sorted(told.splitlines()),
            [
                b"ann: bye",
                b"ann: hello",
                b"bob has left the chat",
                b"bob: hi ann",
                b"bob: how are you?",
            ],
        )
        self.assertTrue(bob.rest().startswith(b"bob: hi ann\nbob: how are you?\n"))
        self.assert_silent(ann)

    def test_netcat(self):
        words = "CONNECT Zoë\nhello\r\n\n größer\nbye\n".encode()
        done = subprocess.run(
            ["nc", "-N", self.server.host, str(self.server.port)],
            input=words,
            stdout=subprocess.PIPE,
            timeout=LIMIT,
        )
        expected = (
            "Welcome! 1 user(s) are online!\nZoë connected!\n"
            "Zoë: hello\nZoë: \nZoë:  größer\nZoë: bye\n"
        )
        self.assertEqual((done.returncode, done.stdout.decode()), (0, expected))

    def test_netcat_with_a_partner(self):
        ann = self.join(self.server, b"ann", 1)
        nc = subprocess.Popen(
            ["nc", "-N", self.server.host, str(self.server.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(nc.wait)
        self.addCleanup(nc.kill)
        self.addCleanup(nc.stdout.close)
        nc.stdin.write(b"CONNECT bob\n")
        nc.stdin.flush()
        self.assertEqual(ann.line(), b"bob connected!\n")
        ann.send(b"hi bob\n")
        told = b"".join(nc.stdout.readline() for _ in range(3))
        self.assertEqual(
            told, b"Welcome! 2 user(s) are online!\nbob connected!\nann: hi bob\n"
        )
        nc.stdin.close()
        self.assertEqual(ann.lines(2), b"ann: hi bob\nbob has left the chat\n")
        self.assertEqual(nc.stdout.read(), b"")

    def test_everything_in_one_packet(self):
        bob = self.client(self.server)
        bob.send(b"CONNECT bob\none\ntwo\n")
        bob.end()
        self.assertEqual(
            bob.rest(),
            b"Welcome! 1 user(s) are online!\nbob connected!\nbob: one\nbob: two\n",
        )

    def test_every_byte_a_packet(self):
        """Also characters are split."""
        ann = self.join(self.server, b"ann", 1)
        bob = self.client(self.server)
        for byte in "CONNECT Jürgen\r\n日本 😀\r\n\r\n".encode():
            bob.send(bytes([byte]))
        expected = "Jürgen connected!\nJürgen: 日本 😀\nJürgen: \n".encode()
        self.assertEqual(bob.lines(4), b"Welcome! 2 user(s) are online!\n" + expected)
        self.assertEqual(ann.lines(3), expected)

    def test_lines_arrive_unchanged(self):
        """Blanks, control characters and NULs; only one carriage return before the newline goes."""
        ann = self.join(self.server, b"ann", 1)
        bob = self.join(self.server, b"bob", 2)
        self.assertEqual(ann.line(), b"bob connected!\n")
        for line, told in [
            (b"", b""),
            (b"\r", b""),
            (b"\r\r", b"\r"),
            (b" a\tb ", b" a\tb "),
            (b"a\rb", b"a\rb"),
            (b"\0a\0", b"\0a\0"),
            (b"\x1b[1m%s%n", b"\x1b[1m%s%n"),
            (b"CONNECT eve", b"CONNECT eve"),
            ("".join(map(chr, GOOD_CHARACTERS)).encode(),) * 2,
        ]:
            bob.send(line + b"\n")
            self.assertEqual(ann.line(), b"bob: " + told + b"\n")
            self.assertEqual(bob.line(), b"bob: " + told + b"\n")

    def test_last_line_without_end(self):
        ann = self.join(self.server, b"ann", 1)
        bob = self.join(self.server, b"bob", 2)
        bob.send(b"one\ntwo")
        bob.end()
        expected = b"bob: one\nbob: two\n"
        self.assertEqual(bob.rest(), expected)
        self.assertEqual(ann.lines(4), b"bob connected!\n" + expected + b"bob has left the chat\n")
        eve = self.client(self.server)
        eve.send(b"CONNECT eve")
        eve.end()
        self.assertEqual(eve.rest(), b"Welcome! 2 user(s) are online!\neve connected!\n")
        self.assertEqual(ann.lines(2), b"eve connected!\neve has left the chat\n")


class Limits(ChatCase):
    def setUp(self):
        self.server = self.serve()
        self.ann = self.join(self.server, b"ann", 1)

    def refused(self, first_line):
        """Who begins like this gets an error and the end, and nobody is told of it."""
        with self.subTest(first_line=first_line[:80]):
            eve = self.client(self.server)
            eve.send(first_line)
            self.assert_error(eve)
            self.assert_silent(self.ann)

    def sent_away(self, line, *, told=b""):
        """Who says this gets an error and the end; the others are told that it has left."""
        with self.subTest(line=line[:80]):
            eve = self.join(self.server, b"eve", 2)
            eve.send(line)
            self.assertRegex(eve.rest(), rb"\A" + told + rb"ERROR [^\n]+\n\Z")
            expected = b"eve connected!\n" + told + b"eve has left the chat\n"
            self.assertEqual(self.ann.lines(2 + told.count(b"\n")), expected)

    def test_first_lines(self):
        for line in [b"", b"hello", b"CONNECT", b"CONNECTeve", b"connect eve", b" CONNECT eve"]:
            self.refused(line + b"\n")
            self.refused(line + b"\r\n")
        self.refused(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.refused(b"CONNECT " + b"e" * LINE_BYTES_MAX + b"\n")
        self.refused(b"e" * 2 * LINE_BYTES_MAX)

    def test_first_line_that_never_came(self):
        """Who ends before it has said anything gets nothing."""
        for data in [b"", b"\n"]:
            eve = self.client(self.server)
            eve.send(data)
            eve.end()
            self.assertEqual(eve.rest() == b"", data == b"")
        self.assert_silent(self.ann)

    def test_names_refused(self):
        names = ["", " ", "e ", " e", "e e", "e\te", "e\0", "\x1b", "\x7f", "e:", ":"]
        names += ["e" + unseen for unseen in "\x80\x85\xa0\xad\u1680\u2003\u200b\u200e\u2028\u202e"]
        names += ["\u2066e", "\u3000", "\ufeffe", "e" * (NAME_BYTES_MAX + 1)]
        names += ["é" * (NAME_BYTES_MAX // 2) + "e", "ERROR", "ann"]
        for name in names:
            self.refused(b"CONNECT " + name.encode() + b"\n")
        for name in BAD_UTF8:
            self.refused(b"CONNECT e" + name + b"\n")

    def test_names_taken(self):
        """As long as they may be, in any script; case counts."""
        names = ["e", "e" * NAME_BYTES_MAX, "é" * (NAME_BYTES_MAX // 2), "日本", "😀", "Ann", "%s%n"]
        names += ["می\u200cخواهم", "👩\u200d🚀", "<b>", "has", "Welcome!"]
        for name in map(str.encode, names):
            with self.subTest(name=name):
                eve = self.join(self.server, name, 2)
                eve.end()
                self.assertEqual(eve.rest(), b"")
                expected = name + b" connected!\n" + name + b" has left the chat\n"
                self.assertEqual(self.ann.lines(2), expected)

    def test_longest_lines(self):
        bob = self.join(self.server, b"b" * NAME_BYTES_MAX, 2)
        self.ann.line()
        for line in [b"x" * LINE_BYTES_MAX, "é".encode() * (LINE_BYTES_MAX // 2)]:
            for end in [b"\n", b"\r\n"]:
                bob.send(line + end)
                for client in [self.ann, bob]:
                    self.assertEqual(client.line(), b"b" * NAME_BYTES_MAX + b": " + line + b"\n")

    def test_longer_lines(self):
        for end in [b"\n", b"\r\n"]:
            self.sent_away(b"x" * (LINE_BYTES_MAX + 1) + end)
        self.sent_away(b"x" * LINE_BYTES_MAX + b"\r\r\n")
        self.sent_away(b"x" * 100 * LINE_BYTES_MAX + b"\n")
        self.sent_away(b"one\n" + b"x" * 2 * LINE_BYTES_MAX + b"\n", told=b"eve: one\n")

    def test_line_without_end_is_too_long_at_once(self):
        self.sent_away(b"x" * 2 * LINE_BYTES_MAX)

    def test_bad_utf8(self):
        for data in BAD_UTF8:
            self.sent_away(data + b"\n")
            self.sent_away(b"one\na" + data + b"b\n", told=b"eve: one\n")

    def test_name_in_use(self):
        self.refused(b"CONNECT ann\nhello\n")
        bob = self.join(self.server, b"bob", 2)
        self.ann.end()
        self.assertEqual(self.ann.rest(), b"bob connected!\n")
        self.assertEqual(bob.line(), b"ann has left the chat\n")
        self.join(self.server, b"ann", 2)
        self.assertEqual(bob.line(), b"ann connected!\n")

    def test_name_is_free_after_an_error(self):
        for _ in range(3):
            self.sent_away(b"\xff\n")

    def test_race_for_a_name(self):
        """Of two who want the same name at the same time exactly one gets it."""
        for round_ in range(50):
            rivals = [self.client(self.server) for _ in range(2)]
            start = threading.Barrier(2)
            name = b"rival%d" % round_

            def connect(rival):
                start.wait()
                rival.send(b"CONNECT " + name + b"\n")

            threads = [threading.Thread(target=connect, args=[rival]) for rival in rivals]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            answers = sorted((rival.line(), number) for number, rival in enumerate(rivals))
            self.assertRegex(answers[0][0], b"^ERROR ")
            self.assertEqual(answers[1][0], b"Welcome! 2 user(s) are online!\n")
            winner = rivals[answers[1][1]]
            winner.end()
            self.assertEqual(winner.rest(), name + b" connected!\n")
            expected = name + b" connected!\n" + name + b" has left the chat\n"
            self.assertEqual(self.ann.lines(2), expected)


class Addresses(ChatCase):
    def test_ipv6(self):
        server = self.serve(host="::1")
        self.assertEqual(server.start_line, f"Listening on [::1]:{server.port}\n")
        self.join(server, b"ann", 1).send(b"hi\n")

    def test_name(self):
        """Whoever reaches it by any address of the name is in the same chat."""
        server = self.serve(host="localhost")
        hosts = [
            text.rpartition(":")[0].strip("[]")
            for text in server.start_line.removeprefix("Listening on ").strip().split(", ")
        ]
        self.assertIn("127.0.0.1", hosts)
        clients = []
        for number, host in enumerate(hosts):
            clients.append(self.join(server, b"user%d" % number, number + 1, host=host))
            for other in clients[:-1]:
                self.assertEqual(other.line(), b"user%d connected!\n" % number)
        self.assert_silent(*clients)


if __name__ == "__main__":
    unittest.main()
