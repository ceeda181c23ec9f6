"""Scenario: curl, openssl s_client and s_server, nginx, Python's http.server and websockets talk to
our server and client over TLS: both versions of HTTP, chunked, with 100-continue, parts of files,
with and without a certificate of the client's, on connections that are kept; bodies that are cut
off.

Claim: all of it is as in clear; who has no certificate where one is asked for gets nothing;
HTTP/1.1 is what both sides agree on; a body that is cut off is an error, and never a short body.
"""

import contextlib
import http.client
import http.server
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

SLOW = float(os.environ.get("BIDE_TEST_SLOW", "1"))
LIMIT = 30 * SLOW
LARGE = bytes(i * 7 % 251 for i in range(700_000))
PYTHON = "/usr/bin/python3"  # the system's, for which the package is
CA = ["-addext", "keyUsage=critical,keyCertSign"]

WS_CLIENT = """
import asyncio, ssl, sys, websockets

async def main(url, ca, compression):
    context = ssl.create_default_context(cafile=ca)
    async with websockets.connect(url, ssl=context, compression=compression, max_size=None,
                                  subprotocols=["echo"]) as ws:
        assert ws.subprotocol == "echo", ws.subprotocol
        assert bool(ws.extensions) == (compression is not None), ws.extensions
        for size in (0, 1, 126, 16384, 65536, 1000000):
            for message in ("x" * size, bytes(range(256)) * (size // 256)):
                await ws.send(message)
                assert await ws.recv() == message, size
        await ws.send(["in ", "three ", "parts"])
        assert await ws.recv() == "in three parts"
        await (await ws.ping(b"still there?"))
        await ws.close(4321, "that was all")
        assert ws.close_code == 4321, ws.close_code

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] if sys.argv[3] != "none" else None))
print("fine")
"""

WS_SERVER = """
import asyncio, ssl, sys, websockets

async def talk(ws):
    assert ws.subprotocol == "echo", ws.subprotocol
    for size in (0, 1, 126, 16384, 65536, 1000000):
        for message in ("x" * size, bytes(range(256)) * (size // 256)):
            await ws.send(message)
            assert await ws.recv() == message, size
    await (await ws.ping())
    await ws.close(4000, "enough")
    print("fine", ws.close_code, flush=True)

async def main(cert, key, compression):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with websockets.serve(talk, "127.0.0.1", 0, ssl=context, compression=compression,
                                max_size=None, subprotocols=["echo"]) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] if sys.argv[3] != "none" else None))
"""


def runs(command):
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


HAVE_WEBSOCKETS = runs([PYTHON, "-c", "import websockets"])


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=LIMIT)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until_listening(port):
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError(f"nobody listens on {port}")


class Folder:
    """Certificates of one authority: a server's, a client's; a stranger's; files to be served."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.request("ca", "/CN=Interop CA", "-x509", "-days", "2", *CA)
        self.request("stranger", "/CN=stranger", "-x509", "-days", "2")
        self.sign("server", "/CN=127.0.0.1", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self.sign("client", "/CN=some client", "basicConstraints=CA:FALSE")
        (self.path / "www").mkdir()
        (self.path / "www" / "large").write_bytes(LARGE)

    def file(self, name):
        return str(self.path / name)

    def pair(self, name):
        return self.file(f"{name}.pem"), self.file(f"{name}.key")

    def request(self, name, subject, *more):
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.file(f"{name}.key"), "-out", self.file(f"{name}.pem"),
                "-subj", subject, *more)  # fmt: skip

    def sign(self, name, subject, extension):
        self.request(name, subject)
        (self.path / "ext").write_text(extension + "\n")
        openssl("x509", "-req", "-in", self.file(f"{name}.pem"), "-CA", self.file("ca.pem"),
                "-CAkey", self.file("ca.key"), "-CAcreateserial", "-days", "2",
                "-extfile", self.file("ext"), "-out", self.file(f"{name}.pem"))  # fmt: skip


class Server:
    """Ours."""

    def __init__(self, folder, asks="none"):
        words = [os.environ["BIDE_HTTPS_PEER"], "serve", *folder.pair("server"),
                 folder.file("ca.pem"), asks, folder.file("www")]  # fmt: skip
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline().strip()
        self.port = int(re.fullmatch(r"Serving on https://127\.0\.0\.1:(\d+)", line)[1])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, errors


class Https(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = Folder()
        cls.addClassCleanup(cls.files.folder.cleanup)

    def serve(self, asks="none"):
        server = Server(self.files, asks)
        self.addCleanup(lambda: self.assertEqual(server.end(), (0, "")))
        return server

    def curl(self, server, path, *arguments, body=None, fails=False):
        said = subprocess.run(
            ["curl", "-sS", "--max-time", str(LIMIT), "--cacert", self.files.file("ca.pem"),
             *arguments, f"https://127.0.0.1:{server.port}{path}"],
            capture_output=True, input=body)  # fmt: skip
        if fails:
            self.assertNotEqual(said.returncode, 0, said)
        else:
            self.assertEqual(said.returncode, 0, said.stderr)
        return said.stdout

    def client(self, *arguments):
        """What our client says of its URLs."""
        words = [os.environ["BIDE_HTTP_CLIENT"], "-k", self.files.file("ca.pem"), *arguments]
        said = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        return said.stdout.splitlines()

    def test_curl(self):
        server = self.serve()
        for version in ("--http1.0", "--http1.1"):
            for tls in ("1.2", "1.3"):
                how = [version, "--tls-max", tls, "--tlsv" + tls]
                with self.subTest(how):
                    self.assertEqual(self.curl(server, "/", *how), b"hello\n")
                    counted = "".join(f"{i}\n" for i in range(1000)).encode()
                    self.assertEqual(self.curl(server, "/pieces", *how), counted)
                    self.assertEqual(self.curl(server, "/files/large", *how), LARGE)
                    part = self.curl(server, "/files/large", *how, "-r", "1000-600000")
                    self.assertEqual(part, LARGE[1000:600001])
                    self.assertEqual(self.curl(server, "/files/large", *how, "-r", "-3"),
                                     LARGE[-3:])
                    for more in ([], ["-H", "Expect: 100-continue"]):
                        said = self.curl(server, "/echo", *how, "--data-binary", "@-", *more,
                                         body=LARGE)
                        self.assertEqual(said, LARGE)
        said = self.curl(server, "/echo", "--data-binary", "@-", "-H", "Transfer-Encoding: chunked",
                         body=LARGE)
        self.assertEqual(said, LARGE)
        head = self.curl(server, "/files/large", "-I")
        self.assertIn(b"Content-Length: 700000", head)

    def test_one_connection(self):
        server = self.serve()
        url = f"https://127.0.0.1:{server.port}/files/large"
        said = self.curl(server, "/", "-w", "%{num_connects}", "-o", os.devnull, url,
                         "-o", os.devnull, url, "-o", os.devnull)
        self.assertEqual(said, b"100")

    def test_agreed_protocol(self):
        server = self.serve()
        said = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-alpn", "h2,http/1.1",
             "-CAfile", self.files.file("ca.pem"), "-verify_return_error"],
            input=b"", capture_output=True, timeout=LIMIT).stdout  # fmt: skip
        self.assertIn(b"ALPN protocol: http/1.1", said)
        self.assertIn(b"Verify return code: 0 (ok)", said)

    def test_client_certificates(self):
        for asks in ("optional", "required"):
            server = self.serve(asks)
            for tls in ("1.2", "1.3"):
                with self.subTest((asks, tls)):
                    how = ["--tls-max", tls]
                    cert, key = self.files.pair("client")
                    self.assertEqual(self.curl(server, "/", *how, "--cert", cert, "--key", key),
                                     b"hello\n")
                    self.curl(server, "/", *how, fails=asks == "required")
                    cert, key = self.files.pair("stranger")
                    self.curl(server, "/", *how, "--cert", cert, "--key", key, fails=True)

    def test_http_client(self):
        server = self.serve()
        context = ssl.create_default_context(cafile=self.files.file("ca.pem"))
        client = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=LIMIT,
                                             context=context)
        for i in range(20):
            client.request("POST", "/echo", body=iter([b"ab", b"c" * i * 1000]),
                           headers={"Transfer-Encoding": "chunked"}, encode_chunked=True)
            answer = client.getresponse()
            self.assertEqual((answer.status, answer.read()), (200, b"ab" + b"c" * i * 1000))
        client.close()

    def test_ended_in_every_state(self):
        server = Server(self.files)
        context = ssl.create_default_context(cafile=self.files.file("ca.pem"))
        silent = socket.create_connection(("127.0.0.1", server.port), LIMIT)
        begun = socket.create_connection(("127.0.0.1", server.port), LIMIT)
        begun.sendall(b"\x16\x03\x01\x02\x00\x01")
        idle = context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), LIMIT),
                                   server_hostname="127.0.0.1")
        idle.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertTrue(idle.recv(65536))
        at = time.monotonic()
        self.assertEqual(server.end(), (0, ""))
        self.assertLess(time.monotonic() - at, 5 * SLOW)
        self.assertEqual(idle.recv(65536), b"")  # with the end of the session, or it would fail
        for one in (silent, begun, idle):
            one.close()

    def test_s_server(self):
        port = free_port()
        cert, key = self.files.pair("server")
        server = subprocess.Popen(
            ["openssl", "s_server", "-accept", str(port), "-cert", cert, "-key", key, "-www"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        until_listening(port)
        for line in self.client(*[f"https://127.0.0.1:{port}/"] * 3):
            self.assertRegex(line, r"^200 \d 0 \d+ \d+ .*HTML")

    @unittest.skipUnless(shutil.which("nginx"), "no nginx")
    def test_nginx(self):
        port = free_port()
        folder = self.files.folder.name
        cert, key = self.files.pair("server")
        paths = "".join(f"{kind}_temp_path {folder};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = self.files.path / "nginx.conf"
        config.write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log stderr emerg;"
            f"events {{}} http {{ access_log off; {paths} server {{ listen 127.0.0.1:{port} ssl;"
            f"ssl_certificate {cert}; ssl_certificate_key {key}; root {folder}/www; }} }}")
        server = subprocess.Popen(["nginx", "-c", str(config), "-p", folder])
        self.addCleanup(server.wait, LIMIT)
        self.addCleanup(server.terminate)
        until_listening(port)
        for line in self.client(*[f"https://127.0.0.1:{port}/large"] * 4):
            self.assertRegex(line, r"^200 1 0 700000 ")  # one connection for all of them

    def test_pythons_server(self):
        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words):
                pass

        with http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0),
            lambda *words: Handler(*words, directory=self.files.file("www"))) as server:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.files.pair("server"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                port = server.server_address[1]
                lines = self.client(*[f"https://127.0.0.1:{port}/large"] * 3)
            finally:
                server.shutdown()
                thread.join()
        for line in lines:
            self.assertRegex(line, r"^200 1 0 700000 ")

    def cut_off(self, says, closes):
        """A server that says something and ends the connection in a way of its own: what our client
        makes of it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files.pair("server"))
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            plain, _ = listener.accept()
            peer = context.wrap_socket(plain, server_side=True)
            peer.recv(65536)
            peer.sendall(says)
            closes(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        [line] = self.client(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()
        listener.close()
        return line

    def test_bodies_that_are_cut_off(self):
        def cuts(peer):  # no close_notify
            peer.shutdown(socket.SHUT_RDWR)
            peer.close()

        def ends(peer):
            with contextlib.suppress(OSError):  # it says its end; the client may just be gone
                peer.unwrap()
            peer.close()

        until_end = b"HTTP/1.1 200 OK\r\n\r\nhalf of it"
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf of it\r\n"
        length = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf of it"
        for says in (until_end, chunked, length):
            self.assertRegex(self.cut_off(says, cuts), "^error ")
        self.assertRegex(self.cut_off(chunked, ends), "^error ")
        self.assertRegex(self.cut_off(length, ends), "^error ")
        self.assertRegex(self.cut_off(until_end, ends), "^200 .* half of it$")

    @unittest.skipUnless(HAVE_WEBSOCKETS, "python3-websockets is not installed")
    def test_websocket_clients(self):
        server = self.serve()
        url = f"wss://127.0.0.1:{server.port}/ws"
        for compression in ("none", "deflate"):
            with self.subTest(compression):
                said = subprocess.run(
                    [PYTHON, "-c", WS_CLIENT, url, self.files.file("ca.pem"), compression],
                    capture_output=True, text=True, timeout=LIMIT)
                self.assertEqual((said.stdout, said.stderr), ("fine\n", ""))

    @unittest.skipUnless(HAVE_WEBSOCKETS, "python3-websockets is not installed")
    def test_websocket_servers(self):
        for compression in ("none", "deflate"):
            with self.subTest(compression):
                server = subprocess.Popen(
                    [PYTHON, "-c", WS_SERVER, *self.files.pair("server"), compression],
                    stdout=subprocess.PIPE, text=True)
                port = int(server.stdout.readline())
                said = subprocess.run(
                    [os.environ["BIDE_HTTPS_PEER"], "ws", self.files.file("ca.pem"),
                     f"wss://127.0.0.1:{port}/"],
                    capture_output=True, text=True, timeout=LIMIT)
                self.assertEqual((said.returncode, said.stderr), (0, ""))
                self.assertEqual(server.stdout.readline(), "fine 4000\n")
                server.terminate()
                server.communicate(timeout=LIMIT)


if __name__ == "__main__":
    unittest.main()
