"""Scenario: clients read and write the feed of `bide serve --demo` by polling, long polling and
server-sent events, with curl and with Python.

Claim: each way shows the same entries in the same order; a long poll waits, and a message ends the
wait; a reader that comes back goes on where it was; nothing that clients write leaves its place in
JSON; pages of others cannot write; the server ends while readers wait.
"""

import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import socket
import subprocess
import unittest

from serve_peer import LIMIT, ServeCase, curl

PAGE = pathlib.Path(__file__).parent.parent.parent / "cli" / "demo"


def texts(entries):
    return [(entry["name"], entry["text"]) for entry in entries if entry["type"] == "message"]


class Stream:
    """A reader of server-sent events."""

    def __init__(self, server, path="/events", **headers):
        self.peer = http.client.HTTPConnection(server.place, timeout=LIMIT)
        self.peer.request("GET", path, headers=headers)
        self.answer = self.peer.getresponse()

    def event(self):
        """The next one: its fields by name; without comments."""
        fields = {}
        while (line := self.answer.readline().decode()) != "\n":
            if not line:
                return None
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value
        return fields

    def message(self):
        """The next message, with the number of its event."""
        while event := self.event():
            if "data" in event:
                entry = json.loads(event["data"])
                if entry["type"] == "message":
                    return int(event["id"]), entry["name"], entry["text"]
        return None

    def close(self):
        self.answer.close()
        self.peer.close()


class Demo(ServeCase):
    def setUp(self):
        self.server = self.serve("--demo")
        self.threads = concurrent.futures.ThreadPoolExecutor()
        self.addCleanup(self.threads.shutdown)

    def stream(self, *arguments, **headers):
        stream = Stream(self.server, *arguments, **headers)
        self.addCleanup(stream.close)
        return stream

    def say(self, name, text):
        self.assertEqual(self.server.say(name, text)[0], 204)


class Page(Demo):
    def test_it_comes_as_it_was_written(self):
        for path, name, kind in (
            ("/", "page.html", "text/html"),
            ("/page.css", "page.css", "text/css"),
            ("/page.js", "page.js", "text/javascript"),
        ):
            with self.subTest(path):
                status, fields, body = self.server.ask("GET", path)
                self.assertEqual((status, body), (200, (PAGE / name).read_bytes()))
                self.assertEqual(fields.get_content_type(), kind)
                self.assertEqual(fields["X-Content-Type-Options"], "nosniff")
                self.assertIn("default-src 'none'", fields["Content-Security-Policy"])

    def test_nothing_else_is_there(self):
        for path in ("/page.html", "/x", "/messages/x", "/%2e%2e/meson.build"):
            self.assertEqual(self.server.ask("GET", path)[0], 404)
        self.assertEqual(self.server.ask("DELETE", "/messages")[0], 405)


class Polling(Demo):
    def test_what_was_said(self):
        entries, begin = self.server.news("/messages")
        self.assertEqual(entries, [])
        self.say("ann", "one")
        self.say("bob", "two")
        entries, last = self.server.news("/messages")
        self.assertEqual(texts(entries), [("ann", "one"), ("bob", "two")])
        self.assertEqual([entry["id"] for entry in entries], [begin + 1, begin + 2])
        self.assertEqual(last, begin + 2)
        self.assertEqual(self.server.news(f"/messages?after={last}"), ([], last))
        entries, _ = self.server.news(f"/messages?after={last - 1}")
        self.assertEqual(texts(entries), [("bob", "two")])

    def test_a_number_of_another_server(self):
        begin = self.server.news("/messages")[1]
        self.say("ann", "one")
        for number in (12345, begin - 1000, begin + 1000):
            entries, last = self.server.news(f"/messages?after={number}")
            self.assertEqual((texts(entries), last), ([("ann", "one")], begin + 1))

    def test_a_number_that_is_none(self):
        for number in ("", "-1", "x", "1x", "%201", "99999999999999999999"):
            for path in ("/messages", "/messages/wait", "/events"):
                self.assertEqual(self.server.ask("GET", f"{path}?after={number}")[0], 400)

    def test_only_the_latest_are_kept(self):
        begin = self.server.news("/messages")[1]
        for i in range(130):
            self.say("ann", str(i))
        entries, last = self.server.news("/messages")
        self.assertEqual(texts(entries), [("ann", str(i)) for i in range(30, 130)])
        self.assertEqual(last, begin + 130)

    def test_nothing_leaves_its_place(self):
        said = [
            ('"', "\\"),
            ("<script>", "</script><b>&amp;"),
            ("ann\\", '", "type": "users", "count": "9'),
            ("\u00e4\U0001f600", "\u4e16\u754c\u2028\u2029"),
            ("n" * 64, '"' * 1000),
        ]
        for name, text in said:
            self.say(name, text)
        self.assertEqual(texts(self.server.news("/messages")[0]), said)
        stream = self.stream()
        self.assertEqual([stream.message()[1:] for _ in said], said)

    def test_what_is_refused(self):
        for name, text, status in (
            ("", "x", 400),
            ("ann", "", 400),
            ("n" * 65, "x", 400),
            ("ann", "x" * 1001, 413),
            ("ann", "a\nb", 400),
            ("ann", "a\0b", 400),
            ("a\x7fn", "x", 400),
            ("ann", "\x85", 400),
            ("ann", b"\xff", 400),
            ("ann", b"\xc0\xaf", 400),
            ("ann", b"\xed\xa0\x80", 400),
        ):
            with self.subTest((name, text)):
                self.assertEqual(self.server.say(name, text)[0], status)
        self.assertEqual(self.server.ask("POST", "/messages", b"x")[0], 400)
        self.assertEqual(self.server.news("/messages")[0], [])

    def test_pages_of_others_cannot_write(self):
        for origin, status in (
            ("http://example.org", 403),
            ("null", 403),
            (f"http://{self.server.place}.example.org", 403),
            (f"http://{self.server.place}", 204),
        ):
            with self.subTest(origin):
                self.assertEqual(self.server.say("ann", "x", Origin=origin)[0], status)


class LongPolling(Demo):
    def test_what_is_there_comes_at_once(self):
        self.say("ann", "one")
        self.assertEqual(texts(self.server.news("/messages/wait")[0]), [("ann", "one")])

    def test_it_waits_and_a_message_ends_the_wait(self):
        with contextlib.closing(http.client.HTTPConnection(self.server.place)) as peer:
            peer.timeout = LIMIT
            peer.request("GET", "/messages/wait?after=0")
            self.server.news("/messages")  # asked later, and answered before
            with self.assertRaises(BlockingIOError):
                peer.sock.setblocking(False)
                peer.sock.recv(1, socket.MSG_PEEK)
            peer.sock.settimeout(LIMIT)
            self.say("ann", "wake up")
            entries = json.loads(peer.getresponse().read())["entries"]
            self.assertEqual(texts(entries), [("ann", "wake up")])

    def test_many_are_woken(self):
        self.say("ann", "one")
        path = "/messages/wait?after=%d" % self.server.news("/messages")[1]
        waits = [self.threads.submit(self.server.news, path) for _ in range(4)]
        self.say("ann", "two")
        for wait in waits:
            self.assertEqual(texts(wait.result(LIMIT)[0]), [("ann", "two")])

    def test_curl(self):
        address = self.server.url + "messages/wait?after=0"
        wait = self.threads.submit(curl, address)
        curl("--data", "hello", self.server.url + "messages?name=curl")
        self.assertEqual(texts(json.loads(wait.result(LIMIT))["entries"]), [("curl", "hello")])


class Events(Demo):
    def test_a_stream(self):
        stream = self.stream()
        self.assertEqual(stream.answer.status, 200)
        self.assertEqual(stream.answer.headers["Content-Type"], "text/event-stream")
        self.assertEqual(stream.event(), {"retry": "1000"})
        for i in range(5):
            self.say("ann", str(i))
            self.assertEqual(stream.message()[1:], ("ann", str(i)))

    def test_one_that_comes_back_goes_on_where_it_was(self):
        for i in range(5):
            self.say("ann", str(i))
        stream = self.stream()
        number = [stream.message() for _ in range(3)][-1][0]
        stream.close()
        for again in (
            self.stream("/events", **{"Last-Event-ID": str(number)}),
            self.stream(f"/events?after={number}"),
            self.stream("/events?after=0", **{"Last-Event-ID": str(number)}),
        ):
            self.assertEqual([again.message()[2] for _ in range(2)], ["3", "4"])

    def test_curl(self):
        reader = subprocess.Popen(
            ["curl", "--silent", "--no-buffer", "--noproxy", "*", self.server.url + "events"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        try:
            self.assertEqual(reader.stdout.readline(), b"retry: 1000\n")
            self.say("ann", "hello")
            while not (line := reader.stdout.readline()).startswith(b"data: "):
                self.assertTrue(line)
            self.assertEqual(json.loads(line[6:])["text"], "hello")
        finally:
            reader.kill()
            reader.communicate()

    def test_one_that_does_not_read_holds_nobody_up(self):
        host, _, port = self.server.place.rpartition(":")
        slow = socket.socket()
        self.addCleanup(slow.close)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        slow.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        quick = self.stream()
        for i in range(500):
            self.say("ann", str(i) + "x" * 900)
            self.assertEqual(quick.message()[2], str(i) + "x" * 900)


class End(Demo):
    def test_while_readers_wait(self):
        stream = self.stream()
        self.assertEqual(stream.event(), {"retry": "1000"})
        with contextlib.closing(http.client.HTTPConnection(self.server.place)) as peer:
            peer.timeout = LIMIT
            peer.request("GET", "/messages/wait")
            self.server.news("/messages")
            self.server.interrupt()
            self.assertEqual(json.loads(peer.getresponse().read())["entries"], [])
            self.assertIsNone(stream.event())
        self.assertEqual(self.server.wait(), (0, "", ""))
