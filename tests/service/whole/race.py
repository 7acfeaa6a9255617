#!/usr/bin/env python3
"""Two services on one PostgreSQL, and many computers that race for the last places of the same licences.

usage: race.py REHOST REHOST-ISSUE REHOSTD SECRETS postgresql RACER RACES [failover]

Never one grant more than the limit, never one less.  With "failover" the primary is killed in the middle, again and
again, and its synchronous standby promoted.
"""
import json
import random
import shutil
import subprocess
import sys
import threading
import time

import balancer
from world import World, check, free_port
import with_postgres

THREADS, PER_RACE, LIMIT = 64, 3, 4
SEED = 20261122


def issue(world, races):
    world.trust("source")
    (world.top / "source.jwk").write_text(world.run("rehost", "computer", "show", "--public", computer="source").out)
    rows = [dict(row) for row in world.rows(races * PER_RACE)]
    for row in rows:
        del row["content_key"]
    (world.top / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    world.run("rehost-issue", "issue", "--key", "keys.jwks", "--computer", "source.jwk", "--output", "race.ndjson",
              "rows.jsonl", timeout=600)
    world.documents("race")


def two_services(world):
    """Both under one address, with copies of the same keys."""
    ports = [free_port(), free_port()]
    world.serve(port=ports[0], data="service")
    shutil.copytree(world.top / "service", world.top / "service-2")
    world.serve(port=ports[1], data="service-2")
    return balancer.Balancer(world.port, ports)


def fail_over(servers, racer, moment):
    """Kills the primary and promotes the standby; the services' address of the database names both."""
    time.sleep(moment)
    if racer.poll() is not None:
        return False
    servers[0].kill()
    servers[1].promote()
    return True


def race(world, program, races, servers):
    rng = random.Random(SEED)
    spread = two_services(world)
    world.admin("issuer", "add", "public.jwks")
    issue(world, races)
    (world.top / "service.jwks").write_text(world.get(world.address + "/v1/keys")[2])
    command = [program, world.address, "service.jwks", "race.documents", str(THREADS), str(races), str(PER_RACE)]
    with subprocess.Popen(command, env=world.env(), cwd=world.top, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as racer:
        failed = []
        if servers:
            moment = rng.uniform(1.0, 2.0)
            thread = threading.Thread(target=lambda: failed.append(fail_over(servers, racer, moment)))
            thread.start()
        out, err = racer.communicate()
        if servers:
            thread.join()
            check(failed == [True], "the race was over before the primary was killed")
    check(racer.returncode == 0, "racer: " + err)
    told = [int(line.split()[1]) for line in out.splitlines()]
    wrong = [(i, count) for i, count in enumerate(told) if count != LIMIT - 1]
    check(not wrong, "licences and how many computers were told that they hold them: %s" % wrong[:10])
    for index in rng.sample(range(len(told)), min(len(told), 50)):
        shown = world.admin("licence", "show", "song-%07d" % index)[0]
        check(shown["used"] == LIMIT and len(shown["computers"]) == LIMIT, "the ledger says %s" % shown)
    check(not world.admin("audit", "verify")[0]["rolled_back"], "the ledger is rolled back")
    spread.close()
    print("%d races of %d computers, seed %d" % (races, THREADS, SEED))


def main():
    rehost, issue_, rehostd, secrets, kind, racer, races, *more = sys.argv[1:]
    check(kind == "postgresql", "several services need PostgreSQL")
    import pathlib
    with with_postgres.Postgres() as server:
        standby = server.standby() if more == ["failover"] else None
        try:
            url = server.url(others=[standby]) if standby else server.url()
            with World(rehost, issue_, rehostd, url, secrets=secrets) as world:
                race(world, str(pathlib.Path(racer).resolve()), int(races), standby and (server, standby))
        finally:
            if standby:
                standby.remove()


if __name__ == "__main__":
    main()
