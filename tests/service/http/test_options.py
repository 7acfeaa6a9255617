#!/usr/bin/env python3
"""Help, man page, completion and option table of rehostd agree; usage errors say what to do."""
import os
import pathlib
import re
import subprocess
import unittest

REHOSTD = os.environ.get("REHOSTD", "rehostd")
SOURCE = pathlib.Path(os.environ.get("REHOST_SOURCE", pathlib.Path(__file__).parents[3]))
DONE, USAGE = 0, 1


def rehostd(*arguments):
    return subprocess.run([REHOSTD, *map(str, arguments)], capture_output=True, text=True, timeout=60)


class Table:
    def __init__(self):
        self.commands, self.options, self.exits = {}, {"": []}, {}
        for line in rehostd("help", "--dump-options").stdout.splitlines():
            kind, *fields = line.split("\t")
            if kind == "command":
                self.commands[fields[0]] = fields[1]
                self.options[fields[0]] = []
            elif kind == "option":
                self.options[fields[0]].append((fields[1], fields[2], fields[3]))
            elif kind == "exit":
                self.exits[int(fields[0])] = fields[1]


TABLE = Table()


class Help(unittest.TestCase):
    def check(self, run):
        self.assertEqual((run.returncode, run.stderr), (DONE, ""))
        for line in run.stdout.splitlines():
            self.assertLessEqual(len(line), 80, line)
            self.assertEqual(line, line.rstrip())

    def test_all(self):
        run = rehostd("--help")
        self.check(run)
        self.assertIn("serve", TABLE.commands)
        for command in TABLE.commands:
            self.assertRegex(run.stdout, r"(?m)^  %s\b" % re.escape(command))
        self.assertEqual(run.stdout, rehostd("help").stdout)
        self.assertNotRegex(run.stdout, r"\brehost [a-z]")

    def test_each_command(self):
        for command, operands in TABLE.commands.items():
            run = rehostd(*command.split(), "--help")
            self.check(run)
            if command == "help":
                continue
            self.assertTrue(run.stdout.startswith("Usage: rehostd " + command), run.stdout)
            self.assertIn(operands, run.stdout.splitlines()[0])
            self.assertEqual(run.stdout, rehostd("help", *command.split()).stdout)
            for name, letter, argument in TABLE.options[command] + TABLE.options[""]:
                self.assertIn(("%s, " % letter if letter else "      ") + name + (" " + argument if argument else ""),
                              run.stdout)

    def test_alone(self):
        run = rehostd()
        self.assertEqual((run.returncode, run.stdout), (USAGE, ""))
        self.assertTrue(run.stderr.startswith("usage: rehostd COMMAND"))

    def test_version(self):
        self.assertRegex(rehostd("--version").stdout, r"^rehostd \d+\.\d+\.\d+\n$")


class ManPage(unittest.TestCase):
    page = (SOURCE / "docs/man/rehostd.1").read_text()

    @staticmethod
    def options(text):
        found = set()
        for line in re.findall(r"^\.TP\n(\.[BIR]+ .*)", text, re.M):
            found.update(re.findall(r"--[a-z-]+", line.replace("\\-", "-")))
        return found

    def section(self, command):
        heading = ("rehostd %s %s" % (command, TABLE.commands[command])).strip()
        start = self.page.find('.SS "%s"\n' % heading)
        self.assertGreater(start, 0, "no section: " + heading)
        return re.split(r"^\.S[SH] ", self.page[start + 4:], maxsplit=1, flags=re.M)[0]

    def test_commands_and_options(self):
        for command in TABLE.commands:
            self.assertEqual(self.options(self.section(command)), {row[0] for row in TABLE.options[command]}, command)
        self.assertEqual(len(re.findall(r'^\.SS "rehostd ', self.page, re.M)), len(TABLE.commands))
        everywhere = self.page.split(".SH OPTIONS")[1].split(".SH")[0]
        self.assertEqual(self.options(everywhere), {row[0] for row in TABLE.options[""]})

    def test_exit_statuses(self):
        section = self.page.split('.SH "EXIT STATUS"')[1].split(".SH")[0]
        told = {int(number) for number in re.findall(r"\.TP\n\.B (\d+)\n", section)}
        self.assertLessEqual({0, 1, 2, 5}, told)
        self.assertLessEqual(told, set(TABLE.exits))

    def test_mandoc_has_nothing_to_say(self):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", SOURCE / "docs/man/rehostd.1"], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.stdout + done.stderr, "")


class Unit(unittest.TestCase):
    """systemd/rehostd.service.in"""
    unit = (SOURCE / "systemd/rehostd.service.in").read_text()

    def test_options_are_there(self):
        start = re.search(r"^ExecStart=@bindir@/rehostd serve(.*)$", self.unit, re.M)[1]
        for option in re.findall(r"--[a-z-]+", start):
            self.assertIn(option, [row[0] for row in TABLE.options["serve"]])

    def test_locked_down(self):
        said = dict(re.findall(r"^([A-Za-z]+)=(.*)$", self.unit, re.M))
        for name, value in (("DynamicUser", "yes"), ("ProtectSystem", "strict"), ("NoNewPrivileges", "yes"),
                            ("MemoryDenyWriteExecute", "yes"), ("CapabilityBoundingSet", ""), ("Type", "notify"),
                            ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX")):
            self.assertEqual(said[name], value)


class Completion(unittest.TestCase):
    def complete(self, *words):
        return [line.split("\t")[0] for line in rehostd("--complete", *words).stdout.splitlines()]

    def test_words(self):
        self.assertEqual(set(self.complete("")), {command.split()[0] for command in TABLE.commands})
        self.assertEqual(self.complete("serve", "--data", ""), [":directories"])
        self.assertEqual(self.complete("serve", "--tls-key", ""), [":files"])
        self.assertEqual(self.complete("serve", "--address", ""), [])
        for command in TABLE.commands:
            wanted = [row[0] for row in TABLE.options[command] + TABLE.options[""]]
            self.assertEqual(self.complete(*command.split(), "--"), wanted)

    def test_bash(self):
        script = ('. "$1"; COMP_WORDS=("$2" "${@:3}"); COMP_CWORD=$(($# - 2)); compopt() { :; }; _rehostd; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')

        def bash(*words):
            return subprocess.run(["bash", "-c", script, "bash", SOURCE / "src/cli/completion/rehostd.bash", REHOSTD, *words],
                                  capture_output=True, text=True, timeout=60).stdout.split("\n")[:-1]
        self.assertEqual(bash("ser"), ["serve"])
        self.assertEqual(bash("serve", "--behind"), ["--behind-proxy"])


class Usage(unittest.TestCase):
    def test_errors(self):
        for arguments, *words in (
                (["sreve"], "unknown command: sreve", "did you mean 'rehostd serve'?"),
                (["serve", "more"], "does not take so many arguments: more"),
                (["serve", "--adress", "a"], "did you mean --address?"),
                (["serve", "--data"], "--data needs an argument"),
                (["serve", "--rate", "1000"], "--rate needs a number from 1 to 999"),
                (["serve", "--data", "x", "--forwarded"], "--forwarded needs --behind-proxy"),
                (["serve", "--alias", "https://x"], "--alias")):
            run = rehostd(*arguments)
            self.assertEqual((run.returncode, run.stdout), (USAGE, ""), arguments)
            self.assertTrue(run.stderr.startswith("rehostd: "))
            for word in words:
                self.assertIn(word, run.stderr)

    def test_json(self):
        run = rehostd("serve", "--json")
        self.assertEqual(run.returncode, USAGE)
        self.assertIn('"error"', run.stdout)


if __name__ == "__main__":
    unittest.main()
