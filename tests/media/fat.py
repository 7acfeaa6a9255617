#!/usr/bin/env python3
"""The media that people have: exFAT, mounted read-write through FUSE, and FAT32, in and out by mtools.

All of a backup's life on exFAT, kill -9 in the middle of it, and the tests of src/backup with their directories there.
No permissions, no links, no case, times of two seconds.

usage: fat.py REHOST [SEED]        $REHOST_BACKUP_TESTS: the folder where tests/backup is built
                                   $REHOST_STICK_KILLS: by default 25
"""
import os
import shutil
import signal
import subprocess
import time

import kit

LICENCES = 1000


class Test:
    def __init__(self, place):
        self.place = place
        place.make_stores(LICENCES)
        (place.top / "passphrase").write_text("correct horse battery staple\n")

    def image(self, name="exfat.img"):
        return self.place.image(name, 64, "mkfs.exfat")

    def backup(self, medium, store, *options, status=kit.DONE):
        return self.place.rehost("backup", medium, "--store", self.place.top / store, *options, status=status)

    def fsck(self, image, status=(0,)):
        kit.tool("fsck.exfat", "-n" if status == (0,) else "-y", image, status=status)

    # ---- exFAT ----

    def life(self):
        place, image = self.place, self.image()
        with place.exfat(image) as medium:
            self.backup(medium, "old", "--passphrase-file", place.top / "passphrase")
            self.backup(medium, "grown", status=kit.EXISTS)
            place.check_backup(medium, place.old)
            self.backup(medium, "grown", "--overwrite", "--keep", 2)
            kit.expect(len(kit.generations(medium)) == 2, "two are not kept: %s", os.listdir(medium))
            place.check_backup(medium, place.grown)
            # Three within one second, and times of two seconds: the names tell which is the newest.
            for store in ("grown", "grown", "old"):
                self.backup(medium, store, "--overwrite", "--keep", 2)
            place.check_backup(medium, place.old)
            self.backup(medium, "grown", "--overwrite")
            before = kit.content(medium)
            kit.expect(len(kit.generations(medium)) == 1 and kit.parts(medium) == [], "left: %s", sorted(before))
        self.fsck(image)
        with place.exfat(image) as medium:
            kit.expect(kit.content(medium) == before, "other files after the next mount: %s", os.listdir(medium))
            self.elsewhere(medium)
            self.mended(medium, before)
            self.names(medium)
        self.fsck(image)

    def elsewhere(self, medium):
        """On another computer: by key, by passphrase, and as plain files onto the same stick."""
        place = self.place
        place.check_backup(medium, place.grown)
        store = place.top / "by-passphrase"
        place.rehost("restore", medium, "--store", store, "--passphrase-file", place.top / "passphrase", other=True,
                     status=kit.DONE)
        kit.expect(place.licences(store, other=True) == place.grown, "the passphrase restores something else")
        place.rehost("verify", medium, status=kit.DONE)
        place.rehost("verify", medium, "--recovery-key-file", place.key, other=True, status=kit.DONE)
        place.rehost("inspect", medium, other=True, status=kit.DONE)
        place.rehost("export", medium, "--to", medium / "plain", "--recovery-key-file", place.key, other=True,
                     status=kit.DONE)
        found = sorted(path.read_bytes() for path in (medium / "plain").glob("licenses/*/document"))
        added = sorted(kit.licenses.document("1", number) for number in range(2 * LICENCES))
        kit.expect(found == added, "the exported documents are not those that were added")
        shutil.rmtree(medium / "plain")

    def mended(self, medium, before):
        place = self.place
        backup = medium / kit.generations(medium)[0]
        for block in range(10):
            kit.flip(backup, backup.stat().st_size // 2 + 4096 * block)
        place.rehost("verify", medium, status=kit.PARTIAL)
        place.check_backup(medium, place.grown)
        place.rehost("repair", medium, status=kit.DONE)
        kit.expect(kit.content(medium) == before, "mended, but not to what it was")

    def names(self, medium):
        """Where FOO and foo are one file, files in another case are in nobody's way."""
        place = self.place
        (medium / "HOW-TO-OPEN.txt").rename(medium / "x")
        (medium / "x").rename(medium / "how-to-open.TXT")
        self.backup(medium, "grown", "--overwrite")
        pages = [name for name in os.listdir(medium) if name.lower() == "how-to-open.txt"]
        kit.expect(len(pages) == 1, "two files of one name: %s", pages)
        backup = medium / kit.generations(medium)[0]
        backup.rename(medium / "x")
        (medium / "x").rename(medium / backup.name.upper())
        self.backup(medium, "old", "--overwrite")
        place.check_backup(medium, place.old)

    # ---- kill -9 ----

    def killed(self):
        """In the middle of an overwriting backup; the file system is checked, and mounted again."""
        place, kept = self.place, self.image("kept.img")
        image = place.top / "exfat.img"
        with place.exfat(kept) as medium:
            self.backup(medium, "old")
        command = ["backup", place.mounts / "medium", "--store", place.top / "grown", "--overwrite"]
        shutil.copy(kept, image)
        with place.exfat(image):
            whole = place.rehost(*command, status=kit.DONE).seconds
        kills, hits = int(os.environ.get("REHOST_STICK_KILLS", "25")), 0
        for number in range(kills):
            shutil.copy(kept, image)
            with place.exfat(image) as medium:
                running = place.start(*command)
                time.sleep(whole * (number + place.random.random()) / kills)
                running.signal(signal.SIGKILL)
                run = running.wait()
                hits += run.status == -signal.SIGKILL
            self.fsck(image)
            with place.exfat(image) as medium:
                place.check_backup(medium, place.old, place.grown)
                place.rehost(*command, status=kit.DONE)
                place.check_backup(medium, place.grown)
                kit.expect(len(kit.generations(medium)) == 1 and kit.parts(medium) == [], "left: %s",
                           os.listdir(medium))
        kit.expect(2 * hits > kills, "only %d of %d hit the run", hits, kills)
        print("%d of %d killed" % (hits, kills))

    # ---- The tests of src/backup ----

    def suite(self):
        image, passed = self.image(), 0
        with self.place.exfat(image) as medium:
            for program in kit.backup_tests():
                done = subprocess.run([program], env=dict(os.environ, TMPDIR=str(medium)), stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240)
                passed += kit.check_tests(program.name, done.returncode, done.stdout.decode(errors="replace"),
                                          kit.LEFT_OUT_FUSE)
            kit.expect(os.listdir(medium) == [], "left by the tests: %s", os.listdir(medium))
        self.fsck(image)
        print("%d tests of src/backup pass" % passed)

    # ---- FAT32 ----

    def copied(self):
        """What a backup consists of goes onto FAT32 and comes back: names, case and every byte."""
        place = self.place
        stick, back = place.top / "stick", place.top / "back"
        stick.mkdir()
        back.mkdir()
        self.backup(stick, "old", "--passphrase-file", place.top / "passphrase")
        self.backup(stick, "grown", "--overwrite", "--keep", 2)
        image = place.image("fat.img", 64, "mkfs.fat", "-F", "32")
        kit.tool("mcopy", "-i", image, *stick.iterdir(), "::")
        kit.tool("fsck.fat", "-n", image)
        kit.tool("mcopy", "-i", image, "::*", back)
        kit.expect(kit.content(back) == kit.content(stick), "FAT32 gives back %s", sorted(os.listdir(back)))
        place.check_backup(back, place.grown)
        place.rehost("verify", back, status=kit.DONE)


def test(place):
    media = Test(place)
    for way in (media.life, media.killed, media.suite, media.copied):
        started = time.monotonic()
        try:
            way()
        except kit.Broken as error:
            raise kit.Broken("%s: %s" % (way.__name__, error))
        print("%-8s %.1f s" % (way.__name__, time.monotonic() - started), flush=True)


if __name__ == "__main__":
    kit.main(test)
