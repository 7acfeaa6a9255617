#!/usr/bin/env python3
"""Signed licences, many of them: issued, added, backed up, restored on another computer; and no secret in clear.

usage: signed.py REHOST REHOST-ISSUE SECRETS COUNT

Every content key on both computers is the one that the issuer made.  None of them, raw, as hex or as base64, is
in any file that Rehost writes: store, backup, temporary folder, home, or the core dump of a killed run; the file
of the issuer in which they do stand in clear proves that the search finds them.
"""
import base64
import hashlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time

REHOST, ISSUE, SECRETS = (str(pathlib.Path(name).resolve()) for name in sys.argv[1:4])
COUNT = int(sys.argv[4])


class Place:
    def __init__(self, top):
        self.top = top
        for name in ("temporary", "home", "stick", "cores"):
            (top / name).mkdir()

    def env(self, computer):
        machine_id = self.top / (computer + ".machine-id")
        machine_id.write_text(hashlib.md5(computer.encode()).hexdigest() + "\n")
        return dict(os.environ, REHOST_MACHINE_ID_FILE=str(machine_id), REHOST_STORE=str(self.top / computer),
                    TMPDIR=str(self.top / "temporary"), HOME=str(self.top / "home"))

    def run(self, *arguments, computer="old", status=(0,), **more):
        started = time.monotonic()
        done = subprocess.run([str(a) for a in arguments], env=self.env(computer), cwd=self.top,
                              stdout=more.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, **more)
        if done.returncode not in status:
            raise SystemExit("%s ended with %d: %s" % (arguments[:3], done.returncode, done.stderr.decode()[-800:]))
        self.seconds = time.monotonic() - started
        return done.stdout.decode() if done.stdout else ""


def rows(count, name):
    """What the issuer issues: everything may be read, half of it played five times, a tenth may not be backed up."""
    for i in range(count):
        yield json.dumps({"jti": "%s-%07d" % (name, i), "key_id": "key-%07d" % i,
                          "title": {"en": "Song %d" % i, "de": "Lied %d" % i},
                          "actions": {"read": {}, "play": {"count": 5}} if i % 2 else {"read": {}},
                          "backup": i % 10 != 0, "content_key": "random"})


def issue(place, count, name):
    """Licences for the computer of this name, which trusts their issuer; files NAME.ndjson and NAME.keys."""
    (place.top / (name + ".jwk")).write_text(place.run(REHOST, "computer", "show", "--public", computer=name))
    place.run(REHOST, "issuer", "add", "public.jwks", computer=name)
    (place.top / "rows.jsonl").write_text("".join(row + "\n" for row in rows(count, name)))
    place.run(ISSUE, "issue", "--key", "keys.jwks", "--computer", name + ".jwk", "--content-keys", name + ".keys",
              "--output", name + ".ndjson", "rows.jsonl")
    print("issued %d licences in %.1f s" % (count, place.seconds))


def issued_secrets(place, name, count):
    """id -> content key in hex, as the issuer wrote them down."""
    secrets = {}
    for line in (place.top / (name + ".keys")).read_text().splitlines():
        entry = json.loads(line)
        key = base64.urlsafe_b64decode(entry["content_key"] + "==")
        secrets[entry["jti"]] = key.hex()
    if len(secrets) != count:
        raise SystemExit("the issuer wrote down %d content keys" % len(secrets))
    return secrets


def dumped(place, computer, action="read"):
    lines = place.run(SECRETS, "dump", place.top / computer, action, computer=computer).splitlines()
    return dict(line.split(" ") for line in lines)


def write_needles(place, secrets):
    with open(place.top / "needles", "wb") as needles:
        for text in secrets.values():
            key = bytes.fromhex(text)
            for needle in (key, text.encode(), base64.b64encode(key), base64.urlsafe_b64encode(key)):
                needles.write(needle[:16])


def files(place, *names):
    return [str(path) for name in names for path in (place.top / name).rglob("*") if path.is_file()]


def scan(place, paths, expect):
    place.run(SECRETS, "scan", "needles", *paths, status=(expect,))


def abort(command, env, place, source=None):
    """Runs it, and has it killed by a signal that makes a core dump."""
    def limits():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)

    with subprocess.Popen(command, env=env, cwd=place.top / "cores", preexec_fn=limits, stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        if source is not None:
            process.stdin.write(source)
            process.stdin.flush()
        time.sleep(0.3)
        process.send_signal(signal.SIGABRT)
    if process.returncode != -signal.SIGABRT:
        raise SystemExit("%s ended with %d before it was killed" % (command[:2], process.returncode))


def killed_run(place):
    """An add is killed while it has content keys in memory."""
    count = min(COUNT, 5000)
    issue(place, count, "killed")
    write_needles(place, issued_secrets(place, "killed", count))
    abort([sys.executable, "-c", "import time; time.sleep(60)"], place.env("killed"), place)
    control = len(files(place, "cores"))
    # Standard input stays open, so it cannot be done before it is killed.
    abort([REHOST, "add", "-"], place.env("killed"), place, (place.top / "killed.ndjson").read_bytes())
    scan(place, files(place, "killed", "cores", "temporary"), 0)
    print("core dumps: %d of another program, %d of rehost" % (control, len(files(place, "cores")) - control))


def compare(place, secrets):
    """On the new computer: the same keys; counts stay with the computer that they were issued to."""
    new, played = dumped(place, "new"), dumped(place, "new", "play")
    for number, (identifier, key) in enumerate(sorted(secrets.items())):
        expected = (None, None) if number % 10 == 0 else (key, "E_RIGHT_SPENT" if number % 2 else "E_NO_RIGHT")
        if (new.get(identifier), played.get(identifier)) != expected:
            raise SystemExit("%s on the new computer: %s" % (identifier, new.get(identifier)))


def search(place, secrets):
    write_needles(place, secrets)
    (place.top / "clear").write_bytes(b"x" * 1001 + bytes.fromhex(next(iter(secrets.values()))))
    scan(place, [place.top / "clear"], 1)
    paths = files(place, "old", "new", "stick", "temporary", "home")
    scan(place, paths, 0)
    print("%d files searched" % len(paths))


def main():
    with tempfile.TemporaryDirectory(prefix="rehost-signed-") as folder:
        place = Place(pathlib.Path(folder))
        place.run(ISSUE, "key", "make", "keys.jwks", "--issuer", "https://issuer.example")
        (place.top / "public.jwks").write_text(place.run(ISSUE, "key", "public", "keys.jwks"))
        issue(place, COUNT, "old")
        secrets = issued_secrets(place, "old", COUNT)
        with open(place.top / "old.ndjson") as source:
            place.run(REHOST, "add", "-", "-q", stdin=source)
        print("added in %.1f s" % place.seconds)
        if dumped(place, "old") != secrets:
            raise SystemExit("the content keys on the old computer are not those that were issued")
        place.run(REHOST, "backup", "stick", "-q", status=(3,))
        print("backed up in %.1f s" % place.seconds)
        (place.top / "key").write_text(json.loads(place.run(REHOST, "--json", "recovery", "show"))["identity"])
        place.run(REHOST, "restore", "stick", "-q", "--recovery-key-file", "key", computer="new")
        print("restored in %.1f s" % place.seconds)
        compare(place, secrets)
        search(place, secrets)
        killed_run(place)
        print("%d licences, %d secrets on the new computer" % (COUNT, COUNT - (COUNT + 9) // 10))


if __name__ == "__main__":
    main()
