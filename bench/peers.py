"""The programs that are measured: how each is built, with what, and started.

A maker returns a Program. What a program needs is looked for when it is first asked for; if it is
not there, Missing says so in words and the contestant is left out. Everything that is built goes
into a folder of its own under the build directory, and is built anew if its source is newer.
"""

import functools
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Callable, NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE / "peers"
SYSTEM_FOLDERS = ":/usr/sbin:/usr/local/go/bin"


class Missing(Exception):
    """What is not there, and how it could be had."""


class Place(NamedTuple):
    """Where things are."""

    build: pathlib.Path  # meson's build directory
    scratch: pathlib.Path  # gone at the end of the run

    @property
    def peers(self):
        folder = self.build / "peers"
        folder.mkdir(exist_ok=True)
        return folder


class Program(NamedTuple):
    command: Callable  # of the place: the command, its first words at least
    arguments: tuple = ()
    environment: dict = {}
    version: Callable = lambda: ""

    def __call__(self, *arguments, **environment):
        """The same program with further arguments."""
        return self._replace(
            arguments=self.arguments + arguments, environment={**self.environment, **environment}
        )

    def line(self, place):
        return [*map(str, self.command(place)), *map(str, self.arguments)]


def tool(name, how):
    path = shutil.which(name, path=os.environ.get("PATH", "") + SYSTEM_FOLDERS)
    if not path:
        raise Missing(f"{name} is not installed ({how})")
    return path


def said(*command):
    """A command's first line; nothing if it can't be run."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError:
        return ""
    return done.stdout.strip().partition("\n")[0] if done.returncode == 0 else ""


def run_build(command, how="", folder=None, environment=None):
    done = subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines() or ["without a word"]
        error = next((line for line in lines if "error" in line), lines[-1])
        raise Missing(f"{pathlib.Path(command[0]).name} can't build it{how}: {error.strip()}")


def is_fresh(binary, sources):
    if not binary.exists():
        return False
    return all(binary.stat().st_mtime >= source.stat().st_mtime for source in sources)


def built(name, *arguments, engine=None):
    """A program of bench/meson.build; engine: what bide runs on in it."""

    def command(place):
        path = place.build / "bench" / name
        if not path.exists():
            raise Missing(f"{name} was not built (a library of its own is not installed)")
        return [path]

    return Program(command, arguments, {"BIDE_ENGINE": engine} if engine else {})


def c_peer(source, library, package, *arguments):
    """A C or C++ file of bench/peers, with a library that pkg-config knows; None: headers alone."""
    path = SOURCES / source
    compiler = "g++" if path.suffix == ".cpp" else "gcc"

    def flags():
        if library is None:
            return []
        done = subprocess.run(
            [tool("pkg-config", "Debian: pkg-config"), "--cflags", "--libs", library],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if done.returncode != 0:
            raise Missing(f"{library} is not installed (Debian: {package})")
        return done.stdout.split()

    @functools.lru_cache(None)
    def command(place):
        binary = place.peers / path.stem
        wanted = flags()
        if not is_fresh(binary, [path, *SOURCES.glob("*.h")]):
            line = [tool(compiler, f"Debian: {compiler}"), "-O2", "-o", binary, path]
            run_build([*line, *wanted, "-pthread"], f" (Debian: {package})")
        return [binary]

    def version():
        number = said("pkg-config", "--modversion", library) if library else ""
        return f"{library} {number}" if number else said("dpkg-query", "-W", package)

    return Program(command, arguments, version=version)


def go_peer(source, *arguments):
    path = HERE / source

    @functools.lru_cache(None)
    def command(place):
        go = tool("go", "Debian: golang-go")
        binary = place.peers / f"go-{path.stem}"
        if not is_fresh(binary, [path]):
            cache = {"GO111MODULE": "off", "GOCACHE": str(place.peers / "go-cache")}
            run_build([go, "build", "-o", binary, path], environment=cache)
        return [binary]

    return Program(
        command, arguments, {"GOMAXPROCS": "1"}, lambda: said(tool("go", "golang-go"), "version")
    )


def cargo_peer(folder, name, *arguments):
    """The program `name` of a cargo project under bench/peers, as its Cargo.lock says."""
    project = SOURCES / folder

    @functools.lru_cache(None)
    def command(place):
        cargo = tool("cargo", "1.78 or later; Debian 12 has an older one")
        target = place.peers / "cargo"
        build = [cargo, "build", "--release", "--locked", "--target-dir", target]
        run_build(build, " (from the registry of crates)", project)
        binary = target / "release" / name
        if not binary.exists():
            raise Missing(f"{folder} has no program {name}")
        return [binary]

    def version():
        lines = (project / "Cargo.lock").read_text().splitlines()
        at = lines.index(f'name = "{folder}"')
        return f"{folder} {lines[at + 1].split()[-1].strip(chr(34))}, {said('rustc', '--version')}"

    return Program(command, arguments, version=version)


@functools.lru_cache(None)
def python_with(module):
    """An interpreter that has the module; the system's may have what the first one lacks."""
    for path in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run([path, "-c", f"import {module}"], stderr=subprocess.DEVNULL)
        except OSError:
            continue
        if done.returncode == 0:
            return path
    raise Missing(f"Python has no {module} (Debian: python3-{module})")


def asyncio_interpreter():
    """The one that has uvloop, so that both loops are measured with the same Python."""
    try:
        return python_with("uvloop")
    except Missing:
        return sys.executable


def python_peer(source, *arguments, module=None):
    """A script of bench/peers; module: what it imports from outside Python."""

    def interpreter():
        return python_with(module) if module else asyncio_interpreter()

    def version():
        text = said(interpreter(), "--version")
        if module:
            line = f"import {module}; print({module}.__version__)"
            text += f", {module} {said(interpreter(), '-c', line)}"
        return text

    return Program(lambda _: [interpreter(), "-B", SOURCES / source], arguments, version=version)


def configured(source, name, package):
    """A server that reads its port in a file: a script of bench/peers writes that file, says the
    port and becomes the server.
    """

    def command(place):
        program = tool(name, f"Debian: {package}")
        return [sys.executable, "-B", SOURCES / source, program, place.scratch]

    return Program(command, version=lambda: said(tool(name, package), "-v"))
