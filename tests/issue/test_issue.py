#!/usr/bin/env python3
"""Licences from options, CSV and lines of JSON; what is wrong is named, and nothing is half written."""
import csv
import io
import json
import os
import signal
import stat
import subprocess
import time
import unittest

from issuing import (CANCELED, DONE, ENVIRONMENT, ISSUE, PARTIAL, THEN, THEN_SECONDS, USAGE, Case, claims, decode,
                     encode, header)

UUID = r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


class Options(Case):
    def test_all_of_them(self):
        (self.top / "content.key").write_text(encode(b"sixteen bytes ok") + "\n")
        run = self.issue("--computer", self.computer("desk"), "--id", "lic-1", "--key-id", "song-1",
                         "--title", "en=River songs", "--title", "de=Flusslieder", "--action", "play",
                         "--action", "print:count=3,period=172800", "--backup", "--service", "https://lms.example/v1",
                         "--computers", "3", "--not-before", "2026-02-01", "--expires", "2030-01-01T00:00:00+01:00",
                         "--content-key", "content.key", "--priority", "-5", "--root", "root-1", "--issued", THEN)
        jws, = run.licences
        self.assertEqual(header(jws), {"alg": "ES256", "typ": "rehost-license+jwt",
                                       "kid": json.loads(self.keys.read_text())["keys"][0]["kid"]})
        said = claims(jws)
        sealed = said.pop("content_key")
        self.assertEqual(said, {
            "jti": "lic-1", "iss": "Example Music", "iat": THEN_SECONDS, "nbf": 1769904000, "exp": 1893452400,
            "key_id": "song-1", "title": {"en": "River songs", "de": "Flusslieder"},
            "actions": {"play": {}, "print": {"count": 3, "period": 172800}}, "backup": True,
            "service": "https://lms.example/v1", "computers": 3, "priority": -5, "root_key_id": "root-1",
            "cnf": {"jkt": self.thumbprint("desk")}})
        self.assertTrue(self.jose_verifies(jws))
        self.assertEqual(self.jose_opens(sealed, "desk"), b"sixteen bytes ok")
        self.assertIsNone(self.jose_opens(sealed, "lap"))
        protected = json.loads(decode(sealed.split(".")[0]))
        self.assertEqual((protected["alg"], protected["enc"]), ("ECDH-ES+A256KW", "A256GCM"))
        self.assertNotIn("d", protected["epk"])
        for part in jws.split(".") + sealed.split("."):
            self.assertRegex(part, r"^[A-Za-z0-9_-]+$")
            self.assertEqual(encode(decode(part)), part)

    def test_least(self):
        jws, = self.issue("--key-id", "a").licences
        said = claims(jws)
        self.assertRegex(said.pop("jti"), UUID)
        self.assertGreater(said.pop("iat"), THEN_SECONDS)
        self.assertEqual(said, {"iss": "Example Music", "key_id": "a"})

    def test_titles(self):
        for arguments, title in ((["--title", "River"], "River"), (["--title", "=Love=Hate"], "Love=Hate"),
                                 (["--title", "2 = 2"], "2 = 2"), (["--title", "zh-Hans=江"], {"zh-Hans": "江"})):
            self.assertEqual(claims(self.issue(*arguments).licences[0])["title"], title)

    def test_usage(self):
        for arguments, *words in (
                (["issue", "--key-id", "a"], "needs --key FILE"),
                (["--to", ".", "-o", "x"], "not both"),
                (["--id", "a", "-"], "--id without INPUT"),
                (["--issued", "soon"], "--issued needs a time"),
                (["--expires", "2027-02-30"], "exp: not a time"),
                (["--not-before", "-1"], "nbf: not a time"),
                (["--id", ""], "jti: must be a text of 1 to 255 bytes"),
                (["--id", "x" * 256], "jti: must be a text"),
                (["--id", "a", "--id", "b"], "jti: stands twice"),
                (["--key-id", "x" * 128], "key_id: must be a text of 1 to 127"),
                (["--id", "a\tb"], "jti: holds control"), (["--id", "a\u0085b"], "jti: holds control"),
                (["--key-id", "a b"], "key_id: holds a space"), (["--root", " a"], "root_key_id: holds a space"),
                (["--key-id", "*" * 22 + "=="], "key_id: is not base64 of 16 bytes"),
                (["--title", "a", "--title", "b"], "title: more than one"),
                (["--title", "en=a", "--title", "en=b"], "title: more than one"),
                (["--title", "en=a", "--title", "b"], "title: more than one"),
                (["--title", "en="], "title: must have 1 to"),
                (["--action", "Play"], "actions: the name"),
                (["--action", "x" * 32], "actions: the name"),
                (["--action", "play:count=0"], "numbers from 1"),
                (["--action", "play:count=9007199254740992"], "numbers from 1"),
                (["--action", "play:count=99999999999999999999"], "numbers from 1"),
                (["--action", "play:often=3"], "must look like"),
                (["--action", "play:count=3,count=4"], "must look like"),
                (["--action", "play:count=3x"], "must look like"),
                (["--action", "play:count"], "must look like"),
                (["--action", "play:"], "must look like"),
                (["--action", "play", "--action", "play"], "stands twice"),
                ([word for i in range(17) for word in ("--action", "a%d" % i)], "at most 16"),
                ([word for i in range(9) for word in ("--action", "a%d:count=1" % i)], "at most 8"),
                (["--service", "ftp://a"], "service: must begin with https://"),
                (["--service", "https:///x"], "service: must begin"),
                (["--service", "https://x/"], "service: must look like"),
                (["--service", "https://x/a/../b"], "service: must look like"),
                (["--service", "https://a b"], "service: may hold printable"),
                (["--service", "http://licences.example"], "service: no computer asks a service on another"),
                (["--service", "http://127.1:80"], "write https://"),
                (["--service", "http://127.0.0.1.evil.com"], "write https://"),
                (["--service", "https://" + "x" * 504], "service: must be an address of 1 to 511"),
                (["--computers", "0"], "computers: must be a whole number from 1 to 1000000"),
                (["--computers", "1000001"], "computers: must be"),
                (["--priority", "2147483648"], "priority: must be a whole number"),
                (["--root", ""], "root_key_id: must be a text")):
            run = self.run_issue(*arguments) if arguments[0] == "issue" else self.issue(*arguments, status=None)
            self.assert_error(run, USAGE, *words)
            self.assertEqual(run.out, "")

    def test_what_does_not_fit_together(self):
        for arguments, words in (
                (["--action", "play:count=1"], "actions: a count needs a computer"),
                (["--content-key", "random"], "content_key: needs a computer"),
                (["--computers", "2"], "computers: needs a service"),
                (["--not-before", "2027-01-01", "--expires", "2027-01-01"], "exp: must come after nbf"),
                (["--issued", "2027-01-01", "--expires", "2026-01-01"], "exp: must come after iat"),
                (["--key-id", "a", "--root", "a"], "root_key_id: is the licence's own")):
            run = self.issue(*arguments, status=None)
            self.assert_error(run, PARTIAL, words, "correct it")
            self.assertEqual(run.out, "")

    def test_content_key_file(self):
        for text in ("", "not base64url!", "AAAA=", "AB", encode(b"x" * 4097)):
            (self.top / "content.key").write_text(text)
            run = self.issue("--computer", self.computer("desk"), "--content-key", "content.key", status=None)
            self.assert_error(run, USAGE, "content_key: must be")
            self.assertNotIn(text or "x", run.err.replace("base64url", ""))
        run = self.issue("--computer", self.computer("desk"), "--content-key", "none", status=None)
        self.assert_error(run, ENVIRONMENT, "none")
        (self.top / "content.key").write_text(encode(b"x" * 4096))
        jws, = self.issue("--computer", self.computer("desk"), "--content-key", "content.key").licences
        self.assertEqual(self.jose_opens(claims(jws)["content_key"], "desk"), b"x" * 4096)


class Computers(Case):
    def test_files_that_are_none(self):
        public = json.loads(self.computer("desk").read_text())
        off = dict(public, y=public["x"])
        for text, words in (("{}", "not a P-256 key"), ("7", "not JSON"), ("[]", "not a JSON object"), ('{"keys":[]}', "no keys"),
                            ('{"keys":[{}]}', "not a P-256 key"), (json.dumps(dict(public, crv="P-521")), "P-256"),
                            ((self.shared / "desk.prv").read_text(), "holds a private key"),
                            (json.dumps(dict(public, x="A")), '"x"')):
            (self.top / "bad.jwk").write_text(text)
            run = self.issue("--computer", "bad.jwk", status=None)
            self.assert_error(run, ENVIRONMENT, "bad.jwk", words)
            self.assertEqual(run.out, "")
        (self.top / "off.jwk").write_text(json.dumps(off))
        run = self.issue("--computer", "off.jwk", "--content-key", "random", status=None)
        self.assertNotEqual(run.status, DONE)
        self.assertEqual(run.out, "")
        self.assert_error(self.issue("--computer", "none.jwk", status=None), ENVIRONMENT, "none.jwk")
        desk = self.computer("desk")
        self.assert_error(self.issue("--computer", desk, "--computer", desk, status=None), USAGE, "same computer")

    def test_a_licence_each(self):
        both = ["--computer", self.computer("desk"), "--computer", self.computer("lap")]
        first, second = self.issue(*both, "--id", "lic", "--content-key", "random", "--content-keys", "ck").licences
        self.assertEqual([claims(jws)["jti"] for jws in (first, second)], ["lic-1", "lic-2"])
        self.assertEqual([claims(jws)["cnf"]["jkt"] for jws in (first, second)],
                         [self.thumbprint("desk"), self.thumbprint("lap")])
        keys = [json.loads(line) for line in (self.top / "ck").read_text().splitlines()]
        self.assertEqual([key["jti"] for key in keys], ["lic-1", "lic-2"])
        self.assertEqual(keys[0]["content_key"], keys[1]["content_key"])
        self.assertEqual(self.jose_opens(claims(first)["content_key"], "desk"), decode(keys[0]["content_key"]))
        self.assertEqual(self.jose_opens(claims(second)["content_key"], "lap"), decode(keys[1]["content_key"]))
        ids = {claims(jws)["jti"] for jws in self.issue(*both, "--key-id", "a").licences}
        self.assertEqual(len(ids), 2)
        run = self.issue(*both, "--id", "x" * 255, status=None)
        self.assert_error(run, PARTIAL, "jti: too long")

    def test_a_set(self):
        keys = [json.loads(self.computer(name).read_text()) for name in ("desk", "lap")]
        (self.top / "all.json").write_text(json.dumps({"keys": keys}))
        found = [claims(jws)["cnf"]["jkt"] for jws in self.issue("--computer", "all.json").licences]
        self.assertEqual(found, [self.thumbprint("desk"), self.thumbprint("lap")])

    def test_named_by_rows(self):
        both = ["--computer", self.computer("desk"), "--computer", self.computer("lap")]
        lap, inline = self.thumbprint("lap"), json.loads(self.computer("desk").read_text())
        rows = [{"jti": "a", "computer": "lap"}, {"jti": "b", "computer": "lap.jwk"}, {"jti": "c", "computer": lap},
                {"jti": "d", "computer": inline}, {"jti": "e"}]
        found = self.issue(*both, "-", input="".join(json.dumps(row) + "\n" for row in rows)).licences
        self.assertEqual([(claims(jws)["jti"], claims(jws)["cnf"]["jkt"]) for jws in found],
                         [("a", lap), ("b", lap), ("c", lap), ("d", self.thumbprint("desk")),
                          ("e-1", self.thumbprint("desk")), ("e-2", lap)])
        for row, words in (({"computer": "phone"}, "none that --computer names is called phone"),
                           ({"computer": {}}, "computer is not a P-256 key"), ({"computer": 7}, "computer: must be"),
                           ({"computer": json.loads((self.shared / "lap.prv").read_text())}, "private key")):
            run = self.issue(*both, "-", input=json.dumps(row), status=None)
            self.assert_error(run, PARTIAL, "standard input:1: ", words)


class Rows(Case):
    def csv(self, *rows):
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        return text.getvalue()

    def test_csv(self):
        awkward = 'A "quoted", title\nover two lines'
        text = self.csv(
            ["id", "key_id", "title:en", "title:de-AT", "actions", "backup", "service", "computers", "not_before",
             "expires", "issued", "priority", "root", "sub", "computer", "content_key", "crit"],
            ["lic-1", "song-1", awkward, "Fluß", "play; print:count=3,period=60", "yes", "https://lms.example", "2",
             "2026-02-01", "1893456000", THEN, "7", "root", "me", "desk", encode(b"k" * 32), "exp backup"],
            ["lic-2", "song-2", "Only", "", "", "0", "", "", "", "", "", "", "", "", self.computer("lap").read_text(),
             "", ""])
        one, two = self.issue("--computer", self.computer("desk"), "-", input=text).licences
        said = claims(one)
        self.assertEqual(self.jose_opens(said.pop("content_key"), "desk"), b"k" * 32)
        self.assertEqual(said, {
            "jti": "lic-1", "iss": "Example Music", "sub": "me", "iat": THEN_SECONDS, "nbf": 1769904000,
            "exp": 1893456000, "key_id": "song-1", "title": {"en": awkward, "de-AT": "Fluß"},
            "actions": {"play": {}, "print": {"count": 3, "period": 60}}, "backup": True,
            "service": "https://lms.example", "computers": 2, "priority": 7, "root_key_id": "root",
            "cnf": {"jkt": self.thumbprint("desk")}, "crit": ["exp", "backup"]})
        said = claims(two)
        self.assertEqual((said["title"], said["backup"], said["cnf"]["jkt"]),
                         ({"en": "Only"}, False, self.thumbprint("lap")))
        self.assertNotIn("actions", said)

    def test_csv_line_ends(self):
        for text in ("id,key_id\r\na,1\r\nb,2\r\n", "id,key_id\na,1\nb,2", "\ufeffid,key_id\n\na,1\n\n\nb,2\n\n",
                     '"id","key_id"\r\n"a","1"\r\n"b","2"', "id,key_id\r\na,1\r\nb,2\r"):
            found = self.issue("-", input=text).licences
            self.assertEqual([(claims(jws)["jti"], claims(jws)["key_id"]) for jws in found], [("a", "1"), ("b", "2")])

    def test_csv_errors(self):
        for text, *words in (
                ("id,nonsense\n", ":1: no such column: nonsense"),
                ("id,title:e\n", ":1: no such column: title:e"),
                ("id,key_id:en\n", ":1: no such column: key_id:en"),
                ("id,jti\n", ":1: two columns jti"),
                (",".join(["id"] * 65), ":1: more than 64 columns"),
                ("id,key_id\na\n", ":2: 1 fields, where the first line names 2"),
                ("id,key_id\na,b,c\n", ":2: 3 fields"),
                ('id,key_id\n\n"a\nb",c,d\n', ":3: 3 fields"),
                ('id\n"a', ":2: a quote that does not end"),
                ('id\na"b\n', ":2: a quote inside"),
                ('id\n"a"b\n', ":2: text behind a closing quote"),
                ("id\na\0b\n", ":2: a NUL byte"),
                ('id\n"a\0b"\n', ":2: a NUL byte"),
                ("id\n" + "x" * (1 << 20) + "\n", ":2: a row of more than 1 MiB"),
                ("id,exp\na,tomorrow\n", ":2: exp: not a time"),
                ("id,backup\na,perhaps\n", ":2: backup: must be true or false"),
                ("id,computers\na,many\n", ":2: computers: must be a whole number"),
                ("id,crit\na,magic\n", ":2: crit: names something"),
                ("id,title\na,b\nc,d\ne," + "x" * 16385, ":4: title: must have"),
                ("id,title,title:en\na,b,c\n", ":2: title: more than one"),
                ("id,content_key\na,secret!\n", ":2: content_key: must be"),
                ("id,actions\na,play:count=1\n", ":2: actions: a count needs a computer")):
            run = self.issue("-", "-o", "out", input=text, status=None)
            self.assert_error(run, PARTIAL, "standard input" + words[0], *words[1:])
            self.assertNotIn("secret", run.err)
            self.assertEqual(self.files(), ["keys.json"])

    def test_not_utf8(self):
        (self.top / "in.csv").write_bytes(b"id,title\na,\xff\n")
        self.assert_error(self.issue("in.csv", status=None), PARTIAL, "in.csv:2: title: is not UTF-8")
        (self.top / "in.csv").write_bytes(b"\xef\xbbid\n")
        self.assert_error(self.issue("in.csv", status=None), PARTIAL, "in.csv:1: neither CSV nor JSON")
        (self.top / "in.jsonl").write_bytes(b'{"jti":"\xff"}\n')
        self.assert_error(self.issue("in.jsonl", status=None), PARTIAL, "in.jsonl:1: not JSON")

    def test_json(self):
        row = {"jti": "a", "iss": "Example Music", "exp": "2030-01-01", "nbf": 1769904000, "title": {"en": "x"},
               "actions": {"play": {"count": 2}}, "crit": ["exp"], "backup": False,
               "example.org/grade": {"stars": [1, 2, {"of": 5}]}}
        jws, = self.issue("--computer", self.computer("desk"), "--issued", THEN, "-", input=json.dumps(row)).licences
        wanted = dict(row, exp=1893456000, iat=THEN_SECONDS, cnf={"jkt": self.thumbprint("desk")})
        self.assertEqual(claims(jws), wanted)

    def test_options_are_what_rows_do_not_say(self):
        rows = '{"jti":"a"}\n{"jti":"b","actions":{"copy":{}},"backup":false,"iat":5,"exp":6}\n'
        one, two = self.issue("--action", "play", "--backup", "--expires", "2030-01-01", "-", input=rows).licences
        self.assertEqual((claims(one)["actions"], claims(one)["backup"]), ({"play": {}}, True))
        self.assertEqual((claims(two)["actions"], claims(two)["backup"], claims(two)["iat"], claims(two)["exp"]),
                         ({"copy": {}}, False, 5, 6))

    def test_json_errors(self):
        deep = {"a.b": 1}
        for _ in range(16):
            deep = {"a.b": deep}
        for row, words in (
                ("[]", "not a JSON object"), ("7", "not JSON"), ('{"jti"', "not JSON: column"), ("{} {}", "not JSON"),
                ('{"jti":"a","jti":"b"}', "a member stands twice"), ('{"jti":"a","id":"b"}', "jti: stands twice"),
                ('{"jti":7}', "jti: must be a text"), ('{"jti":"a\\u0000b"}', "not JSON"),
                ('{"exp":1.5}', "exp: not a time"), ('{"exp":253402300800}', "exp: not a time"),
                ('{"iat":-1}', "iat: not a time"), ('{"exp":"soon"}', "exp: not a time"),
                ('{"title":7}', "title: must be a text"), ('{"title":{}}', "title: must be"),
                ('{"title":{"e":"x"}}', "title: not a language tag"), ('{"title":{"en":7}}', "title: must have"),
                ('{"actions":[]}', "actions: must be an object"), ('{"actions":{"play":3}}', "must be an object"),
                ('{"actions":{"play":{"often":3}}}', '"count" and "period" only'),
                ('{"actions":{"play":{"period":0}}}', "numbers from 1"),
                ('{"actions":{"play":{"count":1.0}}}', "numbers from 1"), ('{"backup":"true"}', "backup: must be true"),
                ('{"service":7}', "service: must be"), ('{"computers":"3"}', "computers: must be"),
                ('{"priority":1e3}', "priority: must be"), ('{"crit":[]}', "crit: must be an array"),
                ('{"crit":["content_keys"]}', "crit: names something"), ('{"crit":["computer"]}', "crit: names"),
                ('{"crit":["id"]}', "crit: names something"), ('{"content_key":7}', "content_key: must be"),
                ('{"cnf":{"jkt":"x"}}', "cnf: is made from the computer"),
                ('{"exipres":7}', "exipres: no such field"), ('{"iss":"Other"}', "iss: is not the issuer"),
                ('{"iss":7}', "iss: is not the issuer"), (json.dumps(deep), "nested over 16 deep"),
                ('{"sub":"%s"}' % ("x" * (1 << 20)), "a line of more than 1 MiB"),
                ('{"a.b":"%s"}' % ("x" * 800000), "the licence would be over 1 MiB")):
            run = self.issue("-", "-o", "out", input='{"jti":"first"}\n\n' + row + "\n", status=None)
            self.assert_error(run, PARTIAL, "standard input:3: ", words)
            self.assertEqual(self.files(), ["keys.json"])

    def test_empty_input(self):
        for text in ("", "\n\n", "id,key_id\n"):
            self.assertEqual(self.issue("-", input=text).out, "")
        self.assert_error(self.issue("none.csv", status=None), ENVIRONMENT, "none.csv")

    def test_thousands_in_order(self):
        text = self.csv(["id", "key_id"], *[["lic-%d" % i, "key-%d" % i] for i in range(3000)])
        found = self.issue("-", input=text).licences
        self.assertEqual([claims(jws)["jti"] for jws in found], ["lic-%d" % i for i in range(3000)])
        self.assertTrue(self.jose_verifies(found[-1]))


class Output(Case):
    rows = '{"jti":"lic-1","key_id":"a"}\n{"jti":"lic-2","key_id":"b"}\n'

    def test_directory(self):
        (self.top / "out").mkdir()
        ids = ["plain-1", "a/b", "../up", ".hidden", "Ä", "50%", "x" * 255,
               "urn:uuid:00000000-0000-4000-8000-000000000000"]
        rows = "".join(json.dumps({"jti": text}) + "\n" for text in ids)
        run = self.run_issue("--json", "issue", "--key", self.keys, "--to", "out", "-", input=rows, status=DONE)
        names = [line["file"] for line in run.lines]
        self.assertEqual(names, ["plain-1.jws", "a%2Fb.jws", "..%2Fup.jws".replace("..", "%2E.", 1), "%2Ehidden.jws",
                                 "%C3%84.jws", "50%25.jws", "x" * 200 + "-7.jws",
                                 "00000000-0000-4000-8000-000000000000.jws"])
        self.assertEqual(sorted(names), sorted(os.listdir(self.top / "out")))
        self.assertEqual([line["id"] for line in run.lines], ids)
        for line in run.lines:
            text = (self.top / "out" / line["file"]).read_text()
            self.assertEqual(claims(text)["jti"], line["id"])
            self.assertEqual(text.count("\n"), 1)
        self.assertEqual(self.files(), ["keys.json", "out"])

    def test_directory_does_not_replace(self):
        (self.top / "out").mkdir()
        (self.top / "out/lic-2.jws").write_text("mine")
        run = self.issue("--to", "out", "-", input=self.rows, status=None)
        self.assert_error(run, ENVIRONMENT, "out/lic-2.jws", "File exists")
        self.assertIn("1 licences are in out", run.err)
        self.assertEqual((self.top / "out/lic-2.jws").read_text(), "mine")
        self.assertEqual(sorted(os.listdir(self.top / "out")), ["lic-1.jws", "lic-2.jws"])

    def test_a_file_is_looked_through_first(self):
        (self.top / "out").mkdir()
        (self.top / "in.jsonl").write_text(self.rows + '{"exp":"soon"}\n')
        self.assert_error(self.issue("--to", "out", "in.jsonl", status=None), PARTIAL, "in.jsonl:3: exp: ")
        self.assertEqual(os.listdir(self.top / "out"), [])
        (self.top / "in.jsonl").write_text(self.rows)
        self.issue("--to", "out", "in.jsonl")
        self.assertEqual(len(os.listdir(self.top / "out")), 2)

    def test_file(self):
        self.issue("-o", "out.ndjson", "-", input=self.rows)
        lines = (self.top / "out.ndjson").read_text().splitlines()
        self.assertEqual([claims(json.loads(line)["body"])["jti"] for line in lines], ["lic-1", "lic-2"])
        self.assertEqual([set(json.loads(line)) for line in lines], [{"body"}] * 2)
        self.assert_error(self.issue("-o", "out.ndjson", "-", input=self.rows, status=None), ENVIRONMENT, "File exists")
        self.assertEqual((self.top / "out.ndjson").read_text().splitlines(), lines)

    def test_places_that_are_none(self):
        for arguments in (["--to", "none"], ["--to", "keys.json"], ["-o", "none/x"], ["--content-keys", "none/x"]):
            run = self.issue(*arguments, "-", input=self.rows, status=None)
            self.assertEqual(run.status, ENVIRONMENT)
            self.assertEqual(run.out, "")
            self.assertEqual(self.files(), ["keys.json"])

    def test_full_disk(self):
        run = self.issue("-o", "/dev/full/x", "-", input=self.rows, status=None)
        self.assertEqual(run.status, ENVIRONMENT)
        with open("/dev/full", "w") as full:
            done = subprocess.run([ISSUE, "issue", "--key", self.keys, "--key-id", "a"], stdout=full,
                                  stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, ENVIRONMENT)
        self.assertIn("standard output", done.stderr)

    def test_content_keys(self):
        rows = '{"jti":"1","key_id":"a","content_key":"random"}\n{"jti":"2","content_key":"%s"}\n{"jti":"3"}\n' % encode(
            b"given by the row")
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        found = self.issue("--computer", self.computer("desk"), "--content-keys", "ck", "-", input=rows).licences
        self.assertEqual(stat.S_IMODE((self.top / "ck").stat().st_mode), 0o600)
        keys = [json.loads(line) for line in (self.top / "ck").read_text().splitlines()]
        self.assertEqual([key["jti"] for key in keys], ["1", "2"])
        self.assertEqual(len(decode(keys[0]["content_key"])), 16)
        for key, jws in zip(keys, found):
            self.assertEqual(self.jose_opens(claims(jws)["content_key"], "desk"), decode(key["content_key"]))
            self.assertNotIn(key["content_key"], jws)
        self.assert_error(self.issue("--content-keys", "ck", status=None), ENVIRONMENT, "ck", "File exists")

    def test_content_keys_of_what_is_out_stay(self):
        (self.top / "out").mkdir()
        (self.top / "out/2.jws").write_text("mine")
        rows = "".join('{"jti":"%d","content_key":"random"}\n' % i for i in (1, 2, 3))
        more = ["--computer", self.computer("desk"), "--content-keys", "ck"]
        self.issue(*more, "--to", "out", "-", input=rows, status=ENVIRONMENT)
        keys = [json.loads(line) for line in (self.top / "ck").read_text().splitlines()]
        sealed = claims((self.top / "out/1.jws").read_text())["content_key"]
        self.assertEqual(self.jose_opens(sealed, "desk"), decode(keys[0]["content_key"]))
        (self.top / "ck").unlink()
        self.issue(*more, "-o", "lines", "-", input=rows + "{", status=PARTIAL)
        self.assertEqual(self.files(), ["keys.json", "one.jwe", "out"])

    def test_stopped(self):
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            (self.top / "out").mkdir(exist_ok=True)
            for place in (["-o", "lines"], ["--to", "out"]):
                process = subprocess.Popen([ISSUE, "issue", "--key", self.keys, *place, "-"], stdin=subprocess.PIPE,
                                           stderr=subprocess.PIPE, cwd=self.top, text=True)
                process.stdin.write("".join('{"key_id":"%d"}\n' % i for i in range(3000)))
                process.stdin.flush()
                self.wait_for(lambda: (self.top / "lines.part").exists() or os.listdir(self.top / "out"))
                process.send_signal(signal_number)
                self.assertEqual(process.wait(timeout=30), CANCELED)
                process.stdin.close()
                self.assertIn("stopped", process.stderr.read())
                process.stderr.close()
                self.assertEqual(self.files(), ["keys.json", "out"])
                for name in os.listdir(self.top / "out"):
                    self.assertTrue(name.endswith(".jws"), name)
                    self.assertEqual((self.top / "out" / name).read_text()[-1], "\n")
                    (self.top / "out" / name).unlink()

    def wait_for(self, condition):
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_killed(self):
        (self.top / "out").mkdir()
        process = subprocess.Popen([ISSUE, "issue", "--key", self.keys, "--to", "out", "--content-keys", "ck",
                                    "--computer", self.computer("desk"), "--content-key", "random", "-"],
                                   stdin=subprocess.PIPE, cwd=self.top, text=True)
        process.stdin.write("".join('{"jti":"%d"}\n' % i for i in range(3000)))
        process.stdin.flush()
        self.wait_for(lambda: len(os.listdir(self.top / "out")) > 50)
        process.kill()
        process.wait()
        process.stdin.close()
        self.assertNotIn("ck", self.files())
        # Whoever has a licence has its content key.
        keys = {json.loads(line)["jti"] for line in (self.top / "ck.part").read_text().splitlines()}
        for path in (self.top / "out").glob("*.jws"):
            self.assertIn(claims(path.read_text())["jti"], keys)
        run = self.issue("--content-keys", "ck", status=None)
        self.assert_error(run, ENVIRONMENT, "ck.part", "File exists")
        self.assertIn("ck.part", self.files())

    def test_json_summary(self):
        run = self.run_issue("--json", "issue", "--key", self.keys, "-o", "out", "--computer", self.computer("desk"),
                             "-", input=self.rows, status=DONE)
        self.assertEqual(run.lines, [{"id": "lic-%d" % i, "key_id": key, "computer": self.thumbprint("desk"),
                                      "file": None} for i, key in ((1, "a"), (2, "b"))])
        self.assertEqual(run.err, "")
        run = self.run_issue("--json", "issue", "--key", self.keys, "-", input='{"exp":"soon"}', status=PARTIAL)
        self.assertEqual(run.lines[0]["error"]["code"], "E_LICENSE_INVALID")
        self.assertEqual(run.lines[0]["error"]["next_step"], "correct it and start again")


if __name__ == "__main__":
    unittest.main()
