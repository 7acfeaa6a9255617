#!/usr/bin/env python3
"""Kills rehost -9 at random instants of add, backup, overwriting backup and restore.

After each kill the store passes its check, the old or the new backup is complete and opens, no partial
file is taken for a backup, and the next run succeeds and cleans up.

usage: kill.py REHOST [SEED]        kills that hit a running process: $REHOST_KILLS, by default 320
"""
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import licenses

FIRST, MORE = 300, 300  # licences at the start, and those that "add" adds
RESTRICTED = 3          # percent
MEASURED = 5            # runs whose duration is measured
DONE = (0, 3, 9)        # 3: some licences are restricted; 9: or need a service


class Broken(Exception):
    pass


class Test:
    def __init__(self, program, seed, folder):
        self.program, self.folder = program, folder
        self.random = random.Random(seed)
        self.generator_seed = str(seed)
        self.env = dict(os.environ, REHOST_MACHINE_ID_FILE=str(folder / "machine-id"))
        (folder / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        self.expected = {}  # SHA-256 of the documents that a backup of the first, or of all licences holds
        self.restored = 0

    # ---- The program ----

    def run(self, *arguments, expect=DONE, stdin=os.devnull):
        with open(stdin) as file:
            done = subprocess.run([self.program, *map(str, arguments)], env=self.env, stdin=file,
                                  capture_output=True, text=True, timeout=60)
        if expect is not None and done.returncode not in expect:
            raise Broken("rehost %s ended with %d\n%s%s" % (
                " ".join(map(str, arguments)), done.returncode, done.stdout[-2000:], done.stderr[-2000:]))
        return done

    def start(self, arguments, stdin):
        with open(stdin) as file:
            return subprocess.Popen([self.program, *map(str, arguments)], env=self.env, stdin=file,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ids(self, store):
        return [json.loads(line)["id"] for line in self.run("list", "--json", "--store", store).stdout.splitlines()]

    def key(self, store, path):
        text = self.run("recovery", "show", "--store", store).stdout
        found = re.search(r"AGE-SECRET-KEY-1[A-Z0-9]+", text)
        if not found:
            raise Broken("'recovery show' shows no identity:\n" + text)
        path.write_text(found.group() + "\n")

    # ---- What everything starts from ----

    def prepare(self):
        for name, first, count in (("first.json", 0, FIRST), ("more.json", FIRST, MORE)):
            (self.folder / name).write_text(
                "".join(line + "\n" for line in licenses.lines(count, self.generator_seed, RESTRICTED, first)))
        for count in (FIRST, FIRST + MORE):
            self.expected[count] = {
                hashlib.sha256(licenses.document(self.generator_seed, number, RESTRICTED)).hexdigest()
                for number in range(count)
                if not licenses.is_restricted(self.generator_seed, number, RESTRICTED)}
        made = self.folder / "made"
        made.mkdir()
        # A store that never made a backup, one that did, and that one with more licences.
        self.add(made / "bare", "first.json")
        shutil.copytree(made / "bare", made / "old")
        (made / "stick").mkdir()
        self.run("backup", made / "stick", "--store", made / "old")
        shutil.copytree(made / "old", made / "grown")
        self.add(made / "grown", "more.json")
        self.key(made / "old", self.folder / "key")
        (made / "full").mkdir()
        self.run("backup", made / "full", "--store", made / "grown")
        self.made = made
        # What is partial must not be taken for a backup, whatever it holds.
        lone = self.folder / "lone"
        lone.mkdir()
        backup = next(made.glob("stick/licenses-*.age"))
        shutil.copy(backup, lone / (backup.name + ".part"))
        if self.run("verify", lone, "--store", made / "old", expect=None).returncode in DONE:
            raise Broken("a .part is taken for a backup")

    def add(self, store, name):
        self.run("add", "-", "--store", store, stdin=self.folder / name, expect=(0,))

    def fresh(self, name, source=None):
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        if source is not None:
            shutil.copytree(self.made / source, path)
        return path

    # ---- What must hold ----

    def check_store(self, store, key=None):
        """The number of licences, of a store that may not have come into being."""
        if not (store / "licenses.db").exists():
            return 0
        done = self.run("check", "--store", store, expect=None)
        # Killed while it was made: nothing is in it, and it says that there is no store.
        if done.returncode == 2 and "no licence store" in done.stderr:
            return 0
        if done.returncode != 0:
            raise Broken("check of the store: %d\n%s%s" % (done.returncode, done.stdout, done.stderr))
        return len(self.ids(store))

    def backup_size(self, stick, *key):
        """How many licences the backup holds that counts, with every one authenticated; 0: there is none."""
        complete = [path for path in stick.iterdir() if re.fullmatch(r"licenses-.*\.age", path.name)]
        if not complete:
            return 0
        done = self.run("verify", stick, "--json", *key)
        return json.loads(done.stdout.splitlines()[-1])["summary"]["done"]

    def check_documents(self, stick, key, expected):
        """Restores into a store of another computer, and exports: every document byte for byte."""
        store, plain = self.fresh("proof"), self.fresh("plain")
        self.run("restore", stick, "--store", store, *key)
        if len(self.ids(store)) != len(expected):
            raise Broken("%d licences restored, %d expected" % (len(self.ids(store)), len(expected)))
        self.run("export", stick, "--to", plain, "--store", store, *key)
        found = {hashlib.sha256(path.read_bytes()).hexdigest() for path in plain.glob("licenses/*/document")}
        if found != expected:
            raise Broken("the exported documents are not those that were added")
        self.restored += 1

    def check_clean(self, stick):
        names = sorted(path.name for path in stick.iterdir())
        backups = [name for name in names if re.fullmatch(r"licenses-.*\.age", name)]
        own = [name.replace(".age", ".parity") for name in backups]
        strange = [name for name in names if name not in backups + own + ["HOW-TO-OPEN.txt", "recovery.age"]
                   and not name.startswith(".")]
        if len(backups) != 1 or strange or not set(own) <= set(names):
            raise Broken("left in the backup directory: %s" % names)

    # ---- The operations: what to run, and what must hold after a kill ----

    def create(self, sample):
        store = self.fresh("store")

        def after():
            if self.check_store(store) not in (0, FIRST):
                raise Broken("part of one batch was added")
            self.add(store, "first.json")
            if self.check_store(store) != FIRST:
                raise Broken("the next run did not add everything")
        return ["add", "-", "--store", store], "first.json", after

    def add_more(self, sample):
        store = self.fresh("store", "old")

        def after():
            if not FIRST <= self.check_store(store) <= FIRST + MORE:
                raise Broken("licences that were there are lost")
            self.add(store, "more.json")
            if self.check_store(store) != FIRST + MORE:
                raise Broken("the next run did not add everything")
        return ["add", "-", "--store", store], "more.json", after

    def first_backup(self, sample):
        store, stick = self.fresh("store", "bare"), self.fresh("stick")
        stick.mkdir()
        expected = self.expected[FIRST]

        def after():
            if self.check_store(store) != FIRST:
                raise Broken("licences that were there are lost")
            key = ["--recovery-key-file", self.folder / "new-key"]
            if self.backup_size(stick, "--store", store) not in (0, len(expected)):
                raise Broken("the backup is neither missing nor complete")
            if sample and self.backup_size(stick, "--store", store):
                # The key of a backup that is there can still be shown.
                self.key(store, self.folder / "new-key")
                self.check_documents(stick, key, expected)
            self.run("backup", stick, "--overwrite", "--store", store)
            self.check_clean(stick)
            self.key(store, self.folder / "new-key")
            if self.backup_size(stick, *key) != len(expected):
                raise Broken("the recovery key does not open all of the next backup")
        return ["backup", stick, "--store", store], os.devnull, after

    def overwrite(self, sample):
        store, stick = self.fresh("store", "grown"), self.fresh("stick", "stick")
        key = ["--recovery-key-file", self.folder / "key"]
        old, new = self.expected[FIRST], self.expected[FIRST + MORE]

        def after():
            if self.check_store(store) != FIRST + MORE:
                raise Broken("licences that were there are lost")
            size = self.backup_size(stick, *key)
            if size not in (len(old), len(new)):
                raise Broken("neither the old nor the new backup is complete: %d licences" % size)
            if sample:
                self.check_documents(stick, key, old if size == len(old) else new)
            self.run("backup", stick, "--overwrite", "--store", store)
            self.check_clean(stick)
            if self.backup_size(stick, *key) != len(new):
                raise Broken("the next backup is not complete")
        return ["backup", stick, "--overwrite", "--store", store], os.devnull, after

    def restore(self, sample):
        # Every other time into a store that is there.
        there = self.random.random() < 0.5
        store, stick = self.fresh("store", "old" if there else None), self.made / "full"
        key = ["--recovery-key-file", self.folder / "key"]
        new = len(self.expected[FIRST + MORE])
        before = FIRST if there else 0
        # Restricted licences of the old store stay there.
        total = new + (FIRST - len(self.expected[FIRST]) if there else 0)

        def after():
            if self.check_store(store) not in (before, total):
                raise Broken("part of the backup was restored")
            self.run("restore", stick, "--store", store, *key)
            if self.check_store(store) != total:
                raise Broken("the next restore is not complete")
            if self.backup_size(stick, *key) != new:
                raise Broken("a restore changed the backup")
        return ["restore", stick, "--store", store, *key], os.devnull, after

    # ---- Kills ----

    def measure(self, operation):
        durations = []
        for _ in range(MEASURED):
            command, stdin, _ = operation(False)
            started = time.monotonic()
            status = self.start(command, self.folder / stdin).wait()
            durations.append(time.monotonic() - started)
            if status not in DONE:
                raise Broken("rehost %s ended with %d, unharmed" % (" ".join(map(str, command)), status))
        return sorted(durations)

    def kill(self, operation, delay, sample):
        """Whether the process was still running when it was killed."""
        command, stdin, after = operation(sample)
        process = self.start(command, self.folder / stdin)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        hit = process.wait() == -signal.SIGKILL
        after()
        return hit

    def rounds(self, operation, kills):
        durations = self.measure(operation)
        whole = durations[len(durations) // 2]
        hits = tries = 0
        while hits < kills:
            # Each slice of the duration in turn, in random order, and a little beyond its end.
            slices = list(range(20))
            self.random.shuffle(slices)
            for part in slices:
                if hits >= kills:
                    break
                delay = whole * 1.02 * (part + self.random.random()) / len(slices)
                tries += 1
                if tries > 6 * kills + 50:
                    raise Broken("%d kills hit only %d times" % (tries, hits))
                try:
                    hits += self.kill(operation, delay, sample=tries % 8 == 0)
                except Broken as error:
                    raise Broken("%s, killed after %.1f of %.1f ms (try %d): %s" % (
                        operation.__name__, delay * 1e3, whole * 1e3, tries, error))
        print("%-12s %4.0f ms: %d killed, %d had ended before" % (
            operation.__name__, whole * 1e3, hits, tries - hits), flush=True)
        return hits


def main(program, seed=None):
    seed = int(seed) if seed is not None else random.SystemRandom().randrange(1 << 32)
    kills = int(os.environ.get("REHOST_KILLS", "320"))
    print("seed %d" % seed, flush=True)
    started = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rehost-kill-"))
    try:
        test = Test(str(pathlib.Path(program).resolve()), seed, folder)
        test.prepare()
        operations = [test.create, test.add_more, test.first_backup, test.overwrite, test.restore]
        hits = sum(test.rounds(operation, -(-kills // len(operations))) for operation in operations)
    except Broken as error:
        print("seed %d: %s\nleft in %s" % (seed, error, folder))
        return 1
    shutil.rmtree(folder)
    print("%d kills, %d backups restored and compared, %.0f s" % (hits, test.restored, time.monotonic() - started))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
