#!/usr/bin/env python3
"""Media that are too small say so early, with what is missing, and keep what they had.

usage: space.py REHOST [SEED]
"""
import os
import pathlib
import re
import sys

sys.path.append(str(pathlib.Path(__file__).parents[2] / "media"))
import kit  # noqa: E402

UNITS = {"bytes": 1, "byte": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
COUNT = 3000


def missing(run):
    """What the sentence says is missing, in bytes."""
    found = re.search(r"needs about ([\d.]+) (bytes?|[KMG]iB) more$", run.last["text"])
    kit.expect(found, "no figure: %s", run)
    return float(found[1]) * UNITS[found[2]]


def taken(path):
    return sum(file.stat().st_blocks * 512 for file in pathlib.Path(path).iterdir() if file.is_file())


class Test:
    def __init__(self, place):
        self.place = place
        place.make_store("old", COUNT // 10)
        (place.top / "first").mkdir()
        self.backup("old", place.top / "first", status=kit.DONE)
        place.save_key("old")
        place.make_store("grown", COUNT, COUNT, "old")
        place.old, place.grown = place.licences(place.top / "old"), place.licences(place.top / "grown")
        (place.top / "second").mkdir()
        self.backup("grown", place.top / "second", status=kit.DONE)
        self.need = taken(place.top / "second")

    def backup(self, store, target, *arguments, status=None):
        return self.place.rehost("backup", target, "--store", self.place.top / store, *arguments, status=status)

    def expect_full(self, run, medium, before):
        kit.expect(run.code == "E_FULL" and run.status == kit.ENVIRONMENT, "%s", run)
        kit.expect(kit.content(medium) == before, "%s\nchanged what was there: %s", run, os.listdir(medium))
        return missing(run)

    def every_size(self, steps=20):
        """A tmpfs, from one page to more than enough: the figure is near, and right if it is followed."""
        far = []
        for step in range(1, steps + 3):
            size = self.need * step // steps // 4096 * 4096
            with self.place.mounted("none", "tmpfs", "size=%d" % size) as medium:
                run = self.backup("grown", medium)
                if run.status == kit.DONE:
                    kit.expect(step >= steps - 1, "fits into %d bytes of %d", size, self.need)
                    continue
                figure = self.expect_full(run, medium, {})
                # The floor knows nothing of this store.
                if "smallest" not in run.last["text"]:
                    far.append(abs(size + figure - self.need) / self.need)
                    self.place.remount(medium, "tmpfs", "size=%d" % int(size + 1.25 * figure + 65536))
                    self.backup("grown", medium, status=kit.DONE)
                    self.place.check_backup(medium, self.place.grown)
        kit.expect(len(far) >= steps - 5, "only %d sizes were too small", len(far))
        kit.expect(max(far) < 0.25, "a figure was wrong by %d %%", 100 * max(far))

    def early(self):
        """Far too small: it ends long before the medium is full."""
        place = self.place
        with place.mounted("none", "tmpfs", "size=%d" % (self.need // 2)) as medium:
            run = self.backup("grown", medium)
            self.expect_full(run, medium, {})
            done = [event["licenses_done"] for event in run.events if event["event"] == "end"]
            kit.expect(done[0] < COUNT * 0.9, "ended after %s licences", done)
            kit.expect("does not go on" in run.last["text"], "%s", run)

    def beside_the_old(self):
        """The old generation, its parity and all else are as they were, whatever the room for the next."""
        place = self.place
        for step in range(6):
            with place.mounted("none", "tmpfs", "size=64m") as medium:
                self.backup("old", medium, status=kit.DONE)
                before, used = kit.content(medium), taken(medium)
                place.remount(medium, "tmpfs", "size=%d" % (used + 4096 + self.need // 4096 * step // 7 * 4096))
                run = self.backup("grown", medium, "--overwrite")
                self.expect_full(run, medium, before)
                place.check_backup(medium, place.old)

    def held(self, medium, kind):
        """What was held and not needed is given back."""
        self.backup("grown", medium, status=kit.DONE)
        for path in pathlib.Path(medium).iterdir():
            if path.is_file():
                status = path.stat()
                kit.expect(status.st_blocks * 512 <= status.st_size + 8192, "%s: %s takes %d bytes for %d", kind,
                           path.name, status.st_blocks * 512, status.st_size)
        self.place.check_backup(medium, self.place.grown)

    def given_back(self):
        place = self.place
        with place.mounted("none", "tmpfs", "size=64m") as medium:
            self.held(medium, "tmpfs")
        with place.on_loop(place.ext4("disk", 64)) as medium:
            self.held(medium, "ext4")

    def small_disk(self):
        """ext4, too small and just large enough."""
        place, full = self.place, 0
        for factor in (0.3, 0.7, 0.95, 1.3):
            image = place.ext4("small", int((self.need * factor + 1.2 * kit.MIB) / kit.MIB * 16) / 16, "-O", "^has_journal",
                               "-m", "0")
            with place.on_loop(image) as medium:
                run = self.backup("grown", medium)
                if run.status == kit.DONE:
                    place.check_backup(medium, place.grown)
                    continue
                full += 1
                self.expect_full(run, medium, {})
                free = os.statvfs(medium)
                kit.expect(free.f_bfree > 0, "nothing was given back")
        kit.expect(1 <= full <= 3, "%d of 4 disks were too small", full)


def test(place):
    space = Test(place)
    for way in (space.every_size, space.early, space.beside_the_old, space.given_back, space.small_disk):
        try:
            way()
        except kit.Broken as error:
            raise kit.Broken("%s: %s" % (way.__name__, error))
        place.check_store("grown", place.grown)


if __name__ == "__main__":
    kit.main(test)
