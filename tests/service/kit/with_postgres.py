#!/usr/bin/env python3
"""A private PostgreSQL for a test: with_postgres.py PROGRAM [ARGUMENT ...]

Makes a cluster in a temporary directory, runs PROGRAM with its address in
REHOST_TEST_DATABASE, and removes everything behind it. REHOST_TEST_DURABLE
leaves fsync on. As a module: class Postgres.
"""

import os
import pathlib
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

PROGRAMS = pathlib.Path(os.environ.get("REHOST_TEST_POSTGRESQL", "/usr/lib/postgresql/15/bin"))


def unprivileged():
    """(uid, gid) of whom the server runs as: it refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
        except KeyError:
            continue
    raise RuntimeError("root, and neither postgres nor nobody to run the server as")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    """A cluster. start() it; stop(), kill() and start() again; remove() it at the end.

    All are context managers: with Postgres() as server: ...
    """

    def __init__(self, durable=None, max_connections=150, settings=None):
        if durable is None:
            durable = bool(os.environ.get("REHOST_TEST_DURABLE"))
        self.user = unprivileged()
        self.password = secrets.token_hex(16)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="rehost-postgres-"))
        self.data = self.directory / "data"
        self.port = free_port()
        self.process = None
        self.settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.directory,
            "max_connections": max_connections,
            "fsync": "on" if durable else "off",
            "full_page_writes": "on" if durable else "off",
            "shared_buffers": "64MB",
            "max_wal_size": "256MB",
            "wal_level": "replica",
            "hot_standby": "on",
            "log_min_messages": "warning",
            "log_checkpoints": "off",
            "jit": "off",
        }
        self.settings.update(settings or {})
        if self.user is not None:
            os.chown(self.directory, *self.user)

    # The programs of PostgreSQL.

    def run(self, program, *arguments, check=True, **more):
        environment = dict(os.environ, LC_ALL="C", PGPASSWORD=self.password, TZ="UTC")
        if self.user is not None:
            more.update(user=self.user[0], group=self.user[1], extra_groups=[])
        return subprocess.run(
            [PROGRAMS / program, *arguments], check=check, env=environment, cwd=self.directory,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=120, **more)

    def make(self):
        secret = self.directory / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self.user is not None:
            os.chown(secret, *self.user)
        self.run("initdb", "--pgdata", self.data, "--username", "rehost", "--encoding", "UTF8",
                 "--locale", "C", "--auth-local", "trust", "--auth-host", "scram-sha-256",
                 "--pwfile", secret, "--no-sync")
        secret.unlink()

    # Its life.

    def start(self):
        """Makes the cluster if there is none, starts it, and waits until it answers."""
        if not self.data.exists():
            self.make()
        more = {}
        if self.user is not None:
            more.update(user=self.user[0], group=self.user[1], extra_groups=[])
        command = [PROGRAMS / "postgres", "-D", self.data]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                env=dict(os.environ, LC_ALL="C"), start_new_session=True, **more)
        self.wait_until_ready()
        return self

    def wait_until_ready(self, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended: {self.log()}")
            answer = self.run("pg_isready", "--host", self.directory, "--port", str(self.port),
                              "--username", "rehost", "--quiet", check=False)
            if answer.returncode == 0:
                return
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL does not answer: {self.log()}")

    def log(self):
        try:
            return (self.directory / "log").read_text(errors="replace")[-4000:]
        except OSError:
            return ""

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast; SIGTERM waits for its clients; SIGQUIT does not clean up."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self):
        """kill -9 of all its processes at once, as if the computer had lost its power."""
        if self.process is None:
            return
        # The server first stands still, so that it starts no others meanwhile.
        self.process.send_signal(signal.SIGSTOP)
        children = [int(entry.name) for entry in pathlib.Path("/proc").iterdir()
                    if entry.name.isdigit() and parent_of(entry) == self.process.pid]
        self.process.kill()
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(60)
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *_):
        self.remove()

    # Work with it.

    def url(self, database="postgres", others=()):
        """Its address; with ${others}: of whichever of them takes writes."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self, *others))
        more = "?target_session_attrs=read-write" if others else ""
        return (f"postgresql://rehost:{self.password}@{hosts}/"
                f"{urllib.parse.quote(database, safe='')}{more}")

    def sql(self, text, database="postgres"):
        """Rows as lists of texts."""
        answer = self.run("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
                          "--field-separator", "\t", "--set", "ON_ERROR_STOP=1", "--command",
                          text, "--host", str(self.directory), "--port", str(self.port),
                          "--username", "rehost", database)
        return [line.split("\t") for line in answer.stdout.splitlines()]

    def create_database(self, name):
        """The address of a new, empty database."""
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise ValueError("no plain name")
        self.sql(f"CREATE DATABASE {name}")
        return self.url(name)

    # A standby.

    def standby(self, synchronous=True):
        """A running replica; with ${synchronous}, commits here wait for it."""
        other = Postgres.__new__(Postgres)
        other.user, other.password = self.user, self.password
        other.directory = pathlib.Path(tempfile.mkdtemp(prefix="rehost-postgres-"))
        other.data = other.directory / "data"
        other.port = free_port()
        other.process = None
        other.settings = dict(self.settings, port=other.port,
                              unix_socket_directories=other.directory)
        other.settings["synchronous_standby_names"] = ""
        other.settings["cluster_name"] = "standby"
        other.settings["primary_conninfo"] = (
            f"host=127.0.0.1 port={self.port} user=rehost password={self.password} "
            "application_name=standby")
        if self.user is not None:
            os.chown(other.directory, *self.user)
        try:
            other.run("pg_basebackup", "--pgdata", other.data, "--host", str(self.directory),
                      "--port", str(self.port), "--username", "rehost", "--checkpoint", "fast",
                      "--wal-method", "stream", "--no-sync")
            (other.data / "standby.signal").touch()
            other.start()
            if synchronous:
                self.wait_for_standby()
        except BaseException:
            other.remove()
            raise
        return other

    def wait_for_standby(self, seconds=60):
        self.sql("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (standby)'")
        self.sql("SELECT pg_reload_conf()")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.sql("SELECT sync_state FROM pg_stat_replication") == [["sync"]]:
                return
            time.sleep(0.05)
        raise RuntimeError(f"the standby does not come: {self.log()}")

    def promote(self):
        """From a standby to a primary; returns when it takes writes."""
        self.sql("SELECT pg_promote(true, 60)")


def parent_of(entry):
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def stop_on_signals():
    """SIGTERM and SIGHUP end the program in the way of an exception."""

    def leave(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def main(arguments):
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    stop_on_signals()
    child = None
    with Postgres() as server:
        try:
            child = subprocess.Popen(
                arguments, env=dict(os.environ, REHOST_TEST_DATABASE=server.url()))
            status = child.wait()
        finally:
            if child is not None and child.poll() is None:
                child.terminate()
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        if status != 0:
            sys.stderr.write(server.log())
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
