#!/usr/bin/env python3
"""Fills media in every way there is: memory of a fixed size, a disk, no inodes left, and a disk that finds out late.

Each time the right code, the earlier backup byte for byte as it was, nothing partial left, the store unharmed, and with
more room the same run succeeds.

usage: full.py REHOST [SEED]
"""
import errno
import os
import re

import kit

LICENCES = 600
PAGE = 4096


class Test:
    def __init__(self, place):
        self.place, self.runs, self.told = place, 0, 0
        place.make_stores(LICENCES)
        directory = place.top / "measured"
        directory.mkdir()
        self.backup("grown", directory, status=kit.DONE)
        # Each file takes whole pages, and each name of a directory one inode.
        self.need = sum(-(-path.stat().st_size // PAGE) * PAGE for path in directory.iterdir())

    def backup(self, store, medium, *options, status=None):
        self.runs += 1
        return self.place.rehost("backup", medium, "--store", self.place.top / store, *options, status=status)

    def expect_full(self, run, medium, before):
        kit.expect(run.status == kit.ENVIRONMENT and run.code == "E_FULL", "not full: %s", run)
        self.told += re.search(r"needs about \S+ \S+ more", run.last["text"]) is not None
        kit.expect(kit.parts(medium) == [], "left on the medium: %s", os.listdir(medium))
        after = kit.content(medium)
        # The page for people may be there already; no backup changes.
        after.pop("HOW-TO-OPEN.txt", None)
        before.pop("HOW-TO-OPEN.txt", None)
        kit.expect(after == before, "the medium has changed: %s, before %s", sorted(after), sorted(before))

    # ---- The ways ----

    def first_in_memory(self):
        """An empty tmpfs, from nothing to just enough."""
        place, steps = self.place, 24
        full = 0
        for step in range(steps + 1):
            size = PAGE * (1 + (self.need // PAGE) * step // steps)
            with place.mounted("none", "tmpfs", "size=%d" % size) as medium:
                run = self.backup("grown", medium)
                if run.status == kit.DONE:
                    place.check_backup(medium, place.grown)
                    continue
                full += 1
                self.expect_full(run, medium, {})
                place.remount(medium, "tmpfs", "size=%d" % (4 * self.need))
                self.backup("grown", medium, status=kit.DONE)
                place.check_backup(medium, place.grown)
        kit.expect(full >= steps - 3, "only %d of %d sizes were too small", full, steps)

    def overwrite_in_memory(self):
        """A tmpfs that holds a backup and too little room for the next one."""
        place, steps = self.place, 12
        full = 0
        for step in range(steps):
            with place.mounted("none", "tmpfs", "size=64m") as medium:
                self.backup("old", medium, status=kit.DONE)
                before = kit.content(medium)
                used = os.statvfs(medium)
                used = (used.f_blocks - used.f_bfree) * used.f_frsize
                place.remount(medium, "tmpfs", "size=%d" % (used + PAGE * (self.need // PAGE * step // steps)))
                run = self.backup("grown", medium, "--overwrite", *(("--keep", 2) if step % 2 else ()))
                if run.status == kit.DONE:
                    place.check_backup(medium, place.grown)
                    continue
                full += 1
                self.expect_full(run, medium, before)
                place.check_backup(medium, place.old)
                place.remount(medium, "tmpfs", "size=64m")
                self.backup("grown", medium, "--overwrite", status=kit.DONE)
                place.check_backup(medium, place.grown)
        kit.expect(full >= steps - 2, "only %d of %d sizes were too small", full, steps)

    def no_inodes(self):
        """Room, but for no more files: too few to begin, and to end."""
        place, full = self.place, 0
        for inodes in range(1, 6):
            with place.mounted("none", "tmpfs", "size=64m,nr_inodes=%d" % inodes) as medium:
                run = self.backup("grown", medium)
                if run.status == kit.DONE:
                    place.check_backup(medium, place.grown)
                    continue
                full += 1
                self.expect_full(run, medium, {})
                place.remount(medium, "tmpfs", "size=64m,nr_inodes=20")
                self.backup("grown", medium, status=kit.DONE)
        kit.expect(full >= 2, "no run lacked an inode")

    def disk(self):
        """An ext4 that other files fill, as a stick is filled; what root may take besides is set to nothing."""
        place = self.place
        image = place.ext4("disk.img", 24, "-m", "0")
        with place.on_loop(image) as medium:
            self.backup("old", medium, status=kit.DONE)
            ballast = medium / "films"
            for room in (0, 1, 3, self.need // PAGE // 2, self.need // PAGE * 3 // 4):
                fill(ballast, room)
                before = kit.content(medium)
                self.expect_full(self.backup("grown", medium, "--overwrite"), medium, before)
                place.check_backup(medium, place.old)
            ballast.unlink()
            self.backup("grown", medium, "--overwrite", status=kit.DONE)
            place.check_backup(medium, place.grown)

    def late(self):
        """A disk that has room as far as its file system knows: only the flush finds that there is none."""
        place = self.place
        image = place.ext4("thin.img", 32)
        with place.mounted("none", "tmpfs", "size=64m", "pool") as pool:
            thin = pool / "thin.img"
            kit.tool("cp", "--sparse=always", image, thin)
            with place.on_loop(thin) as medium:
                self.backup("old", medium, status=kit.DONE)
                os.sync()
                before = kit.content(medium)
                used = os.statvfs(pool)
                used = (used.f_blocks - used.f_bfree) * used.f_frsize
                place.remount(pool, "tmpfs", "size=%d" % (used + self.need // 3))
                run = self.backup("grown", medium, "--overwrite")
                kit.expect(run.status == kit.ENVIRONMENT and run.code in ("E_FULL", "E_WRITE"), "not full: %s", run)
                kit.expect({name: content for name, content in kit.content(medium).items() if ".part" not in name}
                           == before, "the medium has changed")
                place.check_backup(medium, place.old)
                place.remount(pool, "tmpfs", "size=128m")
            # A file system that could not write is looked at before it is used again.
            kit.tool("fsck.ext4", "-f", "-y", thin, status=(0, 1))
            with place.on_loop(thin) as medium:
                place.check_backup(medium, place.old)
                self.backup("grown", medium, "--overwrite", status=kit.DONE)
                place.check_backup(medium, place.grown)
                kit.expect(kit.parts(medium) == [], "left on the medium: %s", os.listdir(medium))


def fill(path, room):
    """Makes the file as long as the disk allows, less so many pages."""
    with open(path, "wb", buffering=0) as file:
        for piece in (kit.MIB, PAGE):
            try:
                while True:
                    file.write(bytes(piece))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        os.fsync(file.fileno())
        file.truncate(max(file.tell() - room * PAGE, 0))
        os.fsync(file.fileno())


def test(place):
    full = Test(place)
    for way in (full.first_in_memory, full.overwrite_in_memory, full.no_inodes, full.disk, full.late):
        runs = full.runs
        try:
            way()
        except kit.Broken as error:
            raise kit.Broken("%s: %s" % (way.__name__, error))
        place.check_store("grown", place.grown)
        print("%-20s %d backups" % (way.__name__, full.runs - runs), flush=True)
    # The others came so near that only the writing shows it, or lacked something else than room.
    print("%d were told how much is missing" % full.told)
    kit.expect(full.told >= 20, "only %d were told how much is missing", full.told)


if __name__ == "__main__":
    kit.main(test)
