"""The echo server on bare sockets, as a process; nc, plain sockets and asyncio's own calls on bare
sockets are its clients.

Everything waits for an event, and fails after LIMIT seconds.
"""

import asyncio
import os
import random
import signal
import socket
import struct
import subprocess
import time
import unittest

SLOW = float(os.environ.get("BIDE_TEST_SLOW", "1"))
LIMIT = 30 * SLOW
GRACE = 2


class EchoTest(unittest.TestCase):
    def setUp(self):
        self.server = subprocess.Popen(
            [os.environ["BIDE_ECHO_SOCKETS"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        self.port = int(self.server.stdout.readline().decode().rpartition(":")[2])

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT)
        self.addCleanup(client.close)
        return client

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))

    def end(self, number=signal.SIGTERM):
        """What was said on standard error."""
        self.server.send_signal(number)
        errors = self.server.communicate(timeout=LIMIT)[1].decode()
        self.assertEqual(self.server.returncode, 0)
        return errors

    def assert_echo(self, client, data):
        client.sendall(data)
        heard = b""
        while len(heard) < len(data):
            part = client.recv(65536)
            self.assertTrue(part)
            heard += part
        self.assertEqual(heard, data)

    def test_nc_gets_its_input_back_and_the_end(self):
        for size in [0, 1, 5000, 300000]:
            text = random.Random(size).randbytes(size)
            nc = subprocess.run(
                ["nc", "-N", "127.0.0.1", str(self.port)],
                input=text,
                stdout=subprocess.PIPE,
                timeout=LIMIT,
                check=True,
            )
            self.assertEqual(nc.stdout, text)
        self.assertEqual(self.end(), "")

    def test_asyncio_on_bare_sockets(self):
        async def converse(number):
            loop = asyncio.get_running_loop()
            data = random.Random(number).randbytes(number * 1000 + 1)
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, ("127.0.0.1", self.port))
                sending = asyncio.create_task(loop.sock_sendall(client, data))
                heard = b""
                while len(heard) < len(data):
                    part = await loop.sock_recv(client, 65536)
                    self.assertTrue(part)
                    heard += part
                await sending
                client.shutdown(socket.SHUT_WR)
                self.assertEqual(await loop.sock_recv(client, 1), b"")
            self.assertEqual(heard, data)

        async def converse_all():
            await asyncio.wait_for(asyncio.gather(*map(converse, range(100))), LIMIT)

        before = self.descriptors()
        asyncio.run(converse_all())
        self.assertEqual(self.descriptors(), before)
        self.assertEqual(self.end(), "")

    def test_boom_fails_one_client_and_no_other(self):
        others = [self.connect() for _ in range(3)]
        for boom in [b"boom\n", b"boom\r\n"]:  # nc's and telnet's
            client = self.connect()
            self.assert_echo(client, b"hello\n")
            client.sendall(boom)
            self.assertEqual(client.recv(100), b"")
            for other in others:
                self.assert_echo(other, b"still there\n")
        self.leave(others)
        errors = self.end(signal.SIGINT)
        self.assertEqual(errors.count("Protocol error"), 2)
        self.assertIn("echo", errors)

    def leave(self, clients):
        for client in clients:
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(client.recv(1), b"")

    def test_clients_that_are_reset_leave_nothing(self):
        before = self.descriptors()
        for number in range(200):
            client = self.connect()
            client.sendall(bytes(number * 100))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        while self.descriptors() > before:
            client = self.connect()
            self.assert_echo(client, b"x")
            self.leave([client])
        self.assertEqual(self.end(), "")

    def test_an_idle_server_ends_at_once(self):
        begin = time.monotonic()
        self.assertEqual(self.end(signal.SIGINT), "")
        if SLOW == 1:
            self.assertLess(time.monotonic() - begin, GRACE)

    def test_clients_have_two_seconds(self):
        staying = self.connect()
        leaving = self.connect()
        self.assert_echo(staying, b"hello")
        self.assert_echo(leaving, b"hello")
        begin = time.monotonic()
        self.server.send_signal(signal.SIGTERM)
        self.assert_echo(leaving, b"goodbye")
        self.leave([leaving])
        self.assert_echo(staying, b"I stay")
        self.assertEqual(staying.recv(1), b"")
        self.assertGreaterEqual(time.monotonic() - begin, GRACE)
        self.assertEqual(self.server.communicate(timeout=LIMIT)[1], b"")
        self.assertEqual(self.server.returncode, 0)
        with self.assertRaises(ConnectionRefusedError):
            self.connect()

    def test_a_server_whose_clients_leave_does_not_wait_longer(self):
        clients = [self.connect() for _ in range(5)]
        for client in clients:
            self.assert_echo(client, b"hello")
        begin = time.monotonic()
        self.server.send_signal(signal.SIGTERM)
        self.leave(clients)
        self.assertEqual(self.server.communicate(timeout=LIMIT)[1], b"")
        if SLOW == 1:
            self.assertLess(time.monotonic() - begin, GRACE)
