"""Scenario: curl, Python's http.client, wrk, ab, raw sockets and nginx in front talk to a server.

Claim: each of them understands every answer, whatever the version, encoding, range or condition;
pipelined requests are answered in order; load of either tool goes through without an error.
"""

import http.client
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

LIMIT = 30
LARGE = bytes(i * 7 % 251 for i in range(300_000))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([os.environ[program], *arguments],
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        self.port = int(re.search(r":(\d+)$", line.strip())[1])

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(LIMIT)
        self.process.stderr.close()
        return self.process.returncode


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(cls.folder.name)
        (root / "large").write_bytes(LARGE)
        (root / "a.txt").write_text("0123456789")
        cls.files = Server("BIDE_HTTP_FILES", cls.folder.name, "0")
        cls.app = Server("BIDE_HTTP_SERVER", str(free_port()))

    @classmethod
    def tearDownClass(cls):
        for server in (cls.files, cls.app):
            if server.end() != 0:
                raise AssertionError("a server did not end well")
        cls.folder.cleanup()

    def curl(self, server, path, *arguments, body=None):
        said = subprocess.run(["curl", "-sS", "--max-time", str(LIMIT), *arguments,
                               f"http://127.0.0.1:{server.port}{path}"],
                              capture_output=True, check=True, input=body)
        return said.stdout

    def test_curl_gets_files_and_parts(self):
        for version in ("--http1.0", "--http1.1"):
            self.assertEqual(self.curl(self.files, "/static/large", version), LARGE)
            self.assertEqual(self.curl(self.files, "/static/large", version, "-r", "1000-200000"),
                             LARGE[1000:200001])
            self.assertEqual(self.curl(self.files, "/static/a.txt", version, "-r", "-3"), b"789")
        self.assertIn(b"Content-Length: 300000", self.curl(self.files, "/static/large", "-I"))
        several = self.curl(self.files, "/static/a.txt", "-r", "0-1,4-5")
        self.assertIn(b"Content-Range: bytes 4-5/10\r\n\r\n45\r\n--", several)

    def test_curl_asks_only_for_news(self):
        etag = os.path.join(self.folder.name, "etag")
        self.curl(self.files, "/static/a.txt", "--etag-save", etag, "-o", os.devnull)
        status = self.curl(self.files, "/static/a.txt", "--etag-compare", etag, "-o", os.devnull,
                           "-w", "%{http_code}")
        self.assertEqual(status, b"304")

    def test_curl_sends_bodies(self):
        for arguments in ([], ["-H", "Transfer-Encoding: chunked"],
                          ["-H", "Expect: 100-continue"], ["--http1.0"]):
            said = self.curl(self.app, "/echo", "--data-binary", "@-",
                             "-H", "Content-Type: text/plain", *arguments, body=b"x" * 200_000)
            self.assertEqual(said, b"x" * 200_000)

    def test_http_client_on_one_connection(self):
        client = http.client.HTTPConnection("127.0.0.1", self.app.port, timeout=LIMIT)
        for i in range(50):
            client.request("POST", "/echo", body=iter([b"ab", b"c" * i]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
            answer = client.getresponse()
            self.assertEqual((answer.status, answer.read()), (200, b"ab" + b"c" * i))
        client.request("GET", "/none")
        self.assertEqual(client.getresponse().status, 404)
        client.close()

    def test_pipelined_requests(self):
        with socket.create_connection(("127.0.0.1", self.app.port), LIMIT) as peer:
            peer.sendall(b"".join(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n%04d"
                                  % i for i in range(500)) +
                         b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            said = b""
            while piece := peer.recv(65536):
                said += piece
        numbers = re.findall(rb"\r\n\r\n(\d{4})(?=HTTP)", said)
        self.assertEqual([int(n) for n in numbers], list(range(500)))

    @unittest.skipUnless(shutil.which("wrk"), "no wrk")
    def test_wrk(self):
        said = subprocess.run(["wrk", "-t1", "-c32", "-d1s", f"http://127.0.0.1:{self.app.port}/"],
                              capture_output=True, text=True, check=True).stdout
        self.assertNotRegex(said, "Non-2xx|Socket errors")
        self.assertGreater(int(re.search(r"(\d+) requests in", said)[1]), 100)

    @unittest.skipUnless(shutil.which("ab"), "no ab")
    def test_ab(self):
        for arguments in ([], ["-k"]):
            said = subprocess.run(["ab", "-q", "-n", "2000", "-c", "20", *arguments,
                                   f"http://127.0.0.1:{self.app.port}/"],
                                  capture_output=True, text=True, check=True).stdout
            self.assertRegex(said, r"Complete requests:\s+2000")
            self.assertRegex(said, r"Failed requests:\s+0")

    @unittest.skipUnless(shutil.which("nginx"), "no nginx")
    def test_behind_nginx(self):
        port = free_port()
        folder = self.folder.name
        paths = "".join(f"{kind}_temp_path {folder};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = pathlib.Path(folder) / "nginx.conf"
        config.write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log stderr emerg;"
            f"events {{}} http {{ access_log off; {paths}"
            f"upstream one {{ server 127.0.0.1:{self.app.port}; keepalive 4; }}"
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://one;"
            "proxy_http_version 1.1; proxy_set_header Connection ''; } } }")
        nginx = subprocess.Popen(["nginx", "-c", str(config), "-p", folder])
        try:
            for _ in range(500):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.01)
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
            for i in range(100):
                client.request("POST", "/echo", body=b"x" * i * 100)
                answer = client.getresponse()
                self.assertEqual((answer.status, len(answer.read())), (200, i * 100))
            client.close()
        finally:
            nginx.terminate()
            nginx.wait(LIMIT)


if __name__ == "__main__":
    unittest.main()
