"""TLS with real peers: openssl s_client and s_server, curl, and Python's ssl in both roles.

Certificates are made by `openssl` for each run. Everything waits for an event, and fails after
LIMIT seconds.
"""

import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

SLOW = float(os.environ.get("BIDE_TEST_SLOW", "1"))
LIMIT = 30 * SLOW
PEER = os.environ["BIDE_TLS_PEER"]
PATTERN = bytes(i % 251 for i in range(251))
CA = ["-addext", "keyUsage=critical,keyCertSign"]


def openssl(*words, **more):
    done = subprocess.run(
        ["openssl", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT, **more
    )
    return done.stdout.decode(errors="replace")


def pattern(size):
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


class Folder:
    """A CA, a server's certificate for a.test and 127.0.0.1, and a client's."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.request("ca", "/CN=Interop CA", "-x509", "-days", "2", *CA)
        self.sign("server", "/CN=a.test", "subjectAltName=DNS:a.test,IP:127.0.0.1")
        self.sign("client", "/CN=some client", "basicConstraints=CA:FALSE")

    def file(self, name):
        return str(self.path / name)

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
    def __init__(self, folder, asks="-", kind="tls"):
        words = [PEER, "serve", folder.file("server.pem"), folder.file("server.key"), asks, kind]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.port = int(self.line().split()[1])

    def line(self):
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.terminate()
        self.process.communicate(timeout=LIMIT)


class Interop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = Folder()
        cls.addClassCleanup(cls.files.folder.cleanup)

    def serve(self, asks="-", kind="tls"):
        server = Server(self.files, asks, kind)
        self.addCleanup(server.end)
        return server

    def context(self, identity=None):
        context = ssl.create_default_context(cafile=self.files.file("ca.pem"))
        if identity:
            context.load_cert_chain(
                self.files.file(f"{identity}.pem"), self.files.file(f"{identity}.key")
            )
        return context

    def connect(self, server, context=None):
        plain = socket.create_connection(("127.0.0.1", server.port), LIMIT)
        client = (context or self.context()).wrap_socket(plain, server_hostname="a.test")
        self.addCleanup(client.close)
        return client

    def s_client(self, server, *more, say="echo\nwords\n", quiet=True):
        words = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}",
                 "-CAfile", self.files.file("ca.pem"), "-verify_return_error", *more]  # fmt: skip
        words += ["-quiet"] if quiet else []
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.terminate)
        process.stdin.write(say.encode())
        process.stdin.flush()
        return process

    def until(self, process, word):
        while True:
            line = process.stdout.readline().decode(errors="replace")
            self.assertTrue(line, f"it ended without {word!r}")
            if word in line:
                return

    def test_s_client(self):
        server = self.serve()
        for version, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            process = self.s_client(server, version, "-servername", "a.test", "-alpn", "echo/1")
            self.until(process, "words")
            self.assertEqual(server.line(), f"{name} alpn=echo/1 name=a.test resumed=0 peer=-")
            process.stdin.write(b"Q\n")
            process.stdin.flush()
            process.terminate()
            server.line()

    def test_s_client_resumes(self):
        server = self.serve()
        for version in ("-tls1_2", "-tls1_3"):
            kept = self.files.file("session")
            words = ["s_client", "-connect", f"127.0.0.1:{server.port}", version, "-ign_eof",
                     "-servername", "a.test"]  # fmt: skip
            openssl(*words, "-sess_out", kept, input=b"send 10\n")
            self.assertIn("resumed=0", server.line())
            server.line()
            output = openssl(*words, "-sess_in", kept, input=b"send 10\n")
            self.assertIn("Reused", output)
            self.assertIn("resumed=1", server.line())
            self.assertEqual(server.line(), "ended: Success:")

    def test_s_client_old_version(self):
        server = self.serve()
        openssl("s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_1",
                "-cipher", "DEFAULT@SECLEVEL=0", input=b"")  # fmt: skip
        self.assertRegex(server.line(), "refused: TLS failed: .*(protocol|version)")

    def test_s_client_renegotiation(self):
        server = self.serve()
        process = self.s_client(server, "-tls1_2", quiet=False, say="")
        self.until(process, "Extended master secret")
        process.stdin.write(b"R\n")
        process.stdin.flush()
        self.until(process, "no renegotiation")

    def test_curl(self):
        curl = shutil.which("curl")
        server = self.serve()
        words = [curl, "-sS", "--cacert", self.files.file("ca.pem"), "--no-alpn", "--resolve",
                 f"a.test:{server.port}:127.0.0.1"]  # fmt: skip
        done = subprocess.run([*words, f"https://a.test:{server.port}/"], capture_output=True,
                              timeout=LIMIT)  # fmt: skip
        self.assertEqual((done.returncode, done.stdout), (0, b"page\n"), done.stderr)
        done = subprocess.run([curl, "-sS", "--no-alpn", f"https://127.0.0.1:{server.port}/"],
                              capture_output=True, timeout=LIMIT)  # fmt: skip
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("TLSv1.3", server.line())
        server.line()
        self.assertIn("the peer ended the session: unknown CA", server.line())

    def test_python_client(self):
        server = self.serve()
        client = self.connect(server)
        client.sendall(b"send 3000000\n")
        got = b""
        while len(got) < 3000000:
            part = client.recv(1 << 16)
            self.assertTrue(part)
            got += part
        whole = b"".join(pattern(4096 + 251)[n % 251 :][:4096] for n in range(0, 3000000, 4096))
        self.assertEqual(got, whole[:3000000])
        self.assertEqual(client.recv(1), b"")  # its end was said
        client.unwrap()
        self.assertIn("TLSv1.3", server.line())
        self.assertEqual(server.line(), "ended: Success:")

    def test_python_client_half_closes(self):
        """It says its end and still hears: by hand, because Python's sockets do not offer it."""
        server = self.serve()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context().wrap_bio(incoming, outgoing, server_hostname="a.test")
        plain = socket.create_connection(("127.0.0.1", server.port), LIMIT)
        self.addCleanup(plain.close)

        def do(call, *arguments):
            while True:
                try:
                    return call(*arguments)
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    data = plain.recv(1 << 16)
                    incoming.write(data) if data else incoming.write_eof()

        do(tls.do_handshake)
        tls.write(b"echo\n" + b"x" * 100000)
        with self.assertRaises(ssl.SSLWantReadError):
            tls.unwrap()  # sends the end
        plain.sendall(outgoing.read())
        self.assertIn("TLSv1.3", server.line())
        self.assertEqual(server.line(), "ended: Success:")

    def test_python_client_cuts_off(self):
        server = self.serve()
        client = self.connect(server)
        client.sendall(b"echo\n")
        os.close(client.detach())
        server.line()
        self.assertRegex(server.line(), "ended: Connection (ended without|reset)")

    def test_client_certificates(self):
        server = self.serve(asks=self.files.file("ca.pem"))
        client = self.connect(server, self.context("client"))
        client.sendall(b"send 1\n")
        self.assertEqual(client.recv(2), b"\0")
        self.assertIn("peer=CN=some client", server.line())
        self.assertEqual(server.line(), "ended: Success:")
        client = self.connect(server)
        with self.assertRaisesRegex(ssl.SSLError, "certificate required|CERTIFICATE_REQUIRED"):
            client.sendall(b"echo\n")
            client.recv(1)
        self.assertIn("refused: Certificate is not accepted", server.line())

    def test_starttls(self):
        server = self.serve(kind="plain")
        plain = socket.create_connection(("127.0.0.1", server.port), LIMIT)
        plain.sendall(b"STARTTLS\n")
        self.assertEqual(plain.recv(64), b"go ahead\n")
        client = self.context().wrap_socket(plain, server_hostname="a.test")
        self.addCleanup(client.close)
        client.sendall(b"echo\nwords")
        self.assertEqual(client.recv(64), b"words")

    # As the client

    def peer_connects(self, port, *more, name="a.test", say=b"words"):
        done = subprocess.run(
            [PEER, "connect", str(port), self.files.file("ca.pem"), name, *more],
            input=say, stdout=subprocess.PIPE, timeout=LIMIT,
        )  # fmt: skip
        return done.stdout.decode().splitlines()

    def python_server(self, handle, alpn=()):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.files.file("server.pem"), self.files.file("server.key"))
        if alpn:
            context.set_alpn_protocols(alpn)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(LIMIT)
        self.addCleanup(listener.close)

        def run():
            connection, _ = listener.accept()
            with connection:
                try:
                    with context.wrap_socket(connection, server_side=True) as tls:
                        handle(tls)
                except (ssl.SSLError, OSError):
                    pass

        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        return listener.getsockname()[1]

    def test_python_server(self):
        def echo(connection):
            while data := connection.recv(1 << 16):
                connection.sendall(data)
            connection.unwrap()

        port = self.python_server(echo, ["x", "y"])
        lines = self.peer_connects(port, "y", say=pattern(500000).hex().encode())
        self.assertEqual(lines[0], "TLSv1.3 alpn=y name=a.test resumed=0 peer=CN=a.test")
        self.assertEqual(lines[1], pattern(500000).hex())

    def test_python_server_cuts_off(self):
        def cut(connection):
            while connection.recv(64):  # what is not read when it is closed would reset it
                pass
            connection.sendall(b"half\n")
            os.close(connection.detach())

        lines = self.peer_connects(self.python_server(cut), say=b"")
        self.assertEqual(lines[1], "half")
        self.assertRegex(lines[2], "Connection ended without the end of the TLS session")

    def test_python_server_is_another(self):
        lines = self.peer_connects(self.python_server(lambda c: c.recv(1)), name="b.test")
        self.assertEqual(
            lines,
            [
                "Certificate is not accepted: host name does not match: wanted b.test, "
                "certificate is for a.test, 127.0.0.1"
            ],
        )

    def test_s_server(self):
        for version in "-tls1_2", "-tls1_3":
            words = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-rev", version,
                     "-cert", self.files.file("server.pem"),
                     "-key", self.files.file("server.key")]  # fmt: skip
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.addCleanup(process.communicate)
            self.addCleanup(process.terminate)
            while not (line := process.stdout.readline().decode()).startswith("ACCEPT"):
                self.assertTrue(line)
            port = line.strip().rpartition(":")[2]
            lines = self.peer_connects(port, say=b"words\n")
            self.assertIn("name=a.test resumed=0 peer=CN=a.test", lines[0])
            self.assertEqual(lines[1], "sdrow")


if __name__ == "__main__":
    unittest.main()
