#!/usr/bin/env python3
"""Five computers and a limit of four, over real TLS.

usage: limit.py REHOST REHOST-ISSUE REHOSTD SECRETS sqlite|postgresql

The computer that licences were issued to and three new ones hold them; the fifth is refused with an address that
opens; each known one gets them again for nothing, in any order; after a release and its waiting time the fifth gets
them.
"""
import html
import json
import random
import re
import time

from world import check, main

SEED = 20261122


def result_codes(events):
    return [event["code"] for event in events if event["event"] == "license"]


def holders(world, computer):
    """thumbprint -> what the service says of it, of the first licence."""
    out = world.run("rehost", "computer", "status", "--json", computer=computer).out
    for line in out.splitlines():
        object_ = json.loads(line)
        if "computers" in object_:
            return {holder["computer"]: holder for holder in object_["computers"]}
    raise AssertionError("no licence in " + out)


def name_of(world, computer):
    out = world.run("rehost", "computer", "status", "--json", computer=computer).out
    return json.loads(out.splitlines()[0])["computer"]


def first_four(world, secrets):
    for number, computer in enumerate(("second", "third", "fourth"), 2):
        plan = world.events(computer, "--plan")
        check(result_codes(plan) == ["S_ADDED"] + ["S_COSTS"] * 3, "a plan says %s" % result_codes(plan))
        events = world.events(computer)
        granted = [event for event in events if event.get("code") == "S_GRANTED"]
        check(len(granted) == 3, "%s got %s" % (computer, result_codes(events)))
        check(all("%d of 4" % number in event["text"] for event in granted), granted[0]["text"])
        check(world.held(computer) == secrets, "%s cannot use what it got" % computer)
        names = [event["event"] for event in events if event["event"] in ("connecting", "disconnecting", "begin", "end")]
        check(names == ["connecting", "disconnecting", "begin", "end"], "events: %s" % names)


def refused_fifth(world):
    events = world.events("fifth", status=6)
    limits = [event for event in events if event["event"] == "limit"]
    check(len(limits) == 3, "limits: %s" % result_codes(events))
    check(events[-1]["code"] == "E_LIMIT_REACHED" and events[-1]["hresult"] == "0xC00D2753", str(events[-1]))
    check(world.listed("fifth") == {"owned-0000000"}, "the owned licence was not restored")
    for event in limits:
        status, headers, page = world.get(event["text"])
        check(status == 200 and headers["Content-Type"].startswith("text/html"), "the page of the limit")
        check(event["license"]["title"] in page and "4 of 4" in page, "the page does not say what it should")
        check(event["license"]["id"] not in event["text"], "the address reveals the licence")
    _, _, page = world.get(limits[0]["text"], "de")
    check("Was Sie jetzt tun können" in page, "the German page is not German")


def again_for_nothing(world, secrets, rng):
    """Every known computer loses the licences and gets them again; so does the one that they were issued to."""
    world.run("rehost", "computer", "individualize", "--yes", "--name", "The old one", computer="old")
    computers = ["old", "second", "third", "fourth"] * 2
    rng.shuffle(computers)
    for computer in computers:
        world.run("rehost", "remove", *sorted(secrets), computer=computer)
        codes = [code for code in result_codes(world.events(computer)) if code != "S_ALREADY_HERE"]
        wanted = len([id_ for id_ in secrets if id_.startswith("song")])
        check(codes.count("S_FREE") == wanted, "%s again: %s" % (computer, codes))
        check(world.held(computer) == secrets, "%s cannot use what it got again" % computer)
    check(len(holders(world, "old")) == 4, "somebody was counted twice")


def released(world):
    world.admin("policy", "set", "--release-wait", "2s")
    lost = name_of(world, "second")
    _, _, page = world.get(next(event for event in world.events("fifth", status=6) if event["event"] == "limit")["text"])
    check("<code>%s</code>" % lost in page, "the page does not name the computer")
    command = html.unescape(re.sub("<[^>]*>", "", re.search("<pre>(.*?)</pre>", page)[1])).replace("CODE", lost).split()
    check(command[0] == "rehost", "the page's command: %s" % command)
    world.run(*command, "--recovery-key-file", "recovery.key", computer="third")
    check(holders(world, "third")[lost]["releasing"] is not None, "the release is not to be seen")
    world.events("fifth", status=6)
    time.sleep(3)
    events = world.events("fifth")
    check(result_codes(events).count("S_GRANTED") == 3, "after the release: %s" % result_codes(events))
    check(lost not in holders(world, "fifth"), "the lost computer is still counted")
    # It is a computer like any other now, and there is no place for it.
    world.run("rehost", "remove", "song-0000000", computer="second")
    events = world.events("second", status=6)
    check("E_LIMIT_REACHED" in result_codes(events), "the released computer: %s" % result_codes(events))


def taken_back(world):
    """A computer that shows up is not lost."""
    name = name_of(world, "fourth")
    world.admin("policy", "set", "--release-wait", "1h")
    world.run("rehost", "computer", "release", name, "--recovery-key-file", "recovery.key", computer="third")
    check(holders(world, "third")[name]["releasing"] is not None, "the release is not to be seen")
    world.run("rehost", "remove", "song-0000001", computer="fourth")
    check("S_FREE" in result_codes(world.events("fourth")), "a computer that is to be released is still known")
    check(holders(world, "third")[name]["releasing"] is None, "it showed up, and is released all the same")


def audited(world):
    verified = world.admin("audit", "verify")[0]
    check(not verified["rolled_back"] and verified["entries"] > 10, str(verified))
    log = world.log()
    for secret in ("AGE-SECRET", "eyJ"):
        check(secret not in log, "the log holds what it should not")


def story(world):
    rng = random.Random(SEED)
    world.serve()
    world.admin("issuer", "add", "public.jwks", "--contact", "help@records.example")
    world.trust("old")
    rows = list(world.rows(3)) + [dict(row, service=None) for row in world.rows(1, "owned")]
    for row in rows:
        if row["service"] is None:
            del row["service"]
    secrets = world.issue("old", rows)
    check(world.held("old") == secrets, "the old computer cannot use its licences")
    world.backup("old")
    first_four(world, secrets)
    refused_fifth(world)
    again_for_nothing(world, secrets, rng)
    released(world)
    taken_back(world)
    audited(world)


if __name__ == "__main__":
    main(story)
