"""The echo server of the examples, as a process, with nc and plain sockets as its clients.

Everything waits for an event, and fails after LIMIT seconds.
"""

import hashlib
import os
import random
import signal
import socket
import struct
import subprocess
import threading
import unittest

SLOW = float(os.environ.get("BIDE_TEST_SLOW", "1"))
LIMIT = 30 * SLOW
MIB = 1024 * 1024


class EchoServer:
    def __init__(self):
        self.process = subprocess.Popen(
            [os.environ["BIDE_ECHO_SERVER"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.port = int(self.process.stdout.readline().decode().rpartition(":")[2])

    def connect(self, receive_bytes=None):
        client = socket.socket()
        client.settimeout(LIMIT)
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.connect(("127.0.0.1", self.port))
        return client

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def end(self, number=signal.SIGTERM):
        """The exit status and what was said on standard error."""
        self.process.send_signal(number)
        errors = self.process.communicate(timeout=LIMIT)[1].decode()
        return self.process.returncode, errors


def receive(client, size):
    parts = []
    while size > 0:
        part = client.recv(min(size, MIB))
        if not part:
            raise EOFError(f"{size} bytes are missing")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def receive_all(client):
    parts = []
    while part := client.recv(MIB):
        parts.append(part)
    return b"".join(parts)


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


class EchoTest(unittest.TestCase):
    def setUp(self):
        self.server = EchoServer()
        self.addCleanup(self.server.process.wait)
        self.addCleanup(self.server.process.kill)

    def end_well(self, errors=""):
        self.assertEqual(self.server.end(), (0, errors))

    def test_nc_gets_its_input_back_and_the_end(self):
        for size in [0, 1, 5000, MIB]:
            text = random.Random(size).randbytes(size)
            nc = subprocess.run(
                ["nc", "-N", "127.0.0.1", str(self.server.port)],
                input=text,
                stdout=subprocess.PIPE,
                timeout=LIMIT,
                check=True,
            )
            self.assertEqual(nc.stdout, text)
        self.end_well()

    def test_what_was_sent_before_the_end_comes_back_behind_it(self):
        with self.server.connect() as client:
            client.sendall(b"first")
            self.assertEqual(receive(client, 5), b"first")
            client.sendall(b"last")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(client), b"last")
        self.end_well()

    def test_bytes_one_at_a_time(self):
        with self.server.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in range(256):
                client.sendall(bytes([byte]))
                self.assertEqual(receive(client, 1), bytes([byte]))
        self.end_well()

    def test_much_in_both_directions_at_once(self):
        total = 20 * MIB
        sent = hashlib.sha256()
        heard = hashlib.sha256()
        with self.server.connect() as client:

            def send():
                source = random.Random(1)
                left = total
                while left > 0:
                    part = source.randbytes(min(left, source.randrange(1, 300000)))
                    sent.update(part)
                    client.sendall(part)
                    left -= len(part)
                client.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            size = 0
            while part := client.recv(MIB):
                heard.update(part)
                size += len(part)
            sender.join()
        self.assertEqual((size, heard.digest()), (total, sent.digest()))
        self.end_well()

    def test_many_clients_at_once(self):
        before = self.server.descriptors()
        clients = [self.server.connect() for _ in range(300)]
        for turn in range(3):
            for number, client in enumerate(clients):
                client.sendall(b"%d in %d\n" % (number, turn))
            for number, client in reversed(list(enumerate(clients))):
                text = b"%d in %d\n" % (number, turn)
                self.assertEqual(receive(client, len(text)), text)
        self.assertEqual(self.server.descriptors(), before + len(clients))
        for client in clients:
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(client), b"")
            client.close()
        self.assertEqual(self.server.descriptors(), before)
        self.end_well()

    def test_a_client_that_does_not_read_costs_little_and_bothers_nobody(self):
        before = self.server.memory_kib()
        with self.server.connect(receive_bytes=4096) as deaf:
            deaf.setblocking(False)
            sent = 0
            idle = 0
            with self.server.connect() as other:
                while idle < 5:
                    try:
                        sent += deaf.send(bytes(MIB))
                        idle = 0
                    except BlockingIOError:
                        idle += 1
                    other.sendall(b"quick")
                    self.assertEqual(receive(other, 5), b"quick")
            self.assertLess(self.server.memory_kib() - before, 2048 * SLOW)
            deaf.setblocking(True)
            deaf.settimeout(LIMIT)
            deaf.shutdown(socket.SHUT_WR)
            self.assertEqual(len(receive_all(deaf)), sent)
        self.end_well()

    def test_a_failed_connection_is_told_and_stays_alone(self):
        with self.server.connect() as other, self.server.connect() as client:
            client.sendall(b"boom\n")
            self.assertEqual(receive_all(client), b"")
            other.sendall(b"still there")
            self.assertEqual(receive(other, 11), b"still there")
        status, errors = self.server.end()
        self.assertEqual(status, 0)
        self.assertIn("Protocol error", errors)
        self.assertEqual(errors.count("\n"), 1)

    def test_connections_that_are_reset_leave_nothing(self):
        before = self.server.descriptors()
        for number in range(300):
            client = self.server.connect()
            client.sendall(bytes(number * 1000))
            reset(client)
        with self.server.connect() as client:
            client.sendall(b"still there")
            self.assertEqual(receive(client, 11), b"still there")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(client), b"")
        while self.server.descriptors() > before:
            with self.server.connect() as client:
                client.sendall(b"x")
                receive(client, 1)
        self.end_well()

    def test_an_idle_server_ends_at_once(self):
        self.assertEqual(self.server.end(signal.SIGINT), (0, ""))

    def test_a_busy_server_ends_with_its_clients(self):
        with self.server.connect() as client, self.server.connect(receive_bytes=4096) as deaf:
            client.sendall(b"hello")
            self.assertEqual(receive(client, 5), b"hello")
            deaf.sendall(bytes(100000))
            self.server.process.send_signal(signal.SIGTERM)
            client.sendall(b"bye")
            self.assertEqual(receive(client, 3), b"bye")  # it waits for us a while
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(client), b"")
            self.assertEqual(self.server.end(), (0, ""))
        with self.assertRaises(ConnectionRefusedError):
            self.server.connect()
