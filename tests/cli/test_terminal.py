#!/usr/bin/env python3
"""On a terminal: the bar, questions without an echo, columns, Ctrl-C. And nothing of it elsewhere."""
import json
import os
import re
import signal
import subprocess
import time
import unittest

from rehost import CANCELED, DONE, PARTIAL, REHOST, SECRET, USAGE, Case, Terminal, seen, xml


class Bar(Case):
    def stream(self, count):
        path = self.top / "stream"
        with open(path, "w") as out:
            for number in range(count):
                out.write(json.dumps({"body": xml(number)}) + "\n")
        return path

    def test_bar(self):
        self.add(*[xml(number) for number in range(3000)])
        for columns in (40, 80, 200):
            terminal = Terminal(self, "backup", "--overwrite", self.stick, columns=columns)
            self.assertEqual(terminal.wait(), DONE, terminal.output)
            draws = re.findall(r"\r(backup  [^\r\n\033]*)", terminal.output)
            self.assertGreaterEqual(len(draws), 1)
            for line in draws:
                self.assertLess(len(line), columns)
                self.assertIn("of 3,000", line)
                self.assertEqual("[#" in line or "[-" in line, columns >= 80)
            # It is gone in the end.
            self.assertFalse(any("of 3,000" in line for line in seen(terminal.output)))
            self.assertIn("backed up 3,000 licences", terminal.output)

    def test_no_bar_elsewhere(self):
        self.add(xml(1))
        run = self.run_rehost("backup", self.stick, status=DONE)
        self.assertNotIn("\r", run.err + run.out)
        self.assertNotIn("\033", run.err + run.out)
        for arguments, env in ((["-q"], {}), (["--json"], {}), ([], {"TERM": "dumb"})):
            self.env.update(env)
            terminal = Terminal(self, "backup", "--overwrite", *arguments, self.stick)
            self.assertEqual(terminal.wait(), DONE)
            self.assertNotIn("\033", terminal.output)

    def test_not_faster_than_ten_a_second(self):
        stream = self.stream(20000)
        self.run_rehost("add", "-", input=stream.read_bytes(), status=DONE)
        started = time.monotonic()
        terminal = Terminal(self, "backup", self.stick)
        self.assertEqual(terminal.wait(), DONE)
        draws = len(re.findall(r"\rbackup  ", terminal.output))
        self.assertLessEqual(draws, (time.monotonic() - started) * 10 + 2)


class Interrupt(Case):
    def test_add(self):
        """A stream that brings nothing for a while still stops at once."""
        reader, writer = os.pipe()
        process = subprocess.Popen([REHOST, "add", "-"], stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.env, cwd=self.top, text=True)
        os.write(writer, (xml(1) + "\n").encode())
        time.sleep(0.5)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual(process.returncode, CANCELED, err)
        self.assertEqual(err.count("rehost: "), 1)
        os.close(reader)
        os.close(writer)
        self.run_rehost("check", status=DONE)

    def test_terminate(self):
        reader, writer = os.pipe()
        process = subprocess.Popen([REHOST, "recovery", "check"], stdin=reader, stderr=subprocess.PIPE, env=self.env)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=20), CANCELED)
        process.stderr.close()
        os.close(reader)
        os.close(writer)

    def test_backup(self):
        self.add(*[xml(number) for number in range(20000)])
        for delay in (0.0, 0.02, 0.05, 0.1):
            process = subprocess.Popen([REHOST, "backup", "--json", self.stick], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, env=self.env, text=True)
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
            last = json.loads(out.splitlines()[-1])
            self.assertEqual(last["event"], "end")
            self.assertIn(process.returncode, (DONE, CANCELED), err)
            if process.returncode == CANCELED:
                self.assertEqual(last["code"], "E_CANCELED")
                self.assertEqual(list(self.stick.glob("*.age")), [])
            else:
                self.assertEqual(len(list(self.stick.glob("*.age"))), 1)
                for path in self.stick.iterdir():
                    path.unlink()
        self.run_rehost("check", status=DONE)


class Questions(Case):
    def setUp(self):
        super().setUp()
        self.add(xml(1, "One"))
        self.run_rehost("backup", self.stick, status=DONE)
        self.key = self.identity()

    def test_recovery_code(self):
        terminal = Terminal(self, "restore", self.stick, store="new")
        terminal.expect("(not shown): ")
        self.assertFalse(terminal.echoes())
        code = self.key["code"]
        terminal.type(code[:13] + ("2" if code[13] != "2" else "3") + code[14:] + "\n")
        terminal.expect("group 3")
        terminal.expect("try again")
        terminal.expect("(not shown): ", times=2)
        terminal.type(code.lower().replace("-", " ") + "\n")
        self.assertEqual(terminal.wait(), DONE, terminal.output)
        self.assertIn("restored 1 licence ", terminal.output)
        self.assertTrue(terminal.echoes())
        self.assertNotIn(code[:20], terminal.output.upper().replace(" ", "-"))

    def test_enter(self):
        terminal = Terminal(self, "restore", self.stick, store="new")
        terminal.expect("(not shown): ")
        terminal.type("\n")
        self.assertEqual(terminal.wait(), SECRET, terminal.output)

    def test_interrupt_while_asked(self):
        terminal = Terminal(self, "restore", self.stick, store="new")
        terminal.expect("(not shown): ")
        terminal.type("\x03")
        self.assertEqual(terminal.wait(), CANCELED, terminal.output)
        self.assertTrue(terminal.echoes())

    def test_passphrase(self):
        terminal = Terminal(self, "backup", "--overwrite", "--passphrase-file", "-", self.stick)
        terminal.expect("New passphrase")
        terminal.type("correct horse\n")
        terminal.expect("same again")
        terminal.type("correct house\n")
        self.assertEqual(terminal.wait(), USAGE)
        self.assertIn("differ", terminal.output)
        terminal = Terminal(self, "backup", "--overwrite", "--passphrase-file", "-", self.stick)
        terminal.expect("New passphrase")
        terminal.type("correct horse\n")
        terminal.expect("same again")
        terminal.type("correct horse\n")
        self.assertEqual(terminal.wait(), DONE, terminal.output)
        terminal = Terminal(self, "restore", self.stick, store="new")
        terminal.expect("Enter to give the passphrase): ")
        terminal.type("\n")
        terminal.expect("Passphrase (not shown): ")
        terminal.type("correct horse\n")
        self.assertEqual(terminal.wait(), DONE, terminal.output)

    def test_nobody_is_asked_for_json(self):
        terminal = Terminal(self, "restore", "--json", self.stick, store="new")
        self.assertEqual(terminal.wait(), SECRET)

    def test_key_is_shown_once(self):
        self.add(xml(1), store="fresh")
        terminal = Terminal(self, "backup", "--overwrite", self.stick, store="fresh")
        self.assertEqual(terminal.wait(), DONE)
        key = self.run_rehost("recovery", "show", "--json", store="fresh").lines[0]
        self.assertIn(key["identity"], terminal.output)
        self.assertIn(key["code"][:29], terminal.output)
        terminal = Terminal(self, "backup", "--overwrite", self.stick, store="fresh")
        self.assertEqual(terminal.wait(), DONE)
        self.assertNotIn(key["identity"], terminal.output)

    def test_forget_asks(self):
        for answer, status in (("no", CANCELED), ("", CANCELED), ("yes", DONE)):
            terminal = Terminal(self, "recovery", "forget")
            terminal.expect("(yes/no) ")
            self.assertTrue(terminal.echoes())
            terminal.type(answer + "\n")
            self.assertEqual(terminal.wait(), status, terminal.output)
        self.run_rehost("recovery", "show", status=SECRET)

    def test_sheet_on_a_terminal(self):
        terminal = Terminal(self, "recovery", "sheet")
        self.assertEqual(terminal.wait(), USAGE)
        self.assertNotIn("<html", terminal.output)
        terminal = Terminal(self, "recovery", "sheet", "--text")
        self.assertEqual(terminal.wait(), DONE)
        self.assertIn("\033[30;107m", terminal.output)


class Columns(Case):
    def width(self, text):
        import unicodedata
        return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)

    def test_columns(self):
        titles = ["Short", "A title that goes on and on, for much longer than any terminal is wide, really " * 2,
                  "\u65e5\u672c\u8a9e\u306e\u984c\u540d" * 10, "\u30ab\u3099 Zo\u00eb e\u0301", ""]
        self.add(*[xml(number, title) for number, title in enumerate(titles, 1)])
        for columns in (60, 80, 81, 120, 300):
            terminal = Terminal(self, "list", columns=columns)
            self.assertEqual(terminal.wait(), DONE)
            lines = [line.rstrip("\r") for line in terminal.output.split("\n")[:-1]]
            self.assertEqual(len(lines), 6)
            ids = lines[0].index("ID")
            for line in lines:
                self.assertLessEqual(self.width(line), columns, line)
                self.assertEqual(self.width(line[:re.search(r"0000000\d|ID", line).start()]), ids)
        self.assertEqual(len(self.run_rehost("list").out.splitlines()), 5)
        self.assertIn(titles[1].strip(), self.run_rehost("list").out)

    def test_empty(self):
        self.run_rehost("recovery", "make", status=DONE)
        terminal = Terminal(self, "list")
        self.assertEqual(terminal.wait(), DONE)
        self.assertIn("no licences in this store", terminal.output)


if __name__ == "__main__":
    unittest.main()
