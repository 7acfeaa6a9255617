"""What the tests of the command line share: a computer to run `rehost` on, licences, and a terminal."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

REHOST = os.environ.get("REHOST", "rehost")
REHOST_ISSUE = os.environ.get("REHOST_ISSUE", "rehost-issue")
SOURCE = pathlib.Path(os.environ.get("REHOST_SOURCE", pathlib.Path(__file__).parents[2]))

DONE, USAGE, ENVIRONMENT, PARTIAL, SECRET, DAMAGED, _, CANCELED, _, OTHER, EXISTS = range(11)


def xml(number, title="Song", backup=True, extra=""):
    """A licence in the shape of a DRM v7 response, with ids that are a function of ${number}."""
    return ('<LICENSERESPONSE><LICENSE version="2.0.0.0"><LICENSORINFO><DATA>'
            "<LID>{%08X-0000-0000-0000-000000000000}</LID><KID>AAAAAAAAAAAAAAAAAAAAAA==</KID>"
            "<ISSUEDATE>20050101 10:00:00Z</ISSUEDATE><META name=\"title\">%s</META>%s%s"
            "</DATA></LICENSORINFO></LICENSE></LICENSERESPONSE>"
            % (number, title, '<ONACTION type="Backup"><CONDITION>true</CONDITION></ONACTION>' if backup else "",
               extra))


def licence_id(number):
    return "%08x-0000-0000-0000-000000000000" % number


class Run:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Case(unittest.TestCase):
    """Each test has an empty directory, an old computer, and a medium."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="rehost-cli-")
        self.addCleanup(directory.cleanup)
        self.top = pathlib.Path(directory.name)
        self.stick = self.top / "stick"
        self.stick.mkdir()
        (self.top / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        self.env = dict(os.environ, REHOST_MACHINE_ID_FILE=str(self.top / "machine-id"),
                        REHOST_STORE=str(self.top / "old"), HOME=str(self.top), TERM="xterm", COLUMNS="80")

    def run_rehost(self, *arguments, input="", status=None, store=None):
        env = dict(self.env, REHOST_STORE=str(self.top / store)) if store else self.env
        if isinstance(input, str):
            input = input.encode()
        done = subprocess.run([REHOST, *map(str, arguments)], input=input, capture_output=True, env=env,
                              cwd=self.top, timeout=60)
        run = Run(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        if status is not None:
            self.assertEqual(run.status, status, "rehost %s\n%s%s" % (" ".join(map(str, arguments)), run.out, run.err))
        return run

    def add(self, *texts, status=DONE, store=None):
        return self.run_rehost("add", "-", input="".join(text + "\n" for text in texts), status=status, store=store)

    def identity(self):
        return self.run_rehost("recovery", "show", "--json", status=DONE).lines[0]

    def assert_error(self, run, status, *words):
        """An error as the rules want it: "rehost: ..." in small letters without a full stop, then perhaps a hint."""
        self.assertEqual(run.status, status, run.out + run.err)
        errors = [line for line in run.err.splitlines() if line.startswith("rehost: ")]
        self.assertEqual(len(errors), 1, run.err)
        self.assertNotRegex(errors[0], r"[^.]\.$")
        for word in words:
            self.assertIn(word, run.err)


class Terminal:
    """`rehost` on a pseudo-terminal of its own."""

    def __init__(self, case, *arguments, columns=80, store=None, stdout=None):
        self.case, self.output = case, ""
        env = dict(case.env, REHOST_STORE=str(case.top / store)) if store else case.env
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.slave = slave

        def controlling():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen([REHOST, *map(str, arguments)], stdin=slave, stdout=stdout or slave,
                                        stderr=slave, env=env, cwd=case.top, preexec_fn=controlling)
        case.addCleanup(self.close)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.master is not None:
            os.close(self.master)
            os.close(self.slave)
            self.master = None

    def _read(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        self.output += os.read(self.master, 65536).decode(errors="replace")
        return True

    def expect(self, text, times=1, seconds=20):
        end = time.monotonic() + seconds
        while self.output.count(text) < times:
            if time.monotonic() > end:
                raise AssertionError("%r did not come:\n%s" % (text, self.output))
            self._read(0.1)

    def type(self, text):
        os.write(self.master, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def wait(self, seconds=30):
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > end:
                raise AssertionError("still running:\n" + self.output)
            self._read(0.05)
        while self._read(0.05):
            pass
        return self.process.returncode

    def interrupt(self):
        os.kill(self.process.pid, signal.SIGINT)


def seen(output):
    """What a terminal shows in the end: a bar that was taken away is gone."""
    return [re.sub(r".*\r(?=.)", "", line.replace("\033[K", "").rstrip("\r")) for line in output.split("\n")]
