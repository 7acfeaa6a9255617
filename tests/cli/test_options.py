#!/usr/bin/env python3
"""Help, man page, completion and option table agree; usage errors say what to do."""
import re
import subprocess
import unittest

from rehost import DONE, REHOST, SOURCE, USAGE, Case, licence_id, xml


class Table:
    """What `rehost help --dump-options` tells."""

    def __init__(self):
        text = subprocess.run([REHOST, "help", "--dump-options"], capture_output=True, text=True, check=True).stdout
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
        run = self.run_rehost("--help", status=DONE)
        self.assertEqual(run.err, "")
        self.check(run.out)
        for command in TABLE.commands:
            self.assertRegex(run.out, r"(?m)^  %s\b" % re.escape(command))
        self.assertEqual(run.out, self.run_rehost("help", status=DONE).out)

    def test_each_command(self):
        for command, operands in TABLE.commands.items():
            run = self.run_rehost(*command.split(), "--help", status=DONE)
            self.assertEqual(run.err, "")
            self.check(run.out)
            if command == "help":
                continue
            self.assertIn(operands, run.out.splitlines()[0])
            self.assertEqual(run.out, self.run_rehost("help", *command.split(), status=DONE).out)
            for name, letter, argument in TABLE.options[command] + TABLE.options[""]:
                self.assertIn(("%s, " % letter if letter else "      ") + name + (" " + argument if argument else ""),
                              run.out)

    def test_formats_are_named(self):
        known = self.run_rehost("add", "--format", "none-such", "-", status=USAGE).err
        for name in re.search(r"known formats: (.*)", known)[1].split(", "):
            self.assertIn(name, self.run_rehost("add", "--help").out)

    def test_group(self):
        for arguments in (["help", "recovery"], ["recovery", "--help"]):
            run = self.run_rehost(*arguments, status=DONE)
            self.assertEqual(run.out.count("Usage: rehost recovery"), 5)

    def test_alone(self):
        run = self.run_rehost(status=USAGE)
        self.assertEqual(run.out, "")
        self.assertTrue(run.err.startswith("usage: rehost"))


class ManPage(Case):
    page = (SOURCE / "docs/man/rehost.1").read_text()

    def section(self, command):
        heading = ("rehost %s %s" % (command, TABLE.commands[command])).strip()
        start = self.page.find('.SS "%s"\n' % heading)
        self.assertGreater(start, 0, "no section: " + heading)
        return re.split(r"^\.S[SH] ", self.page[start + 4:], maxsplit=1, flags=re.M)[0]

    @staticmethod
    def options(text):
        """The options that have a paragraph of their own."""
        found = set()
        for line in re.findall(r"^\.TP\n(\.[BIR]+ .*)", text, re.M):
            found.update(re.findall(r"--[a-z-]+", line.replace("\\-", "-")))
        return found

    def test_commands_and_options(self):
        for command in TABLE.commands:
            self.assertEqual(self.options(self.section(command)), {row[0] for row in TABLE.options[command]}, command)
        sections = re.findall(r'^\.SS "rehost ([^"]*)"', self.page, re.M)
        self.assertEqual(len(sections), len(TABLE.commands))
        everywhere = self.page.split(".SH OPTIONS")[1].split(".SH")[0]
        self.assertEqual(self.options(everywhere), {row[0] for row in TABLE.options[""]})

    def test_exit_statuses(self):
        section = self.page.split('.SH "EXIT STATUS"')[1].split(".SH")[0]
        self.assertEqual({int(number): words for number, words in re.findall(r"\.TP\n\.B (\d+)\n(.*)", section)},
                         TABLE.exits)

    def test_library_page_names_every_function(self):
        page = (SOURCE / "docs/man/librehost.3").read_text()
        for header in ("rehost.h", "codes.h"):
            text = (SOURCE / "include/rehost" / header).read_text()
            names = re.findall(r"^RH_API[^;]*?\b(rh_\w+)\(", text, re.M)
            self.assertGreater(len(names), 4)
            for name in names:
                self.assertRegex(page, r"\b%s\b" % name)

    def test_groff_has_nothing_to_say(self):
        for name in ("rehost.1", "librehost.3"):
            try:
                done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", SOURCE / "docs/man" / name],
                                      capture_output=True, text=True)
            except FileNotFoundError:
                self.skipTest("groff is not installed")
            self.assertEqual(done.stderr, "")


class Completion(Case):
    def complete(self, *words):
        out = self.run_rehost("--complete", *words, status=DONE).out
        return [line.split("\t")[0] for line in out.splitlines()]

    def test_commands(self):
        first = {command.split()[0] for command in TABLE.commands}
        self.assertEqual(set(self.complete("")), first)
        self.assertEqual(self.complete("re"), ["remove", "restore", "repair", "recovery"])
        self.assertEqual(set(self.complete("recovery", "")),
                         {command.split()[1] for command in TABLE.commands if command.startswith("recovery ")})

    def test_options(self):
        for command in TABLE.commands:
            wanted = [row[0] for row in TABLE.options[command] + TABLE.options[""]]
            self.assertEqual(self.complete(*command.split(), "--"), wanted)
        self.assertEqual(self.complete("backup", "--ov"), ["--overwrite"])

    def test_arguments(self):
        self.assertEqual(self.complete("backup", ""), [":directories"])
        self.assertEqual(self.complete("add", ""), [":files"])
        self.assertEqual(self.complete("--store", ""), [":directories"])
        self.assertEqual(self.complete("add", "--format", "l"), ["lcp"])
        self.assertEqual(self.complete("backup", "--keep", ""), [])

    def test_licences(self):
        self.assertEqual(self.complete("show", ""), [])
        self.add(xml(1), xml(2))
        self.assertEqual(self.complete("show", ""), [licence_id(1), licence_id(2)])
        self.assertEqual(self.complete("--store", self.top / "none", "show", ""), [])

    def test_bash(self):
        script = ('PATH=$1; . "$2"; COMP_WORDS=("$3" "${@:4}"); COMP_CWORD=$(($# - 3)); compopt() { :; }; _rehost; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        def bash(*words):
            return subprocess.run(["bash", "-c", script, "bash", self.env["PATH"],
                                   SOURCE / "src/cli/completion/rehost.bash", REHOST, *words],
                                  capture_output=True, text=True, env=self.env, cwd=self.top).stdout.split("\n")[:-1]
        self.assertEqual(bash("rec"), ["recovery"])
        self.assertEqual(bash("backup", "--ov"), ["--overwrite"])
        self.assertEqual(bash("backup", "sti"), ["stick"])


class Usage(Case):
    def test_errors(self):
        for arguments, *words in (
                (["bakcup"], "unknown command: bakcup", "did you mean 'rehost backup'?"),
                (["zzzzzz"], "unknown command: zzzzzz", "'rehost --help'"),
                (["recovery"], "make, show, check, sheet, forget"),
                (["recovery", "shwo"], "did you mean 'rehost recovery show'?"),
                (["backup"], "backup needs DIR"),
                (["backup", "a", "b"], "does not take so many arguments: b"),
                (["backup", "--overwrit3", "a"], "did you mean --overwrite?"),
                (["backup", "-z", "a"], "unknown option of backup: -z"),
                (["--jsno", "list"], "unknown option: --jsno", "did you mean --json?"),
                (["backup", "--keep", "0", "a"], "a number from 1 to 999: 0"),
                (["backup", "--keep", "-1", "a"], "a number from 1 to 999: -1"),
                (["backup", "--keep", "1000", "a"], "a number from 1 to 999"),
                (["backup", "--keep"], "option --keep needs an argument: N"),
                (["backup", "--parity", "101", "a"], "option --parity needs a number from 0 to 100: 101"),
                (["backup", "--parity", "-1", "a"], "a number from 0 to 100: -1"),
                (["backup", "--parity", "10%", "a"], "a number from 0 to 100: 10%"),
                (["backup", "--parity", "", "a"], "a number from 0 to 100: "),
                (["backup", "--eject=yes", "a"], "option --eject takes no argument"),
                (["list", "--json=yes"], "option --json takes no argument"),
                (["restore", "--p", "a"], "may be one of 2 options"),
                (["export", "a"], "export needs --to TARGET"),
                (["list", "a"], "does not take so many arguments")):
            run = self.run_rehost(*arguments)
            self.assert_error(run, USAGE, *words)
            self.assertEqual(run.out, "")

    def test_names_with_dashes(self):
        """A computer's name may start like an option; it is looked for as it is."""
        for name in ("-j" + 41 * "x", "--json" + 37 * "_", 43 * "-"):
            for arguments in ((name, "--json"), ("--json", name), ("--json", "--", name)):
                run = self.run_rehost("computer", "release", *arguments)
                self.assertNotIn("option", run.err)
                self.assertNotEqual(run.status, USAGE)
            run = self.run_rehost("computer", "release", "b", name)
            self.assert_error(run, USAGE, "does not take so many arguments: " + name)
        self.assert_error(self.run_rehost("computer", "release", "-j" + 40 * "x"), USAGE, "unknown option")

    def test_options_anywhere(self):
        self.add("<", status=3)
        for arguments in (["--json", "--store", self.top / "old", "computer", "show"],
                          ["computer", "--json", "show", "--store", self.top / "old"],
                          ["computer", "--store=%s" % (self.top / "old"), "--json"]):
            run = self.run_rehost(*arguments, status=DONE, store="elsewhere")
            self.assertEqual(run.lines[0]["store"], str(self.top / "old"))

    def test_version(self):
        self.assertRegex(self.run_rehost("--version", status=DONE).out, r"^rehost \d+\.\d+\.\d+\n$")

    def test_full_standard_output(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([REHOST, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("standard output", done.stderr)


if __name__ == "__main__":
    unittest.main()
