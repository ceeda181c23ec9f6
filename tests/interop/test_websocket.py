"""Scenario: the example that says everything again, as a server and as a client, and the WebSockets
of Python's websockets and of Node's ws, with and without compression.
Claim: messages of every size and kind come back, fragments and pings included, and both sides close
with the code that was said.

What is not installed is skipped. Everything waits for an event, and fails after LIMIT seconds.
"""

import os
import signal
import socket
import subprocess
import time
import unittest

LIMIT = 60 * float(os.environ.get("BIDE_TEST_SLOW", "1"))
PYTHON = "/usr/bin/python3"  # the system's, for which the package is
NODE_ENVIRONMENT = {**os.environ, "NODE_PATH": "/usr/share/nodejs:/usr/lib/nodejs"}

PYTHON_CLIENT = """
import asyncio, sys, websockets

async def main(url, compression):
    async with websockets.connect(url, compression=compression, max_size=None,
                                  subprotocols=["other", "echo"]) as ws:
        assert ws.subprotocol == "echo", ws.subprotocol
        for size in (0, 1, 125, 126, 127, 65535, 65536, 1000000):
            for message in ("x" * size, "\\u20ac\\U0001f600" * (size // 8),
                            bytes(range(256)) * (size // 256)):
                await ws.send(message)
                assert await ws.recv() == message, size
        await ws.send(["in ", "three ", "parts"])
        assert await ws.recv() == "in three parts"
        for i in range(500):
            await ws.send(f"message {i}")
        for i in range(500):
            assert await ws.recv() == f"message {i}"
        await (await ws.ping(b"still there?"))
        await ws.close(4321, "that was all")
        assert ws.close_code == 4321, ws.close_code

asyncio.run(main(sys.argv[1], sys.argv[2] if sys.argv[2] != "none" else None))
print("fine")
"""

PYTHON_SERVER = """
import asyncio, sys, websockets

async def talk(ws):
    assert ws.subprotocol == "echo", ws.subprotocol
    for size in (0, 1, 125, 126, 65535, 65536, 1000000):
        for message in ("x" * size, bytes(range(256)) * (size // 256)):
            await ws.send(message)
            assert await ws.recv() == message, size
    await ws.send(["in ", "parts"])
    await (await ws.ping())
    assert await ws.recv() == "in parts"
    await ws.close(4000, "enough")
    print("fine", ws.close_code, flush=True)

async def main(compression):
    async with websockets.serve(talk, "127.0.0.1", 0, compression=compression, max_size=None,
                                subprotocols=["echo"]) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()

asyncio.run(main(sys.argv[1] if sys.argv[1] != "none" else None))
"""

NODE_CLIENT = """
const WebSocket = require('ws');
const ws = new WebSocket(process.argv[2], ['echo'],
                         {perMessageDeflate: process.argv[3] !== 'none' && {threshold: 0}});
const sizes = [0, 1, 125, 126, 127, 65535, 65536, 1000000];
const queue = [];
for (const size of sizes) queue.push('y'.repeat(size), Buffer.alloc(size, 7));
let next = 0;
ws.on('open', () => { ws.ping('ping'); ws.send(queue[next]); });
ws.on('pong', (data) => { if (String(data) !== 'ping') process.exit(3); });
ws.on('message', (data, isBinary) => {
  const sent = queue[next++];
  if (isBinary !== (typeof sent !== 'string') || Buffer.compare(data, Buffer.from(sent)) !== 0)
    process.exit(4);
  if (next < queue.length) ws.send(queue[next]);
  else ws.close(4321, 'that was all');
});
ws.on('close', (code) => { if (code === 4321) console.log('fine'); });
"""

NODE_SERVER = """
const {WebSocketServer} = require('ws');
const server = new WebSocketServer({host: '127.0.0.1', port: 0,
  perMessageDeflate: process.argv[2] !== 'none' && {threshold: 0}});
server.on('listening', () => console.log(server.address().port));
server.on('connection', (ws) => {
  const queue = ['', 'a', 'z'.repeat(70000), Buffer.alloc(300000, 9)];
  let next = 0;
  ws.send(queue[next]);
  ws.on('message', (data, isBinary) => {
    const sent = queue[next++];
    if (isBinary !== (typeof sent !== 'string') || Buffer.compare(data, Buffer.from(sent)) !== 0)
      process.exit(4);
    if (next < queue.length) ws.send(queue[next]);
    else ws.close(4000, 'enough');
  });
  ws.on('close', (code) => console.log('fine ' + code));
});
"""


def runs(command, environment=None):
    try:
        return subprocess.run(command, capture_output=True, env=environment).returncode == 0
    except OSError:
        return False


HAVE_PYTHON = runs([PYTHON, "-c", "import websockets"])
HAVE_NODE = runs(["node", "-e", "require('ws').WebSocketServer.name"], NODE_ENVIRONMENT)


def python(script, *arguments):
    return [PYTHON, "-c", script, *arguments], None


def node(script, *arguments):
    return ["node", "-e", script, "--", "ws", *arguments], NODE_ENVIRONMENT


class WebSocketTest(unittest.TestCase):
    def start(self, command, environment=None):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=LIMIT)

    def serve(self):
        """The example as a server: its port."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.start([os.environ["BIDE_WEBSOCKET_ECHO"], str(port)])
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return port
            except OSError:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)

    def as_server(self, kind, script, compression):
        port = self.serve()
        command, environment = kind(script, f"ws://127.0.0.1:{port}/echo", compression)
        client = self.start(command, environment)
        output, errors = client.communicate(timeout=LIMIT)
        self.assertEqual((output, client.returncode), ("fine\n", 0), errors)

    def as_client(self, kind, script, compression):
        server = self.start(*kind(script, compression))
        port = int(server.stdout.readline())
        url = f"ws://127.0.0.1:{port}/"
        client = self.start([os.environ["BIDE_WEBSOCKET_ECHO"], "--client", url])
        output, errors = client.communicate(timeout=LIMIT)
        self.assertEqual((output, errors, client.returncode), ("", "", 0))
        self.assertEqual(server.stdout.readline(), "fine 4000\n")

    @unittest.skipUnless(HAVE_PYTHON, "python3-websockets is not installed")
    def test_pythons_client(self):
        for compression in ("none", "deflate"):
            with self.subTest(compression):
                self.as_server(python, PYTHON_CLIENT, compression)

    @unittest.skipUnless(HAVE_PYTHON, "python3-websockets is not installed")
    def test_pythons_server(self):
        for compression in ("none", "deflate"):
            with self.subTest(compression):
                self.as_client(python, PYTHON_SERVER, compression)

    @unittest.skipUnless(HAVE_NODE, "node-ws is not installed")
    def test_nodes_client(self):
        for compression in ("none", "deflate"):
            with self.subTest(compression):
                self.as_server(node, NODE_CLIENT, compression)

    @unittest.skipUnless(HAVE_NODE, "node-ws is not installed")
    def test_nodes_server(self):
        for compression in ("none", "deflate"):
            with self.subTest(compression):
                self.as_client(node, NODE_SERVER, compression)


if __name__ == "__main__":
    unittest.main()
