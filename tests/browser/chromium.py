"""Chromium without a window, driven over its DevTools protocol.

A browser has a profile of its own in a scratch folder, talks to loopback alone, and ends with its
test. Every wait has a limit.
"""

import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import urllib.parse
import urllib.request

LIMIT = 60
PROGRAM = shutil.which("chromium")
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1200,700",
    "about:blank",
)


class Socket:
    """A WebSocket client for peers that we trust: whole messages of text."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.peer = socket.create_connection((parts.hostname, parts.port), timeout=LIMIT)
        self.reader = self.peer.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: Upgrade\r\n"
        head += f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        self.peer.sendall(head.encode() + b"\r\n")
        status = self.reader.readline()
        if not status.startswith(b"HTTP/1.1 101 "):
            raise AssertionError(status)
        while self.reader.readline() != b"\r\n":
            pass

    def send(self, text):
        data = text.encode()
        mask = os.urandom(4)
        size = len(data)
        head = (
            struct.pack("!BB", 0x81, 0x80 | size)
            if size < 126
            else struct.pack("!BBH", 0x81, 0xFE, size)
            if size < 65536
            else struct.pack("!BBQ", 0x81, 0xFF, size)
        )
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self.peer.sendall(head + mask + masked)

    def frame(self):
        first, size = self.reader.read(2)
        if size == 126:
            (size,) = struct.unpack("!H", self.reader.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.reader.read(8))
        return first, self.reader.read(size)

    def receive(self):
        text = b""
        while True:
            first, data = self.frame()
            if first & 0xF <= 2:
                text += data
                if first & 0x80:
                    return text.decode()

    def close(self):
        self.reader.close()
        self.peer.close()


class Page:
    def __init__(self, socket_url):
        self.socket = Socket(socket_url)
        self.numbers = itertools.count(1)
        self.complaints = []  # what went wrong in the page, as the browser tells it
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def call(self, method, **parameters):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := json.loads(self.socket.receive())).get("id") != number:
            if message["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(message["params"])
        if "error" in message:
            raise AssertionError((method, message["error"]))
        return message["result"]

    def open(self, url):
        result = self.call("Page.navigate", url=url)
        if "errorText" in result:
            raise AssertionError(result)

    def ask(self, expression):
        """The value of an expression in JavaScript; a promise is waited for."""
        result = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"])
        return result["result"].get("value")

    def until(self, condition):
        """Waits until the condition is true."""
        look = f"""new Promise((done) => {{
            const end = Date.now() + {LIMIT * 1000 // 2};
            const look = () => ({condition}) ? done("") : Date.now() < end ? setTimeout(look, 20) :
                done(document.body.innerText || "an empty page");
            look();
        }})"""
        shown = self.ask(look)
        if shown:
            raise AssertionError((condition, shown))

    def type(self, selector, text):
        """Types into a field that was empty."""
        self.ask(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def press_enter(self):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r",
                      windowsVirtualKeyCode=13)  # fmt: skip

    def picture(self):
        """What is seen, as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp()
        self.process = subprocess.Popen(
            [PROGRAM, f"--user-data-dir={self.profile}", *FLAGS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "HOME": self.profile},
        )
        self.page = None
        try:
            self.page = Page(self.page_socket())
        except BaseException:
            self.close()
            raise

    def page_socket(self):
        said = b""
        for line in self.process.stderr:
            said += line
            if match := re.search(rb"DevTools listening on ws://([^/]+)/", line):
                break
        else:
            raise AssertionError(said)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"http://{match[1].decode()}/json/list", timeout=LIMIT) as answer:
            pages = [page for page in json.load(answer) if page["type"] == "page"]
        return pages[0]["webSocketDebuggerUrl"]

    def close(self):
        if self.process.poll() is None and self.page:
            with contextlib.suppress(OSError, ValueError):
                self.page.socket.send('{"id": 0, "method": "Browser.close"}')
        if not self.page:
            self.process.kill()
        with contextlib.closing(self.process.stderr):
            try:
                self.process.communicate(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()
        if self.page:
            self.page.socket.close()
        shutil.rmtree(self.profile, ignore_errors=True)
