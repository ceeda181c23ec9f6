"""Unix sockets between the library and others: Python's socket module and nc -U, either as the
client or as the server.

Everything waits for an event, and fails after LIMIT seconds.
"""

import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

LIMIT = 30 * float(os.environ.get("BIDE_TEST_SLOW", "1"))
PEER = os.environ["BIDE_UNIX_PEER"]


class Server:
    def __init__(self, path):
        self.process = subprocess.Popen(
            [PEER, "serve", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        self.said = self.process.stdout.readline().decode()

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        self.process.communicate(timeout=LIMIT)
        return self.process.returncode


def talk(path, word="hello\n"):
    done = subprocess.run(
        [PEER, "talk", path, word], stdout=subprocess.PIPE, timeout=LIMIT, check=False
    )
    return done.stdout.decode()


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(LIMIT)
    client.connect(path)
    return client


class UnixSocket(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "socket")

    def tearDown(self):
        self.folder.cleanup()

    def test_python_is_served_and_known(self):
        server = Server(self.path)
        self.assertEqual(server.said, "serves\n")
        with connect(self.path) as client, client.makefile("rw") as file:
            self.assertEqual(
                file.readline(), f"{os.getpid()} {os.getuid()} {os.getgid()}\n"
            )
            for word in ("one", "", "two words"):
                file.write(word + "\n")
                file.flush()
                self.assertEqual(file.readline(), word + "\n")
        server.end()
        self.assertFalse(os.path.exists(self.path))

    def test_nc_is_served(self):
        server = Server(self.path)
        done = subprocess.run(
            ["nc", "-U", "-N", self.path],
            input=b"hello\n",
            stdout=subprocess.PIPE,
            timeout=LIMIT,
            check=True,
        )
        self.assertEqual(done.stdout.splitlines()[1], b"hello")
        server.end()

    def test_abstract_names_are_the_same_for_both(self):
        name = f"bide-interop-{os.getpid()}"
        server = Server("@" + name)
        with connect("\0" + name) as client, client.makefile("rw") as file:
            self.assertTrue(file.readline().startswith(f"{os.getpid()} "))
        server.end()

    def serve_one(self, listener):
        connection, _ = listener.accept()
        connection.settimeout(LIMIT)
        with connection:
            heard = b""
            while part := connection.recv(100):
                heard += part
            connection.sendall(b"heard " + heard)

    def test_python_serves(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen(1)
            listener.settimeout(LIMIT)
            with subprocess.Popen(
                [PEER, "talk", self.path, "hello\n"], stdout=subprocess.PIPE
            ) as client:
                self.serve_one(listener)
                self.assertEqual(client.stdout.read(), b"heard hello\n")
        self.assertEqual(talk(self.path), f"{self.path}: Connection refused\n")

    def test_a_killed_servers_file_is_taken_over_and_a_living_ones_is_not(self):
        killed = Server(self.path)
        self.assertEqual(killed.end(signal.SIGKILL), -signal.SIGKILL)
        self.assertTrue(os.path.exists(self.path))
        # The kernel takes a ring apart, and lets go of what it listens on, behind a process's end.
        deadline = time.monotonic() + LIMIT
        while "refused" not in talk(self.path) and time.monotonic() < deadline:
            time.sleep(0.01)
        server = Server(self.path)
        self.assertEqual(server.said, "serves\n")
        second = Server(self.path)
        self.assertEqual(second.said, f"{self.path}: Address already in use\n")
        second.end()
        self.assertEqual(talk(self.path).splitlines()[1], "hello")
        server.end()
        self.assertFalse(os.path.exists(self.path))

    def test_python_finds_its_place_taken_and_given_back(self):
        server = Server(self.path)
        with socket.socket(socket.AF_UNIX) as listener:
            with self.assertRaises(OSError):
                listener.bind(self.path)
            server.end()
            listener.bind(self.path)
        self.assertEqual(talk(self.path), f"{self.path}: Connection refused\n")


if __name__ == "__main__":
    unittest.main()
