"""What the tests on real media share: file systems on loop devices, servers of block devices that fail when told to,
and `rehost` to run on them.

A test runs in mount and process namespaces of its own, and all its files lie in one tmpfs: whatever happens to it,
no mount, loop device, server or file outlives it.
"""
import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).parents[1] / "faults"))
import licenses  # noqa: E402

DONE, USAGE, ENVIRONMENT, PARTIAL, SECRET, DAMAGED, _, CANCELED, _, OTHER, EXISTS = range(11)
MIB = 1 << 20
FOLDERS = ("files", "mounts")
ENDS_WITHIN = 20  # seconds, of a program whose medium failed
WAIT = 60         # seconds, of anything else


class Broken(Exception):
    """What must hold does not."""


class Skip(Exception):
    """This machine cannot do it."""


def expect(condition, message, *values):
    if not condition:
        raise Broken(message % values if values else message)


# ---- Running a test ----

def main(test):
    """Runs ${test}(place) of the script that calls; its arguments: REHOST [SEED]."""
    if os.environ.get("REHOST_MEDIA_TOP"):
        sys.exit(_inside(test))
    if os.geteuid() != 0:
        print("skipped: mounting takes root")
        sys.exit(77)
    # Files and mounts apart: a loop device keeps the mount that its file is on, and that one whatever is mounted below.
    top = tempfile.mkdtemp(prefix="rehost-media-")
    for name in FOLDERS:
        os.mkdir(os.path.join(top, name))
    child = None

    def stop(number, frame):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGTERM, stop)
    try:
        child = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
             sys.executable, "-B", *sys.argv], env=dict(os.environ, REHOST_MEDIA_TOP=top))
        status = child.wait()
    finally:
        if child is not None and child.poll() is None:
            _end(child)
        # What is mounted there goes with the last process in the namespace.
        shutil.rmtree(top)
    sys.exit(status)


def _end(child):
    """Kills the child, with which everything in its namespaces ends; and waits for the last of them."""
    namespace = os.readlink("/proc/%d/ns/pid_for_children" % child.pid)
    child.kill()
    child.wait()
    while any(_namespace(number) == namespace for number in os.listdir("/proc") if number.isdigit()):
        time.sleep(0.02)


def _namespace(number):
    try:
        return os.readlink("/proc/%s/ns/pid" % number)
    except OSError:
        return None


def _inside(test):
    top = pathlib.Path(os.environ.pop("REHOST_MEDIA_TOP"))
    program = pathlib.Path(sys.argv[1]).resolve()
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    print("seed %d" % seed, flush=True)
    started = time.monotonic()
    try:
        files, mounts = (top / name for name in FOLDERS)
        _mount("none", files, "tmpfs", "size=2g,mode=755")
        with contextlib.ExitStack() as stack:
            place = Place(program, files, mounts, random.Random(seed), stack)
            test(place)
    except Skip as reason:
        print("skipped: %s" % reason)
        return 77
    except Broken as error:
        print("seed %d: %s" % (seed, error))
        return 1
    print("%.0f s" % (time.monotonic() - started))
    return 0


# ---- Mounts and devices ----

_libc = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_REMOUNT, MNT_DETACH = 1, 32, 2


def _mount(source, target, kind, options="", flags=0):
    if _libc.mount(str(source).encode(), str(target).encode(), kind.encode(), ctypes.c_ulong(flags),
                   options.encode() or None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "mount %s" % target)


def _unmount(target, lazy=False):
    """Waits for the last who uses it; a lazy one goes as soon as nobody does."""
    for attempt in range(200):
        if _libc.umount2(str(target).encode(), MNT_DETACH if lazy else 0) == 0:
            return
        number = ctypes.get_errno()
        if number != errno.EBUSY:
            raise OSError(number, os.strerror(number), "umount %s" % target)
        time.sleep(0.02)
    raise Broken("%s stays in use" % target)


LOOP_CONFIGURE, LOOP_CTL_GET_FREE = 0x4C0A, 0x4C82
LO_FLAGS_READ_ONLY, LO_FLAGS_AUTOCLEAR, LO_FLAGS_DIRECT_IO = 1, 4, 16
EXT4_IOC_SHUTDOWN = 0x8004587D
# What is done first: everything is written; the journal alone; nothing, as when power fails.
SHUTDOWN_ALL, SHUTDOWN_JOURNAL, SHUTDOWN_NOTHING = range(3)


class Loop:
    """A loop device; it goes when nobody has it open."""

    def __init__(self, path, read_only=False, direct=False):
        flags = LO_FLAGS_AUTOCLEAR | (LO_FLAGS_READ_ONLY if read_only else 0) | (LO_FLAGS_DIRECT_IO if direct else 0)
        file = os.open(path, os.O_RDONLY if read_only else os.O_RDWR)
        try:
            for _ in range(50):
                try:
                    with open("/dev/loop-control") as control:
                        self.path = "/dev/loop%d" % fcntl.ioctl(control, LOOP_CTL_GET_FREE)
                    self.fd = os.open(self.path, os.O_RDWR)
                except OSError as error:
                    raise Skip("no loop device: %s" % error)
                try:
                    # struct loop_config: the file, the size of blocks, struct loop_info64.
                    info = struct.pack("QQQQQIIII", 0, 0, 0, 0, 0, 0, 0, 0, flags) + bytes(64 + 64 + 32 + 16)
                    fcntl.ioctl(self.fd, LOOP_CONFIGURE, struct.pack("II", file, 0) + info + bytes(64))
                    return
                except OSError as error:
                    os.close(self.fd)
                    if error.errno != errno.EBUSY:
                        raise
        finally:
            os.close(file)
        raise Broken("others take every loop device first")

    def close(self):
        os.close(self.fd)


class Server:
    """A block device of nbdkit, as a file at ${path} by nbdfuse.  It can be killed, and started again."""

    def __init__(self, place, name, *arguments):
        self.folder, self.arguments = place.top / name, arguments
        self.folder.mkdir()
        self.path, self.socket, self.processes = self.folder / "nbd", self.folder / "socket", []
        self.start()

    def start(self):
        self.socket.unlink(missing_ok=True)
        self._start(["nbdkit", "--foreground", "--exit-with-parent", "--unix", str(self.socket),
                     *map(str, self.arguments)], self.socket.exists)
        self._start(["nbdfuse", str(self.path), "--unix", str(self.socket)], self.is_there)

    def _start(self, command, ready):
        self.path.touch()
        try:
            # What is killed leaves its scripts behind.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, env=dict(os.environ, TMPDIR=str(self.folder)))
        except FileNotFoundError:
            raise Skip("there is no %s" % command[0])
        self.processes.append(process)
        deadline = time.monotonic() + WAIT
        while not ready():
            if process.poll() is not None:
                raise Broken("%s: %s" % (" ".join(command), process.stderr.read().decode(errors="replace")))
            expect(time.monotonic() < deadline, "%s does not start", command[0])
            time.sleep(0.01)

    def is_there(self):
        return os.path.ismount(self.path)

    def kill(self):
        """As a medium goes that is pulled."""
        for process in self.processes:
            process.kill()
            process.wait()
            process.stderr.close()
        self.processes = []
        with contextlib.suppress(OSError):
            _unmount(self.path, lazy=True)

    def close(self):
        self.kill()
        shutil.rmtree(self.folder)


# ---- Rehost ----

class Run:
    def __init__(self, arguments, status, out, err, seconds):
        self.command = " ".join(map(str, ("rehost", *arguments)))
        self.status, self.out, self.err, self.seconds = status, out, err, seconds

    @property
    def events(self):
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self):
        """The result of an operation, or of a command that failed before it began."""
        lines = self.out.splitlines()
        found = json.loads(lines[-1]) if lines else {}
        return found.get("error", found)

    @property
    def code(self):
        return self.last.get("code")

    def __str__(self):
        return "%s ended with %s after %.1f s\n%s%s" % (
            self.command, self.status, self.seconds, self.out[-2000:], self.err[-2000:])


class Running:
    """A `rehost` that works with --json while the test does something to its medium."""

    def __init__(self, place, arguments, env):
        self.arguments, self.out, self.err = arguments, tempfile.TemporaryFile(dir=place.top), \
            tempfile.TemporaryFile(dir=place.top)
        self.started = time.monotonic()
        self.process = subprocess.Popen([place.program, *map(str, arguments), "--json"], env=env, cwd=place.top,
                                        stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err)

    def output(self):
        # pread: the program writes at the end of the same open file.
        return os.pread(self.out.fileno(), 1 << 30, 0).decode(errors="replace")

    def wait(self, seconds=ENDS_WITHIN):
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(OSError):
                wait_channel = pathlib.Path("/proc/%d/stack" % self.process.pid).read_text()
                print("still in:\n%s" % wait_channel)
            self.process.kill()
            raise Broken("%s does not end within %d s" % (" ".join(map(str, self.arguments)), seconds))
        run = Run(self.arguments, status, self.output(),
                  os.pread(self.err.fileno(), 1 << 20, 0).decode(errors="replace"), time.monotonic() - self.started)
        self.out.close()
        self.err.close()
        return run

    def signal(self, number):
        self.process.send_signal(number)


class Place:
    def __init__(self, program, top, mounts, numbers, stack):
        self.program, self.top, self.mounts, self.random, self.stack = program, top, mounts, numbers, stack
        (top / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        (top / "other-machine-id").write_text("fedcba9876543210fedcba9876543210\n")
        self.env = dict(os.environ, REHOST_MACHINE_ID_FILE=str(top / "machine-id"), HOME=str(top), TERM="dumb")
        self.key = top / "key"
        self.proofs = 0

    # ---- Media ----

    @contextlib.contextmanager
    def mounted(self, source, kind, options="", name="medium", read_only=False):
        target = self.mounts / name
        target.mkdir(exist_ok=True)
        try:
            _mount(source, target, kind, options, MS_RDONLY if read_only else 0)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENODEV):
                raise Skip("cannot mount %s: %s" % (kind, error))
            raise
        try:
            yield target
        finally:
            _unmount(target, lazy=sys.exc_info()[0] is not None)

    def remount(self, target, kind, options, read_only=False):
        _mount("none", target, kind, options, MS_REMOUNT | (MS_RDONLY if read_only else 0))

    def image(self, name, mebibytes, *mkfs):
        """A file with a file system: mkfs is the program and its options."""
        path = self.top / name
        with open(path, "wb") as file:
            file.truncate(int(mebibytes * MIB))
        if mkfs:
            tool(*mkfs, path)
        return path

    def ext4(self, name, mebibytes, *options):
        return self.image(name, mebibytes, "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", *options)

    @contextlib.contextmanager
    def loop(self, path, **flags):
        with contextlib.closing(Loop(path, **flags)) as loop:
            yield loop

    @contextlib.contextmanager
    def on_loop(self, path, kind="ext4", options="", name="medium", read_only=False, direct=False):
        with self.loop(path, read_only=read_only, direct=direct) as loop, \
                self.mounted(loop.path, kind, options, name, read_only) as target:
            yield target

    @contextlib.contextmanager
    def exfat(self, path, name="medium"):
        """An exFAT that is mounted by a program; it has written everything when this is over."""
        target = self.mounts / name
        target.mkdir(exist_ok=True)
        with self.loop(path) as loop:
            tool("mount.exfat-fuse", loop.path, target)
            try:
                yield target
            finally:
                _unmount(target, lazy=sys.exc_info()[0] is not None)

    @contextlib.contextmanager
    def served(self, *arguments):
        """What nbdkit serves, with these arguments."""
        if not os.path.exists("/dev/fuse"):
            raise Skip("there is no /dev/fuse")
        with contextlib.closing(Server(self, "served", *arguments)) as server:
            yield server

    # ---- Programs ----

    def _env(self, other):
        return dict(self.env, REHOST_MACHINE_ID_FILE=str(self.top / "other-machine-id")) if other else self.env

    def rehost(self, *arguments, status=None, other=False, input=None, seconds=WAIT, json=True):
        """Runs it to its end; ${other}: on another computer."""
        started = time.monotonic()
        arguments = (*arguments, "--json") if json else arguments
        try:
            done = subprocess.run([self.program, *map(str, arguments)], env=self._env(other), cwd=self.top,
                                  input=b"" if input is None else input, capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Broken("rehost %s does not end within %d s" % (" ".join(map(str, arguments)), seconds))
        run = Run(arguments, done.returncode, done.stdout.decode(errors="replace"),
                  done.stderr.decode(errors="replace"), time.monotonic() - started)
        if status is not None:
            expect(run.status == status, "%s, not with %d", run, status)
        return run

    def start(self, *arguments, other=False):
        return Running(self, arguments, self._env(other))

    # ---- Stores ----

    def make_store(self, name, count, first=0, source=None):
        """A store with invented licences, besides those of the store ${source}; its licences."""
        store = self.top / name
        if source is not None:
            shutil.copytree(self.top / source, store)
        text = "".join(line + "\n" for line in licenses.lines(count, "1", 0, first))
        self.rehost("add", "-", "--store", store, input=text.encode(), status=DONE)
        return self.licences(store)

    def make_stores(self, count):
        """Stores "old" with ${count} licences and "grown" with twice as many; one recovery key for both."""
        self.make_store("old", count)
        (self.top / "first").mkdir()
        self.rehost("backup", self.top / "first", "--store", self.top / "old", status=DONE)
        self.save_key("old")
        self.make_store("grown", count, count, "old")
        self.old, self.grown = self.licences(self.top / "old"), self.licences(self.top / "grown")

    def save_key(self, store):
        shown = self.rehost("recovery", "show", "--store", self.top / store, status=DONE, json=False).out
        found = re.search(r"AGE-SECRET-KEY-1[A-Z0-9]+", shown)
        expect(found, "'recovery show' shows no identity")
        self.key.write_text(found.group() + "\n")

    def licences(self, store, other=False):
        """Everything that is told of each licence, and so the whole of them in one text for comparing."""
        return sorted(self.rehost("list", "--store", store, status=DONE, other=other).out.splitlines())

    def check_store(self, name, expected):
        """No medium harms a store."""
        self.rehost("check", "--store", self.top / name, status=DONE)
        expect(self.licences(self.top / name) == expected, "the store %s has changed", name)

    # ---- Backups ----

    def restored(self, directory, key=None, status=DONE):
        """What another computer restores from the directory; None if there is no backup in it."""
        store = self.top / "proof"
        shutil.rmtree(store, ignore_errors=True)
        run = self.rehost("restore", directory, "--store", store, "--recovery-key-file", key or self.key, other=True)
        if run.code == "E_BACKUP_MISSING":
            return None
        expect(run.status == status, "%s", run)
        self.proofs += 1
        return self.licences(store, other=True)

    def check_backup(self, directory, *allowed):
        """The directory restores to exactly one of these sets of licences; which."""
        found = self.restored(directory)
        expect(found in allowed, "restored are %s licences, expected %s", None if found is None else len(found),
               " or ".join("nothing" if one is None else str(len(one)) for one in allowed))
        return found


# Programs of tests/backup that say nothing about a medium, and tests that need what no FAT has.
OTHER_TESTS = {"frozen": "reads backups of the source tree", "media": "reads tables of invented media",
               **dict.fromkeys(("mended", "pairs", "rot", "salvage"), "damage what they have in memory")}
LEFT_OUT = {"permission_denied": "FAT has no permissions", "recovery_is_a_pipe": "FAT has no pipes",
            "links_are_not_followed": "FAT has no links"}
LEFT_OUT_FUSE = {**LEFT_OUT, **dict.fromkeys(("every_call_fails", "flushed_behind"),
                                             "through FUSE it is flushed in fewer calls")}


def backup_tests():
    """The programs of tests/backup that work in a directory of $TMPDIR; $REHOST_BACKUP_TESTS is where they are built."""
    found = [path for path in pathlib.Path(os.environ["REHOST_BACKUP_TESTS"]).rglob("test-backup-*")
             if path.is_file() and os.access(path, os.X_OK)]
    expect(found, "no tests in %s", os.environ["REHOST_BACKUP_TESTS"])
    return sorted(path.resolve() for path in found if path.name.rpartition("-")[2] not in (*OTHER_TESTS, "memory"))


def check_tests(name, status, text, left_out):
    """How many tests of the program passed; no others than those may fail."""
    failed = set(re.findall(r"^\[  FAILED  \] (\w+)$", text, re.M))
    expect(failed <= set(left_out) and (status == 0) == (not failed), "%s ended with %d: %s", name, status, text[-3000:])
    for test in failed:
        print("left out: %s: %s" % (test, left_out[test]))
    return len(re.findall(r"^\[       OK \]", text, re.M))


def tool(*command, status=(0,), seconds=WAIT):
    """Runs another program; its output."""
    try:
        done = subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds)
    except FileNotFoundError:
        raise Skip("there is no %s" % command[0])
    expect(done.returncode in status, "%s ended with %d: %s", " ".join(map(str, command)), done.returncode,
           done.stdout.decode(errors="replace")[-2000:])
    return done.stdout.decode(errors="replace")


def generations(directory):
    return sorted(name for name in os.listdir(directory) if re.fullmatch(r"licenses-.*\.age", name))


def content(directory):
    """Names and digests of all that lies there; what begins with a dot, and what the file system keeps, aside."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in pathlib.Path(directory).iterdir()
            if path.is_file() and not path.name.startswith(".")}


def parts(directory):
    return sorted(name for name in os.listdir(directory) if ".part" in name)


def shutdown(directory_fd, how):
    """Stops an ext4 at once: whatever is written after this is lost, and says so."""
    fcntl.ioctl(directory_fd, EXT4_IOC_SHUTDOWN, struct.pack("I", how))


def flip(path, offset, count=1):
    """Damages bytes of a file."""
    with open(path, "r+b") as file:
        file.seek(offset)
        old = file.read(count)
        file.seek(offset)
        file.write(bytes(byte ^ 0xFF for byte in old))


FS_IOC_FIEMAP = 0xC020660B


def block_of(path, offset, size=4096):
    """The block of the disk on which this byte of the file lies."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        head = struct.pack("QQIIII", offset, 1, 0, 0, 1, 0)
        found = fcntl.ioctl(file, FS_IOC_FIEMAP, head + bytes(56))
    logical, physical, length = struct.unpack_from("QQQ", found, len(head))
    expect(length > 0, "%s has no block at %d", path, offset)
    return (physical + offset - logical) // size


def drop_caches():
    """What was read before is read from the media again."""
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("1\n")
