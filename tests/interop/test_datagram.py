"""The UDP echo service of the examples, as a process, with Python's sockets, asyncio's datagram
endpoints and nc as its clients.

Everything waits for an event, and fails after LIMIT seconds.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import unittest

SLOW = float(os.environ.get("BIDE_TEST_SLOW", "1"))
LIMIT = 30 * SLOW
TRIES = 100


class Service:
    def __init__(self):
        self.process = subprocess.Popen(
            [os.environ["BIDE_UDP_SERVER"], "serve"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.port = int(self.process.stdout.readline().decode().rpartition(":")[2])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        errors = self.process.communicate(timeout=LIMIT)[1].decode()
        return self.process.returncode, errors


class Test(unittest.TestCase):
    def setUp(self):
        self.service = Service()

    def tearDown(self):
        if self.service.process.poll() is None:
            self.assertEqual(self.service.end(), (0, ""))

    def test_messages_of_every_size_come_back(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(LIMIT)
            client.connect(("127.0.0.1", self.service.port))
            for size in (0, 1, 1472, 1500, 9000, 65507):
                message = os.urandom(size)
                client.send(message)
                self.assertEqual(client.recv(65536), message)

    def test_asyncio_hears_its_answers(self):
        heard = []

        class Protocol(asyncio.DatagramProtocol):
            def __init__(self, done):
                self.done = done

            def datagram_received(self, data, addr):
                heard.append(data)
                if len(heard) == TRIES:
                    self.done.set_result(None)

        async def main():
            loop = asyncio.get_running_loop()
            done = loop.create_future()
            transport, _ = await loop.create_datagram_endpoint(
                lambda: Protocol(done), remote_addr=("127.0.0.1", self.service.port)
            )
            for i in range(TRIES):
                transport.sendto(b"%d" % i)
            await asyncio.wait_for(done, LIMIT)
            transport.close()

        asyncio.run(main())
        self.assertEqual(heard, [b"%d" % i for i in range(TRIES)])

    def test_nc_hears_its_answer(self):
        if not shutil.which("nc"):
            self.skipTest("there is no nc")
        with subprocess.Popen(
            ["nc", "-u", "127.0.0.1", str(self.service.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as client:
            client.stdin.write(b"by hand\n")
            client.stdin.flush()
            self.assertEqual(client.stdout.readline(), b"by hand\n")
            client.terminate()

    def test_the_service_outlives_clients_that_are_gone(self):
        for _ in range(TRIES):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"gone", ("127.0.0.1", self.service.port))
        self.test_messages_of_every_size_come_back()
