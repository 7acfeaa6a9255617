#!/usr/bin/env python3
"""Media that fail while they are used: errors of writing, of the flush alone and of reading; slow ones; pulled ones.

An ext4 on a loop device over a server of blocks (nbdkit, nbdfuse) that fails when told to.  Each time the program ends
within seconds with the right code, the earlier backup and the store are unharmed, and when the medium works again the
same run succeeds.

usage: errors.py REHOST [SEED]
"""
import contextlib
import os
import shutil
import signal
import time

import kit

LICENCES = 1000
INSTANTS = 12
WRITING = ("E_WRITE", "E_READ", "E_READ_BACK", "E_OPEN", "E_ACCESS", "E_MEDIUM_GONE")
PULLED = ("E_MEDIUM_GONE", "E_WRITE", "E_READ")

# A disk with bad blocks: a file named after each one that does not read; written anew, it is well again.
ROTTEN = {
    "get_size": 'stat -c %s "$IMAGE"',
    "pread": 'i=$(($4 / 4096)); while [ $((i * 4096)) -lt $(($3 + $4)) ]; do '
             '[ ! -e "$BAD/$i" ] || { echo EIO bad >&2; exit 1; }; i=$((i + 1)); done; '
             'exec dd if="$IMAGE" skip=$4 count=$3 iflag=skip_bytes,count_bytes bs=1M status=none',
    "can_write": "exit 0",
    "pwrite": 'i=$(($4 / 4096)); while [ $((i * 4096)) -lt $(($3 + $4)) ]; do '
              '[ ! -e "$BAD/$i" ] || rm "$BAD/$i"; i=$((i + 1)); done; '
              'exec dd of="$IMAGE" seek=$4 oflag=seek_bytes bs=1M conv=notrunc iflag=fullblock status=none',
    "can_flush": "exit 0",
    "flush": '[ ! -e "$BAD/flush" ] || { echo EIO flush >&2; exit 1; }',
}


class Test:
    def __init__(self, place):
        self.place = place
        self.switch = place.top / "switch"
        place.make_stores(LICENCES)
        self.empty = place.ext4("empty.img", 32)
        self.one = place.top / "one.img"
        shutil.copy(self.empty, self.one)
        with place.on_loop(self.one) as medium:
            place.rehost("backup", medium, "--store", place.top / "old", status=kit.DONE)
        self.image = place.top / "image"

    def command(self, medium):
        return ["backup", medium, "--store", self.place.top / "grown", "--overwrite"]

    @contextlib.contextmanager
    def switched(self):
        self.switch.touch()
        try:
            yield
        finally:
            self.switch.unlink()

    def failing(self, *kinds):
        """Every operation of these kinds fails as long as the switch is on."""
        words = ["error-%s%s" % (kind, word) for kind in kinds for word in ("=EIO", "-rate=100%%", "-file=%s")]
        return ["--filter=error", "file", self.image,
                *(word.replace("%%", "%").replace("%s", str(self.switch)) for word in words)]

    def rotten(self):
        bad = self.place.top / "bad"
        bad.mkdir(exist_ok=True)
        head = 'IMAGE="%s" BAD="%s"; ' % (self.image, bad)
        return ["eval", *("%s=%s" % (name, head + script) for name, script in ROTTEN.items())], bad

    @contextlib.contextmanager
    def medium(self, arguments, source):
        shutil.copy(source, self.image)
        with self.place.served(*arguments) as server, \
                self.place.on_loop(server.path, direct=True) as medium:
            yield medium

    def measure(self, arguments):
        with self.medium(arguments, self.one) as medium:
            return self.place.rehost(*self.command(medium), status=kit.DONE).seconds

    def instants(self, whole):
        for number in range(INSTANTS):
            yield whole * (number + self.place.random.random()) / INSTANTS

    def check_after(self, run, codes):
        """On the medium that works again, on a new mount; whether the run was hit."""
        place = self.place
        kit.expect(run.status == kit.DONE or run.status == kit.ENVIRONMENT and run.code in codes,
                   "a wrong result: %s", run)
        kit.tool("fsck.ext4", "-f", "-p", self.image, status=(0, 1))
        with place.on_loop(self.image) as medium:
            place.check_backup(medium, *([place.grown] if run.status == kit.DONE else [place.old, place.grown]))
            place.rehost(*self.command(medium), status=kit.DONE)
            place.check_backup(medium, place.grown)
            kit.expect(kit.parts(medium) == [], "left on the medium: %s", os.listdir(medium))
        return run.status != kit.DONE

    # ---- What goes wrong ----

    def errors(self, codes, *kinds):
        """From a random instant on."""
        arguments = self.failing(*kinds)
        hits = 0
        for delay in self.instants(self.measure(arguments)):
            with self.medium(arguments, self.one) as medium:
                running = self.place.start(*self.command(medium))
                time.sleep(delay)
                with self.switched():
                    run = running.wait()
            hits += self.check_after(run, codes)
        kit.expect(hits > INSTANTS // 4, "only %d of %d hit the run", hits, INSTANTS)
        return hits

    def writing(self):
        return self.errors(WRITING, "pwrite")

    def writing_and_reading(self):
        # An ext4 that cannot read which blocks are free says that there is no space.
        return self.errors(WRITING + ("E_FULL",), "pwrite", "pread")

    def flush(self):
        """The data arrive, but the flush says that they do not."""
        arguments, bad = self.rotten()
        with self.medium(arguments, self.one) as medium:
            (bad / "flush").touch()
            run = self.place.rehost(*self.command(medium))
            kit.expect(run.status == kit.ENVIRONMENT and run.code == "E_WRITE", "a flush that fails: %s", run)
            (bad / "flush").unlink()
        self.check_after(run, WRITING)
        return 1

    def reading_back(self):
        """Everything can be written, nothing read: the backup is not believed, and not put in place."""
        place, arguments = self.place, self.failing("pread")
        with self.medium(arguments, self.one) as medium:
            before = kit.content(medium)
            warm(medium)
            with self.switched():
                run = place.rehost(*self.command(medium))
            kit.expect(run.status == kit.ENVIRONMENT and run.code in ("E_READ", "E_READ_BACK"), "not read back: %s", run)
            kit.expect(kit.content(medium) == before, "the medium has changed: %s", os.listdir(medium))
        self.check_after(run, WRITING)
        return 1

    def reading(self):
        """Bad blocks in the middle of a backup: told without a key, mended in memory by a restore, and in place by a
        repair, for this disk takes what is written anew."""
        place = self.place
        arguments, bad = self.rotten()
        with self.medium(arguments, self.one) as medium:
            before = kit.content(medium)
            for kind in ("age", "parity"):
                file = next(medium.glob("licenses-*." + kind))
                (bad / str(kit.block_of(file, file.stat().st_size // 2))).touch()
            kit.drop_caches()
            place.rehost("verify", medium, status=kit.PARTIAL)
            place.check_backup(medium, place.old)
            kit.drop_caches()
            copy = place.top / "copy"
            copy.mkdir()
            place.rehost("repair", medium, "--to", copy, status=kit.DONE)
            place.check_backup(copy, place.old)
            place.rehost("repair", medium, status=kit.DONE)
            kit.expect(os.listdir(bad) == [], "repaired, but not written: %s", os.listdir(bad))
            kit.drop_caches()
            place.rehost("verify", medium, status=kit.DONE)
            kit.expect(kit.content(medium) == before, "mended, but not to what it was")
        return 1

    def repairing(self):
        """A repair whose writes fail says so, and nothing is worse."""
        place, arguments = self.place, self.failing("pwrite")
        with self.medium(arguments, self.one) as medium:
            backup = medium / kit.generations(medium)[0]
            kit.flip(backup, backup.stat().st_size // 2)
            os.sync()
            with self.switched():
                run = place.rehost("repair", medium)
            kit.expect(run.status == kit.ENVIRONMENT and run.code in WRITING, "repair: %s", run)
        with place.on_loop(self.image) as medium:
            place.check_backup(medium, place.old)
            place.rehost("repair", medium, status=kit.DONE)
            place.rehost("verify", medium, status=kit.DONE)
        return 1

    # ---- Slow ----

    def slow(self):
        """1 MB/s: progress goes on, and a request to stop is followed within seconds."""
        place = self.place
        rate = place.top / "rate"
        rate.write_text("1T")
        place.make_store("more", 12000, 10000)
        with self.medium(["--filter=rate", "file", self.image, "rate=1T", "rate-file=%s" % rate], self.one) as medium:
            before = kit.content(medium)
            for seconds in (2, 12):
                rate.write_text("8M")
                running = place.start("backup", medium, "--store", place.top / "more", "--overwrite")
                steps, silence = watch(running, seconds)
                running.signal(signal.SIGINT)
                asked = time.monotonic()
                run = running.wait()
                print("%d steps in %d s, %.1f s without any; stopped after %.1f s" % (
                    steps, seconds, silence, time.monotonic() - asked))
                kit.expect(run.status == kit.CANCELED and run.code == "E_CANCELED", "stopped: %s", run)
                rate.write_text("1T")
                kit.expect(kit.content(medium) == before, "the medium has changed: %s", os.listdir(medium))
            kit.expect(steps >= 2 and silence < 10, "no progress is told: %s", run)
            place.check_backup(medium, place.old)
        return 2

    def delayed(self):
        """Each write and read takes its time; nothing else is wrong, so it ends well."""
        arguments = ["--filter=delay", "file", self.image, "delay-write=30ms", "delay-read=10ms"]
        with self.medium(arguments, self.one) as medium:
            self.place.rehost(*self.command(medium), status=kit.DONE)
            self.place.check_backup(medium, self.place.grown)
        return 1

    # ---- Pulled ----

    def pulled(self):
        """The server is killed in the middle, and comes back with what had reached it."""
        place, hits = self.place, 0
        arguments = ["file", self.image]
        for delay in self.instants(self.measure(arguments)):
            shutil.copy(self.one, self.image)
            with place.served(*arguments) as server:
                with place.on_loop(server.path, direct=True) as medium:
                    warm(medium)
                    running = place.start(*self.command(medium))
                    time.sleep(delay)
                    server.kill()
                    run = running.wait()
                kit.expect(run.status == kit.DONE or run.status == kit.ENVIRONMENT and is_pulled(run), "pulled: %s", run)
                server.start()
                with place.on_loop(server.path, direct=True) as medium:
                    place.check_backup(
                        medium, *([place.grown] if run.status == kit.DONE else [place.old, place.grown]))
                    place.rehost(*self.command(medium), status=kit.DONE)
                    place.check_backup(medium, place.grown)
                    kit.expect(kit.parts(medium) == [], "left on the medium: %s", os.listdir(medium))
            hits += run.status != kit.DONE
        kit.expect(hits > INSTANTS // 4, "only %d of %d hit the run", hits, INSTANTS)
        return hits

    def pulled_restore(self):
        """In the middle of a restore: the store takes no harm, and the next restore does the rest."""
        place = self.place
        arguments = ["--filter=delay", "file", self.image, "delay-read=20ms"]
        shutil.copy(self.one, self.image)
        with place.served(*arguments) as server:
            with place.on_loop(server.path, direct=True) as medium:
                kit.drop_caches()
                store = place.top / "half"
                running = place.start("restore", medium, "--store", store, "--recovery-key-file", place.key, other=True)
                time.sleep(0.1)
                server.kill()
                run = running.wait()
                # The loop device does not go with its server: all that can be seen is that nothing reads any more,
                # and what was read before is restored.
                kit.expect(run.status in (kit.ENVIRONMENT, kit.DAMAGED) and run.code in PULLED + ("E_BACKUP_CORRUPT",)
                           or run.status == kit.PARTIAL and run.code == "E_NOT_ALL_STORED" or run.status == kit.DONE,
                           "pulled: %s", run)
            server.start()
            with place.on_loop(server.path, direct=True) as medium:
                place.rehost("restore", medium, "--store", store, "--recovery-key-file", place.key, other=True,
                             status=kit.DONE)
                kit.expect(place.licences(store, other=True) == place.old, "not all restored")
        return int(run.status != kit.DONE)


def is_pulled(run):
    """Before it was looked at, the kernel may have made it read-only already."""
    return run.code in PULLED or run.code == "E_ACCESS" and run.events[0]["medium"]["read_only"]


def warm(medium):
    """Lets the file system read which of its blocks are free."""
    ballast = medium / "ballast"
    ballast.write_bytes(bytes(12 * kit.MIB))
    os.sync()
    ballast.unlink()


def watch(running, seconds):
    """How often a run tells of progress meanwhile, and the longest time that it does not."""
    steps, silence, said, last = 0, 0, 0, time.monotonic()
    end = last + seconds
    while time.monotonic() < end:
        time.sleep(0.05)
        kit.expect(running.process.poll() is None, "over before it was stopped: %s", running.output())
        told = running.output().count('"event":"progress"')
        if told > said:
            steps += 1
            said, last = told, time.monotonic()
        silence = max(silence, time.monotonic() - last)
    return steps, silence


def test(place):
    errors = Test(place)
    ways = (errors.writing, errors.writing_and_reading, errors.flush, errors.reading_back, errors.reading,
            errors.repairing, errors.slow, errors.delayed, errors.pulled, errors.pulled_restore)
    for way in ways:
        started = time.monotonic()
        try:
            hits = way()
        except kit.Broken as error:
            raise kit.Broken("%s: %s" % (way.__name__, error))
        place.check_store("grown", place.grown)
        print("%-20s %2d hit, %.1f s" % (way.__name__, hits, time.monotonic() - started), flush=True)


if __name__ == "__main__":
    kit.main(test)
