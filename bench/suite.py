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
from peers import built, c_peer, cargo_peer, configured, go_peer, python_peer

# How much room there is behind a message: a read that fills its buffer has to be repeated.
ROOM_BYTES = 4096


# In words with the unit: which is better, and how it follows from what the generator said.
FIGURES = {
    "requests per CPU second": ("more", lambda said: said["requests"] / said["server_cpu_s"]),
    "µs, 99 of 100 answers": ("less", lambda said: said["p99_us"]),
    "MB per CPU second": ("more", lambda said: said["bytes_moved"] / 1e6 / said["server_cpu_s"]),
    "handshakes per CPU second": ("more", lambda said: said["requests"] / said["server_cpu_s"]),
    "bytes per connection": ("less", lambda said: said["bytes"]),
}


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
    load: tuple  # the load generator and what it is asked for
    connections: int
    longer: float = 1  # how many times the usual time this needs
    figure: str = "requests per CPU second"  # the main one, of FIGURES

    def record(self, said):
        """What the load generator said, as a figure of the server."""
        better, take = FIGURES[self.figure]
        also = {}
        if "requests" in said:
            also["per s"] = said["requests"] / said["seconds"]
        if "p50_us" in said:
            names = {"p50 µs": "p50_us", "p99 µs": "p99_us", "p99.9 µs": "p999_us"}
            also.update({words: said[name] for words, name in names.items()})
        return Record(self.name, take(said), self.figure, better, also)


def bytes_in_words(size):
    return f"{size // 1024} KiB" if size >= 1024 else f"{size} B"


ECHO = {
    "raw epoll": built("raw_epoll_echo"),
    "raw uring": built("raw_uring_echo"),
    "bide epoll": built("echo_server", engine="epoll"),
    "bide uring": built("echo_server", engine="uring"),
    "bide protocol epoll": built("protocol_echo", engine="epoll"),
    "bide protocol uring": built("protocol_echo", engine="uring"),
    "libuv": c_peer("uv_echo.c", "libuv", "libuv1-dev"),
    "Boost.Asio": c_peer("asio_echo.cpp", None, "libboost-dev"),
    "tokio": cargo_peer("tokio", "echo"),
    "Go": go_peer("peers/echo.go"),
    "uvloop protocols": python_peer("asyncio_echo.py", "protocols", "uvloop", module="uvloop"),
    "uvloop streams": python_peer("asyncio_echo.py", "streams", "uvloop", module="uvloop"),
    "asyncio protocols": python_peer("asyncio_echo.py", "protocols", "asyncio"),
    "asyncio streams": python_peer("asyncio_echo.py", "streams", "asyncio"),
}
LINE = {name: program for name, program in ECHO.items() if name != "raw uring"}

HTTP = {
    "nginx": configured("nginx.py", "nginx", "nginx-light"),
    "raw epoll": built("raw_epoll_http"),
    "bide epoll": built("http_server", engine="epoll"),
    "bide uring": built("http_server", engine="uring"),
    "libevent evhttp": c_peer("evhttp.c", "libevent", "libevent-dev"),
    "Go net/http": go_peer("peers/http.go"),
}

TLS = {
    "raw OpenSSL": built("raw_tls", "server"),
    "bide epoll": built("tls_server", engine="epoll"),
    "bide uring": built("tls_server", engine="uring"),
}

# Programs that measure themselves, and are told which of their workloads are wanted.
TASKS = {
    "bide": built("tasks", "--json"),
    "tokio": cargo_peer("tokio", "tasks"),
    "Go": go_peer("peers/tasks.go"),
    "uvloop": python_peer("tasks.py", "--uvloop", module="uvloop"),
    "asyncio": python_peer("tasks.py"),
}
SWITCH = {"fibers alone": built("switch_raw", "--json"), **TASKS}
QUEUE = {**TASKS, "bide": built("queue", "--json")}
TIMERS = {
    "wheel alone": built("timer", "--json"),
    **TASKS,
    "bide": built("call_later", "--json"),
    "libuv": c_peer("uv_timers.c", "libuv", "libuv1-dev"),
}
# A million that wait: tasks, or in libuv a callback each. Other stacks are other contestants.
SLEEPERS = {
    **TASKS,
    "bide": built("parked", "--json"),
    "libuv": c_peer("uv_timers.c", "libuv", "libuv1-dev"),
}


def with_arguments(contestants, *arguments):
    return {name: program(*arguments) for name, program in contestants.items()}


def tasks(name, contestants):
    """What the programs have under this name."""
    return Measured(name, with_arguments(contestants, name), "bide")


def name_of(size):
    return bytes_in_words(size).replace(" ", "")


def echo(size, connections):
    return Served(
        name=f"echo/{name_of(size)}/{connections}",
        contestants=with_arguments(ECHO, "echo", size + ROOM_BYTES),
        reference="raw epoll",
        title=f"echo of {bytes_in_words(size)}, {connections:,} connections",
        load=("load", "echo", "-s", size, "-c", connections),
        connections=connections,
        longer=max(1, connections / 2000),
    )


def paced(per_second):
    """Less than all of them can do, so that times are not those of waiting for a full server."""
    return Served(
        name=f"paced/{per_second}",
        contestants=with_arguments(ECHO, "echo", 64 + ROOM_BYTES),
        reference="raw epoll",
        title=f"echo of 64 B, 64 connections, {per_second:,} due a second",
        load=("load", "echo", "-s", 64, "-c", 64, "-r", per_second),
        connections=64,
        longer=2,
        figure="µs, 99 of 100 answers",
    )


def line(at_once):
    words = f", {at_once} at once" if at_once > 1 else ""
    return Served(
        name=f"line/{at_once}",
        contestants=with_arguments(LINE, "line", 64 * 1024),
        reference="raw epoll",
        title=f"lines of 64 B{words}, 64 connections",
        load=("load", "line", "-s", 64, "-c", 64, "-n", at_once),
        connections=64,
    )


def connect(at_once):
    return Served(
        name=f"connect/{at_once}",
        contestants=with_arguments(ECHO, "echo", 64 + ROOM_BYTES),
        reference="raw epoll",
        title=f"connect, echo of 64 B, close; {at_once} at a time",
        load=("load", "connect", "-s", 64, "-c", at_once),
        connections=at_once,
    )


def idle(connections):
    return Served(
        name=f"idle/{connections}",
        contestants=with_arguments(ECHO, "echo", 64 + ROOM_BYTES),
        reference="bide epoll",
        title=f"memory of {connections:,} connections after an echo each",
        load=("load", "idle", "-s", 64, "-c", connections),
        connections=connections,
        figure="bytes per connection",
    )


def http(connections, pipelined):
    words = f", {pipelined} requests at once" if pipelined > 1 else ""
    return Served(
        name=f"http/{connections}" + (f"x{pipelined}" if pipelined > 1 else ""),
        contestants=HTTP,
        reference="nginx",
        title=f"HTTP text of 13 B, {connections:,} connections{words}",
        load=("load", "http", "-c", connections, "-n", pipelined),
        connections=connections,
    )


def tls(name, title, wanted, figure):
    return Served(
        name=f"tls/{name}",
        contestants=TLS,
        reference="raw OpenSSL",
        title=title,
        load=("raw_tls", wanted),
        connections=1,
        figure=figure,
    )


WORKLOADS = [
    tasks("switch", SWITCH),
    tasks("spawn", TASKS),
    tasks("queue", QUEUE),
    tasks("timers", TIMERS),
    tasks("sleepers", SLEEPERS),
    *(echo(size, n) for size in (64, 1024, 16384) for n in (1, 64, 1000, 10000)),
    *(line(n) for n in (1, 16)),
    *(connect(n) for n in (1, 64)),
    paced(10000),
    idle(5000),
    *(http(connections, n) for connections, n in ((64, 1), (1000, 1), (64, 16))),
    tls("handshakes", "TLS handshakes, one after the other", "h", "handshakes per CPU second"),
    tls("sending", "TLS, the server sends 64 KiB at a time", "s", "MB per CPU second"),
    tls("receiving", "TLS, the server receives", "r", "MB per CPU second"),
]

# Names or their beginnings: "echo" is "echo/64B/1" and all the others. The set "all" is all.
SETS = {
    "default": ["switch", "spawn", "echo/64B/64", "connect/64", "http/64"],
    "tasks": ["switch", "spawn", "queue", "timers", "sleepers"],
    "network": ["echo", "line", "connect", "paced", "idle", "http", "tls"],
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
