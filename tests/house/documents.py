#!/usr/bin/env python3
"""Documents tell the truth where a program can tell: links, paths, commands, options; and plain words.

usage: documents.py SOURCE-DIRECTORY REHOST
"""
import pathlib
import re
import subprocess
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE_BLOCK = re.compile(r"^```.*?^```", re.M | re.S)
# A path of this tree in backticks, as in `src/backup/FORMAT.md`.
TREE_PATH = re.compile(r"`((?:include|src|tests|fuzz|bench|docs|examples)/[\w./+-]*)`")
COMMAND = re.compile(r"(?:^\$ |`|&& |\| |build/\w+/src/cli/)rehost ([a-z]+)\b([^`\n|#]*)", re.M)
# Where an absolute path in a document may begin.
PLACES = "bin boot dev etc home media mnt opt proc run sys tmp usr var".split()
ABSOLUTE = re.compile(r"(?<![\w.}~)/:$>*-])/([a-z]+)/[\w.]")
# What HTTP is asked for is no file.
REQUEST = re.compile(r"\b(?:GET|POST) /\S+|\S*/cases/\S+")
MARKETING = ("blazing", "seamless", "cutting-edge", "state-of-the-art", "world-class", "effortless", "powerful",
             "leverage", "revolutionary", "game-changing", "best-in-class", "delve", "enterprise-grade",
             "next-generation", "lightning", "supercharge", "unleash", "holistic", "synergy", "todo", "fixme", "tbd",
             "lorem ipsum")


def documents(top):
    return [path for path in sorted(top.rglob("*.md"))
            if not path.relative_to(top).parts[0].startswith(("build", ".git"))]


def anchors(path):
    return {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).strip().replace(" ", "-")
            for line in path.read_text().splitlines() if line.startswith("#")}


def check_links(top, path, text):
    for target in LINK.findall(CODE_BLOCK.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        if not there.is_relative_to(top) or not there.exists():
            yield "link to %s, which is not there" % target
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            yield "link to %s, which has no such heading" % target
    for name in re.findall(r"(?<![\w./])(?:\.\./)+[\w][\w./-]*", text):
        if not (path.parent / name).resolve().is_relative_to(top):
            yield "names %s, which lies outside" % name
    for name in TREE_PATH.findall(text):
        if not re.search(r"[A-Z]{4,}/|[A-Z]{4,}$|NAME|NNNN", name) and not (top / name).exists():
            yield "names %s, which is not there" % name


def check_words(text):
    for word in MARKETING:
        if re.search(r"\b%s\b" % re.escape(word), text, re.I):
            yield "says %r" % word
    for first in ABSOLUTE.findall(REQUEST.sub("", text)):
        if first not in PLACES:
            yield "names the path /%s" % first


class Commands:
    """What the program says of itself."""

    def __init__(self, program):
        self.program = program
        self.help = {}

    def of(self, command):
        if command not in self.help:
            run = subprocess.run([self.program, command, "--help"], capture_output=True, text=True)
            self.help[command] = run.stdout if run.returncode == 0 else None
        return self.help[command]

    def check(self, text):
        for command, rest in COMMAND.findall(text):
            told = self.of(command)
            if told is None:
                yield "names the command 'rehost %s', which is not there" % command
                continue
            everywhere = subprocess.run([self.program, "--help"], capture_output=True, text=True).stdout
            for option in re.findall(r"(?<!\S)(--[a-z][a-z-]*)", rest.split(" #")[0]):
                if option not in told and option not in everywhere:
                    yield "names the option '%s' of 'rehost %s', which is not there" % (option, command)


def main(top, program):
    problems = []
    commands = Commands(program)
    paths = documents(top)
    for path in paths:
        text = path.read_text()
        found = list(check_links(top, path, text)) + list(check_words(text))
        if "src" not in path.relative_to(top).parts:
            found += commands.check(text)
        problems += ["%s: %s" % (path.relative_to(top), line) for line in found]
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "STYLE.md", "LICENSE", "docs/ARCHITECTURE.md",
                 "docs/THREADING.md", "docs/events.md"):
        if not (top / name).is_file():
            problems.append("%s is missing" % name)
    decisions = sorted(path.name[:4] for path in (top / "docs" / "decisions").glob("*.md"))
    if len(set(decisions)) != len(decisions):
        problems.append("docs/decisions: a number stands twice")
    print("\n".join(sorted(problems)) if problems else "%d documents" % len(paths))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]))
