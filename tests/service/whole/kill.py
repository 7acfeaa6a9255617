#!/usr/bin/env python3
"""Kills the service or the client at random instants of a restore.

usage: kill.py REHOST REHOST-ISSUE REHOSTD SECRETS sqlite|postgresql RESTORES

Afterwards every computer holds what the ledger says it holds, nobody is charged twice, and every restore can be
finished by running it again.
"""
import json
import random
import signal
import subprocess
import time

from world import check, main

SEED = 20261122
LICENCES = 6


def name_of(world, computer):
    out = world.run("rehost", "computer", "status", "--json", computer=computer).out
    return json.loads(out.splitlines()[0])["computer"]


class Run:
    def __init__(self, world, rng):
        self.world, self.rng = world, rng
        self.service = world.serve()
        self.killed = {"client": 0, "service": 0, "nobody": 0}
        self.typical = 0.2 # seconds that a restore takes

    def client(self, computer):
        command = self.world.command("rehost", "restore", "stick", "--recovery-key-file", "recovery.key",
                                     "--individualize", "--quiet")
        return subprocess.Popen(command, env=self.world.env(computer), cwd=self.world.top,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_one(self, client):
        """Whether it was still there is counted; a killed service is started again."""
        victim = self.rng.choice(("client", "service"))
        if client.poll() is not None:
            self.killed["nobody"] += 1
        elif victim == "client":
            client.kill()
            self.killed["client"] += 1
        else:
            self.world.stop(self.service, signal.SIGKILL)
            self.killed["service"] += 1
            self.service = self.world.serve()

    def restore(self, computer):
        client = self.client(computer)
        time.sleep(self.rng.uniform(0, self.typical))
        self.kill_one(client)
        client.wait(60)
        started = time.monotonic()
        again = self.world.restore(computer, "--quiet", status=None)
        check(again.returncode == 0, "%s could not finish: %d %s" % (computer, again.returncode, again.err))
        self.typical = 0.9 * self.typical + 0.1 * max(0.05, time.monotonic() - started)


def compare(world, computers, secrets):
    names = {name_of(world, computer): computer for computer in computers}
    check(len(names) == len(computers), "two computers have one name")
    for id_ in secrets:
        holders = [holder["computer"] for holder in world.admin("licence", "show", id_)[0]["computers"]
                   if not holder["original"]]
        check(len(holders) == len(set(holders)), "somebody was counted twice: %s" % holders)
        check(set(holders) == set(names), "%s: the ledger says %d computers, %d restored it" % (
            id_, len(holders), len(names)))
    for computer in computers:
        check(world.held(computer) == secrets, "%s does not hold what it restored" % computer)


def story(world, restores):
    restores = int(restores)
    rng = random.Random(SEED)
    run = Run(world, rng)
    world.admin("issuer", "add", "public.jwks")
    world.admin("policy", "set", "--computers", "100000")
    world.trust("old")
    secrets = world.issue("old", list(world.rows(LICENCES)))
    world.backup("old")
    computers = ["computer-%d" % number for number in range(restores)]
    for computer in computers:
        run.restore(computer)
    compare(world, computers, secrets)
    check(not world.admin("audit", "verify")[0]["rolled_back"], "the ledger is rolled back")
    check(run.killed["client"] > restores / 8 and run.killed["service"] > restores / 8, "killed: %s" % run.killed)
    print("%d restores, seed %d, killed: %s" % (restores, SEED, run.killed))


if __name__ == "__main__":
    main(story)
