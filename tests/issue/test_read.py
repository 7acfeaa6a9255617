#!/usr/bin/env python3
"""rehost-issue inspect and verify: what licences say, and whether they hold."""
import json
import re
import unittest

from issuing import DAMAGED, DONE, ENVIRONMENT, PARTIAL, SOURCE, USAGE, Case, claims, encode, header, jose


class Read(Case):
    def full(self):
        return self.issue("--computer", self.computer("desk"), "--id", "lic-1", "--key-id", "song-1", "--title",
                          "en=River songs", "--action", "play", "--action", "print:count=3,period=60", "--backup",
                          "--service", "https://lms.example", "--computers", "2", "--content-key", "random",
                          "--expires", "2100-01-01").licences[0]

    def sign(self, said, head=None):
        """A licence that rehost-issue would not make, signed with the issuer's key."""
        key = json.loads(self.keys.read_text())["keys"][0]
        head = head or {"alg": "ES256", "typ": "rehost-license+jwt", "kid": key["kid"]}
        (self.top / "key.jwk").write_text(json.dumps(key))
        text = said if isinstance(said, str) else json.dumps(said)
        template = json.dumps({"protected": head})
        done = jose("jws", "sig", "-I", "-", "-k", self.top / "key.jwk", "-s", template, "-c", input=text)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def test_inspect(self):
        jws = self.full()
        (self.top / "one.jws").write_text(jws + "\n")
        run = self.run_issue("inspect", "one.jws", status=DONE)
        for words in ("lic-1", "Example Music", "River songs (en)", "song-1", "2100-01-01 00:00 UTC",
                      self.thumbprint("desk"), "play: as often as wanted", "print: 3 times, for 60 seconds",
                      "https://lms.example", "sealed for the computer"):
            self.assertIn(words, run.out)
        line, = self.run_issue("--json", "inspect", "one.jws", status=DONE).lines
        self.assertEqual(line["header"], header(jws))
        self.assertEqual(line["claims"], dict(claims(jws), content_key="sealed"))
        for text in (run.out, json.dumps(line)):
            self.assertNotIn(claims(jws)["content_key"], text)

    def test_inspect_obeys_nothing(self):
        jws = self.sign({"jti": "a\x1b[31m", "iss": "x", "iat": 1, "title": {"en": "\x1b]0;t\x07", "de": 7}})
        run = self.run_issue("inspect", "-", input=jws, status=DONE)
        self.assertNotIn("\x1b", run.out)

    def test_inspect_refuses(self):
        run = self.run_issue("inspect", "-", input="nonsense\n")
        self.assert_error(run, DAMAGED, "standard input:1: it is not a compact JWS")
        self.assert_error(self.run_issue("inspect", "none"), ENVIRONMENT, "none")

    def test_verify(self):
        many = self.issue("-", input="".join('{"jti":"lic-%d"}\n' % i for i in range(20)))
        run = self.run_issue("--json", "verify", "--keys", self.public(), "-", input=many.out, status=DONE)
        self.assertEqual([(line["id"], line["result"]) for line in run.lines],
                         [("lic-%d" % i, "valid") for i in range(20)])
        (self.top / "out").mkdir()
        self.issue("--to", "out", "-", input='{"jti":"a"}\n{"jti":"b"}\n')
        run = self.run_issue("verify", "--keys", self.public(), "out", status=DONE)
        self.assertIn("2 valid, 0 not", run.err)
        self.assert_error(self.run_issue("verify", "out"), USAGE, "needs --keys FILE")
        self.assert_error(self.run_issue("verify", "--keys", "none", "out"), ENVIRONMENT, "none")

    def test_vectors(self):
        """Form, signature and times as the reader of Rehost sees them."""
        vectors = SOURCE / "src/license/vectors"
        good, bad = (vectors / "README.md").read_text().split("Good:")[1].split("Bad:")
        names = set(re.findall(r"`([a-z-]+)`", "\n".join(re.findall(r"^\|([^|]*)\|", good, re.M))))
        # What depends on the computer is not for the issuer to see.
        names |= {"computer", "content-key-other", "content-key-edited", "content-key-alg", "content-key-enc",
                  "content-key-zip", "content-key-empty"}
        run = self.run_issue("--json", "verify", "--keys", vectors / "issuer.jwks",
                             *sorted(path.name for path in vectors.glob("*.jws")), cwd=vectors)
        results = {line["name"].removesuffix(".jws"): line["result"] for line in run.lines}
        late = {name for name, result in results.items() if result == "E_LICENSE_EXPIRED"}
        self.assertLessEqual(late, {"expired", "counted"})  # by the clock of this computer
        self.assertEqual({name for name, result in results.items() if result == "valid"} | late,
                         names | {"expired"} | ({"not-yet"} if results["not-yet"] == "valid" else set()))
        for code, which in (("E_LICENSE_INVALID", "wrong-type no-object member-twice counted-unbound key-id alg typ "
                             "content-key-no-jwe"), ("E_LICENSE_CRITICAL", "crit-header crit-claim"),
                            ("E_LICENSE_ISSUER", "issuer key-unknown"), ("E_LICENSE_SIGNATURE", "signature edited")):
            self.assertEqual({name for name, result in results.items() if result == code}, set(which.split()))

    def test_every_byte_counts(self):
        jws, = self.issue("--id", "a").licences
        (self.top / "edited").mkdir()
        for place in range(len(jws)):
            for other in ("A", "Q", ".", "=", "\n"):
                if jws[place] != other:
                    name = "%04d-%02x" % (place, ord(other))
                    (self.top / "edited" / name).write_text(jws[:place] + other + jws[place + 1:])
                    break
        (self.top / "edited/longer").write_text(jws + "\n\n")
        (self.top / "edited/space").write_text(" " + jws)
        (self.top / "edited/four").write_text(jws + ".AAAA")
        run = self.run_issue("-q", "verify", "--keys", self.public(), "edited")
        refused = [line for line in run.err.splitlines() if line.startswith("rehost-issue: ")]
        self.assertEqual(len(refused), len(jws) + 3)
        self.assertIn(run.status, (DAMAGED, PARTIAL))
        self.assertEqual(run.out, "")
        self.verify(jws)

    def test_times(self):
        old, = self.issue("--issued", "2020-01-01", "--expires", "2021-01-01").licences
        self.assert_error(self.verify(old, status=None), PARTIAL, "it expired at 2021-01-01T00:00:00Z")
        new, = self.issue("--not-before", "2100-01-01").licences
        self.assert_error(self.verify(new, status=None), PARTIAL, "not valid before 2100-01-01T00:00:00Z")

    def test_another_issuer(self):
        jws, = self.issue("--id", "a").licences
        whole = json.loads(self.public().read_text())
        (self.top / "theirs.json").write_text(json.dumps(dict(whole, issuer="Other")))
        run = self.verify(jws, keys=self.top / "theirs.json", status=None)
        self.assert_error(run, PARTIAL, "of another issuer than the keys, Example Music")

    def test_damage_goes_before_the_rest(self):
        good, = self.issue("--id", "a").licences
        old, = self.issue("--issued", "2020-01-01", "--expires", "2021-01-01").licences
        bad = good[:-10] + ("A" if good[-10] != "A" else "B") + good[-9:]
        run = self.verify("\n".join((good, old, bad, old)), status=DAMAGED)
        self.assertIn("1 valid, 3 not", run.err)
        run = self.run_issue("--json", "verify", "--keys", self.public(), "-", input="\n".join((good, old, bad)))
        self.assertEqual([line["result"] for line in run.lines], ["valid", "E_LICENSE_EXPIRED", "E_LICENSE_SIGNATURE"])

    def test_form(self):
        least = {"jti": "a", "iss": "Example Music", "iat": 1}
        kid = json.loads(self.keys.read_text())["keys"][0]["kid"]
        head = {"alg": "ES256", "typ": "rehost-license+jwt", "kid": kid}
        self.verify(self.sign(least))
        self.verify(self.sign(dict(least, anything={"at": "all"}, id=7, key_id=" a ", exp=4102444800, crit=["iss"],
                                   actions={"play": {"more": 1}})))
        for said, used, status, words in (
                ("[]", head, DAMAGED, "its claims is not a JSON object"),
                ('{"jti":"a","jti":"b","iss":"Example Music","iat":1}', head, DAMAGED, "a member twice"),
                ({"iss": "Example Music", "iat": 1}, head, DAMAGED, "jti: is missing"),
                ({"jti": "a", "iat": 1}, head, DAMAGED, "iss: is missing"),
                ({"jti": "a", "iss": "Example Music"}, head, DAMAGED, "iat: is missing"),
                (dict(least, exp="soon"), head, DAMAGED, "exp: not a time"),
                (dict(least, exp="2030-01-01"), head, DAMAGED, "exp: not a time"),
                (dict(least, cnf={}), head, DAMAGED, 'cnf: has no thumbprint'),
                (dict(least, cnf=7), head, DAMAGED, 'cnf: has no thumbprint'),
                (dict(least, actions={"play": {"count": 1}}), head, DAMAGED, "needs a computer"),
                (dict(least, content_key="a.b.c.d.e"), head, DAMAGED, "needs a computer"),
                (dict(least, content_key="a.b.c", cnf={"jkt": "A" * 43}), head, DAMAGED, "not a compact JWE"),
                (dict(least, computers=2), head, DAMAGED, "needs a service"),
                (dict(least, crit=["magic"], exp="soon"), head, PARTIAL, "crit: names something"),
                (dict(least, crit=[]), head, DAMAGED, "crit: must be an array"),
                (dict(least, key_id="a b"), head, DAMAGED, "key_id: holds a space"),
                (dict(least, jti="a\x1bb"), head, DAMAGED, "jti: holds control"),
                (dict(least, iss="x" * 256), head, DAMAGED, "iss: is missing, or no text"),
                (least, dict(head, typ="JWT"), DAMAGED, '"typ" is not'),
                (least, {"alg": "ES256", "typ": "rehost-license+jwt"}, DAMAGED, 'no "kid"'),
                (least, dict(head, x="y" * 4096), DAMAGED, "header is over 4 KiB")):
            self.assert_error(self.verify(self.sign(said, used), status=None), status, words)
        head = dict(head, crit=["exp"])
        jws = encode(json.dumps(head).encode()) + "." + encode(json.dumps(least).encode()) + "." + encode(b"x" * 64)
        self.assert_error(self.verify(jws, status=None), PARTIAL, "an extension that is not known")


if __name__ == "__main__":
    unittest.main()
