#!/usr/bin/env python3
"""What happens to the service's connections when PostgreSQL fails: survive.py PROGRAM"""

import pathlib
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "kit"))
from with_postgres import Postgres, stop_on_signals  # noqa: E402

PROGRAM = sys.argv.pop(1)
PATIENCE = 60  # seconds for anything


class Writer:
    """survive.c at work, and what it said."""

    def __init__(self, address):
        self.process = subprocess.Popen([PROGRAM, "write", address], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.split(maxsplit=1))

    def done(self):
        return [int(line[1]) for line in list(self.lines) if line[0] in ("committed", "there")]

    def failures(self):
        return [line[1] for line in list(self.lines) if line[0] == "failed"]

    def wait(self, what):
        end = time.monotonic() + PATIENCE
        while not what(self):
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"it does not come: {self.lines[-5:]}")
            time.sleep(0.01)

    def wait_for_more(self, count=60):
        before = len(self.done())
        self.wait(lambda writer: len(writer.done()) >= before + count)

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.returncode


def say(mode, address):
    return subprocess.run([PROGRAM, mode, address], stdout=subprocess.PIPE, text=True,
                          timeout=PATIENCE, check=True).stdout.strip()


class Survive(unittest.TestCase):
    def setUp(self):
        self.server = Postgres()
        self.addCleanup(self.server.remove)
        self.server.start()
        self.address = self.server.create_database("ledger")

    def write(self, address):
        writer = Writer(address)
        self.addCleanup(writer.stop)
        writer.wait_for_more()
        return writer

    def finish(self, writer, server):
        """All that was acknowledged is there, and nothing twice or left out."""
        self.assertEqual(writer.stop(), 0)
        there = {int(row[0]) for row in server.sql("SELECT seq FROM audit", "ledger")}
        done = writer.done()
        self.assertEqual(len(done), len(set(done)))
        self.assertEqual(set(done) - there, set())
        # At most one a writer was under way at the end.
        self.assertLessEqual(len(there - set(done)), 3)

    def test_terminated_connections(self):
        writer = self.write(self.address)
        for _ in range(10):
            self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE datname = 'ledger'")
            writer.wait_for_more()
        self.finish(writer, self.server)
        for failure in writer.failures():
            self.assertTrue(failure.startswith("E_DATABASE: "), failure)

    def test_restart(self):
        writer = self.write(self.address)
        self.server.stop()
        writer.wait(lambda writer: writer.failures())
        self.server.start()
        writer.wait_for_more()
        self.server.kill()
        self.server.start()
        writer.wait_for_more()
        self.finish(writer, self.server)
        for failure in writer.failures():
            self.assertTrue(failure.startswith("E_DATABASE: "), failure)
            self.assertNotIn(self.server.password, failure)

    def test_failover(self):
        standby = self.server.standby()
        self.addCleanup(standby.remove)
        # A standby alone takes no writes, and is not taken for a database that does.
        self.assertEqual(say("open", self.server.url("ledger")).split()[0], "OK")
        self.assertEqual(say("open", standby.url("ledger")).split()[0], "E_DATABASE")

        writer = self.write(self.server.url("ledger", others=[standby]))
        self.server.kill()
        standby.promote()
        writer.wait_for_more()
        self.finish(writer, standby)

    def test_commit_that_the_standby_does_not_have(self):
        self.assertEqual(say("open", self.address).split()[0], "OK")
        self.server.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        self.server.sql("SELECT pg_reload_conf()")
        # Less than a durable commit is not what we take.
        self.server.sql("SET synchronous_commit = local;"
                        "ALTER DATABASE ledger SET synchronous_commit = off")
        process = subprocess.Popen([PROGRAM, "commit", self.address], text=True,
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        end = time.monotonic() + PATIENCE
        while not self.server.sql(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                " WHERE datname = 'ledger' AND wait_event = 'SyncRep'"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        said = process.communicate(timeout=PATIENCE)[0]
        self.assertTrue(said.startswith("E_DATABASE "), said)
        self.assertIn("standby", said)

    def test_wrong_password(self):
        said = say("open", self.address.replace(self.server.password, "0badsecret0"))
        self.assertTrue(said.startswith("E_DATABASE "), said)
        self.assertNotIn("0badsecret0", said)


if __name__ == "__main__":
    stop_on_signals()
    unittest.main(verbosity=2)
