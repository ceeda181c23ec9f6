"""Scenario: the HTTP client and servers of others: Python's http.server, aiohttp, nginx, openssl's
s_server, and tinyproxy between; with bodies of all kinds both ways, packed, in chunks, over TLS.

Claim: what the one sends the other has, byte for byte; connections are kept where the server keeps
them; what a server refuses is an answer. Each server is a process or thread of the test's own, on a
port that was free, and ends with it. What is not installed is skipped.
"""

import contextlib
import http.server
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

CLIENT = os.environ["BIDE_HTTP_CLIENT"]
HAVE_TLS = os.environ["BIDE_HAVE_TLS"] == "1"
LIMIT = 30 * float(os.environ.get("BIDE_TEST_SLOW", "1"))
AIOHTTP_PYTHON = "/usr/bin/python3"  # the system's, for which the package is
CONTENT = bytes((i * i // 7) % 251 for i in range(300_000))


def check_sum(data):
    value = 0
    for byte in data:
        value = (value * 31 + byte) % 1000003
    return value


CONTENT_SUM = check_sum(CONTENT)


def fetch(*arguments):
    """The lines that the client prints, split: status, connections, redirects, size, sum, text."""
    done = subprocess.run(
        [CLIENT, *arguments], stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True
    )
    lines = []
    for line in done.stdout.splitlines():
        if line.startswith("error "):
            lines.append(("error", line[6:]))
        else:
            parts = line.split(" ", 5)
            lines.append((*map(int, parts[:5]), parts[5] if len(parts) > 5 else ""))
    return lines


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until_listens(port, process):
    end = time.monotonic() + LIMIT
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise AssertionError("the server does not come up")


@contextlib.contextmanager
def running(port, *command, **more):
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more
    )
    try:
        until_listens(port, process)
        yield
    finally:
        process.terminate()
        process.stdin.close()
        process.wait(LIMIT)


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.file = self.folder / "content.bin"
        self.file.write_bytes(CONTENT)

    def certificate(self):
        cert, key = self.folder / "cert.pem", self.folder / "key.pem"
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        subprocess.run(
            [*command.split(), "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
            + ["-keyout", str(key), "-out", str(cert)],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        return str(cert), str(key)


class PythonServer(Folder):
    @contextlib.contextmanager
    def serving(self, version):
        folder = str(self.folder)

        class Handler(http.server.SimpleHTTPRequestHandler):
            protocol_version = version

            def __init__(self, *arguments):
                super().__init__(*arguments, directory=folder)

            def do_POST(self):
                data = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(201)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{server.server_address[1]}"
            server.shutdown()
            thread.join()

    def test_both_versions(self):
        for version, kept in (("HTTP/1.0", 0), ("HTTP/1.1", 1)):
            with self.serving(version) as base:
                lines = fetch(f"{base}/content.bin", f"{base}/nothing", f"{base}/content.bin")
                self.assertEqual([line[0] for line in lines], [200, 404, 200])
                self.assertEqual(lines[2][3:5], (len(CONTENT), CONTENT_SUM))
                self.assertEqual(lines[2][1], kept)

    def test_bodies(self):
        with self.serving("HTTP/1.1") as base:
            self.assertEqual(fetch("-X", "POST", "-d", "hello", base)[0][5], "hello")
            line = fetch("-X", "POST", "-f", str(self.file), base)[0]
            self.assertEqual(line[0:1] + line[3:5], (201, len(CONTENT), CONTENT_SUM))


AIOHTTP_APP = """
import sys
from aiohttp import web

async def echo(request):
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    data = await request.read()
    for at in range(0, len(data), 10000):
        await response.write(data[at:at + 10000])
    return response

async def packed(request):
    response = web.Response(body=await request.read())
    response.enable_compression(web.ContentCoding[request.match_info["coding"]])
    return response

async def form(request):
    field = (await request.post())["file"]
    data = field.file.read()
    return web.Response(text=f"{field.filename} {field.content_type} {len(data)}")

async def login(request):
    response = web.Response(status=302, headers={"Location": "/me"})
    response.set_cookie("id", "seven")
    return response

async def me(request):
    text = request.cookies.get("id", "") + request.headers.get("Authorization", "")
    return web.Response(text=text)

app = web.Application(client_max_size=2**24)
app.add_routes([web.post("/echo", echo), web.post("/packed/{coding}", packed),
                web.post("/form", form), web.get("/login", login), web.get("/me", me)])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


def have_aiohttp():
    command = [AIOHTTP_PYTHON, "-c", "import aiohttp"]
    with contextlib.suppress(OSError):
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
    return False


@unittest.skipUnless(have_aiohttp(), "python3-aiohttp is not installed")
class Aiohttp(Folder):
    def setUp(self):
        super().setUp()
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        stack = contextlib.ExitStack()
        stack.enter_context(running(port, AIOHTTP_PYTHON, "-c", AIOHTTP_APP, str(port)))
        self.addCleanup(stack.close)

    def test_bodies_in_chunks(self):
        for option in ("-f", "-s"):
            line = fetch("-X", "POST", option, str(self.file), f"{self.base}/echo")[0]
            self.assertEqual(line[:5], (200, 1, 0, len(CONTENT), CONTENT_SUM))

    def test_packed(self):
        for coding in ("gzip", "deflate"):
            line = fetch("-X", "POST", "-f", str(self.file), f"{self.base}/packed/{coding}")[0]
            self.assertEqual(line[:5], (200, 1, 0, len(CONTENT), CONTENT_SUM))

    def test_form(self):
        line = fetch("-X", "POST", "-F", f"file={self.file}", f"{self.base}/form")[0]
        self.assertEqual(line[5], f"content.bin application/octet-stream {len(CONTENT)}")

    def test_cookies_and_credentials(self):
        lines = fetch("-u", "Aladdin:open sesame", f"{self.base}/login", f"{self.base}/me")
        self.assertEqual([line[2] for line in lines], [1, 0])
        for line in lines:
            self.assertEqual(line[5], "sevenBasic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")


NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  types {{ text/plain txt; }}
  server {{
    listen 127.0.0.1:{port}; {tls}
    root {folder}; client_max_body_size 1k; gzip on; gzip_min_length 1; keepalive_requests 3;
    location /hello {{ return 200 "$request_method $connection_requests $http_host"; }}
    location /go {{ return 301 /hello; }}
    location /locked {{ auth_basic x; auth_basic_user_file {folder}/users; return 200; }}
    location /upload {{ proxy_pass http://127.0.0.1:1/; }}
  }}
}}
"""


def find_nginx():
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")


@unittest.skipUnless(find_nginx(), "nginx is not installed")
class Nginx(Folder):
    @contextlib.contextmanager
    def serving(self, tls=""):
        port = free_port()
        config = self.folder / "nginx.conf"
        config.write_text(NGINX.format(folder=self.folder, port=port, tls=tls))
        (self.folder / "text.txt").write_bytes(b"words " * 20000)
        with running(port, find_nginx(), "-e", f"{self.folder}/log", "-c", str(config)):
            yield port

    def test_kept_for_three_requests(self):
        with self.serving() as port:
            lines = fetch(*[f"http://127.0.0.1:{port}/hello"] * 5)
            self.assertEqual([line[5].split()[1] for line in lines], ["1", "2", "3", "1", "2"])
            self.assertEqual([line[1] for line in lines], [1, 1, 0, 1, 1])

    def test_packed_and_plain(self):
        with self.serving() as port:
            base = f"http://127.0.0.1:{port}"
            lines = fetch(f"{base}/text.txt", f"{base}/content.bin")
            self.assertEqual(lines[0][:4], (200, 1, 0, 120000))
            self.assertEqual(lines[1][:5], (200, 1, 0, len(CONTENT), CONTENT_SUM))

    def test_redirect_and_head(self):
        with self.serving() as port:
            self.assertEqual(fetch(f"http://127.0.0.1:{port}/go")[0][:3], (200, 1, 1))
            line = fetch("-X", "HEAD", f"http://127.0.0.1:{port}/content.bin")[0]
            self.assertEqual(line[:4], (200, 1, 0, 0))

    def test_refused_bodies(self):
        with self.serving() as port:
            url = f"http://127.0.0.1:{port}/upload"
            for option in ("-f", "-s"):
                line = fetch("-X", "POST", option, str(self.file), url)[0]
                self.assertEqual(line[0], 413)

    @unittest.skipUnless(HAVE_TLS, "built without TLS")
    def test_tls(self):
        cert, key = self.certificate()
        tls = f"listen 127.0.0.1:{{}} ssl; ssl_certificate {cert}; ssl_certificate_key {key};"
        secure = free_port()
        with self.serving(tls.format(secure)) as port:
            url = f"https://127.0.0.1:{secure}/content.bin"
            lines = fetch("-k", cert, url, url)
            for line in lines:
                self.assertEqual(line[:5], (200, 1, 0, len(CONTENT), CONTENT_SUM))
            self.assertIn("certificate", fetch(url)[0][1])
            self.through_proxy(cert, port, secure)

    def through_proxy(self, cert, port, secure):
        if not shutil.which("tinyproxy"):
            return
        proxy_port = free_port()
        config = self.folder / "tinyproxy.conf"
        config.write_text(
            f"Port {proxy_port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nMaxClients 8\n"
            f"ConnectPort {secure}\nBasicAuth me secret\n"
        )
        with running(proxy_port, "tinyproxy", "-d", "-c", str(config)):
            proxy = f"http://me:secret@127.0.0.1:{proxy_port}"
            url = f"https://127.0.0.1:{secure}/content.bin"
            for line in fetch("-k", cert, "-p", proxy, url, url):
                self.assertEqual(line[:5], (200, 1, 0, len(CONTENT), CONTENT_SUM))
            url = f"http://127.0.0.1:{port}/content.bin"
            for line in fetch("-p", proxy, url, url):
                self.assertEqual(line[0:1] + line[3:5], (200, len(CONTENT), CONTENT_SUM))
            wrong = f"http://me:wrong@127.0.0.1:{proxy_port}"
            self.assertEqual(fetch("-p", wrong, url)[0][0], 401)
            refused = fetch("-k", cert, "-p", proxy, f"https://127.0.0.1:{port}/")[0]
            self.assertIn("the proxy refused: 403", refused[1])


@unittest.skipUnless(HAVE_TLS, "built without TLS")
class SServer(Folder):
    def test_www(self):
        cert, key = self.certificate()
        for version in ("-tls1_2", "-tls1_3"):
            port = free_port()
            command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www", version]
            with running(port, *command, "-cert", cert, "-key", key):
                line = fetch("-k", cert, f"https://127.0.0.1:{port}/")[0]
                self.assertEqual(line[0], 200)
                self.assertGreater(line[3], 500)


if __name__ == "__main__":
    unittest.main()
