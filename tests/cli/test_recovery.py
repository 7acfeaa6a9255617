#!/usr/bin/env python3
"""rehost recovery: make, show, check, sheet, forget."""
import html.parser
import os
import re
import stat
import unittest

from rehost import DONE, ENVIRONMENT, PARTIAL, SECRET, USAGE, Case, xml


class Page(html.parser.HTMLParser):
    """Balanced elements, everything in one file, and the modules of the QR code."""

    EMPTY = {"meta"}

    def __init__(self, text):
        super().__init__()
        self.open, self.problems, self.paths, self.text = [], [], [], ""
        self.feed(text)
        self.problems += self.open

    def handle_starttag(self, tag, attributes):
        if tag not in self.EMPTY:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                self.problems.append(value)
        if tag == "path":
            self.paths.append(dict(attributes)["d"])

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append("</%s>" % tag)

    def handle_data(self, data):
        self.text += data

    def modules(self):
        """Places of dark modules, the quiet zone left out."""
        dark = set()
        for x, y, run in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", self.paths[1]):
            dark.update((int(x) - 4 + i, int(y) - 4) for i in range(int(run)))
        return dark


def blocks(text):
    """The same from the half blocks of --text."""
    dark, row = set(), -4
    for line in text.splitlines():
        if line.startswith("  ") and set(line) <= set(" \u2580\u2584\u2588") and len(line) > 40:
            for x, c in enumerate(line[2:]):
                if c in "\u2580\u2588":
                    dark.add((x - 4, row))
                if c in "\u2584\u2588":
                    dark.add((x - 4, row + 1))
            row += 2
    return dark


class Recovery(Case):
    def setUp(self):
        super().setUp()
        self.add(xml(1))

    def test_make(self):
        run = self.run_rehost("recovery", "make", status=DONE)
        self.assertIn("your recovery key was made: age1", run.err)
        first = self.identity()
        self.assertNotIn(first["code"], run.err)
        self.assertIn("has a recovery key already", self.run_rehost("recovery", "make", status=DONE).err)
        self.assertEqual(first, self.identity())
        self.assertFalse(self.run_rehost("recovery", "make", "--json").lines[0]["made"])

    def test_show(self):
        self.assert_error(self.run_rehost("recovery", "show"), SECRET)
        self.run_rehost("backup", self.stick, status=DONE)
        key = self.identity()
        self.assertRegex(key["code"], r"^[0-9A-HJKMNP-TV-Z]{5}(-[0-9A-HJKMNP-TV-Z]{5}){12}$")
        self.assertRegex(key["identity"], "^AGE-SECRET-KEY-1")
        run = self.run_rehost("recovery", "show", status=DONE)
        self.assertIn(key["identity"], run.out)
        self.assertIn(key["code"], run.out.replace("\n  ", "-"))
        self.assertEqual(run.err, "")

    def test_check(self):
        self.run_rehost("recovery", "make", status=DONE)
        key = self.identity()
        (self.top / "key").write_text(key["code"])
        for text in (key["code"], key["identity"], key["code"].replace("-", "").lower()):
            run = self.run_rehost("recovery", "check", input=text, status=DONE)
            self.assertIn("this store's recovery key", run.out)
        self.assertIn(key["recipient"], self.run_rehost("recovery", "check", "key", status=DONE).out)
        self.assertIn("no store to compare", self.run_rehost("recovery", "check", "key", store="none", status=DONE).out)
        wrong = ("1" if key["code"][0] != "1" else "2") + key["code"][1:]
        self.assert_error(self.run_rehost("recovery", "check", input=wrong), SECRET, "group 1")
        self.run_rehost("recovery", "make", store="other", status=DONE)
        self.assert_error(self.run_rehost("recovery", "check", "key", store="other"), SECRET)
        self.assert_error(self.run_rehost("recovery", "check", "nowhere"), ENVIRONMENT)

    def test_sheet(self):
        self.run_rehost("recovery", "make", status=DONE)
        key = self.identity()
        run = self.run_rehost("recovery", "sheet", status=DONE)
        page = Page(run.out)
        self.assertEqual(page.problems, [])
        self.assertNotRegex(run.out, r"(?i)url\(|@import|<script|https?://(?!www\.w3\.org/2000/svg)")
        groups = re.findall(r"<small>(\d+)</small>(\w{5})</div>", run.out)
        self.assertEqual("-".join(group for _, group in groups), key["code"])
        self.assertEqual([int(number) for number, _ in groups], list(range(1, 14)))
        for words in (key["identity"], key["recipient"], "age -d -i key.txt", "UTC",
                      self.run_rehost("computer", "--json").lines[0]["computer_id"]):
            self.assertIn(words, page.text)
        text = self.run_rehost("recovery", "sheet", "--text", status=DONE).out
        self.assertNotIn("\033", text)
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80)
        self.assertIn(key["identity"], text)
        dark = page.modules()
        self.assertEqual(dark, blocks(text))
        # Finder patterns stand in three corners (ISO/IEC 18004, 6.3.3).
        side = max(x for x, _ in dark) + 1
        self.assertEqual((side - 17) % 4, 0)
        for left, top in ((0, 0), (side - 7, 0), (0, side - 7)):
            ring = {(left + i, top + j) for i in range(7) for j in range(7)
                    if i in (0, 6) or j in (0, 6) or (2 <= i <= 4 and 2 <= j <= 4)}
            square = {(x, y) for x, y in dark if left <= x < left + 7 and top <= y < top + 7}
            self.assertEqual(square, ring)

    def test_sheet_in_a_file(self):
        self.run_rehost("recovery", "make", status=DONE)
        run = self.run_rehost("recovery", "sheet", "--output", "page.html", status=DONE)
        self.assertEqual(run.out, "")
        page = self.top / "page.html"
        self.assertEqual(stat.S_IMODE(page.stat().st_mode), 0o600)
        before = page.read_bytes()
        self.assert_error(self.run_rehost("recovery", "sheet", "-o", "page.html"), ENVIRONMENT, "page.html")
        self.assertEqual(page.read_bytes(), before)
        self.assert_error(self.run_rehost("recovery", "sheet", "-o", "no/page.html"), ENVIRONMENT)

    def test_forget(self):
        self.run_rehost("backup", self.stick, status=DONE)
        key = self.identity()
        self.assert_error(self.run_rehost("recovery", "forget"), USAGE, "--yes")
        self.assertEqual(self.identity(), key)
        self.run_rehost("recovery", "forget", "--yes", status=DONE)
        self.assert_error(self.run_rehost("recovery", "show"), SECRET, key["recipient"])
        self.assert_error(self.run_rehost("recovery", "sheet", "-o", "page.html"), SECRET)
        self.assertFalse((self.top / "page.html").exists())
        self.run_rehost("backup", "--overwrite", self.stick, status=DONE)
        self.run_rehost("restore", "--recovery-key-file", "-", self.stick, store="new", input=key["code"], status=DONE)


if __name__ == "__main__":
    unittest.main()
