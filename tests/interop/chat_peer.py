"""The chat server as a process, and clients of it.

A server ends with its test: by SIGTERM, with status 0 and nothing on standard error. Everything
waits for an event, and fails after LIMIT seconds.
"""

import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import time
import unittest

TOOL = os.environ["BIDE_TOOL"]
SLOW = float(os.environ.get("BIDE_TEST_SLOW", "1"))
LIMIT = 30 * SLOW
FAREWELL = b"Server is shutting down\n"


def allow_many_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server:
    def __init__(self, *arguments, host="127.0.0.1"):
        self.host = host
        self.process = subprocess.Popen(
            [TOOL, "chat", "serve", "--host", host, "--port", "0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.start_line = self.process.stdout.readline().decode()
        self.port = int(self.start_line.rpartition(":")[2] or "0")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """The exit status and what was said on standard error."""
        errors = self.process.communicate(timeout=LIMIT)[1]
        return self.process.returncode, errors.decode()

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


class Client:
    """A connection that reads line by line; lines keep their ends."""

    def __init__(self, server, *, host=None, receive_bytes=None):
        address = (host or server.host, server.port)
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect(address)
        self.unread = b""

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """The next line; at the end what is left, b"" if nothing is."""
        while b"\n" not in self.unread:
            data = self.socket.recv(65536)
            if not data:
                break
            self.unread += data
        line, end, self.unread = self.unread.partition(b"\n")
        return line + end

    def lines(self, count):
        return b"".join(self.line() for _ in range(count))

    def rest(self):
        """Everything up to the end."""
        while data := self.socket.recv(65536):
            self.unread += data
        rest, self.unread = self.unread, b""
        return rest

    def end(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class ChatCase(unittest.TestCase):
    maxDiff = 4000

    def serve(self, *arguments, **options):
        server = Server(*arguments, **options)
        self.addCleanup(self.stop, server)
        self.assertRegex(server.start_line, r"^Listening on .*:[0-9]+\n$")
        return server

    def stop(self, server):
        if server.process.stdout.closed:
            return
        try:
            server.signal(signal.SIGTERM)
            self.assertEqual(server.wait(), (0, ""))
        finally:
            if server.process.poll() is None:
                server.process.kill()
                server.wait()

    def client(self, server, **options):
        client = Client(server, **options)
        self.addCleanup(client.close)
        return client

    def join(self, server, name, users, **options):
        """A client that is in, as one of so many."""
        client = self.client(server, **options)
        client.send(b"CONNECT " + name + b"\n")
        welcome = b"Welcome! %d user(s) are online!\n" % users
        self.assertEqual(client.lines(2), welcome + name + b" connected!\n")
        return client

    def assert_error(self, client):
        """It gets one more line, which tells of an error, and then the end."""
        self.assertRegex(client.rest(), rb"\AERROR [^\n]+\n\Z")

    def assert_silent(self, *clients):
        """None of them has been told anything that was not read: the first one's words are next."""
        clients[0].send(b"silence?\n")
        for client in clients:
            self.assertRegex(client.line(), rb"\A[^ ]+: silence\?\n\Z")


class Crowd:
    """Reads many clients at once, so that none of them counts as one who does not read."""

    def __init__(self, clients):
        self.selector = selectors.DefaultSelector()
        self.heard = {client: bytearray(client.unread) for client in clients}
        self.ended = set()
        for client in clients:
            client.socket.setblocking(False)
            self.selector.register(client.socket, selectors.EVENT_READ, client)

    def read_until(self, done, hear=None):
        """Reads until done(); hear(client, data) is told what comes."""
        deadline = time.monotonic() + LIMIT
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError("the crowd did not hear what it waits for")
            for key, _ in self.selector.select(1):
                self.read(key.data, hear)

    def read(self, client, hear):
        try:
            data = client.socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if data:
            self.heard[client] += data
        else:
            self.ended.add(client)
            self.selector.unregister(client.socket)
        if data and hear:
            hear(client, data)

    def close(self):
        self.selector.close()
