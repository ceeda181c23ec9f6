"""Scenario: `bide serve FOLDER` is asked by curl and by Python, well and badly, and is stopped.

Claim: files come whole, in ranges, or as a head alone, over HTTP and HTTPS; no path leads out of
the folder; folders are listed only if that is wanted; the log has a line for each request and holds
nobody up; the server ends gently by a signal, and at once by a second one.
"""

import contextlib
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import unittest

from serve_peer import LIMIT, TOOL, ServeCase, curl

LARGE = bytes(range(251)) * 20000


def run(*arguments):
    done = subprocess.run(
        [TOOL, "serve", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    return done.returncode, done.stdout, done.stderr


class FolderCase(ServeCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        self.www = self.root / "www"
        (self.www / "with index").mkdir(parents=True)
        (self.www / "without").mkdir()
        (self.root / "secret.txt").write_text("secret\n")
        (self.www / "a.txt").write_text("0123456789\n")
        (self.www / "large.bin").write_bytes(LARGE)
        (self.www / ".hidden").write_text("hidden\n")
        (self.www / "with index" / "index.html").write_text("<p>index</p>\n")
        (self.www / "without" / "<b>.txt").write_text("b\n")
        (self.www / "out").symlink_to("../secret.txt")

    def raw(self, server, head):
        """What comes back for these bytes until the server closes."""
        host, _, port = server.place.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=LIMIT) as peer:
            peer.sendall(head)
            answer = b""
            while data := peer.recv(65536):
                answer += data
            return answer


class Workers(FolderCase):
    def test_all_of_them_serve(self):
        server = self.serve("--workers", "3", str(self.www))
        for _ in range(12):
            self.assertEqual(curl(server.url + "a.txt"), b"0123456789\n")
        self.assertEqual(curl(server.url + "large.bin"), LARGE)

    def test_as_many_as_there_are_processors(self):
        server = self.serve("--workers", "0", str(self.www))
        self.assertEqual(curl(server.url + "a.txt"), b"0123456789\n")

    def test_what_is_for_one_loop(self):
        for option in ("--log", "--demo"):
            arguments = ["--workers", "2", option] + ([] if option == "--demo" else [str(self.www)])
            status, out, errors = run(*arguments)
            self.assertEqual((status, out), (2, ""))
            self.assertIn("--workers is not for --demo and --log", errors)
        self.assertEqual(run("--workers", "many", str(self.www))[0], 2)
        self.assertEqual(run("--workers", "5000", str(self.www))[0], 2)

    def test_what_keeps_it_from_beginning(self):
        status, out, errors = run("--workers", "2", str(self.root / "none"))
        self.assertEqual((status, out), (1, ""))
        self.assertIn("No such file", errors)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = str(taken.getsockname()[1])
            status, out, errors = run("--workers", "2", "--port", number, str(self.www))
        self.assertEqual((status, out), (1, ""))
        self.assertIn("can't listen on 127.0.0.1, port " + number, errors)


class Files(FolderCase):
    def test_whole(self):
        server = self.serve(str(self.www))
        self.assertEqual(curl(server.url + "a.txt"), b"0123456789\n")
        self.assertEqual(curl(server.url + "large.bin"), LARGE)
        self.assertEqual(curl("--http1.0", server.url + "large.bin"), LARGE)
        status, fields, body = server.ask("GET", "/a.txt")
        self.assertEqual((status, body), (200, b"0123456789\n"))
        self.assertEqual(fields["Content-Type"], "text/plain; charset=utf-8")

    def test_head_alone(self):
        server = self.serve(str(self.www))
        status, fields, body = server.ask("HEAD", "/large.bin")
        self.assertEqual((status, fields["Content-Length"], body), (200, str(len(LARGE)), b""))

    def test_ranges(self):
        server = self.serve(str(self.www))
        self.assertEqual(curl("--range", "2-4", server.url + "a.txt"), b"234")
        self.assertEqual(curl("--range", "-3", server.url + "a.txt"), b"89\n")
        self.assertEqual(curl("--range", "100000-", server.url + "large.bin"), LARGE[100000:])
        self.assertEqual(server.ask("GET", "/a.txt", Range="bytes=50-")[0], 416)
        parts = curl("--range", "0-1,5-6", server.url + "a.txt")
        self.assertRegex(parts, rb"(?s)\r\n\r\n01\r\n--.*\r\n\r\n56\r\n--")

    def test_curl_goes_on_where_it_stopped(self):
        server = self.serve(str(self.www))
        path = self.root / "part"
        path.write_bytes(LARGE[:1000])
        curl("--continue-at", "-", "--output", str(path), server.url + "large.bin")
        self.assertEqual(path.read_bytes(), LARGE)

    def test_what_the_client_has_does_not_come_again(self):
        server = self.serve(str(self.www))
        os.utime(self.www / "a.txt", (10**9, 10**9))
        fields = server.ask("GET", "/a.txt")[1]
        again = server.ask("GET", "/a.txt", If_None_Match=fields["ETag"])
        self.assertEqual((again[0], again[2]), (304, b""))

    def test_missing_and_wrong(self):
        server = self.serve(str(self.www))
        self.assertEqual(server.ask("GET", "/none")[0], 404)
        self.assertEqual(server.ask("GET", "/.hidden")[0], 404)
        self.assertEqual(server.ask("POST", "/a.txt", b"x")[0], 405)

    def test_no_way_out(self):
        server = self.serve("--listing", str(self.www))
        for path in (
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/without/../../secret.txt",
            "/without/%2e%2e/%2e%2e/secret.txt",
            "//secret.txt",
            "/..%5csecret.txt",
            "/out",
            "/a.txt/../../secret.txt",
            str(self.root / "secret.txt"),
        ):
            with self.subTest(path):
                answer = curl("--path-as-is", "--include", server.url.rstrip("/") + path)
                self.assertRegex(answer, rb"\AHTTP/1.1 (404|403|400) ")
                self.assertNotIn(b"secret\n", answer)

    def test_a_name_with_a_zero_byte_is_refused(self):
        server = self.serve(str(self.www))
        answer = self.raw(server, b"GET /a.txt%00.html HTTP/1.0\r\n\r\n")
        self.assertRegex(answer, rb"\AHTTP/1.[01] 400 ")

    def test_folders(self):
        server = self.serve(str(self.www))
        self.assertEqual(curl(server.url + "with%20index/"), b"<p>index</p>\n")
        self.assertEqual(curl("--location", server.url + "with%20index"), b"<p>index</p>\n")
        self.assertEqual(server.ask("GET", "/without/")[0], 403)

    def test_listing(self):
        server = self.serve("--listing", str(self.www))
        page = curl(server.url + "without/").decode()
        self.assertIn("&lt;b&gt;.txt", page)
        self.assertNotIn("<b>", page)
        self.assertNotIn(".hidden", curl(server.url).decode())

    @unittest.skipUnless(os.environ.get("BIDE_HAVE_TLS") == "1", "a build without TLS")
    def test_https(self):
        cert, key = str(self.root / "cert.pem"), str(self.root / "key.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            + ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert]
            + ["-addext", "subjectAltName=IP:127.0.0.1"],
            check=True,
            capture_output=True,
            timeout=LIMIT,
        )
        for workers in ((), ("--workers", "2")):
            server = self.serve("--tls", cert, key, *workers, str(self.www))
            self.assertRegex(server.url, r"\Ahttps://")
            for _ in range(3):
                self.assertEqual(curl("--cacert", cert, server.url + "large.bin"), LARGE)


class Log(FolderCase):
    def test_a_line_for_each_request(self):
        server = self.serve("--log", str(self.www))
        moment = r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ 127\.0\.0\.1:\d+ "
        curl(server.url + "a.txt")
        self.assertRegex(server.line(), moment + r'"GET /a\.txt" 200 11 \d+\.\d ms\n\Z')
        server.ask("HEAD", "/none?x=1")
        self.assertRegex(server.line(), moment + r'"HEAD /none\?x=1" 404 0 \d+\.\d ms\n\Z')

    def test_what_clients_write_stays_in_its_place(self):
        server = self.serve("--log", str(self.www))
        self.raw(server, b'GET /"\\q HTTP/1.0\r\n\r\n')
        self.raw(server, b"GET /" + b"y" * 2000 + b" HTTP/1.0\r\n\r\n")
        server.ask("GET", "/end")
        lines = [server.line()]
        while "/end" not in lines[-1]:
            lines.append(server.line())
        self.assertNotIn("\\q", "".join(lines).replace("\\x5cq", ""))
        self.assertRegex(lines[-2], r'"GET /y{600,700}\.\.\." 404 ')

    def test_a_reader_that_does_not_read_holds_nobody_up(self):
        server = self.serve("--log", str(self.www))
        n = 3000
        with contextlib.closing(self.connection(server)) as peer:
            for _ in range(n):
                peer.request("GET", "/" + "z" * 90)
                self.assertEqual(peer.getresponse().read(), b"Not Found\n")
        server.interrupt()
        status, out, errors = server.wait()
        lines = [line for line in out.splitlines() if line[0] != "("]
        missing = re.findall(r"^\((\d+) lines are missing\)$", out, re.MULTILINE)
        self.assertEqual((status, errors), (0, ""))
        self.assertLess(len(lines), n)
        self.assertEqual(len(lines) + sum(map(int, missing)), n)

    def connection(self, server):
        return http.client.HTTPConnection(server.place, timeout=LIMIT)

    def test_a_log_that_nobody_can_read_ends_and_the_server_goes_on(self):
        server = self.serve("--log", str(self.www))
        server.process.stdout.close()
        for _ in range(20):
            self.assertEqual(curl(server.url + "a.txt"), b"0123456789\n")
        server.interrupt()
        self.assertEqual(server.process.wait(timeout=LIMIT), 0)
        errors = server.process.stderr.read()
        server.process.stderr.close()
        self.assertEqual(errors, "bide serve: the log ends: Broken pipe\n")


class End(FolderCase):
    def begun(self, server):
        """A download that has begun and cannot end, because nobody reads."""
        host, _, port = server.place.rpartition(":")
        peer = socket.socket()
        self.addCleanup(peer.close)
        peer.settimeout(LIMIT)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect((host, int(port)))
        peer.sendall(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(peer.recv(15), b"HTTP/1.1 200 OK")
        return peer

    def test_what_is_being_answered_is_finished(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                server = self.serve(str(self.www))
                peer = self.begun(server)
                idle = socket.create_connection(peer.getpeername(), timeout=LIMIT)
                server.interrupt(number)
                self.assertEqual(idle.recv(1), b"")  # it has seen the signal
                answer = b""
                while data := peer.recv(65536):
                    answer += data
                self.assertTrue(answer.endswith(b"\r\n\r\n" + LARGE))
                self.assertEqual(server.wait(), (0, "", ""))
                idle.close()

    def test_a_second_signal_ends_at_once(self):
        server = self.serve(str(self.www))
        peer = self.begun(server)
        idle = socket.create_connection(peer.getpeername(), timeout=LIMIT)
        server.interrupt()
        self.assertEqual(idle.recv(1), b"")
        self.assertIsNone(server.process.poll())
        server.interrupt()
        status, _, errors = server.wait()
        self.assertEqual((status, errors), (0, ""))
        idle.close()


class CommandLine(FolderCase):
    def test_help(self):
        status, out, err = run("--help")
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"\Ausage: bide serve \[OPTION\.\.\.\] FOLDER\n")

    def test_wrong(self):
        for arguments in (
            (),
            ("a", "b"),
            ("--demo", "a"),
            ("--demo", "--listing"),
            ("--port", "70000", "a"),
            ("--tls", "cert"),
            ("--tls", "cert", "--log", "a"),
            ("--none", "a"),
        ):
            with self.subTest(arguments):
                status, out, err = run(*arguments)
                self.assertEqual((status, out), (2, ""))
                self.assertIn("Try 'bide serve --help'.", err)

    def test_what_cannot_be_served(self):
        for arguments, words in (
            ((str(self.root / "none"),), "No such file or directory"),
            ((str(self.www / "a.txt"),), "Not a directory"),
            (("--tls", "/none", "/none", str(self.www)), "/none"),
        ):
            with self.subTest(arguments):
                status, out, err = run(*arguments)
                self.assertEqual((status, out), (1, ""))
                self.assertRegex(err, r"\Abide serve: [^\n]*" + words + r"[^\n]*\n\Z")

    def test_a_port_that_is_taken(self):
        server = self.serve(str(self.www))
        port = server.place.rpartition(":")[2]
        status, out, err = run("--port", port, str(self.www))
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, rf"\Abide serve: can't listen on 127\.0\.0\.1, port {port}: Address ")
