"""Scenario: two browsers have the page of `bide serve --demo` open, and their users talk.

Claim: each sees what the other says in all four panes, as text whatever it is, and how many are
there; pages find a server that was gone for a while; the browsers have nothing to complain of, and
what they show is no blank page.
"""

import json
import os
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))

from chromium import PROGRAM, Browser
from picture import Picture
from serve_peer import ServeCase

PANES = ("websocket", "events", "waiting", "polling")
COLOURS_MIN = 8  # letters have smooth edges
ALL_ON = "document.querySelectorAll('section.on').length === 4"


@unittest.skipUnless(PROGRAM, "no chromium")
class Pages(ServeCase):
    def browse(self, server):
        browser = Browser()
        self.addCleanup(browser.close)
        browser.page.open(server.url)
        browser.page.until(ALL_ON)
        return browser

    def say(self, page, name, text):
        if not page.ask("document.getElementById('name').value"):
            page.type("#name", name)
        page.type("#text", text)
        page.press_enter()
        page.until("document.getElementById('text').value === ''")

    def assert_shown(self, page, lines):
        """All panes show these lines and no others."""
        wanted = json.dumps(lines)
        for pane in PANES:
            items = f"[...document.querySelectorAll('#{pane} li')].map((item) => item.innerText)"
            page.until(f"JSON.stringify({items}) === JSON.stringify({wanted})")

    def assert_count(self, page, count):
        page.until(f"document.getElementById('users').textContent === '{count}'")

    def assert_picture(self, page, name):
        """The page and each of its panes have something to see; the picture is kept."""
        png = page.picture()
        folder = pathlib.Path(os.environ["BIDE_PICTURES"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.png").write_bytes(png)
        picture = Picture(png)
        for selector in ("h1", *(f"#{pane} li" for pane in PANES)):
            box = page.ask(
                f"""(() => {{
                    const box = document.querySelector({json.dumps(selector)})
                        .getBoundingClientRect();
                    return [box.left, box.top, box.width, box.height];
                }})()"""
            )
            colours = picture.colours(*box)
            self.assertGreaterEqual(len(colours), COLOURS_MIN, selector)


class Talk(Pages):
    def test_two_browsers(self):
        server = self.serve("--demo")
        one = self.browse(server)
        self.assert_count(one.page, 1)
        two = self.browse(server)
        for page in (one.page, two.page):
            self.assert_count(page, 2)
        self.say(one.page, "Ann", "Is anybody there?")
        self.assert_shown(two.page, ["Ann: Is anybody there?"])
        self.say(two.page, "Bob", "Yes, here.")
        for page in (one.page, two.page):
            self.assert_shown(page, ["Ann: Is anybody there?", "Bob: Yes, here."])
        self.assert_picture(one.page, "ann")
        self.assert_picture(two.page, "bob")
        two.close()
        self.assert_count(one.page, 1)
        self.assertEqual(one.page.complaints, [])
        self.assertEqual(two.page.complaints, [])

    def test_markup_is_text(self):
        server = self.serve("--demo")
        page = self.browse(server).page
        said = [
            "<img src=x onerror=alert(1)>",
            "<b>bold</b> &amp; \"quoted\" 'too' \\",
            "</li></ol><script>document.title = 'changed'</script>",
        ]
        for text in said:
            self.say(page, "<i>Eve</i>", text)
        self.assert_shown(page, [f"<i>Eve</i>: {text}" for text in said])
        self.assertEqual(page.ask("document.querySelectorAll('ol img, ol i, ol script').length"), 0)
        self.assertEqual(page.ask("document.title"), "bide")
        self.assertEqual(page.complaints, [])

    def test_what_is_refused_is_told(self):
        server = self.serve("--demo")
        page = self.browse(server).page
        page.ask("document.getElementById('name').removeAttribute('maxlength')")
        self.say(page, "n" * 65, "x")
        page.until("document.getElementById('trouble').textContent.includes('64 bytes')")
        self.assert_shown(page, [])

    def test_a_server_that_comes_back(self):
        server = self.serve("--demo")
        page = self.browse(server).page
        self.say(page, "Ann", "before")
        self.assert_shown(page, ["Ann: before"])
        self.stop(server)
        page.until("document.querySelectorAll('section.on').length === 0")
        port = re.search(r":(\d+)/", server.url)[1]
        self.serve("--demo", "--port", port)
        page.until(ALL_ON)
        self.assert_count(page, 1)
        self.say(page, "Ann", "after")
        self.assert_shown(page, ["Ann: before", "Ann: after"])
