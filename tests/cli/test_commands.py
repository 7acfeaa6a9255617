#!/usr/bin/env python3
"""Every command, where it works and where it fails, with its exit status."""
import json
import os
import pathlib
import random
import subprocess
import tarfile
import time
import unittest

from rehost import (DAMAGED, DONE, ENVIRONMENT, EXISTS, OTHER, PARTIAL, SECRET, SOURCE, USAGE, Case, licence_id,
                    xml)


class Store(Case):
    def test_no_store(self):
        for arguments in (["list"], ["show", "x"], ["remove", "x"], ["check"], ["backup", self.stick],
                          ["computer", "show"], ["recovery", "show"], ["recovery", "sheet"],
                          ["recovery", "forget", "--yes"]):
            self.assert_error(self.run_rehost(*arguments), ENVIRONMENT, "no licence store", "hint: ")

    def test_list(self):
        self.add(xml(1, "One"), xml(2, "Two", backup=False))
        run = self.run_rehost("list", status=DONE)
        self.assertEqual(run.out, "One\t\towned\tnever\t%s\nTwo\t\trestricted\tnever\t%s\n"
                         % (licence_id(1), licence_id(2)))
        run = self.run_rehost("list", "--filter", "title=t*", status=DONE)
        self.assertEqual(run.out.count("\n"), 1)
        self.assert_error(self.run_rehost("list", "--filter", "colour=red"), USAGE, "colour")

    def test_examples(self):
        run = self.run_rehost("add", SOURCE / "examples/licenses", status=PARTIAL)
        self.assertIn("README.md", run.err)
        classes = {line["class"] for line in self.run_rehost("list", "--json").lines}
        self.assertEqual(classes, {"owned", "restricted"})

    def test_show(self):
        self.add(xml(1, "One"), xml(2, "Two", backup=False))
        run = self.run_rehost("show", licence_id(1)[:8], status=DONE)
        for words in ("One", licence_id(1), "yes; with your recovery key", "2005-01-01 10:00 UTC", "Windows Media DRM"):
            self.assertIn(words, run.out)
        self.assertIn("no; it may not leave this computer", self.run_rehost("show", licence_id(2)).out)
        self.assertIn("added", self.run_rehost("show", "--json", licence_id(2), status=DONE).lines[0])
        self.assert_error(self.run_rehost("show", "0000000"), USAGE)
        self.assert_error(self.run_rehost("show", "f"), ENVIRONMENT, "rehost list shows the ids")

    def test_remove(self):
        self.add(xml(1, "One"), xml(2), xml(3))
        run = self.run_rehost("remove", licence_id(1)[:8], licence_id(2), status=DONE)
        self.assertIn("removed: One (%s)" % licence_id(1), run.err)
        self.assertEqual(self.run_rehost("list").out.count("\n"), 1)
        self.assert_error(self.run_rehost("remove", licence_id(1)), ENVIRONMENT)
        self.assertEqual(self.run_rehost("remove", "--json", licence_id(3)).lines, [{"removed": licence_id(3)}])

    def test_check(self):
        self.add(*[xml(number) for number in range(50)])
        run = self.run_rehost("check", status=DONE)
        self.assertIn("the store is whole: 50 licences", run.err)
        database = next((self.top / "old").glob("*.db"))
        data = bytearray(database.read_bytes())
        for at in range(len(data) // 2, len(data), 512):
            data[at] ^= 0xFF
        database.write_bytes(data)
        self.assert_error(self.run_rehost("check"), DAMAGED)

    def test_other_computer(self):
        self.add(xml(1))
        (self.top / "machine-id").write_text("f" * 32 + "\n")
        self.assert_error(self.run_rehost("list"), OTHER, "restore from a backup")

    def test_computer(self):
        self.add(xml(1))
        run = self.run_rehost("computer", "show", status=DONE)
        self.assertRegex(run.out, r"(?m)^Computer   [0-9a-f]{32}$")
        self.assertRegex(run.out, r"(?m)^Recipient  age1[0-9a-z]{58}$")
        self.assertEqual(run.out, self.run_rehost("computer").out)


class Backup(Case):
    def setUp(self):
        super().setUp()
        self.add(xml(1, "One"), xml(2, "Two"), xml(3, "Three", backup=False))

    def test_backup(self):
        run = self.run_rehost("backup", self.stick, status=PARTIAL)
        self.assertIn("left out: Three (key id 00000000-0000-0000-0000-000000000000)", run.err)
        self.assertIn("backed up 2 licences", run.err)
        self.assertIn("1 licence left out", run.err)
        self.assertEqual(run.out, "")
        self.run_rehost("remove", licence_id(3), status=DONE)
        self.assert_error(self.run_rehost("backup", self.stick), EXISTS, "hint: allow overwriting")
        self.run_rehost("backup", "--overwrite", self.stick, status=DONE)
        self.assertEqual(len(list(self.stick.glob("*.age"))), 1)

    def test_keep(self):
        for number in range(4):
            self.run_rehost("backup", "--overwrite", "--keep", "3", self.stick, status=PARTIAL)
        self.assertEqual(len(list(self.stick.glob("*.age"))), 3)
        run = self.run_rehost("inspect", self.stick, status=DONE)
        self.assertEqual(run.out.count("\nOlder "), 2)

    def test_parity(self):
        sizes = []
        for arguments in ([], ["--parity", "0"], ["--parity", "10"], ["--parity", "100"]):
            self.run_rehost("backup", "--overwrite", *arguments, self.stick, status=PARTIAL)
            sizes.append([path.stat().st_size for path in self.stick.glob("*.parity")])
        self.assertEqual(sizes[1], [])
        self.assertEqual(sizes[0], sizes[2])
        self.assertGreaterEqual(sizes[3][0], next(self.stick.glob("*.age")).stat().st_size)

    def test_medium(self):
        """What it goes to is said before anything else, and not if nothing is to be said."""
        run = self.run_rehost("backup", self.stick, status=PARTIAL)
        self.assertRegex(run.err, r"\Ato [^\n]+ free\n")
        run = self.run_rehost("--quiet", "backup", "--overwrite", self.stick, status=PARTIAL)
        self.assertEqual(run.err, "")

    def test_no_secret_in_a_log(self):
        run = self.run_rehost("backup", self.stick, status=PARTIAL)
        self.assertIn("rehost recovery show", run.err)
        key = self.identity()
        self.assertNotIn(key["identity"], run.err)
        self.assertNotIn(key["code"], run.err)

    def test_restricted_are_bounded(self):
        self.add(*[xml(number, backup=False) for number in range(100, 150)])
        run = self.run_rehost("backup", self.stick, status=PARTIAL)
        self.assertEqual(run.err.count("left out: "), 20)
        self.assertIn("... and 31 more", run.err)
        run = self.run_rehost("backup", "--overwrite", "-v", self.stick, status=PARTIAL)
        self.assertEqual(run.err.count("left out: "), 51)

    def test_places(self):
        (self.top / "file").write_text("")
        for place, words in (("nowhere", "mounted"), ("file", "directory")):
            self.assert_error(self.run_rehost("backup", place), ENVIRONMENT, words)
            self.assert_error(self.run_rehost("restore", place), ENVIRONMENT)
            self.assert_error(self.run_rehost("verify", place), ENVIRONMENT)
            self.assert_error(self.run_rehost("inspect", place), ENVIRONMENT)
        self.assert_error(self.run_rehost("restore", self.stick), ENVIRONMENT, "licenses-*.age")

    def test_recipients(self):
        other = self.run_rehost("recovery", "make", "--json", status=DONE, store="other").lines[0]["recipient"]
        self.assert_error(self.run_rehost("backup", "--recipient", "age1xyz", self.stick), USAGE)
        self.run_rehost("backup", "--recipient", other, "--recipient", other, self.stick, status=PARTIAL)
        self.run_rehost("restore", self.stick, store="other", status=DONE)
        self.assertEqual(self.run_rehost("list", store="other").out.count("\n"), 2)


class Restore(Case):
    def setUp(self):
        super().setUp()
        self.add(xml(1, "One"), xml(2, "Two"), xml(3, "Three", backup=False))
        self.run_rehost("backup", self.stick, status=PARTIAL)
        self.key = self.identity()

    def restore(self, *arguments, **more):
        return self.run_rehost("restore", *arguments, self.stick, store="new", **more)

    def test_each_secret(self):
        code, identity = self.key["code"], self.key["identity"]
        rows = code.replace("-", " ").lower()
        for number, text in enumerate((code, rows, rows[:30] + "\n# half\n\n" + rows[30:], identity + "\n",
                                       "# created: today\n# public key: age1\n" + identity + "\nmore\n")):
            (self.top / "key").write_text(text)
            new = "new%d" % number
            run = self.run_rehost("restore", "--recovery-key-file", "key", self.stick, store=new, status=DONE)
            self.assertIn("restored 2 licences", run.err)
        self.run_rehost("restore", "--recovery-key-file", "-", self.stick, store="stdin", input=code, status=DONE)
        self.assertEqual(self.run_rehost("list", "--json", store="stdin").out,
                         self.run_rehost("list", "--json", "--filter", "class=owned").out)

    def test_wrong_secrets(self):
        code = self.key["code"]
        typed = code[:7] + ("2" if code[7] != "2" else "3") + code[8:]
        other = self.run_rehost("recovery", "make", store="other", status=DONE)
        other = self.run_rehost("recovery", "show", "--json", store="other").lines[0]
        self.assert_error(self.restore(), SECRET, "recovery key")
        self.assert_error(self.restore("--recovery-key-file", "-", input=typed), SECRET, "group 2")
        self.assert_error(self.restore("--recovery-key-file", "-", input=other["code"]), SECRET)
        self.assert_error(self.restore("--recovery-key-file", "-", input="# only a comment\n"), SECRET)
        self.assert_error(self.restore("--recovery-key-file", "nowhere"), ENVIRONMENT, "nowhere")
        self.assert_error(self.restore("--recovery-key-file", "-", input=b"\0\0"), USAGE, "not text")
        self.assert_error(self.restore("--recovery-key-file", "-", input="x" * 100000), USAGE, "too long")
        for run in (self.restore("--recovery-key-file", "-", input=typed),):
            self.assertNotIn(typed, run.err)

    def test_passphrase(self):
        (self.top / "words").write_text("correct horse\nbattery\n")
        self.run_rehost("backup", "--overwrite", "--passphrase-file", "words", self.stick, status=PARTIAL)
        self.assertTrue((self.stick / "recovery.age").exists())
        self.assert_error(self.restore("--passphrase-file", "-", input="wrong"), SECRET)
        self.assert_error(self.restore("--passphrase-file", "-", input=""), USAGE, "empty passphrase")
        self.restore("--passphrase-file", "-", input="correct horse", status=DONE)

    def test_plan(self):
        (self.top / "key").write_text(self.key["code"])
        run = self.restore("--plan", "--recovery-key-file", "key", status=DONE)
        self.assertRegex(run.out, r"(?m)^restore +%s  One$" % licence_id(1))
        self.assertEqual(run.out.count("\n"), 2)
        self.assertIn("would restore 2 licences", run.err)
        self.assertFalse((self.top / "new").exists())
        run = self.run_rehost("restore", "--plan", self.stick, status=DONE)
        self.assertRegex(run.out, r"(?m)^keep +%s" % licence_id(1))

    def test_filter(self):
        (self.top / "key").write_text(self.key["code"])
        run = self.restore("--filter", "title=two", "--recovery-key-file", "key", status=DONE)
        self.assertIn("restored 1 licence ", run.err)
        self.assert_error(self.restore("--filter", "x", "--recovery-key-file", "key"), USAGE)

    def damage(self):
        backup = next(self.stick.glob("*.age"))
        data = bytearray(backup.read_bytes())
        data[len(data) * 2 // 3] ^= 1
        backup.write_bytes(data)

    def test_damaged(self):
        """Of so small a backup one bit takes everything, if there is no parity file."""
        next(self.stick.glob("*.parity")).unlink()
        self.damage()
        for arguments in (["restore"], ["verify"]):
            self.assert_error(self.run_rehost(*arguments, self.stick), DAMAGED, "hint: ")
        self.assert_error(self.run_rehost("export", self.stick, "--to", "out"), DAMAGED)
        run = self.run_rehost("repair", self.stick, status=DONE)
        self.assertIn("note: there is no parity file beside", run.err)
        self.assertNotIn("is whole", run.err)

    def test_mendable(self):
        whole = next(self.stick.glob("*.age")).read_bytes()
        self.damage()
        run = self.run_rehost("verify", self.stick, status=PARTIAL)
        self.assertRegex(run.err, r"(?m)^damaged: licenses-\S+\.age, bytes 0 to [0-9,]+ \(")
        self.assertIn("all of it can be mended", run.err)
        self.assertIn("hint: mend it now", run.err)
        run = self.run_rehost("verify", "--json", self.stick, store="none", status=PARTIAL)
        events = {event["event"]: event for event in map(json.loads, run.out.splitlines())}
        self.assertEqual(events["damage"]["damage"]["offset"], 0)
        self.assertFalse(events["damage"]["damage"]["lost"])
        self.assertEqual(events["condition"]["condition"]["state"], "mendable")
        self.assertEqual(events["end"]["code"], "E_BACKUP_MENDABLE")
        run = self.run_rehost("restore", self.stick, status=DONE)
        self.assertIn("were mended while it was read", run.err)
        (self.top / "copy").mkdir()
        run = self.run_rehost("repair", self.stick, "--to", "copy", store="none", status=DONE)
        self.assertIn("a copy of the backup", run.err)
        self.assertEqual(next((self.top / "copy").glob("*.age")).read_bytes(), whole)
        self.assertNotEqual(next(self.stick.glob("*.age")).read_bytes(), whole)
        self.assert_error(self.run_rehost("repair", self.stick, "--to", "copy"), EXISTS)
        run = self.run_rehost("repair", self.stick, store="none", status=DONE)
        self.assertIn("mended ", run.err)
        self.assertEqual(next(self.stick.glob("*.age")).read_bytes(), whole)
        run = self.run_rehost("repair", self.stick, store="none", status=DONE)
        self.assertIn("whole, nothing to mend", run.err)
        self.assertEqual(self.run_rehost("verify", self.stick, status=DONE).err.count("damaged"), 0)

    def test_repair_others(self):
        """A backup that cannot be opened does not keep an older one from being mended."""
        older = next(self.stick.glob("*.age"))
        whole = older.read_bytes()
        self.damage()
        time.sleep(1.1)
        self.run_rehost("backup", "--overwrite", "--keep", "2", self.stick, status=PARTIAL)
        newest = max(self.stick.glob("*.age"))
        self.assertNotEqual(newest, older)
        newest.rename(self.top / "away")
        newest.symlink_to(self.top / "away")
        run = self.run_rehost("repair", self.stick, store="none")
        self.assert_error(run, ENVIRONMENT)
        self.assertIn("is a symbolic link", run.err)
        self.assertEqual(older.read_bytes(), whole)

    def test_licences_like_frames(self):
        """Licences that hold frames of a backup do not stop a restore, whatever is lost around them."""
        chance = random.Random(5)

        def packed(name, data):
            head = tarfile.TarInfo(name)
            head.size = len(data)
            tar = head.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
            return subprocess.run(["zstd", "-1", "-c", "--no-check", "--stream-size=%d" % len(tar)], input=tar,
                                  capture_output=True, check=True).stdout

        evil = b"".join(packed("licenses/evil%d/document" % i, b"evil " + chance.randbytes(300)) for i in range(20))
        folder, stick = self.top / "documents", self.top / "stick2"
        folder.mkdir()
        stick.mkdir()
        for i in range(80):
            (folder / ("licence%02d" % i)).write_bytes(b"%d " % i + (chance.randbytes(9000) + evil if i % 7 == 3
                                                                     else chance.randbytes(20000)))
        self.run_rehost("add", "--format", "opaque", folder, store="plain", status=DONE)
        self.run_rehost("backup", "--parity", "0", stick, store="plain", status=DONE)
        identity = self.run_rehost("recovery", "show", "--json", store="plain", status=DONE).lines[0]
        (self.top / "plain-key").write_text(identity["code"])
        backup = next(stick.glob("*.age"))
        whole = backup.read_bytes()
        for i in range(15):
            data = bytearray(whole)
            for chunk in chance.sample(range(1, len(data) // 65552), chance.choice((1, 2, 5))):
                data[chunk * 65552 + 5000] ^= 1
            backup.write_bytes(data)
            run = self.run_rehost("verify", stick, store="plain", status=DAMAGED)
            self.assertRegex(run.err, r"of [0-9]+ licences are damaged")
            run = self.run_rehost("restore", stick, "--recovery-key-file", "plain-key", store="new%d" % i,
                                  status=PARTIAL)
            self.assertRegex(run.err, r"restored [1-9][0-9]* licences")
            self.assertNotIn("evil", self.run_rehost("list", store="new%d" % i, status=DONE).out)

    def test_repair_nothing(self):
        (self.top / "empty").mkdir()
        self.assert_error(self.run_rehost("repair", "empty"), ENVIRONMENT)
        self.assert_error(self.run_rehost("repair", "nowhere"), ENVIRONMENT)
        self.assert_error(self.run_rehost("repair", self.stick, "--to", "nowhere"), ENVIRONMENT)
        self.assert_error(self.run_rehost("repair"), USAGE)


class Look(Case):
    def setUp(self):
        super().setUp()
        self.add(xml(1, "One"), xml(2, "Two"), xml(3, "Three", backup=False))
        self.run_rehost("backup", self.stick, status=PARTIAL)
        (self.top / "key").write_text(self.identity()["code"])

    def test_verify(self):
        self.assertIn("2 licences", self.run_rehost("verify", self.stick, status=DONE).err)
        run = self.run_rehost("verify", self.stick, store="none", status=DONE)
        self.assertIn("every byte of the backup", run.err)
        next(self.stick.glob("*.parity")).unlink()
        run = self.run_rehost("verify", self.stick, store="none", status=DONE)
        self.assertIn("note: there is no parity file beside", run.err)
        self.assertIn("the structure of the backup", run.err)
        self.assert_error(self.run_rehost("verify", "--deep", self.stick, store="none"), SECRET)
        run = self.run_rehost("verify", "--deep", "--recovery-key-file", "key", self.stick, store="none", status=DONE)
        self.assertIn("2 licences", run.err)
        self.assertFalse((self.top / "none").exists())

    def test_verify_nothing(self):
        (self.top / "other").mkdir()
        self.run_rehost("recovery", "make", store="empty", status=DONE)
        self.run_rehost("backup", "other", store="empty", status=DONE)
        run = self.run_rehost("verify", "--deep", "other", store="empty", status=DONE)
        self.assertIn("0 licences", run.err)
        self.assert_error(self.run_rehost("verify", "--deep", "other", store="none"), SECRET)

    def test_inspect(self):
        run = self.run_rehost("inspect", self.stick, status=DONE)
        self.assertIn("Holds     2 licences", run.out)
        self.assertIn("1 left out, restricted", run.out)
        self.assertNotIn("One", run.out)
        run = self.run_rehost("inspect", "--licenses", self.stick, status=DONE)
        self.assertIn("%s  One\n" % licence_id(1), run.out)
        run = self.run_rehost("inspect", "--filter", "title=Two", self.stick, status=DONE)
        self.assertNotIn("One", run.out)
        run = self.run_rehost("inspect", self.stick, store="none", status=DONE)
        self.assertNotIn("Holds", run.out)
        run = self.run_rehost("inspect", "--recovery-key-file", "key", self.stick, store="none", status=DONE)
        self.assertIn("Holds", run.out)
        lines = self.run_rehost("inspect", "--json", "--licenses", self.stick, status=DONE).lines
        self.assertEqual([list(line) for line in lines], [["generation"], ["backup"], ["license"], ["license"]])

    def test_export(self):
        self.assert_error(self.run_rehost("export", self.stick), USAGE)
        run = self.run_rehost("export", self.stick, "--to", "out", status=DONE)
        self.assertIn("wrote 2 licences", run.err)
        self.assertEqual((self.top / "out/licenses" / licence_id(1) / "document").read_text(), xml(1, "One"))
        self.assertFalse((self.top / "out/licenses" / licence_id(3)).exists())
        self.assertNotEqual(self.run_rehost("export", self.stick, "--to", "out").status, DONE)
        self.assert_error(self.run_rehost("export", self.stick, "--to", "x", store="none"), SECRET)
        self.run_rehost("export", self.stick, "--to", "two", "--recovery-key-file", "key", store="none", status=DONE)


if __name__ == "__main__":
    unittest.main()
