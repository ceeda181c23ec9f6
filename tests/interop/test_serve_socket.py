"""Scenario: Python's websockets talk to `bide serve --demo`, also badly, and leave in every way.

Claim: what one says everybody hears, whichever way they read; the count of users is true however
they come and go; what is refused is told to its sender alone; a client that does not read holds
nobody up; the server's end reaches every client as code 1001.
"""

import asyncio
import json
import socket
import sys
import unittest

from serve_peer import LIMIT, ServeCase

try:
    import websockets
except ImportError:  # the Debian package is for Debian's Python
    sys.path.append("/usr/lib/python3/dist-packages")
    try:
        import websockets
    except ImportError:
        websockets = None


@unittest.skipUnless(websockets, "no websockets for Python")
class Chat(ServeCase, unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.server = self.serve("--demo")
        self.address = self.server.url.replace("http", "ws", 1) + "socket"

    def connect(self, query="", **options):
        options = {"open_timeout": LIMIT, "close_timeout": LIMIT, **options}
        return websockets.connect(self.address + query, **options)

    async def next(self, peer, kind):
        """The next entry of this kind."""
        while True:
            entry = json.loads(await asyncio.wait_for(peer.recv(), LIMIT))
            if entry["type"] == kind:
                return entry

    async def heard(self, peer):
        entry = await self.next(peer, "message")
        return entry["name"], entry["text"]

    async def counted(self, peer, count):
        while (await self.next(peer, "users"))["count"] != count:
            pass

    async def test_what_one_says_everybody_hears(self):
        async with self.connect() as ann, self.connect() as bob:
            await ann.send("Ann\nhello")
            for peer in (ann, bob):
                self.assertEqual(await self.heard(peer), ("Ann", "hello"))
            await bob.send('Bob\n<b> "\\ \u4e16')
            for peer in (ann, bob):
                self.assertEqual(await self.heard(peer), ("Bob", '<b> "\\ \u4e16'))
            self.assertEqual((await asyncio.to_thread(self.server.say, "Eve", "by post"))[0], 204)
            for peer in (ann, bob):
                self.assertEqual(await self.heard(peer), ("Eve", "by post"))
            entries, _ = await asyncio.to_thread(self.server.news, "/messages")
            names = [entry["name"] for entry in entries if entry["type"] == "message"]
            self.assertEqual(names, ["Ann", "Bob", "Eve"])

    async def test_without_compression(self):
        async with self.connect(compression=None) as ann, self.connect() as bob:
            await ann.send("Ann\n" + "x" * 1000)
            for peer in (ann, bob):
                self.assertEqual(await self.heard(peer), ("Ann", "x" * 1000))

    async def test_the_count(self):
        async with self.connect() as first:
            await self.counted(first, 1)
            second = await self.connect()
            await self.counted(first, 2)
            third = await self.connect()
            await self.counted(first, 3)
            await second.close()
            await self.counted(first, 2)
            third.transport.abort()
            await self.counted(first, 1)
            async with self.connect() as fourth:
                await self.counted(fourth, 2)

    async def test_one_that_comes_back_goes_on_where_it_was(self):
        async with self.connect() as ann:
            for i in range(3):
                await ann.send(f"Ann\n{i}")
            numbers = [(await self.next(ann, "message"))["id"] for _ in range(3)]
        async with self.connect(f"?after={numbers[1]}") as again:
            self.assertEqual(await self.heard(again), ("Ann", "2"))

    async def test_what_is_refused(self):
        async with self.connect() as ann, self.connect() as bob:
            for message in (
                "no line's end",
                "\nno name",
                "Ann\n",
                "n" * 65 + "\nx",
                "Ann\nx\ny",
                "Ann\n\0",
                "Ann\r\nx",
                b"Ann\nbinary",
            ):
                await ann.send(message)
                trouble = await self.next(ann, "trouble")
                self.assertTrue(trouble["text"], message)
            await ann.send("Ann\ngood")
            self.assertEqual(await self.heard(ann), ("Ann", "good"))
            self.assertEqual(await self.heard(bob), ("Ann", "good"))

    async def test_a_message_that_is_too_large(self):
        async with self.connect() as ann, self.connect() as bob:
            await bob.send("Bob\n" + "x" * 5000)
            with self.assertRaises(websockets.ConnectionClosed):
                while True:
                    await asyncio.wait_for(bob.recv(), LIMIT)
            self.assertEqual(bob.close_code, 1009)
            await self.counted(ann, 2)
            await self.counted(ann, 1)

    async def test_who_may_not_connect(self):
        for options, status in (
            ({"origin": "http://example.org"}, 403),
            ({"origin": "null"}, 403),
        ):
            with self.assertRaises(websockets.InvalidStatusCode) as refused:
                await self.connect(**options)
            self.assertEqual(refused.exception.status_code, status)
        with self.assertRaises(websockets.InvalidStatusCode) as refused:
            await self.connect("?after=x")
        self.assertEqual(refused.exception.status_code, 400)
        async with self.connect(origin="http://" + self.server.place) as ann:
            await self.counted(ann, 1)
        status, _, _ = await asyncio.to_thread(self.server.ask, "GET", "/socket")
        self.assertIn(status, (400, 426))

    async def test_one_that_does_not_read_holds_nobody_up(self):
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, _, port = self.server.place.rpartition(":")
        narrow.connect((host, int(port)))
        async with self.connect(sock=narrow, compression=None) as slow, self.connect() as quick:
            slow.transport.pause_reading()
            for i in range(500):
                await quick.send(f"Ann\n{i}" + "x" * 900)
                self.assertEqual(await self.heard(quick), ("Ann", f"{i}" + "x" * 900))
            slow.transport.abort()
            await self.counted(quick, 1)

    async def test_the_servers_end(self):
        async with self.connect() as ann, self.connect() as bob:
            await self.counted(bob, 2)
            self.server.interrupt()
            for peer in (ann, bob):
                with self.assertRaises(websockets.ConnectionClosed):
                    while True:
                        await asyncio.wait_for(peer.recv(), LIMIT)
                self.assertEqual(peer.close_code, 1001)
        self.assertEqual(await asyncio.to_thread(self.server.wait), (0, "", ""))
