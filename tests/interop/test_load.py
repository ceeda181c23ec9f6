"""Scenario: `bide load` against servers that answer, refuse, break off, stall and lie.

Claim: as many requests arrive as were asked for, each is counted once, as an answer or as an error
of its kind; a rate is kept, and a server that stalls does not look fast; what was measured is
reported when the run is interrupted.
"""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

from chat_peer import LIMIT, TOOL


class Server:
    """Answers requests on raw sockets: `respond(path, n)` gives the bytes, or None to break off."""

    def __init__(self, respond, delay=0.0):
        self.respond = respond
        self.delay = delay
        self.lock = threading.Lock()
        self.requests = []
        self.n_connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer = self.listener.accept()[0]
                self.n_connections += 1
                threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        data = b""
        with peer, contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in data:
                    piece = peer.recv(65536)
                    if not piece:
                        return
                    data += piece
                head, _, data = data.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                body = b""
                if length:
                    while len(data) < int(length[1]):
                        data += peer.recv(65536)
                    body, data = data[: int(length[1])], data[int(length[1]) :]
                with self.lock:
                    self.requests.append((head.decode(), body))
                    n = len(self.requests)
                if self.delay:
                    time.sleep(self.delay)
                answer = self.respond(head.split()[1].decode(), n)
                if answer is None:
                    return
                peer.sendall(answer)
                if b"Connection: close" in answer:
                    return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def answer(status=200, body=b"ok", extra=""):
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def good(_path, _n):
    return answer()


def run(*arguments):
    done = subprocess.run(
        [TOOL, "load", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=os.environ,
        text=True,
        timeout=LIMIT,
    )
    return done.returncode, done.stdout, done.stderr


def measure(*arguments):
    status, out, err = run("--json", *arguments)
    assert err == "", err
    return status, json.loads(out)


class Load(unittest.TestCase):
    def test_so_many_and_no_more(self):
        for more in [[], ["-p", "8"], ["--close"]]:
            with self.subTest(more=more), Server(good) as server:
                status, report = measure("-n", "200", "-c", "7", *more, f"{server.url}/x?y=1")
                self.assertEqual((status, report["answers"]), (0, 200))
                self.assertEqual(len(server.requests), 200)
                self.assertEqual(report["statuses"], {"200": 200})
                self.assertEqual(server.n_connections, report["connects"])
                least = 200 if more == ["--close"] else 7
                self.assertIn(report["connects"], range(least, least + 7))

    def test_the_request(self):
        with Server(good) as server:
            run("-n", "1", "-H", "X-A: b", "-H", "Host: other", "-b", "body", f"{server.url}/p")
            run("-n", "1", "-m", "DELETE", server.url)
        head, body = server.requests[0]
        self.assertTrue(head.startswith("POST /p HTTP/1.1\r\n"))
        self.assertIn("\r\nX-A: b", head)
        self.assertIn("\r\nHost: other", head)
        self.assertEqual(head.lower().count("host:"), 1)
        self.assertEqual(body, b"body")
        self.assertTrue(server.requests[1][0].startswith("DELETE / HTTP/1.1\r\n"))

    def test_answers_of_every_framing(self):
        answers = [
            answer(),
            b"HTTP/1.1 100 Continue\r\n\r\n" + answer(),
            b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;x=y\r\nabc\r\n00010\r\n" + b"x" * 16 + b"\r\n0\r\nA: b\r\n\r\n",
            b"HTTP/1.1 204 X\r\n\r\n",
            b"HTTP/1.1 304 X\r\nContent-Length: 7\r\n\r\n",
            answer(body=b"z" * 100000),
            answer(500),
            answer(extra="Connection: close\r\n"),
            b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\nuntil the end",
            b"HTTP/1.0 200 X\r\nConnection: close\r\n\r\nuntil the end",
        ]
        with Server(lambda _, n: answers[n % len(answers)]) as server:
            status, report = measure("-n", "100", "-c", "3", server.url)
        self.assertEqual((status, report["answers"]), (0, 100))
        self.assertEqual(report["statuses"], {"200": 70, "204": 10, "304": 10, "500": 10})

    def test_errors_by_kind(self):
        with Server(lambda _, n: None if n % 2 else answer()) as server:
            status, report = measure("-n", "40", "-c", "4", server.url)
        self.assertEqual((status, report["answers"]), (1, 20))
        self.assertEqual(report["errors"]["broken"], 20)
        with Server(lambda *_: b"SSH-2.0\r\n\r\nxxxxxxx") as server:
            _, report = measure("-n", "5", server.url)
        self.assertEqual((report["answers"], report["errors"]["protocol"]), (0, 5))
        with Server(lambda *_: answer()[:-1]) as server:
            _, report = measure("-n", "3", "--timeout", "0.2", server.url)
        self.assertEqual(report["errors"]["timeout"], 3)
        short = b"HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: 9\r\n\r\n."
        with Server(lambda *_: short) as server:
            _, report = measure("-n", "3", server.url)
        self.assertEqual(report["errors"]["broken"], 3)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            closed = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        _, report = measure("-n", "3", closed)
        self.assertEqual(report["errors"]["connect"], 3)
        self.assertIn("refused", report["first_error"])

    def test_a_rate_is_kept(self):
        with Server(good) as server:
            _, report = measure("-n", "50", "-c", "5", "-r", "200", server.url)
        self.assertEqual(report["answers"], 50)
        self.assertGreater(report["seconds"], 0.24)

    def test_a_server_that_stalls_does_not_look_fast(self):
        """One connection, 100 a second, 20 ms each: the last answer is a second late."""
        with Server(good, delay=0.02) as server:
            _, report = measure("-n", "100", "-c", "1", "-r", "100", server.url)
        self.assertGreater(report["times"]["max"], 0.9)
        self.assertGreater(report["times"]["50%"], 0.4)

    def test_a_duration(self):
        with Server(good, delay=0.001) as server:
            status, report = measure("-d", "0.3", "-c", "2", server.url)
        self.assertEqual(status, 0)
        self.assertGreater(report["answers"], 0)
        self.assertGreaterEqual(report["seconds"], 0.29)

    def test_interrupted(self):
        with Server(good, delay=0.001) as server:
            words = [TOOL, "load", "--json", "-n", "100000000", "-c", "2", server.url]
            with subprocess.Popen(words, stdout=subprocess.PIPE, env=os.environ) as child:
                deadline = time.monotonic() + LIMIT
                while len(server.requests) < 20 and time.monotonic() < deadline:
                    time.sleep(0.01)
                child.send_signal(signal.SIGINT)
                report = json.loads(child.communicate(timeout=LIMIT)[0])
        self.assertEqual(child.returncode, 0)
        self.assertGreaterEqual(report["answers"], 18)

    def test_progress_on_a_terminal(self):
        master, slave = pty.openpty()
        with Server(good, delay=0.05) as server:
            words = [TOOL, "load", "-n", "20", "-c", "1", server.url]
            child = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=slave, env=os.environ, text=True
            )
            out = child.communicate(timeout=LIMIT)[0]
        os.close(slave)
        shown = os.read(master, 65536).decode()
        os.close(master)
        self.assertRegex(shown, r"\r\[=+> +\] +\d+%  \d+ answers  \d+/s")
        self.assertTrue(shown.endswith("\r\x1b[K"))
        self.assertIn("20 answers", out)
        self.assertIn("Histogram", out)

    def test_command_lines(self):
        wrong = ["", "a b", "-n 0 x", "-n 1.5 x", "-c x x", "-r -1 x", "-m g x", "-H x x"]
        wrong += ["ftp://x", "-b @/none x", "http://a@b/", "http://", "--what x"]
        for words in map(str.split, wrong):
            with self.subTest(words=words):
                status, out, err = run(*words)
                self.assertEqual((status, out), (2, ""))
                self.assertIn("Try 'bide load --help'.", err)
        status, out, err = run("--help")
        self.assertEqual((status, err), (0, ""))


if __name__ == "__main__":
    unittest.main()
