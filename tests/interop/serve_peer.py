"""`bide serve` as a process, and what the tests ask it with.

A server ends with its test: by SIGTERM, with status 0 and nothing on standard error. Everything
waits for an event, and fails after LIMIT seconds.
"""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import urllib.parse
import unittest

TOOL = os.environ["BIDE_TOOL"]
SLOW = float(os.environ.get("BIDE_TEST_SLOW", "1"))
LIMIT = 30 * SLOW


class Server:
    def __init__(self, *arguments, host="127.0.0.1"):
        self.process = subprocess.Popen(
            [TOOL, "serve", "--host", host, "--port", "0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.start_line = self.process.stdout.readline()
        self.url = self.start_line.split()[-1] if self.start_line else ""
        self.place = urllib.parse.urlsplit(self.url).netloc

    def line(self):
        """The next line of the log."""
        return self.process.stdout.readline()

    def wait(self):
        """The exit status, and what was said since on standard output and error."""
        out, errors = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, out, errors

    def interrupt(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def ask(self, method, path, body=None, **headers):
        """The status, the fields, the body."""
        with contextlib.closing(http.client.HTTPConnection(self.place, timeout=LIMIT)) as peer:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            peer.request(method, path, body=body, headers=named)
            answer = peer.getresponse()
            return answer.status, answer.headers, answer.read()

    def news(self, path):
        """The entries of an answer in JSON, and the number of the last one."""
        status, fields, body = self.ask("GET", path)
        if status != 200 or fields["Content-Type"] != "application/json":
            raise AssertionError((status, fields.items(), body))
        news = json.loads(body)
        return news["entries"], news["last"]

    def say(self, name, text, **headers):
        path = "/messages?name=" + urllib.parse.quote(name)
        return self.ask("POST", path, text if isinstance(text, bytes) else text.encode(), **headers)


def curl(*arguments):
    """The output of curl; a failure is one of the test."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
    )
    if done.returncode != 0:
        raise AssertionError((arguments, done))
    return done.stdout


class ServeCase(unittest.TestCase):
    maxDiff = 4000

    def serve(self, *arguments, **options):
        server = Server(*arguments, **options)
        self.addCleanup(self.stop, server)
        if not re.match(r"\AServing .* on https?://.*:[0-9]+/\n\Z", server.start_line):
            self.fail((server.start_line, server.process.stderr.read()))
        return server

    def stop(self, server):
        if server.process.stdout.closed:
            return
        try:
            server.interrupt()
            status, _, errors = server.wait()
            self.assertEqual((status, errors), (0, ""))
        finally:
            if server.process.poll() is None:
                server.process.kill()
                server.wait()
