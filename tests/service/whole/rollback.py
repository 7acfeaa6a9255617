#!/usr/bin/env python3
"""An old copy of the ledger is put back: noticed at the first client that saw a newer head.

usage: rollback.py REHOST REHOST-ISSUE REHOSTD SECRETS sqlite|postgresql
"""
import json
import shutil
import subprocess

from world import check, main


def codes(events):
    return [event["code"] for event in events if event["event"] == "license"]


def copy(world):
    """As an operator would: rehostd's own backup, or pg_dump."""
    if world.server:
        world.server.run("pg_dump", "--format=custom", "--file", "%s/ledger.dump" % world.server.directory,
                         world.database)
    else:
        world.run("rehostd", "backup", "ledger.copy", "--data", "service")


def put_back(world):
    if world.server:
        world.server.run("pg_restore", "--clean", "--if-exists", "--dbname", world.database,
                         "%s/ledger.dump" % world.server.directory)
        return
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (world.top / "service" / name).unlink(missing_ok=True)
    shutil.copy(world.top / "ledger.copy", world.top / "service" / "ledger.db")


def ready(world):
    run = subprocess.run(["curl", "--silent", "--cacert", "authority.pem", "--output", "/dev/null", "--write-out",
                          "%{http_code}", world.address + "/readyz"], cwd=world.top, capture_output=True, text=True)
    return run.stdout


def story(world):
    service = world.serve()
    world.admin("issuer", "add", "public.jwks")
    world.trust("old")
    secrets = world.issue("old", list(world.rows(2)))
    world.backup("old")
    world.restore("second")
    copy(world)
    world.restore("third")
    # More is lost than is soon made again.
    for computers in range(5, 15):
        world.admin("policy", "set", "--computers", str(computers))
    world.run("rehost", "remove", "song-0000000", computer="third")
    world.restore("third")
    world.stop(service)
    put_back(world)
    service = world.serve()

    # Who saw nothing newer notices nothing; the second computer's last head is in the copy.
    world.run("rehost", "remove", "song-0000000", computer="second")
    check("S_FREE" in codes(world.events("second")), "the copy does not know the second computer")
    # The third computer was told of a change that is gone.
    world.run("rehost", "remove", "song-0000000", computer="third")
    check("E_SERVICE_ROLLED_BACK" in codes(world.events("third", status=(3, 8))), "nobody noticed")
    # From now on nothing is changed for anybody, also after a restart.
    check(ready(world) == "503", "it says that it is ready")
    check("E_SERVICE_ROLLED_BACK" in codes(world.events("fourth", status=(3, 8))) or
          world.listed("fourth") == set(), "a place was given all the same")
    world.stop(service)
    service = world.serve()
    check(ready(world) == "503", "a restart makes it forget")
    check(world.admin("audit", "verify")[0]["rolled_back"], "the administrator is not told")
    check(world.run("rehostd", "policy", "set", "--computers", "9", "--data", "service",
                    *(["--database", world.database] if world.database else []), status=None).returncode != 0,
          "the administrator may change something")

    world.admin("audit", "resolve", "--reason", "the disk was replaced")
    check(ready(world) == "200", "it is resolved, and not ready")
    world.restore("third")
    check(world.held("third") == secrets, "the third computer got nothing after it was resolved")
    check(not world.admin("audit", "verify")[0]["rolled_back"], "it is not resolved")
    # The copy had lost whose the third computer is; one restore tells it.
    name = json.loads(world.run("rehost", "computer", "status", "--json", computer="third").out.splitlines()[0])
    world.run("rehost", "computer", "release", name["computer"], "--recovery-key-file", "recovery.key",
              computer="second")


if __name__ == "__main__":
    main(story)
