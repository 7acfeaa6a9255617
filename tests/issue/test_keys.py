#!/usr/bin/env python3
"""An issuer's keys: made, rotated, published, removed; readable by their owner alone."""
import json
import os
import stat
import unittest

from issuing import DAMAGED, DONE, ENVIRONMENT, PARTIAL, THEN, THEN_SECONDS, USAGE, Case, header, jose


class Keys(Case):
    def set(self):
        return json.loads(self.keys.read_text())

    def listed(self):
        return self.run_issue("--json", "key", "list", self.keys, status=DONE).lines

    def test_make(self):
        self.assertEqual(stat.S_IMODE(self.keys.stat().st_mode), 0o600)
        whole = self.set()
        self.assertEqual(whole["issuer"], "Example Music")
        self.assertEqual(len(whole["keys"]), 1)
        key = whole["keys"][0]
        self.assertEqual((key["kty"], key["crv"], key["alg"]), ("EC", "P-256", "ES256"))
        self.assertEqual(key["key_ops"], ["sign", "verify"])
        self.assertIn("d", key)
        thumbprint = jose("jwk", "thp", "-i", "-", "-a", "S256", input=json.dumps(key)).stdout.strip()
        self.assertEqual(key["kid"], thumbprint)

    def test_mode_whatever_the_mask(self):
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        path = self.top / "open.json"
        self.run_issue("key", "make", path, "--issuer", "A", status=DONE)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        (self.top / "open.json.part").write_text("")
        (self.top / "open.json.part").chmod(0o666)
        self.run_issue("key", "rotate", path, status=DONE)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertFalse((self.top / "open.json.part").exists())

    def test_make_does_not_replace(self):
        before = self.keys.read_text()
        run = self.run_issue("key", "make", self.keys, "--issuer", "Other")
        self.assert_error(run, ENVIRONMENT, "keys.json", "File exists")
        self.assertEqual(self.keys.read_text(), before)

    def test_make_refuses(self):
        for arguments, status, words in (
                (["key", "make", "new"], USAGE, "needs --issuer NAME"),
                (["key", "make", "new", "--issuer", ""], USAGE, "1 to 255 bytes"),
                (["key", "make", "new", "--issuer", "x" * 256], USAGE, "1 to 255 bytes"),
                (["key", "make", "new", "--issuer", "a\nb"], USAGE, "control characters"),
                (["key", "make", "new", "--issuer", b"\xff"], USAGE, "not UTF-8"),
                (["key", "make", "new", "--issuer", "A", "--issued", "soon"], USAGE, "--issued needs a time"),
                (["key", "make", "none/new", "--issuer", "A"], ENVIRONMENT, "none")):
            run = self.run_issue(*[os.fsdecode(argument) for argument in arguments])
            self.assert_error(run, status, words)
            self.assertFalse((self.top / "new").exists())

    def test_rotate(self):
        old = self.set()["keys"][0]
        run = self.run_issue("--json", "key", "rotate", self.keys, "--issued", THEN, status=DONE)
        first, second = self.set()["keys"]
        self.assertEqual(run.lines, [{"issuer": "Example Music", "kid": second["kid"]}])
        self.assertEqual(first["kid"], old["kid"])
        self.assertEqual(first["key_ops"], ["verify"])
        self.assertNotIn("d", first)
        self.assertNotIn(old["d"], self.keys.read_text())
        self.assertEqual(second["key_ops"], ["sign", "verify"])
        self.assertEqual(second["iat"], THEN_SECONDS)
        self.assertEqual([(key["kid"], key["signs"]) for key in self.listed()],
                         [(first["kid"], False), (second["kid"], True)])
        text = self.run_issue("key", "list", self.keys, status=DONE).out
        self.assertIn("%s  2026-01-01 00:00 UTC  signs\n" % second["kid"], text)
        self.assertIn("  verifies only\n", text)

    def test_licences_across_a_rotation(self):
        old, = self.issue("--key-id", "a").licences
        self.run_issue("key", "rotate", self.keys, status=DONE)
        new, = self.issue("--key-id", "a").licences
        self.assertNotEqual(header(old)["kid"], header(new)["kid"])
        for jws in (old, new):
            self.verify(jws)
            self.assertTrue(self.jose_verifies(jws))
        self.run_issue("key", "remove", self.keys, header(old)["kid"], status=DONE)
        self.verify(new)
        self.assert_error(self.verify(old, status=None), PARTIAL, "is not in the set", header(old)["kid"])
        self.assertFalse(self.jose_verifies(old))

    def test_another_key_under_the_same_id(self):
        jws, = self.issue("--key-id", "a").licences
        other = self.top / "other.json"
        self.run_issue("key", "make", other, "--issuer", "Example Music", status=DONE)
        forged = json.loads(self.run_issue("key", "public", other, status=DONE).out)
        forged["keys"][0]["kid"] = header(jws)["kid"]
        (self.top / "forged.json").write_text(json.dumps(forged))
        self.assert_error(self.verify(jws, keys=self.top / "forged.json", status=None), DAMAGED, "does not fit")

    def test_remove_refuses(self):
        kid = self.set()["keys"][0]["kid"]
        before = self.keys.read_text()
        self.assert_error(self.run_issue("key", "remove", self.keys, kid), USAGE, "this key signs", kid)
        self.assert_error(self.run_issue("key", "remove", self.keys, "nobody"), USAGE, "no key", "nobody")
        self.assertEqual(self.keys.read_text(), before)

    def test_public(self):
        private = self.set()["keys"][0]
        run = self.run_issue("key", "public", self.keys, status=DONE)
        whole = json.loads(run.out)
        self.assertEqual(whole["issuer"], "Example Music")
        self.assertEqual(set(whole["keys"][0]), {"kid", "kty", "alg", "iat", "key_ops", "crv", "x", "y"})
        self.assertNotIn(private["d"], run.out)
        self.assertEqual(json.loads(self.public().read_text()), whole)
        self.assertEqual(self.public().read_text(), run.out)
        self.assertEqual(len(self.run_issue("--json", "key", "public", self.keys).out.splitlines()), 1)

    def test_as_many_as_a_set_may_have(self):
        for _ in range(63):
            self.run_issue("key", "rotate", self.keys, "-q", status=DONE)
        before = self.keys.read_text()
        self.assert_error(self.run_issue("key", "rotate", self.keys), USAGE, "64 keys")
        self.assertEqual(self.keys.read_text(), before)

    def test_broken_files(self):
        whole = self.set()

        def changed(**members):
            copy = json.loads(json.dumps(whole))
            for name, value in members.items():
                if value is None:
                    del copy["keys"][0][name]
                else:
                    copy["keys"][0][name] = value
            return json.dumps(copy)

        other = self.top / "other.json"
        self.run_issue("key", "make", other, "--issuer", "A", status=DONE)
        foreign = json.loads(other.read_text())["keys"][0]["d"]
        for text, words in (
                ("", "not JSON"),
                ("[]", "not a JSON object"),
                ('{"issuer":"A","issuer":"B"}', "not JSON"),
                ('{"keys":[]}', '"issuer"'),
                ('{"issuer":"A"}', "1 to 64"),
                ('{"issuer":"A","keys":[]}', "1 to 64"),
                ('{"issuer":"A","keys":[7]}', "key 1 is not a P-256 key"),
                (json.dumps(dict(whole, keys=whole["keys"] * 2)), "stands twice"),
                (changed(crv="P-384"), "not a P-256 key"),
                (changed(kty="RSA"), "not a P-256 key"),
                (changed(x="AAAA"), '"x" is not a coordinate'),
                (changed(y=None), '"y" is not a coordinate'),
                (changed(kid="me"), "not its thumbprint"),
                (changed(kid=None), 'no "kid"'),
                (changed(d=None), 'no "d"'),
                (changed(d=foreign), "does not verify what it signs"),
                (changed(key_ops=["verify"]), "0 keys sign")):
            broken = self.top / "broken.json"
            broken.write_text(text)
            for command in (["key", "rotate", broken], ["key", "list", broken], ["issue", "--key", broken]):
                run = self.run_issue(*command)
                self.assert_error(run, ENVIRONMENT, "broken.json", words)
                self.assertEqual(run.out, "")
                self.assertNotIn(whole["keys"][0]["d"], run.err)
            self.assertEqual(broken.read_text(), text)

    def test_missing_file(self):
        run = self.run_issue("--json", "key", "list", "none.json")
        self.assert_error(run, ENVIRONMENT, "none.json")
        self.assertEqual(run.lines[0]["error"]["code"], "E_OPEN")


if __name__ == "__main__":
    unittest.main()
