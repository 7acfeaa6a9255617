#!/usr/bin/env python3
"""What rehostd answers, whatever it is asked: methods, paths, headers, languages, bytes that are no HTTP."""
import email.utils
import re
import time
import unittest

from serving import Case, Server


class Requests(Case):
    @classmethod
    def setUpClass(cls):
        cls.one = Server("--timeout", "2")
        cls.addClassCleanup(cls.one.close)
        cls.below = Server("--address", "https://licences.example/lms", "--behind-proxy",
                           "--rate", "999")
        cls.addClassCleanup(cls.below.close)

    def test_health(self):
        for server in (self.one, self.below):
            reply = server.get("/healthz")
            self.assertEqual((reply.status, reply.json), (200, {"status": "alive"}))
            reply = server.get("/readyz")
            self.assertEqual((reply.status, reply.json), (200, {"status": "ready"}))

    def test_address(self):
        self.assertEqual(self.one.address, "http://127.0.0.1:%d" % self.one.port)
        self.assertEqual(self.below.address, "https://licences.example/lms")
        self.assertEqual(self.one.get("/v1/keys").json["service"], self.one.address)
        self.assertEqual(self.below.get("/lms/v1/keys").json["service"], self.below.address)
        for path in ("/v1/keys", "/lmsv1/keys", "/lms/lms/v1/keys", "/lms/healthz", "/lms", "/"):
            self.assert_problem(self.below.get(path), 404, "not-found")

    def test_methods(self):
        for path, allowed in (("/healthz", "GET, HEAD"), ("/v1/nonce", "GET, HEAD"), ("/v1/plan", "POST")):
            for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "BREW"):
                reply = self.one.ask(method, path)
                self.assert_problem(reply, 405, "method-not-allowed")
                self.assertEqual(reply.headers["Allow"], allowed)
        self.assert_problem(self.one.get("/v1/commit"), 405, "method-not-allowed")
        self.assert_problem(self.one.ask("POST", "/readyz", b"{}"), 405, "method-not-allowed")

    def test_head(self):
        for path in ("/healthz", "/v1/keys", "/nothing"):
            with_body, without = self.one.get(path), self.one.ask("HEAD", path)
            self.assertEqual(without.status, with_body.status)
            self.assertEqual(without.headers["Content-Length"], with_body.headers["Content-Length"])
            self.assertEqual(without.body, b"")

    def test_headers(self):
        for path in ("/healthz", "/v1/keys", "/v1/nonce", "/v1/plan", "/nothing", "/v1/nothing"):
            headers = self.one.get(path).headers
            self.assertEqual(headers["Cache-Control"], "no-store")
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(headers["Referrer-Policy"], "no-referrer")
            self.assertIsNone(headers["Server"])
            self.assertIsNone(headers["Strict-Transport-Security"])
            self.assertEqual(len(headers.get_all("Date")), 1)
            date = email.utils.parsedate_to_datetime(headers["Date"]).timestamp()
            self.assertLess(abs(date - time.time()), 30)
        self.assertIsNotNone(self.below.get("/healthz").headers["Strict-Transport-Security"])

    def test_pages(self):
        headers = self.one.get("/v1/privacy").headers
        self.assertTrue(headers["Content-Type"].startswith("text/html"))
        policy = headers["Content-Security-Policy"].split("; ")
        self.assertIn("default-src 'none'", policy)
        self.assertIn("frame-ancestors 'none'", policy)
        self.assertNotIn("script", headers["Content-Security-Policy"])
        self.assertIsNone(self.one.get("/v1/keys").headers["Content-Security-Policy"])

    def test_nonce(self):
        seen = set()
        for method, path in (("GET", "/v1/nonce"), ("GET", "/v1/nothing"), ("PUT", "/v1/plan"), ("POST", "/v1/plan"),
                             ("POST", "/v1/release")):
            nonce = self.one.ask(method, path).headers["Rehost-Nonce"]
            self.assertRegex(nonce, r"^[A-Za-z0-9_-]{56}$")
            seen.add(nonce)
        self.assertEqual(len(seen), 5)
        self.assertIsNone(self.one.get("/healthz").headers["Rehost-Nonce"])
        self.assertEqual(self.one.get("/v1/nonce").status, 204)

    def test_language(self):
        for accept, title, language in ((None, "There is nothing at this address.", "en"),
                                        ("de", "Unter dieser Adresse gibt es nichts.", "de"),
                                        ("en-GB,de;q=0.5", "There is nothing at this address.", "en"),
                                        ("fr,de-AT;q=0.5", "Unter dieser Adresse gibt es nichts.", "de")):
            reply = self.one.get("/nothing", **({} if accept is None else {"Accept-Language": accept}))
            self.assert_problem(reply, 404, "not-found")
            self.assertEqual(reply.json["title"], title)
            self.assertEqual(reply.headers["Content-Language"], language)
            self.assertEqual(reply.headers["Vary"], "Accept-Language")

    def test_unsigned(self):
        for path in ("/v1/computers", "/v1/plan", "/v1/commit", "/v1/licenses", "/v1/release"):
            reply = self.one.ask("POST", path, b"{}")
            self.assert_problem(reply, 401, "proof-missing")
            self.assertTrue(reply.headers["WWW-Authenticate"])

    def test_keep_alive(self):
        connection = self.one.connect()
        for path in ("/healthz", "/nothing", "/v1/keys", "/readyz") * 5:
            self.one.ask("GET", path, connection=connection)
            self.assert_problem(self.one.ask("POST", "/v1/plan", b"{}" * 1000, connection=connection), 401, "proof-missing")
        connection.close()

    def test_pipeline(self):
        asked = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" * 10
        said = self.one.say(asked + b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertEqual(re.findall(rb"HTTP/1.1 (\d+)", said), [b"200"] * 20 + [b"404"])

    def test_malformed(self):
        """Refused or dropped, never answered with success; the service lives on."""
        head = b"POST /v1/plan HTTP/1.1\r\nHost: x\r\n"
        for data in (b"", b"\r\n" * 100, b"\0" * 5000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"GET /healthz HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,
                     head + b"Content-Length: -1\r\n\r\n", head + b"Content-Length: 99999999999999999999999\r\n\r\n",
                     head + b"Content-Length: 5x\r\n\r\nhello", head + b"Content-Length: 10\r\n\r\nhello",
                     head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
                     head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello",
                     head + b"Transfer-Encoding: gzip\r\n\r\nhello",
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET " + b"/" * 100000, b"X" * 200000):
            said = self.one.say(data)
            self.assertNotRegex(said[:20], rb"HTTP/1.1 2", data[:80])
            self.assertEqual(self.one.get("/healthz").status, 200)

    def test_long_targets(self):
        self.assert_problem(self.one.get("/" + "a" * 2040), 404, "not-found")
        for target in ("/" + "a" * 2100, "/v1/nonce?" + "a" * 8000):
            self.assert_problem(self.one.get(target), 414, "message-too-large")
        self.assertRegex(self.one.say(b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"), rb"^HTTP/1.1 4(14|31)")
        self.assertRegex(self.one.say(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 60000 + b"\r\n\r\n"), rb"^HTTP/1.1 4")

    def test_escapes(self):
        for path in ("/%68ealthz", "/healthz?x=%zz&y", "/healthz?" + "a=b&" * 200):
            self.assertEqual(self.one.get(path).status, 200, path)
        for path in ("/healthz/", "/healthz%00", "/../healthz", "//healthz", "/healthz%2f", "/%ff%fe"):
            self.assertIn(self.one.get(path).status, (200, 404), path)

    def test_metrics(self):
        before = self.one.metric('rehostd_problems_total{code="not-found"}')
        self.one.get("/v1/never")
        self.assertEqual(self.one.metric('rehostd_problems_total{code="not-found"}'), before + 1)
        text = self.one.get("/metrics").body.decode()
        kinds, helps = {}, set()
        for line in text.splitlines():
            if line.startswith("# HELP "):
                helps.add(line.split()[2])
            elif line.startswith("# TYPE "):
                kinds[line.split()[2]] = line.split()[3]
            else:
                found = re.fullmatch(r'(rehostd_[a-z_]+)(\{(?:[a-z_]+="[^"\\\n]*",?)+\})? (-?[0-9.]+)', line)
                self.assertIsNotNone(found, line)
                name = re.sub("_(bucket|sum|count)$", "", found[1])
                self.assertIn(found[1] if found[1] in kinds else name, kinds)
                float(found[3])
        self.assertEqual(set(kinds), helps)
        self.assertEqual(self.one.metric("rehostd_database_up"), 1)
        self.assertEqual(self.one.metric('rehostd_ledger_rows{table="computers"}'), 0)
        self.assertTrue(self.one.wait_for_metric("rehostd_connections", 1))
        self.assertTrue(self.one.wait_for_metric("rehostd_body_bytes", 0))

    def test_metrics_are_the_operators(self):
        for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}):
            reply = self.below.get("/metrics", **headers)
            self.assert_problem(reply, 401, "unauthorized")
            self.assertEqual(reply.headers["WWW-Authenticate"], "Bearer")


if __name__ == "__main__":
    unittest.main(verbosity=2)
