#!/usr/bin/env python3
"""What an application meets when its service fails by script.

usage: test_rehearse.py REHOST REHOST-ISSUE REHOSTD SECRETS
"""
import json
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "whole"))
from world import World  # noqa: E402

PROGRAMS = None


def codes(events):
    return [event["code"] for event in events if event["event"] == "license"]


class Rehearsal(unittest.TestCase):
    def setUp(self):
        self.world = World(*PROGRAMS[:3], tls=False, secrets=PROGRAMS[3])
        self.world.__enter__()
        self.addCleanup(self.world.__exit__)

    def begin(self, script, licences=2):
        """Plays the script to computers that restore these licences and an owned one."""
        world = self.world
        service = world.serve()
        world.admin("issuer", "add", "public.jwks")
        world.trust("old")
        rows = list(world.rows(licences)) + [
            {name: value for name, value in row.items() if name != "service"} for row in world.rows(1, "owned")]
        self.secrets = world.issue("old", rows)
        world.backup("old")
        world.stop(service)
        (world.top / "script").write_text(script)
        world.serve("--rehearse", "script")

    def restored(self, computer, code="S_GRANTED"):
        events = self.world.events(computer)
        self.assertEqual(codes(events).count(code), 2, events)
        self.assertEqual(self.world.held(computer), self.secrets)

    def failed(self, computer, code, status):
        """The managed licences are not there; the owned one is."""
        events = self.world.events(computer, status=status)
        self.assertEqual(codes(events), [code] * 2, events)
        self.assertEqual(self.world.listed(computer), {"owned-0000000"})
        return events

    def test_limit(self):
        self.begin("commit 1 limit # and no other\n")
        events = self.failed("new", "E_LIMIT_REACHED", 6)
        page = next(event["text"] for event in events if event["event"] == "limit")
        self.assertIn("Song 0", self.world.get(page)[2])

    def test_outage_is_over(self):
        self.begin("commit 1-2 outage\ncommit 4 busy\n")
        self.restored("new")
        self.restored("other")

    def test_outage_stays(self):
        self.begin("commit 1-4 outage\n")
        self.failed("new", "E_SERVICE_UNAVAILABLE", 3)
        self.restored("new")

    def test_half_an_answer(self):
        self.begin("commit 1 cut\n")
        # It was counted with the first answer, and is granted under the same idempotency key.
        self.restored("new")
        shown = self.world.admin("licence", "show", "song-0000000")[0]
        self.assertEqual(shown["used"], 2)

    def test_rubbish(self):
        self.begin("commit 1 rubbish\n")
        self.failed("new", "E_SERVICE_REPLY", 3)
        self.restored("new", "S_FREE")

    def test_slow(self):
        self.begin("commit 1 slow 2\n")
        started = time.monotonic()
        self.restored("new")
        self.assertGreater(time.monotonic() - started, 2)

    def test_rollback(self):
        self.begin("commit 1 rollback\ncommit 2 resolve\n")
        self.failed("new", "E_SERVICE_ROLLED_BACK", 3)
        self.restored("new")

    def test_new_keys(self):
        self.begin("commit 2 rotate\n")
        self.restored("new")
        self.restored("other")
        keys = json.loads(self.world.get(self.world.address + "/v1/keys")[2])["keys"]
        self.assertEqual(len(keys), 4)

    def test_clock(self):
        self.begin("clock 2030-05-01T12:00:00Z\ncommit 2 clock +8d\n")
        self.restored("new")
        self.restored("other")
        shown = self.world.admin("licence", "show", "song-0000000")[0]
        since = sorted(holder["since"][:10] for holder in shown["computers"] if not holder["original"])
        self.assertEqual(since, ["2030-05-01", "2030-05-09"])

    def test_script_that_is_none(self):
        (self.world.top / "script").write_text("commit 1 outage\n\ncommit none outage\n")
        for text, words in (("commit none outage", "numbers"), ("commit 1 dance", "action"),
                            ("dance 1 outage", "resource"), ("commit 1 slow", "argument"), ("clock soon", "time"),
                            ("commit 0 outage", "numbers"), ("commit 3-2 outage", "numbers"),
                            ("commit 1 outage 5", "argument"), ("commit 1 clock 8d", "argument")):
            (self.world.top / "script").write_text("\n%s\n" % text)
            run = self.world.run("rehostd", "serve", "--data", "service", "--listen", "127.0.0.1:0", "--rehearse",
                                 "script", status=1)
            self.assertIn("script, line 2", run.err)
            self.assertIn(words, run.err)


if __name__ == "__main__":
    PROGRAMS = sys.argv[1:5]
    unittest.main(argv=sys.argv[:1])
