#!/usr/bin/env python3
"""Stops an ext4 on a loop device at random instants of backup, overwriting backup and repair.

As when power fails or a disk drops off the bus: what was not flushed is lost, and every call fails from then on.
Mounted again, with the journal played back, there is the old backup, whole, or the new one; what was reported as done
is there; the store is unharmed and the same run succeeds at once.

usage: shutdown.py REHOST [SEED]        instants: $REHOST_SHUTDOWNS, by default 100
"""
import os
import shutil
import time

import kit

LICENCES = 1500
MEASURED = 3
CODES = ("E_WRITE", "E_READ", "E_OPEN", "E_READ_BACK", "E_MEDIUM_GONE")


class Test:
    def __init__(self, place):
        self.place, self.hits, self.done_before = place, 0, 0
        place.make_stores(LICENCES)
        self.empty = place.ext4("empty.img", 24)
        self.one = self.with_backups("one.img", "old")
        self.two = self.with_backups("two.img", "old", "old")
        self.damaged, self.mended = self.with_damage("damaged.img")

    def with_backups(self, name, *stores):
        path = self.place.top / name
        shutil.copy(self.empty, path)
        with self.place.on_loop(path) as medium:
            for store in stores:
                self.place.rehost("backup", medium, "--store", self.place.top / store, "--overwrite", "--keep", 9,
                                  status=kit.DONE)
        return path

    def with_damage(self, name):
        """A backup with a run of bad blocks, and what is there when it is mended."""
        path = self.place.top / name
        shutil.copy(self.one, path)
        with self.place.on_loop(path) as medium:
            whole = kit.content(medium)
            for kind, blocks in (("age", 24), ("parity", 8)):
                file = next(medium.glob("licenses-*." + kind))
                for block in range(blocks):
                    kit.flip(file, file.stat().st_size // 3 + 4096 * block, 9)
            self.place.rehost("verify", medium, status=kit.PARTIAL)
        return path, whole

    def backup(self, medium, *options):
        return ["backup", medium, "--store", self.place.top / "grown", *options]

    # ---- What is run, on what, and which sets of licences may be there after it was cut short ----

    def first(self):
        return self.empty, self.backup(self.place.mounts / "medium"), (None, self.place.grown)

    def overwrite(self):
        return self.one, self.backup(self.place.mounts / "medium", "--overwrite"), (self.place.old, self.place.grown)

    def keep(self):
        return (self.two, self.backup(self.place.mounts / "medium", "--overwrite", "--keep", 2),
                (self.place.old, self.place.grown))

    def repair(self):
        return self.damaged, ["repair", self.place.mounts / "medium"], (self.place.old,)

    # ---- One instant ----

    def medium(self, image):
        """Mounts a fresh copy, or None: the last one again.  On a new loop device, for nothing may stay in its cache."""
        copy = self.place.top / "copy.img"
        if image is not None:
            shutil.copy(image, copy)
        return self.place.on_loop(copy)

    def measure(self, operation):
        durations = []
        for _ in range(MEASURED):
            image, command, _ = operation()
            with self.medium(image):
                durations.append(self.place.rehost(*command, status=kit.DONE).seconds)
        return min(durations)

    def cut(self, operation, delay, how):
        place = self.place
        image, command, allowed = operation()
        with self.medium(image) as medium:
            directory = os.open(medium, os.O_RDONLY | os.O_DIRECTORY)
            running = place.start(*command)
            time.sleep(delay)
            kit.shutdown(directory, how)
            os.close(directory)
            run = running.wait()
        if run.status == kit.DONE:
            self.done_before += 1
            allowed = allowed[-1:]
        else:
            self.hits += 1
            kit.expect(run.status == kit.ENVIRONMENT and run.code in CODES, "a wrong result: %s", run)
        with self.medium(None) as medium:
            self.check(medium, command, allowed)
        kit.tool("fsck.ext4", "-f", "-n", place.top / "copy.img")

    def check(self, medium, command, allowed):
        place = self.place
        if command[0] == "repair":
            return self.check_repaired(medium, command)
        before = kit.generations(medium)
        place.check_backup(medium, *allowed)
        again = command if "--overwrite" in command or not before else command + ["--overwrite"]
        place.rehost(*again, status=kit.DONE)
        place.check_backup(medium, allowed[-1])
        kit.expect(kit.parts(medium) == [], "left on the medium: %s", os.listdir(medium))
        kept = 2 if "--keep" in command else 1
        kit.expect(len(kit.generations(medium)) <= kept, "not removed: %s", kit.generations(medium))

    def check_repaired(self, medium, command):
        """Mended as far as it came, and nothing is worse: the rest can be mended too, byte for byte."""
        place = self.place
        run = place.rehost("verify", medium)
        kit.expect(run.status in (kit.DONE, kit.PARTIAL), "worse than it was: %s", run)
        place.check_backup(medium, place.old)
        place.rehost(*command, status=kit.DONE)
        kit.expect(kit.content(medium) == self.mended, "mended, but not to what it was: %s", os.listdir(medium))
        place.rehost("verify", medium, status=kit.DONE)

    def rounds(self, operation, count):
        whole = self.measure(operation)
        hits, ended = self.hits, self.done_before
        for number in range(count):
            # Each slice of the duration once, and a little beyond its end.
            delay = whole * 1.1 * (number + self.place.random.random()) / count
            how = self.place.random.choice((kit.SHUTDOWN_JOURNAL, kit.SHUTDOWN_NOTHING, kit.SHUTDOWN_NOTHING))
            try:
                self.cut(operation, delay, how)
            except kit.Broken as error:
                raise kit.Broken("%s, stopped (%d) after %.1f of %.1f ms: %s" % (
                    operation.__name__, how, delay * 1e3, whole * 1e3, error))
        self.place.check_store("grown", self.place.grown)
        print("%-10s %4.0f ms: %d stopped, %d had ended before" % (
            operation.__name__, whole * 1e3, self.hits - hits, self.done_before - ended), flush=True)


def test(place):
    instants = int(os.environ.get("REHOST_SHUTDOWNS", "100"))
    shutdowns = Test(place)
    operations = [shutdowns.first, shutdowns.overwrite, shutdowns.keep, shutdowns.repair]
    for operation in operations:
        shutdowns.rounds(operation, -(-instants // len(operations)))
    kit.expect(2 * shutdowns.hits > instants, "only %d of %d hit the run", shutdowns.hits, instants)


if __name__ == "__main__":
    kit.main(test)
