"""Scenario: curl, aiohttp's client, Python's urllib and the project's own client send forms, as
lines and as multipart, with odd names, empty and large files, in chunks, to a server that reads
them whole and part by part.

Claim: the server has what the client sent, byte for byte, under the name that it was sent under.
What is not installed is skipped.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest
import urllib.parse
import urllib.request

LIMIT = 30 * float(os.environ.get("BIDE_TEST_SLOW", "1"))
AIOHTTP_PYTHON = "/usr/bin/python3"  # the system's, for which the package is
CONTENT = bytes((i * i // 7) % 251 for i in range(300_000)) + b"\r\n--\r\n\r\n"

AIOHTTP_CLIENT = """
import asyncio, sys
import aiohttp

async def main(url, path, chunked):
    form = aiohttp.FormData()
    form.add_field("text", "caf\\u00e9 & co\\r\\nmore")
    form.add_field("empty", "")
    form.add_field("dotted.name", "x", content_type="application/json")
    if path:
        form.add_field("file", open(path, "rb"), filename="a b.bin",
                       content_type="application/x-mine")
        form.add_field("none", b"", filename="none.txt")
    async with aiohttp.ClientSession() as session:
        async with session.post(url, data=form(), chunked=chunked or None,
                                headers={} if path else None) as answer:
            print(answer.status, await answer.text())

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] == "chunked"))
"""


def have_aiohttp():
    with contextlib.suppress(OSError):
        done = subprocess.run([AIOHTTP_PYTHON, "-c", "import aiohttp"], capture_output=True)
        return done.returncode == 0
    return False


def check_sum(data):
    value = 0
    for byte in data:
        value = (value * 31 + byte) % 1000003
    return value


CONTENT_SUM = check_sum(CONTENT)


def text_field(name, value, kind=None):
    data = value.encode()
    return (name, None, kind, len(data), check_sum(data))


def fields_of(lines):
    """What the server said, taken apart."""
    fields = []
    for line in lines.strip("\n").split("\n"):
        *texts, size, total = line.split(" ")
        texts = [None if text == "-" else urllib.parse.unquote(text) for text in texts]
        fields.append((*texts, int(size), int(total)))
    return fields


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.file = cls.folder / "content.bin"
        cls.file.write_bytes(CONTENT)
        (cls.folder / "empty").touch()
        cls.process = subprocess.Popen([os.environ["BIDE_FORM_SERVER"]], stderr=subprocess.PIPE,
                                       text=True)
        cls.port = int(re.search(r":(\d+)$", cls.process.stderr.readline().strip())[1])

    @classmethod
    def tearDownClass(cls):
        cls.process.send_signal(signal.SIGINT)
        status = cls.process.wait(LIMIT)
        cls.process.stderr.close()
        shutil.rmtree(cls.folder)
        if status != 0:
            raise AssertionError("the server did not end well")

    def urls(self):
        return [f"http://127.0.0.1:{self.port}/{way}" for way in ("whole", "parts")]

    def run_client(self, *command):
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LIMIT,
                              check=True).stdout

    def curl(self, url, *arguments):
        return self.run_client("curl", "-sS", "--noproxy", "*", "--fail", *arguments, url)

    def test_urllib(self):
        pairs = [("a", "b"), ("c d", "é & ="), ("a", ""), ("", "x"), ("%41", "+\r\n")]
        for url in self.urls():
            data = urllib.parse.urlencode(pairs).encode()
            with urllib.request.urlopen(url, data, LIMIT) as answer:
                self.assertEqual(fields_of(answer.read().decode()),
                                 [text_field(*pair) for pair in pairs])

    def test_curl_urlencodes(self):
        expected = [text_field("a", "b c&d=é"), text_field("e", "")]
        for url in self.urls():
            lines = self.curl(url, "--data-urlencode", "a=b c&d=é", "--data", "e")
            self.assertEqual(fields_of(lines), expected)

    def test_curl_forms(self):
        expected = [
            text_field("text", "some; text"),
            ("f", "content.bin", "application/octet-stream", len(CONTENT), CONTENT_SUM),
            ("g", 'a"b c.txt', "text/x-mine", 0, 0),
            text_field("h", '{"a": 1}', "application/json"),
            text_field('quo"te', "x"),
        ]
        arguments = ["-F", 'text="some; text"', "-F", f"f=@{self.file}",
                     "-F", f'g=@{self.folder}/empty;type=text/x-mine;filename="a\\"b c.txt"',
                     "-F", 'h={"a": 1};type=application/json', "-F", 'quo"te=x']
        for url in self.urls():
            for more in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"],
                         ["--http1.0"]):
                self.assertEqual(fields_of(self.curl(url, *arguments, *more)), expected)

    def test_curl_escapes_with_backslashes(self):
        for url in self.urls():
            lines = self.curl(url, "--form-escape", "-F", 'a"b\\c=x')
            self.assertEqual(fields_of(lines), [text_field('a"b\\c', "x")])

    @unittest.skipUnless(have_aiohttp(), "no aiohttp")
    def test_aiohttp(self):
        texts = [text_field("text", "café & co\r\nmore"), text_field("empty", "")]
        for url in self.urls():
            for how in ("plain", "chunked"):
                said = self.run_client(AIOHTTP_PYTHON, "-c", AIOHTTP_CLIENT, url, str(self.file),
                                       how)
                status, lines = said.split(" ", 1)
                self.assertEqual(status, "200")
                fields = fields_of(lines)
                # It adds a type to each text, in some versions.
                self.assertEqual([(f[0], f[1], *f[3:]) for f in fields[:2]],
                                 [(f[0], f[1], *f[3:]) for f in texts])
                self.assertEqual(fields[2][:3], ("dotted.name", None, "application/json"))
                self.assertIn(fields[3][1], ("a b.bin", "a%20b.bin"))
                self.assertEqual(fields[3][2:], ("application/x-mine", len(CONTENT), CONTENT_SUM))
                self.assertEqual(fields[4][1], "none.txt")
                self.assertEqual(fields[4][3:], (0, 0))

    def test_own_client(self):
        for url in self.urls():
            said = self.run_client(os.environ["BIDE_HTTP_CLIENT"], "-X", "POST", "-F",
                                   f"file={self.file}", url)
            status, _, _, _, _, line = said.split(" ", 5)
            self.assertEqual(status, "200")
            self.assertEqual(fields_of(line.rstrip(".\n")),
                             [("file", "content.bin", "application/octet-stream", len(CONTENT),
                               CONTENT_SUM)])


if __name__ == "__main__":
    unittest.main()
