#!/usr/bin/env python3
"""Help, man page, completion and option table of rehost-issue agree; usage errors say what to do."""
import re
import subprocess
import unittest

from issuing import DONE, ISSUE, SOURCE, USAGE, Case


class Table:
    def __init__(self):
        text = subprocess.run([ISSUE, "help", "--dump-options"], capture_output=True, text=True, check=True).stdout
        self.commands, self.options, self.exits = {}, {"": []}, {}
        for line in text.splitlines():
            kind, *fields = line.split("\t")
            if kind == "command":
                self.commands[fields[0]] = fields[1]
                self.options[fields[0]] = []
            elif kind == "option":
                self.options[fields[0]].append((fields[1], fields[2], fields[3]))
            elif kind == "exit":
                self.exits[int(fields[0])] = fields[1]


TABLE = Table()


class Help(Case):
    def check(self, text):
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)
            self.assertEqual(line, line.rstrip())

    def test_all(self):
        run = self.run_issue("--help", status=DONE)
        self.check(run.out)
        for command in TABLE.commands:
            self.assertRegex(run.out, r"(?m)^  %s\b" % re.escape(command))
        self.assertEqual(run.out, self.run_issue("help", status=DONE).out)
        self.assertNotRegex(run.out, r"\brehost [a-z]")

    def test_each_command(self):
        for command, operands in TABLE.commands.items():
            run = self.run_issue(*command.split(), "--help", status=DONE)
            self.check(run.out)
            if command == "help":
                continue
            self.assertTrue(run.out.startswith("Usage: rehost-issue " + command), run.out)
            self.assertIn(operands, run.out.splitlines()[0])
            self.assertEqual(run.out, self.run_issue("help", *command.split(), status=DONE).out)
            for name, letter, argument in TABLE.options[command] + TABLE.options[""]:
                self.assertIn(("%s, " % letter if letter else "      ") + name + (" " + argument if argument else ""),
                              run.out)

    def test_alone(self):
        run = self.run_issue(status=USAGE)
        self.assertEqual(run.out, "")
        self.assertTrue(run.err.startswith("usage: rehost-issue COMMAND"))

    def test_version(self):
        self.assertRegex(self.run_issue("--version", status=DONE).out, r"^rehost-issue \d+\.\d+\.\d+\n$")


class ManPage(Case):
    page = (SOURCE / "docs/man/rehost-issue.1").read_text()

    @staticmethod
    def options(text):
        found = set()
        for line in re.findall(r"^\.TP\n(\.[BIR]+ .*)", text, re.M):
            found.update(re.findall(r"--[a-z-]+", line.replace("\\-", "-")))
        return found

    def section(self, command):
        heading = ("rehost-issue %s %s" % (command, TABLE.commands[command])).strip()
        start = self.page.find('.SS "%s"\n' % heading)
        self.assertGreater(start, 0, "no section: " + heading)
        return re.split(r"^\.S[SH] ", self.page[start + 4:], maxsplit=1, flags=re.M)[0]

    def test_commands_and_options(self):
        for command in TABLE.commands:
            self.assertEqual(self.options(self.section(command)), {row[0] for row in TABLE.options[command]}, command)
        self.assertEqual(len(re.findall(r'^\.SS "rehost-issue ', self.page, re.M)), len(TABLE.commands))
        everywhere = self.page.split(".SH OPTIONS")[1].split(".SH")[0]
        self.assertEqual(self.options(everywhere), {row[0] for row in TABLE.options[""]})

    def test_exit_statuses(self):
        section = self.page.split('.SH "EXIT STATUS"')[1].split(".SH")[0]
        told = {int(number) for number in re.findall(r"\.TP\n\.B (\d+)\n", section)}
        self.assertLessEqual(told, set(TABLE.exits))
        self.assertEqual(told, {0, 1, 2, 3, 5, 7})

    def test_groff_has_nothing_to_say(self):
        try:
            done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", SOURCE / "docs/man/rehost-issue.1"],
                                  capture_output=True, text=True)
        except FileNotFoundError:
            self.skipTest("groff is not installed")
        self.assertEqual(done.stderr, "")


class Completion(Case):
    def complete(self, *words):
        done = subprocess.run([ISSUE, "--complete", *map(str, words)], capture_output=True, text=True, cwd=self.top)
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    def test_words(self):
        self.assertEqual(self.complete(""), ["key", "issue", "inspect", "verify", "help"])
        self.assertEqual(self.complete("key", "r"), ["rotate", "remove"])
        self.assertEqual(self.complete("issue", ""), [":files"])
        self.assertEqual(self.complete("issue", "--to", ""), [":directories"])
        self.assertEqual(self.complete("issue", "--computer", ""), [":files"])
        self.assertEqual(self.complete("issue", "--key-id", ""), [])
        for command in TABLE.commands:
            wanted = [row[0] for row in TABLE.options[command] + TABLE.options[""]]
            self.assertEqual(self.complete(*command.split(), "--"), wanted)

    def test_bash(self):
        script = ('. "$1"; COMP_WORDS=("$2" "${@:3}"); COMP_CWORD=$(($# - 2)); compopt() { :; }; _rehost_issue; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')

        def bash(*words):
            return subprocess.run(["bash", "-c", script, "bash", SOURCE / "src/cli/completion/rehost-issue.bash",
                                   ISSUE, *words], capture_output=True, text=True, cwd=self.top).stdout.split("\n")[:-1]
        self.assertEqual(bash("ins"), ["inspect"])
        self.assertEqual(bash("issue", "--content-keys"), ["--content-keys"])
        self.assertEqual(bash("key", "list", "ke"), ["keys.json"])


class Usage(Case):
    def test_errors(self):
        for arguments, *words in (
                (["isue"], "unknown command: isue", "did you mean 'rehost-issue issue'?"),
                (["key"], "key needs one of these", "make, rotate, remove, public, list", "'rehost-issue help key'"),
                (["key", "mkae"], "did you mean 'rehost-issue key make'?"),
                (["key", "make"], "key make needs FILE"),
                (["key", "remove", "a"], "key remove needs FILE KID"),
                (["issue", "a", "b"], "does not take so many arguments: b"),
                (["issue", "--tilte", "a"], "did you mean --title?"),
                (["verify", "--key", "a", "b"], "needs --keys"),
                (["issue", *["--title", "x"] * 257], "too many options")):
            run = self.run_issue(*arguments)
            if arguments[0] == "verify":  # the beginning of an option is enough
                self.assertEqual(run.status, 2)
            else:
                self.assert_error(run, USAGE, *words)
            self.assertEqual(run.out, "")


if __name__ == "__main__":
    unittest.main()
