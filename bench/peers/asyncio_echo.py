"""The echo server on asyncio or uvloop.

    asyncio_echo.py streams|protocols asyncio|uvloop echo|line BUFFER_BYTES
"""

import asyncio
import gc
import sys

STYLE, LOOP, WHAT, SIZE = *sys.argv[1:4], int(sys.argv[4])


async def echo(reader, writer):
    try:
        while data := await reader.read(SIZE):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def echo_lines(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


class EchoLines(Echo):
    begun = b""

    def data_received(self, data):
        lines = (self.begun + data).split(b"\n")
        self.begun = lines.pop()
        if lines:
            self.transport.writelines([line + b"\n" for line in lines])


async def main():
    if STYLE == "streams":
        serve = echo_lines if WHAT == "line" else echo
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    else:
        protocol = EchoLines if WHAT == "line" else Echo
        loop = asyncio.get_running_loop()
        server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    gc.freeze()
    await server.serve_forever()


if LOOP == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(main())
