"""Scenario: command lines of the tool, right and wrong, and a server that can't start.

Claim: help is on standard output with status 0; a wrong command line tells what is wrong with it
and where help is, with status 2; what the machine refuses is one line on standard error, with
status 1.
"""

import os
import socket
import subprocess
import unittest

from chat_peer import LIMIT, TOOL


def run(*arguments, environment=None, stdout=subprocess.PIPE):
    done = subprocess.run(
        [TOOL, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        text=True,
        timeout=LIMIT,
    )
    return done.returncode, done.stdout, done.stderr


class Tool(unittest.TestCase):
    def test_help(self):
        for words in [[], ["chat"], ["chat", "serve"]]:
            for option in ["--help", "-h"]:
                with self.subTest(words=words, option=option):
                    status, out, err = run(*words, option)
                    self.assertEqual((status, err), (0, ""))
                    self.assertRegex(out, r"\Ausage: bide( chat)?( serve)? [^\n]*\n\n")
                    self.assertIn("chat serve", out)
                    self.assertTrue(out.endswith("\n"))

    def test_help_names_every_option(self):
        out = run("chat", "serve", "--help")[1]
        for option in ["--host", "--port", "--idle", "--help"]:
            self.assertIn(f"\n  {option} ", out)

    def test_version(self):
        for option in ["--version", "-V"]:
            status, out, err = run(option)
            self.assertEqual((status, err), (0, ""))
            self.assertRegex(out, r"\Abide [0-9]+\.[0-9]+\.[0-9]+\n\Z")

    def test_output_that_nobody_takes(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            for words in [["--help"], ["--version"], ["chat", "serve", "--help"]]:
                status, _, err = run(*words, stdout=full)
                self.assertEqual(status, 1)
                self.assertRegex(err, r"\Abide: standard output: No space left on device\n\Z")

    def assert_usage_error(self, words, named):
        with self.subTest(words=words):
            status, out, err = run(*words)
            self.assertEqual((status, out), (2, ""))
            lines = err.splitlines()
            self.assertEqual(len(lines), 2, err)
            self.assertRegex(lines[0], r"\Abide( chat (serve|join))?: ")
            self.assertIn(named, lines[0])
            self.assertRegex(lines[1], r"\ATry 'bide( chat (serve|join))? --help'\.\Z")

    def test_wrong_commands(self):
        self.assert_usage_error([], "which command")
        self.assert_usage_error(["chat"], "chat")
        self.assert_usage_error([""], "''")
        self.assert_usage_error(["talk"], "talk")
        self.assert_usage_error(["steal"], "steal")
        self.assert_usage_error(["chat", "serv"], "chat serv")
        self.assert_usage_error(["--port", "0", "chat", "serve"], "--port")
        self.assert_usage_error(["-x"], "x")

    def test_wrong_options(self):
        serve = ["chat", "serve"]
        self.assert_usage_error([*serve, "--prot", "1"], "--prot")
        self.assert_usage_error([*serve, "-x"], "x")
        self.assert_usage_error([*serve, "--host"], "--host")
        self.assert_usage_error([*serve, "8000"], "8000")
        for port in ["", "-1", "+1", " 1", "1 ", "65536", "1x", "0x10", "http", "9" * 30]:
            self.assert_usage_error([*serve, "--port", port], f"'{port}'")
        for idle in ["", "0", "-1", "nan", "soon", "1s"]:
            self.assert_usage_error([*serve, "--idle", idle], f"'{idle}'")

    def test_wrong_words_of_join(self):
        join = ["chat", "join"]
        right = ["127.0.0.1", "8000", "ann"]
        for wrong, named in [
            ([], "needed"),
            (right[:2], "needed"),
            ([*right, "bob"], "'bob'"),
            ([*right, "--prot"], "--prot"),
            (["127.0.0.1", "0", "ann"], "'0'"),
            (["127.0.0.1", "chat", "ann"], "'chat'"),
            (["127.0.0.1", "8000", ""], "name"),
            (["127.0.0.1", "8000", "ann\nbob"], "name"),
        ]:
            self.assert_usage_error([*join, *wrong], named)
        status, out, err = run(*join, "--help")
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"\Ausage: bide chat join HOST PORT NAME\n\n")

    def assert_refused(self, arguments, words, environment=None):
        with self.subTest(arguments=arguments):
            status, out, err = run("chat", "serve", *arguments, environment=environment)
            self.assertEqual((status, out), (1, ""))
            self.assertRegex(err, rf"\Abide: [^\n]*{words}\n\Z")

    def test_port_in_use(self):
        for host, family in [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]:
            with socket.create_server((host, 0), family=family) as other:
                port = str(other.getsockname()[1])
                words = f"{host}, port {port}: Address already in use"
                self.assert_refused(["--host", host, "--port", port], words)

    def test_host_that_is_none(self):
        unknown = ["--host", "no-such-host.invalid", "--port", "0"]
        self.assert_refused(unknown, "no-such-host.invalid, port 0: .+")
        foreign = ["--host", "192.0.2.1", "--port", "0"]
        self.assert_refused(foreign, "192.0.2.1, port 0: Cannot assign requested address")

    def test_engine_that_is_none(self):
        self.assert_refused(["--port", "0"], "Invalid argument", {"BIDE_ENGINE": "steam"})


if __name__ == "__main__":
    unittest.main()
