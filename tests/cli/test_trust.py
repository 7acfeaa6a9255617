#!/usr/bin/env python3
"""Signed licences on the command line: issuers, services, this computer's key, show, backup and restore."""
import base64
import json
import subprocess
import unittest

from rehost import DONE, ENVIRONMENT, OTHER, PARTIAL, REHOST_ISSUE, USAGE, Case

ISSUER = "https://issuer.example"
SERVICE = "https://licences.example"


class Trust(Case):
    def setUp(self):
        super().setUp()
        self.issue("key", "make", "keys.jwks", "--issuer", ISSUER)
        (self.top / "public.jwks").write_text(self.issue("key", "public", "keys.jwks"))

    def issue(self, *arguments):
        done = subprocess.run([REHOST_ISSUE, *map(str, arguments)], capture_output=True, text=True, cwd=self.top,
                              env=self.env, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def computer(self, store=None):
        """The file with the public key of a computer."""
        path = self.top / ((store or "old") + ".jwk")
        path.write_text(self.run_rehost("computer", "show", "--public", status=DONE, store=store).out)
        return path

    def licence(self, identifier, *options, store=None):
        """A signed licence as text."""
        return self.issue("issue", "--key", "keys.jwks", "--computer", self.computer(store), "--id", identifier,
                          "--key-id", "key-" + identifier, *options, "--output", "-")

    def service_keys(self):
        made = subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-outform", "DER"],
                              check=True, capture_output=True).stdout
        point = subprocess.run(["openssl", "ec", "-inform", "DER", "-pubout", "-outform", "DER"], input=made,
                               check=True, capture_output=True).stdout[-64:]
        x, y = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (point[:32], point[32:]))
        (self.top / "service.jwks").write_text(json.dumps({"service": SERVICE, "keys": [
            {"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "enc", "alg": "ECDH-ES+A256KW", "kid": "s1"}]}))
        return "service.jwks"

    # ---- who is trusted ----

    def test_issuers(self):
        self.assert_error(self.run_rehost("issuer", "list"), ENVIRONMENT, "no licence store")
        run = self.run_rehost("issuer", "add", "public.jwks", status=DONE)
        kid = json.loads((self.top / "public.jwks").read_text())["keys"][0]["kid"]
        self.assertIn(ISSUER, run.out)
        self.assertIn(kid, run.out)
        self.assertIn("compare the key", run.err)
        self.assertIn("already", self.run_rehost("issuer", "add", "public.jwks", status=DONE).err)
        line = self.run_rehost("issuer", "list", "--json", status=DONE).lines
        self.assertEqual([(line[0]["issuer"], line[0]["source"], line[0]["keys"][0]["kid"])],
                         [(ISSUER, "public.jwks", kid)])
        self.issue("key", "rotate", "keys.jwks")
        (self.top / "public.jwks").write_text(self.issue("key", "public", "keys.jwks"))
        self.assertIn("others before", self.run_rehost("issuer", "add", "public.jwks", status=DONE).err)
        self.assertEqual(len(self.run_rehost("issuer", "list", "--json").lines[0]["keys"]), 2)
        self.assert_error(self.run_rehost("issuer", "remove", "nobody"), ENVIRONMENT, "nobody")
        self.run_rehost("issuer", "remove", ISSUER, status=DONE)
        self.assertEqual(self.run_rehost("issuer", "list", status=DONE).out, "")

    def test_keys_that_are_none(self):
        self.assert_error(self.run_rehost("issuer", "add", "keys.jwks"), ENVIRONMENT, "private")
        self.assert_error(self.run_rehost("issuer", "add", "missing"), ENVIRONMENT, "missing")
        (self.top / "rubbish").write_text("{}")
        self.assert_error(self.run_rehost("issuer", "add", "rubbish"), ENVIRONMENT, "rubbish")
        self.assert_error(self.run_rehost("issuer", "add", "https://127.0.0.1:9/keys"), ENVIRONMENT, "127.0.0.1")
        self.assert_error(self.run_rehost("issuer", "add"), USAGE)
        keys = json.loads((self.top / "public.jwks").read_text())
        del keys["issuer"]
        (self.top / "nameless").write_text(json.dumps(keys))
        self.assert_error(self.run_rehost("issuer", "add", "nameless"), ENVIRONMENT, "--name")
        self.assertIn("someone", self.run_rehost("issuer", "add", "nameless", "--name", "someone", status=DONE).out)

    def test_public_key(self):
        key = json.loads(self.run_rehost("computer", "show", "--public", status=DONE).out)
        self.assertEqual((key["kty"], key["crv"], sorted(key)), ("EC", "P-256", ["crv", "kty", "x", "y"]))
        again = json.loads(self.run_rehost("computer", "show", "--public", status=DONE).out)
        other = json.loads(self.run_rehost("computer", "show", "--public", status=DONE, store="other").out)
        self.assertEqual(key, again)
        self.assertNotEqual(key, other)

    # ---- licences ----

    def refusal(self, text):
        """The event of the one licence that is refused."""
        run = self.run_rehost("add", "-", "--json", input=text, status=PARTIAL)
        events = [line for line in run.lines if line["event"] == "license"]
        self.assertEqual(len(events), 1, run.out)
        return events[0]

    def test_refusals_say_why(self):
        song = self.licence("one", "--action", "play")
        self.assertIn("hint: if you trust", self.run_rehost("add", "-", input=song, status=PARTIAL).err)
        event = self.refusal(song)
        self.assertEqual(event["code"], "E_LICENSE_ISSUER")
        self.assertIn("rehost issuer add", event["next_step"])
        self.run_rehost("issuer", "add", "public.jwks", status=DONE)
        self.run_rehost("add", "-", input=song, status=DONE)
        for text, code in ((self.licence("two", store="other"), "E_LICENSE_COMPUTER"),
                           (self.licence("three", "--issued", "2019-01-01", "--expires", "2020-01-01"), "E_LICENSE_EXPIRED"),
                           (self.licence("four", "--not-before", "2199-01-01"), "E_LICENSE_NOT_YET")):
            self.assertEqual(self.refusal(text)["code"], code)
        body = json.loads(self.licence("five"))["body"]
        cut = len(body) - 20
        edited = body[:cut] + ("A" if body[cut] != "A" else "B") + body[cut + 1:]
        self.assertEqual(self.refusal(json.dumps({"body": edited}) + "\n")["code"], "E_LICENSE_SIGNATURE")
        self.assertEqual(len(self.run_rehost("list", "--json").lines), 1)

    def test_show_in_plain_words(self):
        self.run_rehost("issuer", "add", "public.jwks", status=DONE)
        text = self.licence("one", "--title", "en=River songs", "--title", "de=Flusslieder", "--action", "play",
                            "--action", "print:count=3,period=172800", "--expires", "2199-01-01", "--backup")
        self.run_rehost("add", "-", input=text, status=DONE)
        run = self.run_rehost("show", "one", status=DONE)
        for words in ("River songs", "play: as often as you like",
                      "print: 3 of 3 times left, for 2 days from the first use on", "2199-01-01",
                      "yes; with your recovery key", "issued to this computer"):
            self.assertIn(words, run.out)
        self.env["LC_ALL"] = "de_AT.UTF-8"
        self.assertIn("Flusslieder", self.run_rehost("show", "one").out)
        self.assertIn("Flusslieder", self.run_rehost("list").out)
        self.assertIn("one", self.run_rehost("list", "--filter", "title=fluss*").out)
        rights = self.run_rehost("show", "one", "--json", status=DONE).lines[0]["rights"]
        self.assertEqual([(a["action"], a["remaining"], a["allowed"]) for a in rights["actions"]],
                         [("play", None, True), ("print", 3, True)])

    def test_show_without_trust(self):
        self.run_rehost("issuer", "add", "public.jwks", status=DONE)
        self.run_rehost("add", "-", input=self.licence("one", "--action", "play:count=3"), status=DONE)
        self.run_rehost("issuer", "remove", ISSUER, status=DONE)
        self.assertIn("play: 3 times (not while its issuer is not trusted here)", self.run_rehost("show", "one").out)

    def test_backup_and_restore(self):
        self.run_rehost("issuer", "add", "public.jwks", status=DONE)
        for text in (self.licence("mine", "--backup", "--action", "play:count=2"), self.licence("stays"),
                     self.licence("managed", "--backup", "--service", SERVICE, "--computers", "4")):
            self.run_rehost("add", "-", input=text, status=DONE)
        run = self.run_rehost("backup", self.stick, status=PARTIAL)
        self.assertIn("left out: ", run.err)
        self.assertIn("rehost service add", run.err)
        self.run_rehost("service", "add", self.service_keys(), status=DONE)
        run = self.run_rehost("backup", self.stick, "--overwrite", "--json", status=PARTIAL)
        self.assertEqual([(line["code"], line["license"]["id"], line["license"]["key_id"]) for line in run.lines
                          if line["event"] == "restricted"], [("E_RESTRICTED", "stays", "key-stays")])
        (self.top / "key").write_text(self.identity()["identity"])
        plan = self.run_rehost("restore", "--plan", self.stick, "--recovery-key-file", "key", store="new")
        self.assertIn("needs its service", plan.out)
        run = self.run_rehost("restore", self.stick, "--recovery-key-file", "key", "--json", store="new",
                              status=OTHER)
        codes = {line["license"]["id"]: line["code"] for line in run.lines if line["event"] == "license"}
        self.assertEqual(codes, {"mine": "S_COUNTS_STAY", "managed": "E_INDIVIDUALIZE"})
        self.assertEqual(run.lines[-1]["code"], "E_INDIVIDUALIZE")
        self.assertIn(ISSUER, self.run_rehost("issuer", "list", store="new").out)
        self.assertIn("only on the computer that it was issued to", self.run_rehost("show", "mine", store="new").out)


if __name__ == "__main__":
    unittest.main()
