#!/usr/bin/env python3
"""--json: valid lines, the same facts as docs/events.md and the SDK's face, and nothing that a terminal obeys."""
import os
import re
import subprocess
import unittest

from rehost import DONE, ENVIRONMENT, EXISTS, PARTIAL, SECRET, SOURCE, Case, licence_id, xml

TITLE = "\x1b[31mred\x07\x9b2J\u202egnp.exe\u2028\x7f &amp; caf\u00e9 \u65e5\u672c"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def table():
    """event -> (SDK status or "", members) as docs/events.md has them."""
    found = {}
    for line in (SOURCE / "docs/events.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.match(r"\| `[a-z-]+` \|", line):
            found[cells[0].strip("`")] = (re.sub(r"[` ()\d]", "", cells[1]), set(re.findall(r"`(\w+)`", cells[2])))
    return found


class Events(Case):
    def setUp(self):
        super().setUp()
        self.add(xml(1, "One"), xml(2, "Two"), xml(3, "Three", backup=False))

    def check(self, run, operation):
        events = table()
        for line in run.lines:
            self.assertEqual(set(line) - {"summary"}, {"event", "operation"} | events[line["event"]][1], line)
            self.assertEqual(line["operation"], operation)
        names = [line["event"] for line in run.lines]
        self.assertEqual(names.count("end"), 1)
        self.assertEqual(names[-1], "end")
        self.assertIn("summary", run.lines[-1])
        for line in run.out.splitlines():
            self.assertNotIn(": ", re.sub(r'"[^"]*"', "", line))
        return names

    def test_operations(self):
        names = self.check(self.run_rehost("backup", "--json", self.stick, status=PARTIAL), "backup")
        self.assertIn("restricted", names)
        self.assertIn("recovery-key", names)
        self.check(self.run_rehost("restore", "--json", self.stick, status=DONE), "restore")
        self.check(self.run_rehost("restore", "--json", "--plan", self.stick, status=DONE), "plan")
        self.check(self.run_rehost("verify", "--json", self.stick, status=DONE), "verify")
        self.check(self.run_rehost("export", "--json", self.stick, "--to", "out", status=DONE), "export")
        self.check(self.run_rehost("check", "--json", status=DONE), "check")
        run = self.run_rehost("add", "--json", "-", input=xml(1, "One") + "\nno\n", status=PARTIAL)
        self.assertIn("license", self.check(run, "add"))
        self.assertEqual(run.err, "")
        self.assertEqual(run.lines[-1]["summary"]["already_here"], 1)

    def test_failures(self):
        self.run_rehost("backup", "--json", self.stick, status=PARTIAL)
        run = self.run_rehost("backup", "--json", self.stick, status=EXISTS)
        last = run.lines[-1]
        self.assertEqual((last["event"], last["code"], last["hresult"]), ("end", "E_BACKUP_EXISTS", "0xC00D2742"))
        self.assertTrue(last["message"] and last["next_step"] and last["text"])
        self.assertIn("rehost: ", run.err)
        run = self.run_rehost("list", "--json", store="none", status=ENVIRONMENT)
        self.assertEqual(run.lines[0]["error"]["code"], "E_STORE_MISSING")
        run = self.run_rehost("verify", "--json", "--deep", self.stick, store="none", status=SECRET)
        self.check(run, "verify")
        self.assertEqual(run.lines[-1]["code"], "E_SECRET_NEEDED")
        self.assertIn("recovery key", run.lines[-1]["text"])

    def test_no_secret(self):
        run = self.run_rehost("backup", "--json", self.stick, status=PARTIAL)
        key = self.identity()
        for text in (run.out, run.err):
            self.assertNotIn(key["identity"], text)
            self.assertNotIn(key["code"], text)

    def test_same_as_the_object(self):
        """The same backup and restore through the SDK's face: the same statuses in the same order, the same results."""
        sdk = os.environ.get("SDK_BACKUP")
        if not sdk:
            self.skipTest("SDK_BACKUP does not name the example")
        names = table()
        for command, extra in (("backup", []), ("backup", []), ("backup", ["--overwrite"]), ("restore", [])):
            sticks = [self.top / "json", self.top / "sdk"]
            for stick in sticks:
                stick.mkdir(exist_ok=True)
            ours = self.run_rehost(command, "--json", *extra, sticks[0]).lines
            done = subprocess.run([sdk, command, sticks[1], *extra], capture_output=True, text=True, env=self.env)
            told = [(words[0], words[1].lower(), words[2] if len(words) > 2 else "")
                    for words in (line.split() for line in done.stdout.splitlines()) if words[0].startswith("WMT_")]
            mine = [(names[line["event"]][0],
                     line["hresult"].lower() if line["event"] == "end" else "0x00000000",
                     line["license"]["key_id"] if line["event"] == "restricted" else "")
                    for line in ours if names[line["event"]][0]]
            if told:
                self.assertEqual(mine, told)
            else:
                # A call that is refused at once sends no event; what it returns is the result of ours.
                self.assertEqual([status for status, _, _ in mine], ["WMT_BACKUPRESTORE_END"])
                self.assertIn(mine[0][1], (done.stdout + done.stderr).lower())


class List(Case):
    def test_equal_in_two_stores(self):
        self.run_rehost("add", SOURCE / "examples/licenses", status=PARTIAL)
        self.run_rehost("backup", self.stick, status=PARTIAL)
        key = self.identity()["identity"]
        self.run_rehost("restore", "--recovery-key-file", "-", self.stick, input=key, store="new", status=DONE)
        old = [line for line in self.run_rehost("list", "--json").lines if line["class"] != "restricted"]
        self.assertEqual(old, self.run_rehost("list", "--json", store="new").lines)
        for line in old:
            self.assertEqual(list(line), ["id", "key_id", "format", "issuer", "title", "issued", "not_before",
                                          "not_after", "counts", "backup", "class", "service", "bytes"])


class Hostile(Case):
    def test_titles(self):
        # XML allows neither most controls nor references to them: a file's name brings these.
        escaped = re.sub("[\x00-\x1f]", "", TITLE).encode("ascii", "xmlcharrefreplace").decode()
        name = self.top / TITLE.replace("/", "").replace("\n", "")
        name.write_bytes(b"key")
        self.run_rehost("add", "--format", "opaque", name, status=DONE)
        self.add(xml(2, escaped, backup=False))
        (self.top / "more").mkdir()
        other = self.top / "more" / "\x1b]0;owned\x07.lic"
        other.write_bytes(b"\x9b31m")
        runs = [self.run_rehost("list"), self.run_rehost("list", "--json"), self.run_rehost("add", "more"),
                self.run_rehost("add", "--json", "more"), self.run_rehost("show", "sha256"),
                self.run_rehost("backup", self.stick), self.run_rehost("restore", "--plan", self.stick),
                self.run_rehost("inspect", "--licenses", self.stick), self.run_rehost("show", TITLE.strip("\x00")),
                self.run_rehost(TITLE), self.run_rehost("--" + TITLE), self.run_rehost("backup", TITLE + "x"),
                self.run_rehost("verify", "\x1b[2J"), self.run_rehost("remove", licence_id(2)),
                self.run_rehost("list", "--filter", "\x1b[2J=x")]
        for run in runs:
            self.assertIsNone(OBEYED.search(run.out.replace("\t", "")), run.out)
            self.assertIsNone(OBEYED.search(run.err), run.err)
        self.assertTrue(any("caf\u00e9 \u65e5\u672c" in run.out for run in runs))

    def test_bytes_that_are_not_utf8(self):
        path = os.fsencode(self.top) + b"/\xff\xfe.lic"
        with open(path, "wb") as out:
            out.write(b"no licence")
        for option in ([], ["--json"]):
            run = self.run_rehost("add", *option, os.fsdecode(path), status=PARTIAL)
            self.assertIn(".lic", run.out + run.err)
            self.assertIsNone(re.search("[\udc80-\udcff\x80-\x9f]", run.out + run.err))
            if option:
                self.assertEqual(run.lines[-1]["event"], "end")


if __name__ == "__main__":
    unittest.main()
