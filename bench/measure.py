"""One run of one contestant, on the processors that it may use.

Invariant: whatever was started has ended when a function here returns. A server and its load share
no processor if there are two; a contestant that measures itself has one for itself.
"""

import json
import os
import resource
import select
import signal
import subprocess
from typing import NamedTuple

import figures

# A contestant that says nothing for so long hangs. A million tasks of a slow one take a while.
PATIENCE_S = 300
# What a program has open beside its connections.
FILES_BESIDE = 100


class Failed(Exception):
    """A contestant was there, but did not do what it should."""


class Processors(NamedTuple):
    server: int
    client: int


def processors():
    allowed = sorted(os.sched_getaffinity(0))
    return Processors(allowed[0], allowed[-1])


def raise_file_limit(n_connections):
    """Whether a program may have so many connections open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = n_connections + FILES_BESIDE
    if hard != resource.RLIM_INFINITY and wanted > hard:
        return False
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return True


def start(line, environment, processor, **pipes):
    return subprocess.Popen(
        line,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=lambda: os.sched_setaffinity(0, {processor}),
        **pipes,
    )


def run(line, environment, processor, seconds=PATIENCE_S):
    """What the command printed."""
    process = start(
        line, environment, processor, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as late:
        process.kill()
        process.communicate()
        raise Failed(f"did not end within {seconds} s") from late
    if process.returncode != 0:
        last = errors.strip().splitlines()[-1:] or [f"status {process.returncode}"]
        raise Failed(last[0])
    return out


def measured(line, environment):
    """The records of a contestant that measures itself."""
    try:
        return figures.parse_all(run(line, environment, processors().client))
    except ValueError as error:
        raise Failed(str(error)) from error


class Server:
    """A server, from its first line, which is its port, to its end by SIGTERM."""

    def __init__(self, line, environment):
        self.process = start(
            line, environment, processors().server, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __enter__(self):
        try:
            said, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
            self.port = int(self.process.stdout.readline() if said else "")
        except ValueError as error:
            self.__exit__()
            raise Failed(f"said no port: {self.errors or 'nothing'}") from error
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            _, errors = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, errors = self.process.communicate()
        self.errors = " ".join(errors.strip().splitlines()[-1:])


def served(line, environment, load):
    """What the load generator says of a server; load: its command, of the port and the process."""
    server = Server(line, environment)
    try:
        with server:
            text = run(load(server.port, server.process.pid), {}, processors().client)
    except Failed as error:
        words = f"{error}; the server: {server.errors}" if server.errors else str(error)
        raise Failed(words) from error
    try:
        return json.loads(text)
    except ValueError as error:
        raise Failed(f"the load generator said {text[:80]!r}") from error
