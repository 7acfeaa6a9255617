#!/usr/bin/env python3
"""A program written for the SDK restores managed licences: which events it gets, and what a cancel does.

usage: sdk.py REHOST REHOST-ISSUE REHOSTD SECRETS sqlite SDK-BACKUP
"""
import pathlib
import signal
import subprocess
import time

from world import check, main

CONNECTING, DISCONNECTING, BEGIN, END = ("WMT_BACKUPRESTORE_" + name for name in (
    "CONNECTING", "DISCONNECTING", "BEGIN", "END"))
NEEDS, INDIVIDUALIZE, URL = "WMT_NEEDS_INDIVIDUALIZATION", "WMT_INDIVIDUALIZE", "WMT_ERROR_WITHURL"
OK, LIMIT, NOT_ALL = "0x00000000", "0xC00D2753", "0xC00D275F"


class Sdk:
    def __init__(self, world, program):
        self.world, self.program = world, str(pathlib.Path(program).resolve())
        self.key = None

    def restore(self, computer, *more):
        """Lists of an event's words: name, HRESULT, value."""
        run = subprocess.run([self.program, "restore", "stick", str(self.world.top / computer), self.key, *more],
                             env=self.world.env(computer), cwd=self.world.top, capture_output=True, text=True, timeout=60)
        lines = [line.split(None, 2) for line in run.stdout.splitlines() if line.startswith("WMT_")]
        check(lines and lines[-1][0] == END, "the last event is not the end: %s %s" % (run.stdout, run.stderr))
        check([line[0] for line in lines].count(END) == 1, "more than one end: %s" % run.stdout)
        return lines


def names(events):
    return [event[0] for event in events]


def story(world, program):
    sdk = Sdk(world, program)
    service = world.serve()
    world.admin("issuer", "add", "public.jwks")
    world.admin("policy", "set", "--computers", "2")
    world.trust("old")
    rows = list(world.rows(2)) + [{name: value for name, value in row.items() if name != "service"}
                                  for row in world.rows(1, "owned")]
    secrets = world.issue("old", rows)
    world.backup("old")
    sdk.key = (world.top / "recovery.key").read_text().strip()

    # Without consent nothing is sent; what is owned is restored.
    events = sdk.restore("new")
    check(names(events) == [CONNECTING, DISCONNECTING, BEGIN, NEEDS, END], names(events))
    check(events[-1][1] == events[-2][1] == "0xC00D2728", str(events))
    check(world.listed("new") == {"owned-0000000"}, "not what is owned")
    check("/v1/computers" not in world.log() and "/v1/nonce" not in world.log(), "something was sent without consent")

    # A plan, with consent.
    events = sdk.restore("new", "--individualize", "RestoreMode=plan")
    states = [event[2].split()[1] for event in events if event[0] == INDIVIDUALIZE]
    check(states[0] == "0x01," and states[-1] == "0x02," and "0x10," in states and "0x20," in states, str(states))
    check([name for name in names(events) if name != INDIVIDUALIZE] == [CONNECTING, DISCONNECTING, BEGIN, END],
          names(events))
    check(world.admin("licence", "list") == [], "a plan has changed the ledger")

    # The restore: this computer is known, so nothing is individualized any more.
    events = sdk.restore("new", "--individualize")
    check(names(events) == [CONNECTING, DISCONNECTING, BEGIN, END] and events[-1][1] == OK, str(events))
    check(world.held("new") == secrets, "the new computer cannot use what it got")

    # The limit: an address for each licence.
    events = sdk.restore("third", "--individualize")
    urls = [event[2] for event in events if event[0] == URL]
    check(len(urls) == 2 and all(event[1] == LIMIT for event in events if event[0] == URL), str(events))
    check(events[-1][1] == LIMIT, str(events))
    check(all(world.get(url)[0] == 200 for url in urls), "an address does not open")
    check(world.listed("third") == {"owned-0000000"}, "not what is owned")

    # Another address in place of the licences' own, at which nobody is.
    world.run("rehost", "remove", "song-0000000", computer="new")
    events = sdk.restore("new", "ServiceURL=https://localhost:1")
    check(events[-1][1] == NOT_ALL, str(events))

    # The service is down, and comes back.
    world.stop(service)
    events = sdk.restore("new")
    check(events[-1][1] == NOT_ALL, str(events))
    service = world.serve()
    check(sdk.restore("new")[-1][1] == OK, "the service is back, and nothing is restored")
    check(world.held("new") == secrets, "the new computer cannot use what it got again")
    world.stop(service)
    canceled(world, secrets)


def canceled(world, secrets):
    """Ctrl-C while the service lets somebody wait, at every step of the talk; run again, it is done."""
    for number, step in enumerate(("nonce 1", "computers 1", "commit 1")):
        (world.top / "script").write_text("%s slow 5\n" % step)
        service = world.serve("--rehearse", "script")
        world.admin("policy", "set", "--computers", "100")
        computer = "canceled-%d" % number
        command = world.command("rehost", "restore", "stick", "--recovery-key-file", "recovery.key", "--individualize")
        with subprocess.Popen(command, env=world.env(computer), cwd=world.top, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as restore:
            time.sleep(1.5)
            started = time.monotonic()
            restore.send_signal(signal.SIGINT)
            _, err = restore.communicate(timeout=30)
        check(restore.returncode == 7, "%s: a canceled restore ends with %d: %s" % (step, restore.returncode, err))
        check(time.monotonic() - started < 4, "%s: the cancel waited for the service" % step)
        world.restore(computer)
        check(world.held(computer) == secrets, "%s: run again, it is not done" % step)
        world.stop(service)
    holders = world.admin("licence", "show", "song-0000000")[0]["computers"]
    check(len(holders) == 5, "somebody was counted twice: %s" % holders)


if __name__ == "__main__":
    main(story)
