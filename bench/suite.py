"""What is measured: each workload, its contestants, and the sets that `./dev bench` knows.

To add a contestant, enter its program (see peers.py) under a name in the table of its workload. A
program that measures itself prints one JSON object a line,

    {"workload": "switch/100", "value": 16.1, "unit": "ns"}

and may add "better": "more" and "also": {"words with unit": value}. A server prints its port as its
first line, serves one thread's worth, and ends on SIGTERM; the load generator (load.c) reads its
processor time. Echo servers take two arguments: echo or line, and the size of their buffers.
"""

from typing import NamedTuple

from figures import Record
from peers import built, configured, go_peer

# How much room there is behind a message: a read that fills its buffer has to be repeated.
ROOM_BYTES = 4096


class Measured(NamedTuple):
    """Programs that measure themselves; each run may tell of many workloads."""

    name: str
    contestants: dict
    reference: str
    title: str = ""  # each workload has its name for a title
    connections: int = 0


class Served(NamedTuple):
    """Servers under one load."""

    name: str
    contestants: dict
    reference: str
    title: str
    load: tuple  # what the load generator is asked for
    connections: int
    longer: float = 1  # how many times the usual time this needs

    def record(self, said):
        """What the load generator said, as a figure of the server."""
        if "requests" not in said:
            return Record(self.name, said["bytes"], "bytes per connection")
        also = {"per s": said["requests"] / said["seconds"]}
        also.update({f"{p} µs": said[f"{p.replace('.', '')}_us"] for p in ("p50", "p99", "p99.9")})
        value = said["requests"] / said["server_cpu_s"]
        return Record(self.name, value, "requests per CPU second", "more", also)


def bytes_in_words(size):
    return f"{size // 1024} KiB" if size >= 1024 else f"{size} B"


ECHO = {
    "raw epoll": built("raw_epoll_echo"),
    "raw uring": built("raw_uring_echo"),
    "bide epoll": built("echo_server", engine="epoll"),
    "bide uring": built("echo_server", engine="uring"),
    "bide protocol epoll": built("protocol_echo", engine="epoll"),
    "bide protocol uring": built("protocol_echo", engine="uring"),
}

HTTP = {
    "nginx": configured("nginx.py", "nginx", "nginx-light"),
    "raw epoll": built("raw_epoll_http"),
    "bide epoll": built("http_server", engine="epoll"),
    "bide uring": built("http_server", engine="uring"),
    "go net/http": go_peer("http_server.go"),
}


def with_arguments(contestants, *arguments):
    return {name: program(*arguments) for name, program in contestants.items()}


def echo(size, connections):
    return Served(
        name=f"echo/{bytes_in_words(size).replace(' ', '')}/{connections}",
        contestants=with_arguments(ECHO, "echo", size + ROOM_BYTES),
        reference="raw epoll",
        title=f"echo of {bytes_in_words(size)}, {connections:,} connections",
        load=("echo", "-s", size, "-c", connections),
        connections=connections,
        longer=max(1, connections / 2000),
    )


def http(connections, pipelined):
    words = f", {pipelined} requests at once" if pipelined > 1 else ""
    return Served(
        name=f"http/{connections}" + (f"x{pipelined}" if pipelined > 1 else ""),
        contestants=HTTP,
        reference="nginx",
        title=f"HTTP text of 13 B, {connections:,} connections{words}",
        load=("http", "-c", connections, "-n", pipelined),
        connections=connections,
    )


WORKLOADS = [
    *(echo(size, n) for size in (64, 1024, 16384) for n in (1, 64, 1000, 10000)),
    *(http(connections, n) for connections, n in ((64, 1), (1000, 1), (64, 16))),
]

# Names or their beginnings: "echo" is "echo/64B/1" and all the others. The set "all" is all.
SETS = {
    "default": ["echo/64B/64", "http/64"],
    "network": ["echo", "http"],
    "all": [],
}


def chosen(names):
    """The workloads that sets, names and beginnings of names stand for, each once; ValueError."""
    found = []
    for name in names:
        here = WORKLOADS if name == "all" else []
        for beginning in SETS.get(name, [name]):
            parts = beginning.split("/")
            here = here + [one for one in WORKLOADS if one.name.split("/")[: len(parts)] == parts]
        if not here:
            raise ValueError(f"there is no set or workload {name}")
        found += (workload for workload in here if workload not in found)
    return found
