#!/usr/bin/env python3
"""Media that cannot be written: mounted read-only, write-protected, and those that become so in the middle.

usage: readonly.py REHOST [SEED]
"""
import os
import shutil
import time

import kit

LICENCES = 1500
INSTANTS = 10
STOPPED = ("E_ACCESS", "E_WRITE", "E_READ", "E_MEDIUM_GONE")


class Test:
    def __init__(self, place):
        self.place, self.runs = place, 0
        place.make_stores(LICENCES)
        self.image = place.ext4("image", 32)
        with place.on_loop(self.image) as medium:
            place.rehost("backup", medium, "--store", place.top / "old", status=kit.DONE)
            self.content = kit.content(medium)
        self.copy = place.top / "copy"

    def command(self, medium):
        return ["backup", medium, "--store", self.place.top / "grown", "--overwrite"]

    def refuses(self, medium):
        """All that reads goes well, and all that writes is refused at once."""
        place = self.place
        run = place.rehost(*self.command(medium))
        kit.expect(run.status == kit.ENVIRONMENT and run.code == "E_ACCESS", "read-only: %s", run)
        kit.expect("read" in run.last["text"].lower(), "it does not say why: %s", run)
        kit.expect(kit.content(medium) == self.content, "a read-only medium has changed")
        place.check_backup(medium, place.old)
        place.rehost("verify", medium, "--recovery-key-file", place.key, other=True, status=kit.DONE)
        place.rehost("inspect", medium, status=kit.DONE)
        self.runs += 1

    def mounted(self):
        with self.place.on_loop(self.image) as medium:
            self.place.remount(medium, "ext4", "", read_only=True)
            self.refuses(medium)
            self.place.remount(medium, "ext4", "")
            self.place.rehost(*self.command(medium), "--keep", 2, status=kit.DONE)
            self.place.check_backup(medium, self.place.grown)

    def protected(self):
        shutil.copy(self.image, self.copy)
        with self.place.on_loop(self.copy, read_only=True) as medium:
            self.refuses(medium)

    def in_memory(self):
        with self.place.mounted("none", "tmpfs", "size=64m") as medium:
            self.place.rehost("backup", medium, "--store", self.place.top / "old", status=kit.DONE)
            self.content, before = kit.content(medium), self.content
            self.place.remount(medium, "tmpfs", "", read_only=True)
            self.refuses(medium)
            self.content = before

    def in_the_middle(self):
        """The file system makes itself read-only, as after an error of the disk."""
        place = self.place
        with self.fresh() as medium:
            whole = place.rehost(*self.command(medium), status=kit.DONE).seconds
        hits = 0
        for number in range(INSTANTS):
            with self.fresh() as medium:
                running = place.start(*self.command(medium))
                time.sleep(whole * (number + place.random.random()) / INSTANTS)
                place.remount(medium, "ext4", "abort")
                run = running.wait()
            kit.expect(run.status == kit.DONE or run.status == kit.ENVIRONMENT and run.code in STOPPED,
                       "a wrong result: %s", run)
            hits += run.status != kit.DONE
            with place.on_loop(self.copy) as medium:
                place.check_backup(medium, *([place.grown] if run.status == kit.DONE else [place.old, place.grown]))
                place.rehost(*self.command(medium), status=kit.DONE)
                place.check_backup(medium, place.grown)
                kit.expect(kit.parts(medium) == [], "left on the medium: %s", os.listdir(medium))
        self.runs += INSTANTS
        kit.expect(hits > INSTANTS // 4, "only %d of %d hit the run", hits, INSTANTS)

    def fresh(self):
        shutil.copy(self.image, self.copy)
        return self.place.on_loop(self.copy)


def test(place):
    media = Test(place)
    for way in (media.protected, media.in_the_middle, media.in_memory, media.mounted):
        runs = media.runs
        try:
            way()
        except kit.Broken as error:
            raise kit.Broken("%s: %s" % (way.__name__, error))
        place.check_store("grown", place.grown)
        print("%-14s %d" % (way.__name__, media.runs - runs), flush=True)


if __name__ == "__main__":
    kit.main(test)
