"""Scenario: people at real terminals (tmux) in a chat, seen by their screens; and the client
without a terminal.

Claim: what others say scrolls up above the line that is being edited, which stays whole whatever
happens meanwhile: other lines, a resize, a stop; whichever way the client ends, the terminal is in
order and its status tells how it went.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from chat_peer import LIMIT, TOOL, ChatCase, Server

ROWS = 24


class Tmux:
    """A tmux server of its own; each screen is a shell with job control."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.environment = {
            **os.environ,
            "TMUX_TMPDIR": self.folder.name,
            "LC_ALL": "C.UTF-8",
            "PS1": "$ ",
            "HISTFILE": "",
        }
        self.environment.pop("TMUX", None)

    def run(self, *arguments, data=None):
        done = subprocess.run(
            ["tmux", "-u", "-L", "bide", "-f", "/dev/null", *arguments],
            env=self.environment,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
        )
        if done.returncode != 0:
            raise AssertionError(f"tmux {arguments}: {done.stdout.decode()}")
        return done.stdout.decode()

    def close(self):
        subprocess.run(
            ["tmux", "-L", "bide", "kill-server"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT,
        )
        self.folder.cleanup()


class Screen:
    def __init__(self, tmux, name, columns=80):
        self.tmux, self.name = tmux, name
        size = ["-x", str(columns), "-y", str(ROWS)]
        shell = ["bash", "--norc", "--noprofile", "-i"]
        tmux.run("new-session", "-d", "-s", name, *size, *shell)
        self.wait(lambda rows: rows[-1:] == ["$"])

    def keys(self, *keys):
        self.tmux.run("send-keys", "-t", self.name, *keys)

    def type(self, text):
        self.tmux.run("send-keys", "-t", self.name, "-l", text)

    def paste(self, text):
        """As a terminal does that marks pastes, if it was asked to."""
        self.tmux.run("load-buffer", "-", data=text.encode())
        self.tmux.run("paste-buffer", "-p", "-t", self.name)

    def resize(self, columns):
        self.tmux.run("resize-window", "-t", self.name, "-x", str(columns), "-y", str(ROWS))

    def rows(self):
        """What is there, without the blank rows below."""
        text = self.tmux.run("capture-pane", "-p", "-t", self.name)
        return [row.rstrip() for row in text.rstrip("\n").split("\n")]

    def cursor(self):
        words = "#{cursor_x} #{cursor_y}"
        x, y = self.tmux.run("display-message", "-p", "-t", self.name, words).split()
        return int(x), int(y)

    def wait(self, wanted):
        deadline = time.monotonic() + LIMIT
        while not wanted(rows := self.rows()):
            if time.monotonic() > deadline:
                raise AssertionError("the screen never was as expected:\n" + "\n".join(rows))
        return rows

    def shows(self, *rows):
        """These are the last rows."""
        return self.wait(lambda now: now[-len(rows) :] == list(rows))

    def command(self, line):
        """Runs something that ends, in the shell: what it printed."""
        self.keys("C-l")
        self.wait(lambda rows: rows == ["$"])
        self.type(line + "; echo done")
        self.keys("Enter")
        rows = self.wait(lambda rows: rows[-2:] == ["done", "$"])
        return rows[1:-2]


@unittest.skipUnless(shutil.which("tmux"), "tmux is not installed")
class Terminals(ChatCase):
    def setUp(self):
        self.server = self.serve()
        self.tmux = Tmux()
        self.addCleanup(self.tmux.close)
        self.modes = {}

    def screen(self, name, columns=80):
        screen = Screen(self.tmux, name, columns)
        self.modes[name] = screen.command("stty -a")
        return screen

    def sit_down(self, name, users, columns=80):
        """A screen with the client on it, as one of so many users."""
        screen = self.screen(name, columns)
        screen.type(f"clear; '{TOOL}' chat join {self.server.host} {self.server.port} {name}")
        screen.keys("Enter")
        screen.shows(f"Welcome! {users} user(s) are online!", f"{name} connected!", ">")
        return screen

    def assert_in_order(self, screen, *statuses):
        """The client has ended with one of these, and the terminal is what it was."""
        (told,) = screen.command("echo status $?")
        self.assertIn(told, [f"status {status}" for status in statuses])
        self.assertEqual(screen.command("stty -a"), self.modes[screen.name])

    def test_two_talk_while_they_type(self):
        ann = self.sit_down("ann", 1)
        bob = self.sit_down("bob", 2)
        ann.type("half a line")
        ann.shows("bob connected!", "> half a line")
        bob.type("hello ann")
        bob.keys("Enter")
        bob.shows("bob connected!", "bob: hello ann", ">")
        ann.shows("bob connected!", "bob: hello ann", "> half a line")
        self.assertEqual(ann.cursor(), (13, 4))
        ann.type(", and the rest")
        ann.keys("Enter")
        told = "ann: half a line, and the rest"
        ann.shows("bob: hello ann", told, ">")
        bob.shows("bob: hello ann", told, ">")
        self.assertEqual(
            ann.rows(),
            [
                "Welcome! 1 user(s) are online!",
                "ann connected!",
                "bob connected!",
                "bob: hello ann",
                told,
                ">",
            ],
        )
        ann.keys("C-d")
        bob.shows(told, "ann has left the chat", ">")
        ann.shows("$")
        self.assert_in_order(ann, 0)

    def test_many_lines_scroll(self):
        """More than the screen has, and the line that is being edited stays in the last row."""
        ann = self.sit_down("ann", 1)
        bob = self.join(self.server, b"bob", 2)
        ann.type("unfinished")
        for number in range(100):
            bob.send(b"line %d\n" % number)
        said = [f"bob: line {number}" for number in range(77, 100)]
        self.assertEqual(ann.shows(*said, "> unfinished"), [*said, "> unfinished"])

    def test_characters_of_all_kinds(self):
        ann = self.sit_down("ann", 1)
        ann.type("grüße 日本 e\u0301!")
        ann.shows("> grüße 日本 e\u0301!")
        self.assertEqual(ann.cursor(), (2 + 13, 2))
        ann.keys("Left", "Left")
        self.assertEqual(ann.shows("> grüße 日本 e\u0301!")[-1:], ["> grüße 日本 e\u0301!"])
        ann.wait(lambda rows: ann.cursor() == (2 + 11, 2))
        ann.keys("BSpace", "BSpace")
        ann.shows("> grüße 日e\u0301!")
        ann.keys("C-e", "BSpace", "BSpace", "Enter")
        ann.shows("ann: grüße 日", ">")

    def test_keys_and_history(self):
        ann = self.sit_down("ann", 1)
        for line in ["first", "second"]:
            ann.type(line)
            ann.keys("Enter")
            ann.shows(f"ann: {line}", ">")
        ann.type("draft")
        ann.keys("Up", "Up")
        ann.shows("> first")
        ann.keys("Down", "Down")
        ann.shows("> draft")
        ann.keys("C-a", "C-k", "C-y", "C-y", "C-w", "Up", "C-a")
        ann.type("the ")
        ann.shows("> the second")
        ann.keys("Home", "M-f", "M-d", "Enter")
        ann.shows("ann: the", ">")
        ann.keys("C-r")
        ann.type("fir")
        ann.shows("(search 'fir') first")
        ann.keys("Enter")
        ann.shows("ann: first", ">")

    def test_paste(self):
        """Its lines wait in the line until they are entered, and then are several."""
        ann = self.sit_down("ann", 1)
        ann.type("<")
        ann.paste("one\ntwo\n\nthree\x1b[31m")
        ann.type(">")
        ann.shows("> <one␤two␤␤three>")
        ann.keys("Enter")
        ann.shows("ann: <one", "ann: two", "ann: three>", ">")

    def test_line_longer_than_the_screen(self):
        ann = self.sit_down("ann", 1, columns=30)
        text = "0123456789" * 6
        ann.type(text)
        ann.shows("> <" + text[-25:])
        bob = self.join(self.server, b"bob", 2)
        bob.send(b"hello\n")
        ann.shows("bob: hello", "> <" + text[-25:])
        ann.keys("Home")
        ann.shows("bob: hello", ">  " + text[:25] + ">")
        ann.keys("Enter")
        told = "ann: " + text
        ann.shows("bob: hello", told[:30], told[30:60], told[60:], ">")

    def test_resize(self):
        """Narrower than the line and wider again, with others talking all the while."""
        ann = self.sit_down("ann", 1)
        bob = self.join(self.server, b"bob", 2)
        text = "a line that is longer than forty columns, by much"
        ann.type(text)
        ann.shows("bob connected!", "> " + text)
        for number, columns in enumerate([40, 20, 100, 30, 80]):
            ann.resize(columns)
            room = columns - 3
            row = "> " + text if len(text) <= room else "> <" + text[-(room - 2) :]
            ann.shows(row)
            bob.send(b"line %d\n" % number)
            rows = ann.shows(f"bob: line {number}", row)
            self.assertEqual(sum("forty" in row or "by much" in row for row in rows), 1, rows)
            said = [row for row in rows if row.startswith("bob: line")]
            self.assertEqual(said, [f"bob: line {i}" for i in range(number + 1)])
        ann.keys("Enter")
        ann.shows("bob: line 4", "ann: " + text, ">")

    def test_nothing_that_others_send_controls_the_terminal(self):
        ann = self.sit_down("ann", 1)
        bob = self.join(self.server, b"bob", 2)
        bob.send(b"\x1b[2J\x1b[1;1Hgone\x07\r\x9b\n".replace(b"\x9b", "\x9b".encode()))
        ann.shows("ann connected!", "bob connected!", "bob: ␛[2J␛[1;1Hgone␇␍\ufffd", ">")

    def test_server_stops(self):
        ann = self.sit_down("ann", 1)
        ann.type("unsaid")
        ann.shows("> unsaid")
        self.server.signal(signal.SIGTERM)
        ann.shows("Server is shutting down", "bide: the server has ended the connection", "$")
        self.assert_in_order(ann, 1)

    def test_name_in_use(self):
        self.join(self.server, b"ann", 1)
        screen = self.screen("ann")
        screen.type(f"clear; '{TOOL}' chat join {self.server.host} {self.server.port} ann")
        screen.keys("Enter")
        self.assertEqual(
            screen.shows("bide: the server says: this name is in use", "$")[1:],
            ["bide: the server says: this name is in use", "$"][-1:],
        )
        self.assert_in_order(screen, 1)

    def test_stop_and_continue(self):
        ann = self.sit_down("ann", 1)
        bob = self.join(self.server, b"bob", 2)
        ann.type("half")
        ann.shows("> half")
        ann.keys("C-z")
        ann.wait(lambda rows: any("Stopped" in row for row in rows) and rows[-1] == "$")
        self.assertEqual(ann.command("stty -a"), self.modes["ann"])
        bob.send(b"are you there?\n")
        ann.type("fg")
        ann.keys("Enter")
        ann.shows("bob: are you there?", "> half")
        ann.type(" and half")
        ann.keys("Enter")
        ann.shows("ann: half and half", ">")
        ann.keys("C-d")
        ann.shows("$")
        self.assert_in_order(ann, 0)

    def end_by(self, number, *statuses):
        with self.subTest(number=number):
            ann = self.sit_down("ann", 1)
            ann.type("half")
            ann.shows("> half")
            parent = self.tmux.run("display-message", "-p", "-t", "ann", "#{pane_pid}").strip()
            children = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text()
            os.kill(int(children.split()[0]), number)
            ann.wait(lambda rows: rows[-1] == "$")
            self.assert_in_order(ann, *statuses)
            self.tmux.run("kill-session", "-t", "ann")

    def test_signals(self):
        keeper = self.screen("keeper")  # or the last session's end is the server's
        keeper.type("")
        for number in [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]:
            self.end_by(number, 128 + number)
        self.end_by(signal.SIGSEGV, 128 + signal.SIGSEGV, 1)  # 1 is what a sanitizer makes of it


class Lines(ChatCase):
    """Without a terminal."""

    def run_client(self, server, name, words, host=None):
        done = subprocess.run(
            [TOOL, "chat", "join", host or server.host, str(server.port), name],
            input=words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=LIMIT,
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_lines_are_copied(self):
        server = self.serve()
        expected = (
            "Welcome! 1 user(s) are online!\nZoë connected!\nZoë: hello\nZoë: \nZoë: \x1b[1mbye\n"
        )
        words = b"hello\n\n\x1b[1mbye"
        self.assertEqual(self.run_client(server, "Zoë", words), (0, expected, ""))

    def test_much(self):
        """More than all buffers hold; and the last words come back before the end."""
        server = self.serve()
        lines = [f"line {number} " + "x" * 500 for number in range(5000)]
        status, out, err = self.run_client(server, "ann", "\n".join(lines).encode())
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(out.split("\n")[2:-1], ["ann: " + line for line in lines])

    def test_refused(self):
        server = self.serve()
        for name, words in [("a b", "a name has .*"), ("ann:", "a name has .*")]:
            status, out, err = self.run_client(server, name, b"")
            self.assertEqual((status, out), (1, ""))
            self.assertRegex(err, rf"\Abide: the server says: {words}\n\Z")
        status, _, err = self.run_client(server, "ann", b"\xff\n")
        self.assertEqual(
            (status, err), (1, "bide: the server says: the line is not valid UTF-8\n")
        )

    def test_server_ends(self):
        server = self.serve()
        client = subprocess.Popen(
            [TOOL, "chat", "join", server.host, str(server.port), "ann"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for pipe in [client.stdin, client.stdout, client.stderr]:
            self.addCleanup(pipe.close)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        self.assertEqual(client.stdout.readline(), b"Welcome! 1 user(s) are online!\n")
        server.signal(signal.SIGTERM)
        out, err = client.stdout.read(), client.stderr.read()
        self.assertEqual(client.wait(timeout=LIMIT), 1)
        self.assertEqual(out, b"ann connected!\nServer is shutting down\n")
        self.assertEqual(err, b"bide: the server has ended the connection\n")

    def test_nobody_there(self):
        server = Server()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), (0, ""))
        status, out, err = self.run_client(server, "ann", b"")
        words = f"bide: can't connect to 127.0.0.1, port {server.port}: Connection refused\n"
        self.assertEqual((status, out, err), (1, "", words))

    def test_output_that_nobody_takes(self):
        server = self.serve()
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run(
                [TOOL, "chat", "join", server.host, str(server.port), "ann"],
                stdin=subprocess.DEVNULL,
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=LIMIT,
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"No space left on device", done.stderr)


if __name__ == "__main__":
    unittest.main()
