#!/usr/bin/env python3
"""What rehost-issue issues, rehost takes: whatever the row says, and across a rotation of keys."""
import csv
import io
import json
import os
import subprocess
import unittest

from issuing import DONE, PARTIAL, Case, encode, header

REHOST = os.environ.get("REHOST", "rehost")
EVERYTHING = ["id", "key_id", "title:en", "title:de-AT", "actions", "backup", "service", "computers", "not_before",
              "expires", "priority", "root", "sub", "content_key", "crit"]


class WithRehost(Case):
    def setUp(self):
        super().setUp()
        (self.top / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        self.env = dict(os.environ, REHOST_MACHINE_ID_FILE=str(self.top / "machine-id"),
                        REHOST_STORE=str(self.top / "store"), HOME=str(self.top))
        (self.top / "this.jwk").write_text(self.rehost("computer", "show", "--public").stdout)
        self.rehost("issuer", "add", self.public())

    def rehost(self, *arguments, input="", status=DONE):
        done = subprocess.run([REHOST, *map(str, arguments)], input=input, capture_output=True, text=True, env=self.env,
                              cwd=self.top, timeout=60)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def listed(self):
        return [json.loads(line) for line in self.rehost("list", "--json").stdout.splitlines()]

    def test_everything_that_can_be_issued(self):
        full = ["lic-full", "urn:song:1", "River \"songs\"\n", "Fluß", "play;print:count=3,period=60;a.b_c-9:period=1",
                "yes", "https://lms.example/v1", "1000000", "2020-01-01", "9999-12-31", "-2147483648",
                "00112233-4455-6677-8899-aabbccddeeff", "me\tand you", encode(b"k" * 4096),
                " ".join(("jti sub iat nbf exp key_id title actions backup service computers priority root_key_id "
                          "content_key crit iss cnf").split())]
        rows = [full]
        for column in range(len(EVERYTHING)):  # each of them alone, beside an id
            row = [""] * len(EVERYTHING)
            row[0], row[column] = "lic-%d" % column, full[column] if column > 0 else "lic-0"
            if EVERYTHING[column] == "computers":
                row[EVERYTHING.index("service")] = "https://x"
            rows.append(row)
        rows.append(["x" * 255, "A" * 22 + "==", "t" * 16384] + [""] * 12)
        text = io.StringIO()
        csv.writer(text).writerows([EVERYTHING, *rows])
        lines = self.issue("--computer", "this.jwk", "-", input=text.getvalue()).out
        self.rehost("add", "-", input=lines)
        found = {one["id"]: one for one in self.listed()}
        self.assertEqual(set(found), {row[0] for row in rows})
        one = found["lic-full"]
        self.assertEqual((one["backup"], one["class"], one["service"], one["issuer"], one["counts"]),
                         ("yes", "managed", "https://lms.example/v1", "Example Music", {"print": 3}))

    def test_files(self):
        (self.top / "out").mkdir()
        self.issue("--to", "out", "--computer", "this.jwk", "--content-key", "random", "-",
                   input='{"jti":"a/b","backup":true}\n{}\n')
        self.rehost("add", "out")
        self.assertEqual(len(self.listed()), 2)

    def test_rotation(self):
        old = self.issue("--id", "old").out
        self.run_issue("key", "rotate", self.keys, status=DONE)
        new = self.issue("--id", "new").out
        self.rehost("add", "-", input=new, status=PARTIAL)
        self.rehost("issuer", "add", self.public())
        self.rehost("add", "-", input=old + new)
        self.run_issue("key", "remove", self.keys, header(json.loads(old)["body"])["kid"], status=DONE)
        late = self.issue("--id", "late").out
        self.rehost("issuer", "add", self.public())
        self.rehost("add", "-", input=late)
        self.rehost("remove", "old")
        self.rehost("add", "-", input=old, status=PARTIAL)
        self.assertEqual([one["id"] for one in self.listed()], ["new", "late"])


if __name__ == "__main__":
    unittest.main()
