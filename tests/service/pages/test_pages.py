#!/usr/bin/env python3
"""The page of a limit and the privacy notice, as a browser shows them."""
import http.client
import re
import unittest

from browser import Browser
from service import Tool
from states import HOSTILE, LONG, States

NAMES = {
    "en": {"limit": "This licence is on as many computers as it allows", "blocked": "This licence is blocked",
           "period": "This licence was restored on many computers in a short time",
           "cooldown": "This licence was restored on another computer a short time ago",
           "free": "You can restore this licence now"},
    "de": {"limit": "Diese Lizenz ist auf so vielen Computern, wie sie erlaubt", "blocked": "Diese Lizenz ist gesperrt",
           "period": "Diese Lizenz wurde in kurzer Zeit auf vielen Computern wiederhergestellt",
           "cooldown": "Diese Lizenz wurde vor kurzem auf einem anderen Computer wiederhergestellt",
           "free": "Sie können diese Lizenz jetzt wiederherstellen"},
}


def setUpModule():
    global tool, states, browser
    tool = Tool()
    unittest.addModuleCleanup(tool.close)
    states = States(tool)
    unittest.addModuleCleanup(states.service.close)
    states.make()
    browser = Browser().__enter__()
    unittest.addModuleCleanup(browser.__exit__)


def plain(address, language=None):
    """The page without a browser: status, headers, text."""
    host, path = re.match(r"http://([^/]+)(/.*)", address).groups()
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("GET", path, headers={"Accept-Language": language} if language else {})
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply.status, reply.headers, text


def luminance(color):
    parts = [int(color[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


class Case(unittest.TestCase):
    def page(self, state, **options):
        address = states.service.address + "/v1/privacy" if state == "privacy" else states.cases[state]
        page = browser.open(address, **options)
        self.addCleanup(page.close)
        return page


class Structure(Case):
    def test_every_page(self):
        for state in [*states.cases, "privacy"]:
            for language in ("en", "de"):
                with self.subTest(state=state, language=language):
                    page = self.page(state, language=language)
                    self.assertEqual(page.evaluate("document.documentElement.lang"), language)
                    for element in ("h1", "main", "header", "footer", "title"):
                        self.assertEqual(page.evaluate("document.querySelectorAll('%s').length" % element), 1, element)
                    self.assertEqual(page.evaluate("document.title"), page.texts("h1")[0])
                    self.assertEqual(page.evaluate("document.querySelectorAll('script,img,link,iframe,object').length"), 0)
                    self.assertEqual(page.evaluate("document.compatMode"), "CSS1Compat")
                    self.assertEqual([one for one in page.requests if not one.endswith("/favicon.ico")],
                                     [page.evaluate("location.href")])
                    self.assertEqual(page.complaints, [])
                    headings = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(e => e.tagName).join()")
                    self.assertRegex(headings, "^H1(,H2)+$")
                    other = page.evaluate("[document.querySelector('header a').lang, document.querySelector('header a').href]")
                    self.assertEqual(other[0], {"en": "de", "de": "en"}[language])
                    _, _, text = plain(other[1], language)
                    self.assertIn('<html lang="%s">' % other[0], text)

    def test_nothing_moves_sideways(self):
        for state in [*states.cases, "privacy"]:
            for width in (320, 390, 1280):
                with self.subTest(state=state, width=width):
                    page = self.page(state, language="de", width=width, height=844)
                    self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), width)
                    outside = page.evaluate("[...document.body.querySelectorAll('*')].filter(e => "
                                            "e.getBoundingClientRect().right > %d + 0.5).length" % width)
                    self.assertEqual(outside, 0)

    def test_the_same_without_scripts(self):
        for state in ("limit", "privacy"):
            self.assertEqual(self.page(state, script=False).texts("body"), self.page(state).texts("body"))

    def test_tables_have_headers(self):
        page = self.page("many")
        self.assertEqual(page.evaluate("[...document.querySelectorAll('thead th')].map(e => e.scope)"), ["col", "col"])
        self.assertEqual(page.evaluate("[...document.querySelectorAll('tbody tr')].map(e => e.cells[0].scope)"), ["row"] * 12)
        self.assertEqual(page.texts("caption"), ["Computers that have this licence"])

    def test_colours(self):
        _, _, text = plain(states.cases["limit"])
        schemes = re.findall(r":root\{[^}]*\}", re.search("<style>(.*?)</style>", text)[1])
        self.assertEqual(len(schemes), 2)
        for scheme in schemes:
            colours = dict(re.findall(r"--([a-z]+):(#[0-9a-f]{3,6})", scheme))
            colours = {name: "#" + "".join(2 * c for c in value[1:]) if len(value) == 4 else value
                       for name, value in colours.items()}
            for ink in ("ink", "soft", "link"):
                for paper in ("paper", "box"):
                    self.assertGreaterEqual(contrast(colours[ink], colours[paper]), 4.5, (ink, paper, scheme))

    def test_the_dark_scheme_is_used(self):
        colour = "getComputedStyle(document.body).backgroundColor"
        self.assertNotEqual(self.page("limit", dark=True).evaluate(colour), self.page("limit").evaluate(colour))


class Words(Case):
    def body(self, state, language="en"):
        return self.page(state, language=language).texts("body")[0]

    def test_headings(self):
        for language, names in NAMES.items():
            for state, heading in names.items():
                self.assertEqual(self.page(state, language=language).texts("h1"), [heading])

    def test_limit(self):
        page = self.page("limit")
        body = page.texts("body")[0]
        self.assertEqual(page.texts("h2")[0], "Night Train to the Coast")
        for words in ("4 of 4", "Example Songs Ltd", "Living room", "Anna’s laptop", "Old phone", "1 January 2026",
                      "no place comes free by itself", "after 7 days, or later if the computer has another licence", "It has not come to this service yet.",
                      "Tell them this case number: 1."):
            self.assertIn(words, body)
        self.assertEqual(page.texts("pre"),
                         ["rehost computer release CODE --service " + states.service.address,
                          "rehost computer release CODE --service %s --backup DIRECTORY" % states.service.address])
        self.assertEqual(page.evaluate("document.querySelector('li a').href"), "mailto:help@records.example?subject=Case%201")
        shown = states.run("case", "show", "1")[0]
        self.assertEqual(sorted(page.texts("tbody code")), sorted(one["computer"] for one in shown["computers"]))
        self.assertEqual((shown["problem"], shown["id"]), ("limit-reached", "song-limit"))

    def test_german(self):
        page = self.page("pending", language="de")
        body = page.texts("body")[0]
        self.assertEqual(page.texts("h2")[0], "Nachtzug an die Küste")
        for words in ("4 von 4", "Herausgegeben von Example Songs Ltd.", "Was Sie jetzt tun können", "Sein Platz wird frei am",
                      "nach 7 Tagen frei, oder später, wenn", "Vorgangsnummer 2", "Datenschutz"):
            self.assertIn(words, body)
        self.assertRegex(body, r"Warten Sie bis \d+\. [A-Z][a-zä]+ \d{4}, \d\d:\d\d Uhr UTC, und")

    def test_when(self):
        shown = states.run("licence", "show", "song-pending")[0]
        page = self.page("pending")
        self.assertIn(shown["next"], page.evaluate("[...document.querySelectorAll('main time')].map(e => e.dateTime)"))
        self.assertIn("A new computer can have it from", page.texts("main")[0])

    def test_releasing_is_offered_where_it_helps(self):
        for state, helps in (("limit", 2), ("untitled", 2), ("blocked", 0), ("period", 0), ("cooldown", 0), ("free", 0)):
            self.assertEqual(len(self.page(state).texts("pre")), helps, state)
        self.assertIn("Restore the licence once more. A place is free.", self.body("free"))
        self.assertRegex(self.body("cooldown"), r"Wait until \d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC, then restore again\.")
        self.assertNotIn("You can restore it again", self.body("blocked"))

    def test_any_title(self):
        page = self.page("hostile")
        # Of a text with characters that turn the direction of writing, all but those is shown.
        self.assertEqual(page.evaluate("document.querySelector('h2').textContent"), HOSTILE)
        self.assertEqual(page.evaluate("document.querySelector('h2').dir"), "auto")
        self.assertEqual(page.evaluate("document.querySelectorAll('script').length"), 0)
        self.assertGreater(len(self.page("long").texts("h2")[0]), 400)
        self.assertTrue(LONG.startswith(self.page("long").texts("h2")[0].rstrip("…")[:300]))
        self.assertEqual(self.page("untitled").texts("h2")[0], "song-untitled")

    def test_privacy(self):
        for language, words in (("en", "Whom to ask: privacy@records.example"),
                                ("de", "Wen Sie fragen können: privacy@records.example")):
            self.assertIn(words, self.body("privacy", language))

    def test_contacts(self):
        try:
            for contact, href in (("https://records.example/help?a=b@c", "https://records.example/help?a=b@c"),
                                  ("mailto:x@records.example", "mailto:x@records.example?subject=Case%201"),
                                  ("javascript:alert(1)", None), ("+49 30 123456", None), ("", None)):
                states.contact(contact)
                page = self.page("limit")
                self.assertEqual(page.evaluate("(document.querySelector('li a') || {}).href"), href)
                self.assertIn(contact.replace("mailto:", ""), page.texts("main")[0])
        finally:
            states.contact("help@records.example")


class Addresses(unittest.TestCase):
    def test_language(self):
        for asked, language in (("de-AT;q=0.9,en;q=0.1", "de"), ("en;q=0.9,de;q=0.1", "en"), ("fr", "en"), (None, "en")):
            status, headers, text = plain(states.cases["limit"], asked)
            self.assertEqual(status, 200)
            self.assertIn('<html lang="%s">' % language, text)
            self.assertEqual(headers["Vary"], "Accept-Language")
        self.assertIn('lang="de"', plain(states.cases["limit"] + "?lang=de", "en")[2])

    def test_headers(self):
        _, headers, _ = plain(states.cases["limit"])
        self.assertEqual(headers["Content-Type"], "text/html; charset=utf-8")
        self.assertTrue(headers["Content-Security-Policy"].startswith("default-src 'none';"))
        self.assertEqual((headers["Referrer-Policy"], headers["Cache-Control"]), ("no-referrer", "no-store"))

    def test_tokens(self):
        tokens = [address.rpartition("/")[2] for address in states.cases.values()]
        self.assertEqual(len(set(tokens)), len(tokens))
        for token in tokens:
            self.assertRegex(token, "^[A-Za-z0-9_-]{32}$")  # 24 bytes
            for other in tokens:
                same = sum(a == b for a, b in zip(token, other))
                self.assertTrue(token == other or same < 12)
        for state, address in states.cases.items():
            self.assertNotIn(state, address)

    def test_unknown(self):
        token = states.cases["limit"].rpartition("/")[2]
        for wrong in ("x", "A" * 32, token[:-1], token + "A", token.swapcase(), "1", "%00", "A" * 2000):
            for language, words in (("en", "There is nothing at this address."),
                                    ("de", "Unter dieser Adresse gibt es nichts.")):
                status, headers, text = plain(states.service.address + "/cases/" + wrong, language)
                self.assertEqual(status, 404, wrong)
                self.assertEqual(headers["Content-Type"], "text/html; charset=utf-8")
                self.assertIn("<h1>%s</h1>" % words, text)
        page = browser.open(states.service.address + "/cases/x")
        self.addCleanup(page.close)
        self.assertEqual(page.texts("h1"), ["There is nothing at this address."])


if __name__ == "__main__":
    unittest.main()
