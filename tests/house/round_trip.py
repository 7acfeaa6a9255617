#!/usr/bin/env python3
"""The main job with many licences: add, back up, restore on another computer; then without Rehost.

usage: round_trip.py REHOST COUNT [SEED]

Every licence that may be backed up comes back byte for byte, from Rehost and from age, zstd and tar
alone; every restricted one is reported by its key id and is absent; the lists of both stores agree.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "faults"))
import licenses  # noqa: E402

PERCENT = 3


class Computer:
    def __init__(self, program, folder, name):
        self.program, self.store = program, folder / name
        machine_id = folder / (name + ".machine-id")
        machine_id.write_text(hashlib.md5(name.encode()).hexdigest() + "\n")
        self.env = dict(os.environ, REHOST_MACHINE_ID_FILE=str(machine_id))

    def start(self, *arguments, **more):
        return subprocess.Popen([self.program, *map(str, arguments), "--store", str(self.store)], env=self.env,
                                stdout=subprocess.PIPE, text=True, **more)

    def lines(self, *arguments, expect=(0,), **more):
        with self.start(*arguments, "--json", **more) as process:
            for line in process.stdout:
                yield json.loads(line)
        if process.returncode not in expect:
            raise SystemExit("rehost %s ended with %d" % (arguments[0], process.returncode))


def digest(data):
    return hashlib.sha256(data).digest()


def add(computer, count, seed):
    """Adds the licences; what must come back, and what must not."""
    with subprocess.Popen([computer.program, "add", "-", "-q", "--store", str(computer.store)], env=computer.env,
                          stdin=subprocess.PIPE) as process:
        for line in licenses.lines(count, seed, PERCENT):
            process.stdin.write(line.encode() + b"\n")
    if process.returncode != 0:
        raise SystemExit("rehost add ended with %d" % process.returncode)
    owned = set()
    for number in range(count):
        if not licenses.is_restricted(seed, number, PERCENT):
            owned.add(digest(licenses.document(seed, number, PERCENT)))
    return owned


def open_by_hand(backup, key):
    """age, zstd and tar, without Rehost."""
    age = subprocess.Popen(["age", "-d", "-i", key, backup], stdout=subprocess.PIPE)
    zstd = subprocess.Popen(["zstd", "-d", "-q", "-c"], stdin=age.stdout, stdout=subprocess.PIPE)
    age.stdout.close()
    found = set()
    with tarfile.open(fileobj=zstd.stdout, mode="r|") as archive:
        for member in archive:
            if re.fullmatch(r"licenses/[^/]+/document", member.name):
                found.add(digest(archive.extractfile(member).read()))
    if age.wait() != 0 or zstd.wait() != 0:
        raise SystemExit("age ended with %d, zstd with %d" % (age.returncode, zstd.returncode))
    return found


def same_lists(old, new):
    """Both lists, apart from restricted licences, line by line; returns the restricted licences."""
    restricted = []
    others = new.lines("list")
    for one in old.lines("list"):
        if one["class"] == "restricted":
            restricted.append(one)
        elif one != next(others, None):
            raise SystemExit("the lists of both computers differ at %s" % one["id"])
    if next(others, None) is not None:
        raise SystemExit("the new computer has more than the old one")
    return restricted


def main(program, count, seed="7"):
    count = int(count)
    program = str(pathlib.Path(program).resolve())
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rehost-trip-") as name:
        folder = pathlib.Path(name)
        old, new = Computer(program, folder, "old"), Computer(program, folder, "new")
        stick = folder / "stick"
        stick.mkdir()
        owned = add(old, count, seed)
        events = list(old.lines("backup", stick, expect=(0, 3), stderr=subprocess.DEVNULL))
        reported = sorted(event["license"]["key_id"] for event in events if event["event"] == "restricted")
        shown = "".join(json.dumps(line) for line in old.lines("recovery", "show"))
        key = folder / "key"
        key.write_text(re.search(r"AGE-SECRET-KEY-1[A-Z0-9]+", shown).group() + "\n")
        key.chmod(0o600)
        for _ in new.lines("restore", stick, "--recovery-key-file", key):
            pass
        restricted = same_lists(old, new)
        if len(restricted) + len(owned) != count or reported != sorted(one["key_id"] for one in restricted):
            raise SystemExit("%d restricted licences, %d reported" % (len(restricted), len(reported)))
        plain = folder / "plain"
        for _ in new.lines("export", stick, "--to", plain, "--recovery-key-file", key):
            pass
        exported = {digest(path.read_bytes()) for path in plain.glob("licenses/*/document")}
        if exported != owned:
            raise SystemExit("exported documents differ from those that were added")
        shutil.rmtree(plain)
        if open_by_hand(next(stick.glob("licenses-*.age")), key) != owned:
            raise SystemExit("age, zstd and tar give other documents than those that were added")
        print("%d licences, %d restricted, %.0f s" % (count, len(restricted), time.monotonic() - started))


if __name__ == "__main__":
    main(*sys.argv[1:])
