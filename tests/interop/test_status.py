"""Scenario: `bide status` asks web servers that answer well, badly, slowly and not at all.

Claim: every URL gets its row in the order of the command line, with each redirect on the way or the
reason why there is no status; no more checks run at once than allowed; the exit status tells
whether all is well.
"""

import contextlib
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from chat_peer import LIMIT, TOOL


class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    open_now = 0
    open_most = 0
    heads = []

    def answer(self, status, *headers):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        path = self.path
        Pages.heads.append((self.command, path, dict(self.headers)))
        if path == "/ok":
            self.answer(200)
        elif path == "/one":
            self.answer(302, ("Location", "./two?x=1#part"))
        elif path == "/two?x=1":
            self.answer(301, ("location", f"//{self.headers['Host']}/ok"))
        elif path == "/loop":
            self.answer(307, ("Location", "/loop"))
        elif path == "/letters":
            self.answer(302, ("Location", "/\u00f6 k".encode().decode("latin-1")))
        elif path == "/nowhere":
            self.answer(302)
        elif path == "/mail":
            self.answer(302, ("Location", "mailto:a@b"))
        elif path == "/continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n")
            self.answer(204)
        elif path.startswith("/count"):
            with Pages.lock:
                Pages.open_now += 1
                Pages.open_most = max(Pages.open_most, Pages.open_now)
            time.sleep(0.02)
            with Pages.lock:
                Pages.open_now -= 1
            self.answer(200)
        else:
            self.answer(404)

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that is gone when it has seen enough


@contextlib.contextmanager
def raw_server(answer):
    """A server that sends these bytes to whoever connects; None: it sends nothing, and waits."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    peer = listener.accept()[0]
                    kept.append(peer)
                    if answer is not None:
                        peer.recv(4096)
                        with contextlib.suppress(OSError):
                            peer.sendall(answer)
                        peer.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
        for peer in kept:
            peer.close()


def run(*arguments, text=None):
    done = subprocess.run(
        [TOOL, "status", *arguments],
        input=text,
        stdin=None if text is not None else subprocess.DEVNULL,
        capture_output=True,
        env=os.environ,
        text=True,
        timeout=LIMIT,
    )
    return done.returncode, done.stdout, done.stderr


def check(*arguments):
    status, out, err = run("--json", *arguments)
    assert err == "", err
    return status, json.loads(out)


class Status(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(("127.0.0.1", 0), Pages)
        cls.host = f"127.0.0.1:{cls.server.server_port}"
        cls.url = f"http://{cls.host}"
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def test_statuses_in_order(self):
        status, rows = check(f"{self.url}/ok", f"{self.url}/missing", f"{self.host}/ok")
        self.assertEqual(status, 1)
        self.assertEqual([row["status"] for row in rows], [200, 404, 200])
        self.assertEqual(rows[2]["hops"][0]["url"], f"{self.url}/ok")
        self.assertEqual(rows[0]["hops"][0]["reason"], "OK")
        self.assertEqual(check(f"{self.url}/ok")[0], 0)

    def test_the_request(self):
        Pages.heads.clear()
        check(f"{self.url}/ok")
        check("--head", f"{self.url}/ok")
        (method, _, headers), (other, _, _) = Pages.heads
        self.assertEqual((method, other), ("GET", "HEAD"))
        self.assertEqual(headers["Host"], self.host)
        self.assertEqual(headers["Connection"], "close")

    def test_redirects_are_followed_and_shown(self):
        status, (row,) = check(f"{self.url}/one")
        self.assertEqual(status, 0)
        self.assertEqual([hop["status"] for hop in row["hops"]], [302, 301, 200])
        self.assertEqual(row["hops"][1]["url"], f"{self.url}/two?x=1")
        self.assertEqual(row["hops"][2]["url"], f"{self.url}/ok")
        _, (row,) = check("--redirects", "0", f"{self.url}/one")
        self.assertEqual((row["status"], len(row["hops"])), (302, 1))

    def test_redirects_that_lead_nowhere(self):
        _, (loop, few, letters, nowhere, mail) = check(
            "--redirects",
            "3",
            *(f"{self.url}/{page}" for page in ["loop", "one", "letters", "nowhere", "mail"]),
        )
        self.assertEqual((loop["status"], len(loop["hops"])), (None, 4))
        self.assertIn("more than 3 redirects", loop["detail"])
        self.assertEqual(few["status"], 200)
        self.assertEqual(letters["status"], 404)
        self.assertEqual(letters["hops"][1]["url"], f"{self.url}/%C3%B6%20k")
        self.assertEqual(nowhere["status"], 302)
        self.assertEqual(mail["status"], None)
        self.assertIn("neither http nor https", mail["detail"])

    def test_heads_before_the_answer(self):
        _, (row,) = check(f"{self.url}/continue")
        self.assertEqual(row["status"], 204)

    def test_what_is_no_answer(self):
        cases = {
            b"": "ended before an answer",
            b"HTTP/1.1 200 OK\r\n": "ended before an answer",
            b"SSH-2.0-x\r\n\r\n": "not an answer of HTTP/1",
            b"HTTP/1.1 20 OK\r\n\r\n": "not an answer of HTTP/1",
            b"HTTP/1.1 2000 OK\r\n\r\n": "not an answer of HTTP/1",
            b"HTTP/1.1 200 " + b"x" * 20000 + b"\r\n\r\n": "too long",
            b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n": "too many headers",
        }
        for answer, words in cases.items():
            with self.subTest(answer=answer[:20]), raw_server(answer) as url:
                status, (row,) = check(url)
                self.assertEqual((status, row["status"]), (1, None))
                self.assertIn(words, row["detail"])
        lines = [b"HTTP/1.0 200\n\n", b"HTTP/1.1 200 \r\n\r\nx", b"HTTP/1.1 200 \xff\r\n\r\n"]
        for line in lines:
            with self.subTest(line=line), raw_server(line) as url:
                self.assertEqual(check(url)[1][0]["status"], 200)

    def test_who_can_not_be_reached(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            closed = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with raw_server(None) as silent:
            others = ["ftp://h/", "http:///x", "http://a@h/"]
            status, rows = check("--timeout", "0.3", closed, silent, *others)
        self.assertEqual(status, 1)
        self.assertEqual([row["status"] for row in rows], [None] * 5)
        words = ["refused", "Timed out", "not supported", "Invalid", "Invalid"]
        for row, word in zip(rows, words):
            self.assertIn(word, row["error"])

    def test_no_more_at_once_than_allowed(self):
        Pages.open_most = 0
        status, rows = check("--limit", "3", *(f"{self.url}/count{i}" for i in range(30)))
        self.assertEqual((status, len(rows)), (0, 30))
        self.assertEqual(rows[17]["target"], f"{self.url}/count17")
        self.assertLessEqual(Pages.open_most, 3)
        self.assertGreater(Pages.open_most, 1)

    def test_urls_from_standard_input(self):
        text = f"# sites\n\n  {self.url}/ok\r\n{self.url}/missing\n"
        status, out, err = run("--json", "-", text=text)
        self.assertEqual((status, err), (1, ""))
        self.assertEqual([row["status"] for row in json.loads(out)], [200, 404])

    def test_the_table(self):
        status, out, err = run(f"{self.url}/one", f"{self.url}/missing", "ftp://h/")
        self.assertEqual((status, err), (1, ""))
        rows = out.splitlines()
        self.assertEqual(len(rows), 5)
        self.assertRegex(rows[0], re.escape(f"{self.url}/one") + r" +302 +[0-9.]+ ms  Found")
        self.assertRegex(rows[2], "^-> " + re.escape(f"{self.url}/ok") + r" +200 +[0-9.]+ ms  OK")
        self.assertRegex(rows[4], r"^ftp://h/ +--- .* neither http nor https")

    def test_command_lines(self):
        wrong = ["", "--limit 0 x", "--limit x x", "--timeout 0 x", "--redirects 21 x", "--what"]
        for words in map(str.split, wrong):
            with self.subTest(words=words):
                status, out, err = run(*words)
                self.assertEqual((status, out), (2, ""))
                self.assertIn("Try 'bide status --help'.", err)
        status, out, err = run("--help")
        self.assertEqual((status, err), (0, ""))
        for option in ["limit", "timeout", "redirects", "head", "json", "ca", "insecure"]:
            self.assertIn(f"\n  --{option} ", out)


HAS_TLS = os.environ.get("BIDE_HAVE_TLS") == "1"


def openssl(*words, folder):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@unittest.skipUnless(HAS_TLS, "built without TLS")
class Encrypted(unittest.TestCase):
    """The same over HTTPS, with a certificate for 127.0.0.1 that its own authority signed."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                "-subj", "/CN=Test CA", folder=cls.folder)  # fmt: skip
        openssl("req", "-x509", *key, "-keyout", "key.pem", "-out", "cert.pem", "-days", "2",
                "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
                "-addext", "basicConstraints=critical,CA:FALSE",
                "-CA", "ca.pem", "-CAkey", "ca.key", folder=cls.folder)  # fmt: skip
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(f"{cls.folder}/cert.pem", f"{cls.folder}/key.pem")
        cls.server = Server(("127.0.0.1", 0), Pages)
        cls.server.socket = context.wrap_socket(cls.server.socket, server_side=True)
        cls.port = cls.server.server_port
        cls.url = f"https://127.0.0.1:{cls.port}"
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()
        shutil.rmtree(cls.folder)

    def test_a_certificate_that_is_trusted(self):
        status, (row,) = check("--ca", f"{self.folder}/ca.pem", f"{self.url}/one")
        self.assertEqual((status, [hop["status"] for hop in row["hops"]]), (0, [302, 301, 200]))

    def test_a_certificate_that_is_not(self):
        status, (row,) = check(f"{self.url}/ok")
        self.assertEqual((status, row["status"]), (1, None))
        self.assertIn("Test CA", row["detail"])
        status, (row,) = check("--insecure", f"{self.url}/ok")
        self.assertEqual((status, row["status"]), (0, 200))

    def test_another_name(self):
        url = f"https://localhost:{self.port}/ok"
        status, (row,) = check("--ca", f"{self.folder}/ca.pem", url)
        self.assertEqual((status, row["status"]), (1, None))
        self.assertIn("localhost", row["detail"])

    def test_a_server_without_tls(self):
        with raw_server(b"HTTP/1.1 200 OK\r\n\r\n") as url:
            status, (row,) = check(url.replace("http:", "https:"))
        self.assertEqual((status, row["status"]), (1, None))
        self.assertTrue(row["error"])

    def test_authorities_that_can_not_be_read(self):
        status, out, err = run("--ca", f"{self.folder}/none.pem", f"{self.url}/ok")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("none.pem", err)


if __name__ == "__main__":
    unittest.main()
