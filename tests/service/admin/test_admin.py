#!/usr/bin/env python3
"""Administration: every command, the same over HTTP, and what the log says of it.  On $REHOST_TEST_DATABASE, else SQLite."""
import datetime
import json
import os
import sqlite3
import subprocess
import unittest

from service import REHOSTD, Computer, Issuer, Service, Tool

DATABASE = os.environ.get("REHOST_TEST_DATABASE")
DONE, USAGE, ENVIRONMENT, DAMAGED, ROLLED_BACK = 0, 1, 2, 5, 8


def setUpModule():
    global tool, issuer, service, computers, licence
    tool = Tool()
    unittest.addModuleCleanup(tool.close)
    issuer = Issuer(tool, "Example Songs")
    service = Service(issuers=[issuer], database=DATABASE)
    unittest.addModuleCleanup(service.close)
    licence = issuer.licence(service.address, id="song-1", computer=tool.key().thumbprint,
                             title={"en": "Night Train", "de": "Nachtzug"})
    computers = [Computer(tool, service, name=name) for name in ("Laptop", "Phone", "Desk", "Attic")]
    for one in computers:
        one.individualize()
    for one in computers[:3]:
        assert one.commit([licence]).json["licenses"][0]["result"] == "granted"
    assert computers[3].plan([licence]).json["licenses"][0]["result"] == "refused"


def people(*command, check=True, where=None, **more):
    """As a person types it, with what is printed."""
    done = subprocess.run([REHOSTD, *map(str, command), *map(str, where or service.store_arguments())], text=True,
                          capture_output=True, timeout=120, **more)
    if check:
        assert done.returncode == 0, done
    return done


class Audited(unittest.TestCase):
    actor = r"^local:.+"

    def entries(self):
        return service.run("audit", "list", "--from", "1", "--limit", "10000")

    def changed(self, kind, command, **members):
        """command() changes the ledger, with one entry of this kind."""
        before = len(self.entries())
        result = command()
        new = self.entries()[before:]
        self.assertEqual([entry["kind"] for entry in new], [kind])
        self.assertRegex(new[0]["actor"], self.actor)
        for name, value in members.items():
            self.assertEqual(new[0]["body"][name], value, new)
        self.assertEqual(service.run("audit", "verify")[0],
                         {"entries": len(self.entries()), "rolled_back": False, "seen": None})
        return result

    def unchanged(self, command):
        before = self.entries()
        result = command()
        self.assertEqual(self.entries(), before)
        return result


class Commands(Audited):
    def do(self, operation, **members):
        """One operation by the command line: its options, and the operand under its name."""
        words = operation.split()
        named = {"id": "--licence"} if words[0] == "policy" else {}
        operands = {"licence": ("id", "prefix"), "computer": ("computer", "prefix"), "case": ("number",), "token": ("name",)}
        operands = {"issuer remove": ("name",)}.get(operation, operands.get(words[0], ()))
        command = list(words)
        for name, value in members.items():
            if name == "keys":
                path = service.directory / "keys.json"
                path.write_text(json.dumps(value))
                command.append(path)
            elif name in operands:
                command.append(value)
            else:
                command += [named.get(name, "--" + name.replace("_", "-")), value]
        return service.run(*command)

    def refused(self, operation, *words, **members):
        with self.assertRaises(AssertionError) as caught:
            self.unchanged(lambda: self.do(operation, **members))
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_issuers(self):
        other = Issuer(tool, "Other")
        self.changed("issuer", lambda: self.do("issuer add", keys=other.keys, title="Other Ltd", contact="x@other.example"),
                     issuer="Other", title="Other Ltd")
        listed = {one["issuer"]: one for one in self.do("issuer list")}
        self.assertEqual((listed["Other"]["title"], listed["Other"]["contact"]), ("Other Ltd", "x@other.example"))
        self.assertEqual(listed["Other"]["keys"]["keys"][0]["kid"], other.kid)
        self.changed("issuer-removed", lambda: self.do("issuer remove", name="Other"), issuer="Other")
        self.assertNotIn("Other", [one["issuer"] for one in self.do("issuer list")])
        self.refused("issuer remove", "Other", name="Other")
        self.refused("issuer add", "has no key that can be used", keys={"keys": []}, name="Empty")

    def test_policies(self):
        extra = self.do("licence show", id="song-1")[0]["limit"] - 4  # what another test allowed
        self.assertEqual(self.changed("policy", lambda: self.do("policy set", computers="5", period="365d", cooldown="12h",
                                                                period_computers="2", release_wait="90"), scope="service"),
                         [{"issuer": "", "id": "", "computers": 5, "period": 31536000, "period_computers": 2,
                           "cooldown": 43200, "release_wait": 90}])
        self.assertEqual(self.do("policy show")[0]["period"], 31536000)
        one = self.changed("policy", lambda: self.do("policy set", issuer=issuer.name, id="song-1", computers="7"),
                           scope="licence", licence="song-1")
        self.assertEqual((one[0]["computers"], one[0]["period"]), (7, None))
        self.assertEqual(self.do("licence show", id="song-1")[0]["limit"], 7 + extra)
        self.changed("policy", lambda: self.do("policy set", issuer=issuer.name, id="song-1"))
        self.changed("policy", lambda: self.do("policy set", issuer=issuer.name, cooldown="1m"), scope="issuer")
        self.changed("policy", lambda: self.do("policy set", issuer=issuer.name))
        self.changed("policy", lambda: self.do("policy set"), computers=None)
        for members, word in (({"computers": "12abc"}, "computers must be a number"), ({"computers": "-1"}, "number"),
                              ({"computers": "0"}, "out of range"), ({"period": "7w"}, "period must be a duration"),
                              ({"computers": "7d"}, "computers must be a number"), ({"period": "d"}, "duration"),
                              ({"cooldown": "99999999999"}, "duration"), ({"issuer": "Nobody"}, "Nobody"),
                              ({"id": "song-1"}, "needs its issuer")):
            self.refused("policy set", word, **members)
        self.refused("policy show", "Nobody", issuer="Nobody")

    def test_licences(self):
        self.assertEqual([one["id"] for one in self.do("licence list", prefix="song-1")], ["song-1"])
        self.assertEqual(self.do("licence list", prefix="song-%"), [])
        self.assertEqual(self.do("licence list", prefix="nothing"), [])
        shown = self.do("licence show", id="song-1")[0]
        self.assertEqual((shown["title"], shown["used"], shown["blocked"]), ("Night Train", 4, False))
        self.assertEqual([one["name"] for one in shown["computers"] if not one["original"]], ["Laptop", "Phone", "Desk"])
        self.assertEqual(self.changed("block", lambda: self.do("licence block", id="song-1", reason="stolen"),
                                      reason="stolen")[0]["blocked"], True)
        self.assertEqual(self.changed("unblock", lambda: self.do("licence unblock", id="song-1", reason="found"))[0]["blocked"],
                         False)
        until = (datetime.date.today() + datetime.timedelta(days=400)).isoformat()
        self.assertEqual(self.changed("exception", lambda: self.do("licence allow", id="song-1", extra="2", until=until,
                                                                   reason="case 1"), extra=2)[0]["limit"],
                         shown["limit"] + 2)
        self.changed("block", lambda: self.do("licence block", id="unseen", issuer=issuer.name, reason="lost"))
        self.assertTrue(self.do("licence show", id="unseen")[0]["blocked"])
        self.refused("licence block", "unseen-2", id="unseen-2", reason="x")
        self.refused("licence block", "reason", id="song-1")
        self.refused("licence block", "Nobody", id="song-1x", issuer="Nobody", reason="x")
        self.refused("licence allow", "until must be a time to come", id="song-1", until="2020-01-01", reason="x")
        self.refused("licence allow", "until must be a time", id="song-1", until="tomorrow", reason="x")
        self.refused("licence allow", "extra", id="song-1", extra="0", reason="x")

    def test_computers(self):
        name = computers[0].thumbprint
        self.assertIn("Laptop", [one["name"] for one in self.do("computer list")])
        self.assertEqual([one["computer"] for one in self.do("computer list", prefix="Laptop")], [name])
        # An abbreviation that begins with a dash is an option.
        prefix = name if name.startswith("-") else name[:12]
        self.assertEqual(self.do("computer list", prefix=prefix)[0]["name"], "Laptop")
        waiting = self.changed("release", lambda: self.do("computer release", computer=name), computer=name)[0]
        self.assertEqual(waiting["state"], "waiting")
        self.assertEqual(self.do("computer list", prefix=name)[0]["releasing"], waiting["effective"])
        self.assertEqual(self.changed("release-cancelled", lambda: self.do("computer keep", computer=name))[0]["state"],
                         "cancelled")
        self.refused("computer release", "there is no computer nobody", computer="nobody")

    def test_cases(self):
        shown = self.do("case show", number="1")[0]
        self.assertEqual((shown["case"], shown["id"], shown["problem"], shown["refused"]),
                         (1, "song-1", "limit-reached", computers[3].thumbprint))
        self.refused("case show", "no such case", number="99999")
        self.refused("case show", "number must be a number", number="1x")

    def test_the_log(self):
        whole = self.entries()
        self.assertEqual([entry["seq"] for entry in whole], list(range(1, len(whole) + 1)))
        self.assertEqual(self.do("audit list", limit="2"), whole[-2:])
        self.assertEqual(self.do("audit list", **{"from": "2", "limit": "1"}), whole[1:2])
        self.assertEqual(self.do("audit verify")[0]["entries"], len(whole))


class Http(Commands):
    """The same commands by POST."""
    actor = r"^token:support-\d+$"
    count = 0

    def setUp(self):
        Http.count += 1
        self.name = "support-%d" % Http.count
        self.token = service.run("token", "make", self.name, "--scope", "write")[0]["token"]
        self.addCleanup(service.run, "token", "remove", self.name)

    def post(self, operation, members, token=None):
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}", "--header", "@-",
             "--data-binary", json.dumps(members), service.address + "/admin/v1/" + operation.replace(" ", "/")],
            input="" if token == "" else "Authorization: Bearer " + (token or self.token), capture_output=True, text=True,
            timeout=90)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    def do(self, operation, **members):
        status, answer = self.post(operation, members)
        if status != 200:
            raise AssertionError("%d %s" % (status, answer["detail"]))
        return answer["results"]

    def test_who_may(self):
        reading = service.run("token", "make", "reading")[0]["token"]
        self.addCleanup(lambda: service.run("token", "remove", "reading", check=False))
        write = ("policy set", {"computers": 4})
        self.assertEqual(self.post("issuer list", {}, reading)[0], 200)
        for token, status, code in ((reading, 403, "forbidden"), ("rehost_" + "A" * 43, 401, "unauthorized"),
                                    (self.token[:-1], 401, "unauthorized"), (self.token + "A", 401, "unauthorized"),
                                    ("", 401, "unauthorized"), ("x" * 3000, 401, "unauthorized")):
            got, answer = self.unchanged(lambda token=token: self.post(*write, token))
            self.assertEqual((got, answer["code"]), (status, code), token)
        service.run("token", "remove", "reading")
        self.assertEqual(self.post("issuer list", {}, reading)[0], 401)
        soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        short = service.run("token", "make", "short", "--expires", soon)[0]["token"]
        self.addCleanup(service.run, "token", "remove", "short")
        while datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ") <= soon:
            pass
        self.assertEqual(self.post("issuer list", {}, short)[0], 401)
        for name in ("token list", "token make", "audit resolve", "nothing here", "issuer"):
            self.assertEqual(self.post(name, {})[0], 404, name)
        for body in ([], {"computers": True}, {"computers": -1}, {"computers": 1 << 60}, {"more": 1}, {"issuer": "a\0b"}):
            self.assertEqual(self.unchanged(lambda body=body: self.post("policy set", body))[0], 400, body)
        for place in (service.words(), json.dumps(self.entries())):
            for token in (self.token, reading, short):
                self.assertNotIn(token[7:], place)


class Tokens(Audited):
    def test_tokens(self):
        made = self.changed("token", lambda: service.run("token", "make", "robot", "--scope", "write"), token="robot")[0]
        self.assertRegex(made["token"], "^rehost_[A-Za-z0-9_-]{43}$")
        listed = [one for one in service.run("token", "list") if one["name"] == "robot"][0]
        self.assertEqual((listed["scope"], listed["expires"]), ("write", None))
        self.assertNotIn("token", listed)
        for words in (["robot"], ["x", "--scope", "all"], ["x" * 65], ["x", "--expires", "2020-01-01"]):
            done = self.unchanged(lambda words=words: service.run("token", "make", *words, check=False))
            self.assertEqual(done.returncode, USAGE, done)
        self.changed("token-removed", lambda: service.run("token", "remove", "robot"), token="robot")
        self.assertNotEqual(service.run("token", "remove", "robot", check=False).returncode, DONE)


class People(unittest.TestCase):
    """What is printed without --json."""

    def test_lists(self):
        lines = people("computer", "list").stdout.splitlines()
        self.assertRegex(lines[0], r"^COMPUTER +NAME +SINCE +RELEASING")
        self.assertRegex("\n".join(lines), r"(?m)^%s +Laptop +\d{4}-\d\d-\d\d \d\d:\d\d UTC" % computers[0].thumbprint)
        starts = {line.index("  ") for line in lines[1:]}
        self.assertEqual(len(starts), 1)
        done = people("licence", "list", "nothing")
        self.assertEqual((done.stdout, done.stderr.strip()), ("", "there are none"))
        self.assertRegex(people("audit", "list").stdout, r"(?m)^\d+ +\d{4}-\d\d-\d\d \d\d:\d\d UTC +enroll ")

    def test_records(self):
        shown = people("licence", "show", "song-1").stdout
        self.assertRegex(shown, r"(?m)^title +Night Train$")
        self.assertRegex(shown, r"(?m)^blocked +(yes|no)$")
        self.assertIn("Laptop", shown)
        self.assertNotIn("{", shown)

    def test_policy(self):
        try:
            shown = people("policy", "set", "--period", "7d", "--cooldown", "90m").stdout
            self.assertTrue(shown.startswith("policy of the service\n"))
            for name, text in (("computers", r"4 \(default\)"), ("period", "7d"), ("cooldown", "90m"),
                               ("release wait", r"7d \(default\)")):
                self.assertRegex(shown, r"(?m)^  %s +%s$" % (name, text))
            self.assertIn("as the service's policy", people("policy", "show", "--issuer", issuer.name).stdout)
        finally:
            people("policy", "set")

    def test_refusals(self):
        empty = service.directory / "empty"
        empty.mkdir(exist_ok=True)
        for command, where, status, words in (
                (["audit", "list"], ["--quiet"], USAGE, "needs --data"),
                (["audit", "list"], ["--data", empty], ENVIRONMENT, "hint: the first 'rehostd serve --data DIR' makes it"),
                (["audit", "list"], ["--data", service.data, "--database", "postgresql://x@127.0.0.1:1/x"], ENVIRONMENT,
                 "hint: check that the database runs"),
                (["licence", "show", "no"], None, None, "hint: 'rehostd licence list'"),
                (["issuer", "add", empty / "no"], None, ENVIRONMENT, "No such file"),
                (["licence", "show"], None, USAGE, "ID"),
                (["policy", "set", "--compters", "4"], None, USAGE, "did you mean --computers?")):
            done = people(*command, check=False, where=where)
            self.assertIn(words, done.stderr)
            self.assertNotIn("--store", done.stderr)
            self.assertNotRegex(done.stderr, r"rehost [a-z]")
            if status is not None:
                self.assertEqual(done.returncode, status, done)


class Ledgers(unittest.TestCase):
    """Ledgers that somebody touched."""

    def test_backup_while_serving(self):
        copy = service.directory / "copy.db"
        people("backup", copy)
        there = sqlite3.connect(copy)
        self.assertEqual(there.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        self.assertGreater(there.execute("SELECT COUNT(*) FROM audit").fetchone()[0], 5)
        there.close()
        verified = people("audit", "verify", "--json", where=["--data", service.data, "--database", "sqlite:%s" % copy])
        self.assertFalse(json.loads(verified.stdout)["rolled_back"])

    def test_an_old_copy_changes_nothing(self):
        with Service(issuers=[issuer]) as other:
            token = other.run("token", "make", "support", "--scope", "write")[0]["token"]
            one = Computer(tool, other)
            one.individualize()
            old = other.directory / "old.db"
            other.run("backup", old)
            one.commit([issuer.licence(other.address)])
            other.stop()
            for name in ("ledger.db-wal", "ledger.db-shm"):
                (other.data / name).unlink(missing_ok=True)
            old.replace(other.data / "ledger.db")
            other.start()
            self.assertEqual(one.plan([issuer.licence(other.address)]).code, "ledger-rolled-back")
            done = people("policy", "set", "--computers", "9", check=False, where=other.store_arguments())
            self.assertEqual(done.returncode, ROLLED_BACK, done)
            self.assertIn("rehostd audit resolve", done.stderr)
            reply = other.exchange("POST", "/admin/v1/policy/set", b"{}", {"Authorization": "Bearer " + token})
            self.assertEqual((reply.status, reply.code), (409, "ledger-rolled-back"))
            release = other.exchange("POST", "/admin/v1/computer/release", json.dumps({"computer": one.thumbprint}),
                                     {"Authorization": "Bearer " + token})
            self.assertEqual(release.code, "ledger-rolled-back")
            verified = other.run("audit", "verify")[0]
            self.assertTrue(verified["rolled_back"])
            self.assertIsNotNone(verified["seen"])
            self.assertFalse(other.run("audit", "resolve", "--reason", "the disk failed")[0]["rolled_back"])
            self.assertEqual(other.audit()[-1]["kind"], "resolve")
            self.assertEqual(other.run("policy", "set", "--computers", "9")[0]["computers"], 9)

    def test_tampering_is_found(self):
        for number, change in enumerate((
                "UPDATE audit SET body = replace(body, 'Laptop', 'Tablet') WHERE body LIKE '%Laptop%'",
                "UPDATE audit SET actor = 'somebody' WHERE seq = 2", "UPDATE audit SET time = time + 1 WHERE seq = 3",
                "DELETE FROM audit WHERE seq = 2", "DELETE FROM audit WHERE seq = (SELECT MAX(seq) FROM audit)",
                "UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 2")):
            copy = service.directory / ("tampered-%d.db" % number)
            people("backup", copy)
            there = sqlite3.connect(copy)
            self.assertGreater(there.execute(change).rowcount, 0, change)
            there.commit()
            there.close()
            done = people("audit", "verify", check=False, where=["--data", service.data, "--database", "sqlite:%s" % copy])
            self.assertEqual(done.returncode, DAMAGED, (change, done))
            self.assertRegex(done.stderr, r"log")


if __name__ == "__main__":
    unittest.main()
