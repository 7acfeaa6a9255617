#!/usr/bin/env python3
"""Our age files against the age tool, in both directions: age_interop.py AGE-TOOL"""
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv.pop(1)
SIZES = [0, 1, 65535, 65536, 65537, 131072, 131073, (1 << 20) + 12345]
PASSPHRASE = "correct horse battery staple"


def plain_of(size):
    return bytes(i * 167 + (i >> 8) & 0xFF for i in range(size))


def run(*arguments, data=b""):
    done = subprocess.run(arguments, input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise AssertionError("%s: %s" % (arguments[:2], done.stderr.decode()))
    return done.stdout


def run_on_terminal(*arguments, answers):
    """The age tool asks for passphrases on its terminal only."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(arguments[0], arguments)
    seen, prompt = b"", b""
    while True:
        if not select.select([terminal], [], [], 60)[0]:
            raise AssertionError("no answer from %s: %r" % (arguments[0], seen))
        try:
            prompt += os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if b"passphrase" in prompt and prompt.endswith(b": ") and answers:
            os.write(terminal, answers.pop(0).encode() + b"\n")
            seen += prompt
            prompt = b""
    seen += prompt
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    if status != 0:
        raise AssertionError("%s: %r" % (arguments[0], seen))


class Interop(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.file = os.path.join(self.directory.name, "file.age")
        self.key_file = os.path.join(self.directory.name, "key")
        self.identities, self.recipients = [], []
        for _ in range(3):
            secret, recipient = run(TOOL, "keygen").decode().split()
            self.identities.append(secret)
            self.recipients.append(recipient)

    def write(self, path, data):
        with open(path, "wb") as file:
            file.write(data)

    def test_age_opens_ours(self):
        for size in SIZES:
            plain = plain_of(size)
            for count in (1, 3):
                self.write(self.file,
                           run(TOOL, "encrypt", *self.recipients[:count], data=plain))
                for secret in self.identities[:count]:
                    self.write(self.key_file, secret.encode() + b"\n")
                    self.assertEqual(run("age", "-d", "-i", self.key_file, self.file), plain)

    def test_we_open_ages(self):
        for size in SIZES:
            plain = plain_of(size)
            for count in (1, 3):
                options = []
                for recipient in self.recipients[:count]:
                    options += ["-r", recipient]
                self.write(self.file, run("age", *options, data=plain))
                for secret in self.identities[:count]:
                    self.assertEqual(run(TOOL, "decrypt", secret, self.file), plain)

    def test_keys_of_age_keygen(self):
        text = run("age-keygen").decode()
        secret = text.split()[-1]
        self.write(self.key_file, text.encode())
        recipient = run("age-keygen", "-y", self.key_file).decode().strip()
        self.write(self.file, run(TOOL, "encrypt", recipient, data=b"abc"))
        self.assertEqual(run(TOOL, "decrypt", secret, self.file), b"abc")
        self.assertEqual(run("age", "-d", "-i", self.key_file, self.file), b"abc")
        # Ours are read by it as well, to the same recipient.
        self.write(self.key_file, self.identities[0].encode())
        self.assertEqual(run("age-keygen", "-y", self.key_file).decode().strip(),
                         self.recipients[0])

    def test_age_opens_our_passphrase(self):
        plain = plain_of(70000)
        out = os.path.join(self.directory.name, "plain")
        self.write(self.file, run(TOOL, "encrypt", "-p", PASSPHRASE, "14", data=plain))
        run_on_terminal("age", "-d", "-o", out, self.file, answers=[PASSPHRASE])
        with open(out, "rb") as file:
            self.assertEqual(file.read(), plain)

    def test_we_open_ages_passphrase(self):
        plain = plain_of(70000)
        source = os.path.join(self.directory.name, "plain")
        self.write(source, plain)
        run_on_terminal("age", "-p", "-o", self.file, source,
                        answers=[PASSPHRASE, PASSPHRASE])
        self.assertEqual(run(TOOL, "decrypt", "-p", PASSPHRASE, self.file), plain)
        with self.assertRaises(AssertionError):
            run(TOOL, "decrypt", "-p", "wrong", self.file)


if __name__ == "__main__":
    if shutil.which("age") is None or shutil.which("age-keygen") is None:
        print("the age tool is not installed")
        sys.exit(77)
    unittest.main()
