#!/usr/bin/env python3
"""Reads every #include of the rooms against the table in docs/ARCHITECTURE.md.

usage: includes.py SOURCE-DIRECTORY
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
STRING = re.compile(r'"(?:\\.|[^"\\\n])*"')

# Of the C library, POSIX and the kernel: free to every room.
SYSTEM = set("""
assert.h ctype.h dirent.h endian.h errno.h fcntl.h fnmatch.h fts.h getopt.h inttypes.h langinfo.h limits.h locale.h
math.h poll.h pthread.h pwd.h sched.h signal.h spawn.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h
stdio.h stdlib.h string.h strings.h time.h uchar.h unistd.h wchar.h
arpa/inet.h netdb.h netinet/in.h
linux/fs.h linux/limits.h linux/magic.h sys/file.h sys/ioctl.h sys/mman.h sys/prctl.h sys/random.h sys/resource.h sys/socket.h sys/stat.h
sys/statvfs.h sys/syscall.h sys/sysmacros.h sys/time.h sys/types.h sys/uio.h sys/un.h sys/vfs.h sys/wait.h termios.h
""".split())

STARTS_THREAD = re.compile(r"\b(pthread_create|thrd_create)\s*\(")
STARTS_PROGRAM = re.compile(r"\b(fork|vfork|posix_spawnp?|popen|system|exec[lv]p?e?|execveat|fexecve)\s*\(")
PRINTS = re.compile(r"\b(?:v?printf|puts|putchar|perror|v?dprintf|psignal|err|errx|warn|warnx)\s*\("
                    r"|\b(?:stdout|stderr|STDOUT_FILENO|STDERR_FILENO)\b")


class Room:
    def __init__(self, name, rooms, headers, threads, programs, prints):
        self.name, self.rooms, self.headers = name, rooms, headers
        self.threads, self.programs, self.prints = threads, programs, prints


def read_table(path):
    """The rooms, out of the first table of the page."""
    rooms = {}
    for line in path.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        names = re.findall(r"`([^`]+)`", cells[0])
        if not line.startswith("| `") or len(cells) != 7 or len(names) != 1:
            if rooms and not line.startswith("|"):
                break
            continue
        for word in cells[4:]:
            if word not in ("yes", "no"):
                raise SystemExit("%s: room %s: %r is neither yes nor no" % (path, names[0], word))
        rooms[names[0]] = Room(names[0], re.findall(r"`([^`]+)`", cells[2]),
                               re.findall(r"`([^`]+)`", cells[3]), *(cell == "yes" for cell in cells[4:]))
    return rooms


def check_order(rooms):
    """A room may see only rooms above it in the table: so there is no circle."""
    seen = set()
    for room in rooms.values():
        for other in room.rooms:
            if other not in seen:
                yield "docs/ARCHITECTURE.md: room %s sees %s, which does not stand above it" % (room.name, other)
        seen.add(room.name)


def check_include(room, rooms, name, quoted):
    """What is wrong with one #include, or None."""
    first = name.split("/")[0]
    if quoted:
        if room.name == "include":
            return None if "/" not in name else "a public header includes its neighbours by name alone"
        if "/" not in name:
            return "write it as \"room/header.h\""
        if first == "rehost":
            if "include" not in room.rooms:
                return "room %s may not include the public headers" % room.name
            # Decision 1: below the engine, the codes alone.
            if room.name not in ("engine", "object", "cli", "issue") and name != "rehost/codes.h":
                return "room %s may include rehost/codes.h alone" % room.name
            return None
        if first == room.name or first in room.rooms:
            return None
        return "room %s may not include room %s" % (room.name, first if first in rooms else "?")
    if name in SYSTEM:
        return None
    for header in room.headers:
        if name == header or (header.endswith("/") and name.startswith(header)):
            return None
    return "room %s may not include <%s>" % (room.name, name)


def check_file(path, where, room, rooms):
    text = COMMENT.sub(lambda match: "\n" * match.group().count("\n"), path.read_text())
    includes = [(text.count("\n", 0, match.start(2)) + 1, match.group(2), match.group(1) == '"')
                for match in INCLUDE.finditer(text)]
    for line, name, quoted in includes:
        problem = check_include(room, rooms, name, quoted)
        if problem:
            yield "%s:%d: %s" % (where, line, problem)

    # The system's headers first, then ours, the file's own last.
    order = [quoted for _, _, quoted in includes]
    if order != sorted(order):
        yield "%s: a header of the system comes after one of ours" % where
    own = "%s/%s.h" % (room.name, path.stem)
    names = [name for _, name, quoted in includes if quoted]
    if path.suffix == ".c" and path.with_suffix(".h").exists() and names[-1:] != [own]:
        yield "%s: does not include %s last" % (where, own)

    bare = STRING.sub('""', text)
    for pattern, allowed, what in ((STARTS_THREAD, room.threads, "start threads"),
                                   (STARTS_PROGRAM, room.programs, "start programs"), (PRINTS, room.prints, "print")):
        for match in pattern.finditer(bare):
            if not allowed:
                yield "%s:%d: room %s may not %s: %s" % (
                    where, bare.count("\n", 0, match.start()) + 1, room.name, what, match.group().strip())


def check_examples(top):
    """Examples are strangers: installed headers, in angle brackets."""
    allowed = SYSTEM | {"wmsdk.h", "wmsdkidl.h", "nserror.h", "rehost.h"}
    for path in sorted((top / "examples").rglob("*.[ch]*")):
        for match in INCLUDE.finditer(COMMENT.sub("", path.read_text())):
            name = match.group(2)
            if match.group(1) == '"' or not (name in allowed or name.startswith("rehost/") or
                                             "." not in name or (name[0] == "c" and "/" not in name)):
                yield "%s: an example may not include %s" % (path.relative_to(top), name)


def check(top):
    rooms = read_table(top / "docs" / "ARCHITECTURE.md")
    if len(rooms) < 5:
        raise SystemExit("docs/ARCHITECTURE.md: the table of rooms was not found")
    problems = list(check_order(rooms))
    files = 0
    for folder in sorted(path for path in (top / "src").iterdir() if path.is_dir()):
        code = sorted(path for path in folder.rglob("*") if path.suffix in (".c", ".h", ".cpp"))
        if code and folder.name not in rooms:
            problems.append("src/%s: no such room in docs/ARCHITECTURE.md" % folder.name)
            continue
        for path in code:
            files += 1
            problems += check_file(path, path.relative_to(top), rooms[folder.name], rooms)
    for path in sorted((top / "include" / "rehost").glob("*.h")):
        files += 1
        problems += check_file(path, path.relative_to(top), rooms["include"], rooms)
    for name in rooms:
        if name != "include" and not (top / "src" / name).is_dir():
            problems.append("docs/ARCHITECTURE.md: room %s has no folder" % name)
    return files, problems + list(check_examples(top))


if __name__ == "__main__":
    files, problems = check(pathlib.Path(sys.argv[1]).resolve())
    print("\n".join(problems) if problems else "%d files obey the table" % files)
    sys.exit(1 if problems else 0)
