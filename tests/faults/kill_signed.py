#!/usr/bin/env python3
"""Kills rehost -9 at random instants while signed licences are added, used, backed up and restored.

After each kill the store passes its check, every use that was reported is spent and at most one more, each content
key is the one that was issued, the old or the new backup is complete, and the next run succeeds.

usage: kill_signed.py REHOST REHOST-ISSUE SPENDER [SEED]   kills that hit: $REHOST_KILLS / 5, by default 64
"""
import base64
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import kill
from kill import Broken

FIRST, MORE = 40, 60    # licences at the start, and those that "add" adds
USES = 60               # of one run
GRANTED = 1000000
SERVICE = "https://lms.example"
KEYS = pathlib.Path(__file__).parents[2] / "src" / "license" / "vectors" / "computer.jwk"


class Signed(kill.Test):
    def __init__(self, program, issue, spender, seed, folder):
        super().__init__(program, seed, folder)
        self.issue_program, self.spender = issue, spender
        self.report = folder / "report"
        for computer in "ab":
            (folder / computer).write_text(computer + "123456789abcdef0123456789abcdef\n")
        self.be("a")
        self.keys = {}  # id: content key, in hexadecimal digits
        self.kinds = {}  # id: owned, managed or restricted

    def be(self, computer):
        self.env["REHOST_MACHINE_ID_FILE"] = str(self.folder / computer)

    # ---- The programs ----

    def start(self, arguments, stdin):
        if arguments[0] != "spend":
            return super().start(arguments, stdin)
        with open(self.report, "w") as report:
            return subprocess.Popen([self.spender, *map(str, arguments[1:])], env=self.env, stdin=subprocess.DEVNULL,
                                    stdout=report, stderr=subprocess.DEVNULL)

    def spend(self, store, uses, ids):
        done = subprocess.run([self.spender, store, str(uses), *ids], env=self.env, capture_output=True, text=True,
                              timeout=60)
        if done.returncode != 0:
            raise Broken("spender ended with %d: %s" % (done.returncode, done.stderr))
        return done.stdout.splitlines()

    def left(self, store):
        return int(self.spend(store, 0, ["used"])[1].split()[1])

    def check_keys(self, store, ids):
        found = [line.split()[1] for line in self.spend(store, 0, ids) if line.startswith("key ")]
        if found != [self.keys[one] for one in ids]:
            raise Broken("other content keys than were issued")

    # ---- What everything starts from ----

    def issue(self, *arguments):
        return subprocess.run([self.issue_program, *map(str, arguments)], check=True, capture_output=True, text=True,
                              timeout=60).stdout

    def rows(self, first, count):
        for number in range(first, first + count):
            name = "used" if number == 0 else "licence-%d" % number
            kind = "owned" if number == 0 else ("owned", "owned", "owned", "managed", "restricted")[number % 5]
            row = {"jti": name, "key_id": name, "title": "Title %d" % number, "actions": {"play": {}}}
            if number == 0:
                row["actions"]["play"]["count"] = GRANTED
            if kind != "restricted":
                row["backup"] = True
            if kind == "managed":
                row.update(service=SERVICE, computers=2)
            self.kinds[name] = kind
            yield json.dumps(row) + "\n"

    def issue_all(self, name, first, count):
        rows, keys = self.folder / (name + ".rows"), self.folder / (name + ".keys")
        rows.write_text("".join(self.rows(first, count)))
        self.issue("issue", "--key", self.folder / "issuer", "--computer", self.folder / "computer.jwk",
                   "--content-key", "random", "--content-keys", keys, "-o", self.folder / name, rows)
        for line in keys.read_text().splitlines():
            one = json.loads(line)
            self.keys[one["jti"]] = base64.urlsafe_b64decode(one["content_key"] + "==").hex()

    def of(self, *kinds, upto=FIRST + MORE):
        return [one for one in list(self.kinds)[:upto] if self.kinds[one] in kinds]

    def service_keys(self):
        key = {name: value for name, value in json.loads(KEYS.read_text()).items() if name != "d"}
        path = self.folder / "service.jwks"
        path.write_text(json.dumps({"service": SERVICE, "keys": [dict(key, alg="ECDH-ES+A256KW", kid="lms")]}))
        return path

    def prepare(self):
        made = self.made = self.folder / "made"
        made.mkdir()
        bare = made / "bare"
        (self.folder / "computer.jwk").write_text(self.run("computer", "show", "--public", "--store", bare).stdout)
        self.issue("key", "make", self.folder / "issuer", "--issuer", "https://shop.example")
        self.issue("key", "public", self.folder / "issuer", "-o", self.folder / "issuer.jwks")
        self.run("issuer", "add", self.folder / "issuer.jwks", "--store", bare, expect=(0,))
        self.run("service", "add", self.service_keys(), "--store", bare, expect=(0,))
        self.issue_all("first.ndjson", 0, FIRST)
        self.issue_all("more.ndjson", FIRST, MORE)
        shutil.copytree(bare, made / "old")
        self.add(made / "old", "first.ndjson")
        for stick in ("stick", "full"):
            (made / stick).mkdir()
        self.run("backup", made / "stick", "--store", made / "old")
        self.key(made / "old", self.folder / "key")
        shutil.copytree(made / "old", made / "grown")
        self.spend(made / "grown", 5, ["used"])
        self.add(made / "grown", "more.ndjson")
        self.run("backup", made / "full", "--store", made / "grown")
        self.recovery = ["--recovery-key-file", self.folder / "key"]

    # ---- The operations ----

    def add_signed(self, sample):
        store = self.fresh("store", "old")

        def after():
            if not FIRST <= self.check_store(store) <= FIRST + MORE:
                raise Broken("licences that were there are lost")
            self.check_keys(store, self.ids(store))
            self.add(store, "more.ndjson")
            if self.check_store(store) != FIRST + MORE:
                raise Broken("the next run did not add everything")
            self.check_keys(store, list(self.kinds))
        return ["add", "-", "--store", store], "more.ndjson", after

    def use(self, sample):
        store = self.fresh("store", "grown")

        def after():
            reported = self.report.read_text().count("used\n")
            spent = GRANTED - 5 - self.left(store)
            if not reported <= spent <= reported + 1:
                raise Broken("%d uses were reported, %d are spent" % (reported, spent))
            if self.check_store(store) != FIRST + MORE:
                raise Broken("licences that were there are lost")
            self.spend(store, 1, ["used"])
            if GRANTED - 5 - self.left(store) != spent + 1:
                raise Broken("the next use did not take one")
        return ["spend", store, USES, "used"], os.devnull, after

    def overwrite_signed(self, sample):
        store, stick = self.fresh("store", "grown"), self.fresh("stick", "stick")
        old, new = (len(self.of("owned", "managed", upto=upto)) for upto in (FIRST, FIRST + MORE))

        def after():
            if self.check_store(store) != FIRST + MORE or self.left(store) != GRANTED - 5:
                raise Broken("licences or uses that were there are lost")
            size = self.backup_size(stick, *self.recovery)
            if size not in (old, new):
                raise Broken("neither the old nor the new backup is complete: %d licences" % size)
            self.run("backup", stick, "--overwrite", "--store", store)
            self.check_clean(stick)
            if self.backup_size(stick, *self.recovery) != new:
                raise Broken("the next backup is not complete")
        return ["backup", stick, "--overwrite", "--store", store], os.devnull, after

    def second_computer(self, sample):
        store, stick = self.fresh("second"), self.made / "full"
        owned = self.of("owned")
        self.be("b")

        def after():
            if self.check_store(store) not in (0, len(owned)):
                raise Broken("part of the backup was restored")
            self.run("restore", stick, "--store", store, *self.recovery)
            if sorted(self.ids(store)) != sorted(owned):
                raise Broken("the next restore is not complete")
            self.check_keys(store, [one for one in owned if one != "used"])
            if self.left(store) != 0:
                raise Broken("counts came to a second computer")
            self.be("a")
            if self.backup_size(stick, *self.recovery) != len(self.of("owned", "managed")):
                raise Broken("a restore changed the backup")
        return ["restore", stick, "--store", store, *self.recovery], os.devnull, after

    def restore_old(self, sample):
        """A backup from before five uses, into a store that has the licence, or had it."""
        store, stick = self.fresh("store", "grown"), self.made / "stick"
        if self.random.random() < 0.5:
            self.run("remove", "used", "--store", store)

        def after():
            self.check_store(store)
            if "used" in self.ids(store) and self.left(store) != GRANTED - 5:
                raise Broken("uses came back")
            self.run("restore", stick, "--store", store, *self.recovery)
            if self.check_store(store) != FIRST + MORE or self.left(store) != GRANTED - 5:
                raise Broken("the next restore is not complete, or uses came back")
        return ["restore", stick, "--store", store, *self.recovery], os.devnull, after

    def measure(self, operation):
        durations = super().measure(operation)
        self.be("a")
        return durations


def main(program, issue, spender, seed=None):
    seed = int(seed) if seed is not None else random.SystemRandom().randrange(1 << 32)
    kills = int(os.environ.get("REHOST_KILLS", "320")) // 5
    print("seed %d" % seed, flush=True)
    started = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rehost-kill-signed-"))
    programs = [str(pathlib.Path(path).resolve()) for path in (program, issue, spender)]
    try:
        test = Signed(*programs, seed, folder)
        test.prepare()
        operations = [test.add_signed, test.use, test.overwrite_signed, test.second_computer, test.restore_old]
        hits = sum(test.rounds(operation, -(-kills // len(operations))) for operation in operations)
    except Broken as error:
        print("seed %d: %s\nleft in %s" % (seed, error, folder))
        return 1
    shutil.rmtree(folder)
    print("%d kills, %.0f s" % (hits, time.monotonic() - started))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
