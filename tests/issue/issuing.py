"""What the tests of `rehost-issue` share: an issuer, computers, and the jose tool to compare with."""
import base64
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

ISSUE = os.environ.get("REHOST_ISSUE", "rehost-issue")
SOURCE = pathlib.Path(os.environ.get("REHOST_SOURCE", pathlib.Path(__file__).parents[2]))

DONE, USAGE, ENVIRONMENT, PARTIAL, _, DAMAGED, _, CANCELED = range(8)
THEN = "2026-01-01T00:00:00Z"
THEN_SECONDS = 1767225600


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encode(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def header(jws):
    return json.loads(decode(jws.split(".")[0]))


def claims(jws):
    return json.loads(decode(jws.split(".")[1]))


class Run:
    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def licences(self):
        return [line["body"] for line in self.lines]


def jose(*arguments, input=None):
    return subprocess.run(["jose", *map(str, arguments)], input=input, capture_output=True, text=True, timeout=60)


class Case(unittest.TestCase):
    """Each test has an empty directory, an issuer, and two computers."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="rehost-issue-")
        cls.addClassCleanup(directory.cleanup)
        cls.shared = pathlib.Path(directory.name)
        for name in ("desk", "lap"):
            done = jose("jwk", "gen", "-i", '{"kty":"EC","crv":"P-256"}')
            (cls.shared / (name + ".prv")).write_text(done.stdout)
            public = {member: json.loads(done.stdout)[member] for member in ("crv", "kty", "x", "y")}
            (cls.shared / (name + ".jwk")).write_text(json.dumps(public) + "\n")

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="rehost-issue-")
        self.addCleanup(directory.cleanup)
        self.top = pathlib.Path(directory.name)
        self.keys = self.top / "keys.json"
        self.run_issue("key", "make", self.keys, "--issuer", "Example Music", status=DONE)

    def computer(self, name):
        return self.shared / (name + ".jwk")

    def thumbprint(self, name):
        return jose("jwk", "thp", "-i", self.computer(name), "-a", "S256").stdout.strip()

    def run_issue(self, *arguments, input="", status=None, cwd=None):
        done = subprocess.run([ISSUE, *map(str, arguments)], input=input, capture_output=True, text=True, cwd=cwd or self.top,
                              timeout=120)
        run = Run(done)
        if status is not None:
            self.assertEqual(run.status, status, "rehost-issue %s\n%s%s" % (" ".join(map(str, arguments)), run.out,
                                                                            run.err))
        return run

    def issue(self, *arguments, input="", status=DONE):
        return self.run_issue("issue", "--key", self.keys, *arguments, input=input, status=status)

    def public(self):
        path = self.top / "public.json"
        self.run_issue("key", "public", self.keys, "-o", path, status=DONE)
        return path

    def verify(self, jws, keys=None, status=DONE):
        return self.run_issue("verify", "--keys", keys or self.public(), "-", input=jws + "\n", status=status)

    def jose_verifies(self, jws, keys=None):
        return jose("jws", "ver", "-i", "-", "-k", keys or self.public(), input=jws).returncode == 0

    def jose_opens(self, jwe, computer):
        (self.top / "one.jwe").write_text(jwe)
        done = subprocess.run(["jose", "jwe", "dec", "-i", self.top / "one.jwe", "-k", self.shared / (computer + ".prv")],
                              capture_output=True, timeout=60)
        return done.stdout if done.returncode == 0 else None

    def assert_error(self, run, status, *words):
        """One error, "rehost-issue: ..." in small letters without a full stop, and perhaps a hint."""
        self.assertEqual(run.status, status, run.out + run.err)
        errors = [line for line in run.err.splitlines() if line.startswith("rehost-issue: ")]
        self.assertEqual(len(errors), 1, run.err)
        self.assertNotRegex(errors[0], r"[^.]\.$")
        for word in words:
            self.assertIn(word, run.err)

    def files(self):
        return sorted(path.name for path in self.top.iterdir())
