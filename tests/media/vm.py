#!/usr/bin/env python3
"""A USB stick with FAT32 at a virtual machine with Debian's kernel: used, and pulled out during backup and restore.

Each time the program says within seconds that the medium is gone; the earlier backup and the store are unharmed; with
the stick plugged in again the same run succeeds.  QEMU emulates it all.

usage: vm.py REHOST [SEED]        $REHOST_BACKUP_TESTS: the folder where tests/backup is built
"""
import contextlib
import hashlib
import json
import re
import shutil
import time

import kit
import machine

LICENCES = 1500
PULLS = 8
SLOW = 1000000  # bytes a second


class Test:
    def __init__(self, place):
        self.place = place
        place.make_stores(LICENCES)
        root = machine.Root(place.top / "root")
        root.program(place.program)
        root.program(shutil.which("fsck.fat"))
        self.tests = [root.program(path).name for path in kit.backup_tests()]
        for name in ("old", "grown"):
            shutil.copytree(place.top / name, root.folder / name)
        for name in ("machine-id", "other-machine-id", "key"):
            shutil.copy(place.top / name, root.folder / name)
        stick = place.image("stick.img", 128, "mkfs.fat", "-F", "32", "-n", "STICK")
        self.machine = place.stack.enter_context(contextlib.closing(machine.Machine(place, root, stick)))

    # ---- In the machine ----

    def command(self, *arguments, other=False):
        return "REHOST_MACHINE_ID_FILE=/%smachine-id rehost %s --json" % (
            "other-" if other else "", " ".join(arguments))

    def rehost(self, *arguments, other=False, status=kit.DONE):
        return self.machine.run(self.command(*arguments, other=other), status=status)

    def plug(self):
        """The stick has the name that comes next."""
        self.machine.plug()
        for _ in range(200):
            found = re.findall(r"/sys/block/(sd\w+)\n", self.machine.run("ls -d /sys/block/sd*", status=None) + "\n")
            if found and self.machine.run("mount -t vfat /dev/%s /mnt && echo mounted || true" % found[0]).strip() \
                    .endswith("mounted"):
                return
            time.sleep(0.1)
        raise kit.Broken("the stick does not come: %s" % self.machine.run("dmesg | tail -20"))

    def pulled(self):
        """What is left of the mount goes."""
        self.machine.run("umount /mnt || umount -l /mnt")

    def digest(self, store, other=False):
        return self.machine.run("%s | grep '^{' | sort | sha256sum" % self.command("list", "--store", store,
                                                                                 other=other)).split()[0]

    def restored(self):
        self.machine.run("rm -rf /proof")
        self.rehost("restore", "/mnt", "--store", "/proof", "--recovery-key-file", "/key", other=True)
        return self.digest("/proof", other=True)

    def check_stores(self):
        for name, licences in (("old", self.place.old), ("grown", self.place.grown)):
            self.rehost("check", "--store", "/" + name)
            kit.expect(self.digest("/" + name) == digest_of(licences), "the store %s has changed", name)

    def names(self):
        return self.machine.run("ls -a /mnt").split()

    # ---- What is done ----

    def life(self):
        """On the driver of FAT that the kernel has."""
        self.plug()
        said = self.rehost("backup", "/mnt", "--store", "/old")
        medium = [json.loads(line) for line in said.splitlines() if '"event":"medium"' in line]
        kit.expect(medium and medium[0]["medium"]["kind"] == "usb" and medium[0]["medium"]["file_system"] == "vfat",
                   "it is not known for a USB stick: %s", said)
        self.rehost("backup", "/mnt", "--store", "/grown", status=kit.EXISTS)
        self.rehost("backup", "/mnt", "--store", "/grown", "--overwrite", "--keep", "2")
        kit.expect(self.restored() == digest_of(self.place.grown), "restored is something else")
        self.machine.run("f=$(ls /mnt/licenses-*.age | tail -n 1); cp $f /whole; "
                         "for i in 200 201 202 203; do printf 'rotten' | "
                         "dd of=$f bs=4096 seek=$i conv=notrunc 2>/dev/null; done")
        self.rehost("verify", "/mnt", status=kit.PARTIAL)
        self.rehost("repair", "/mnt")
        self.machine.run("cmp /whole $(ls /mnt/licenses-*.age | tail -n 1) && rm /whole")
        self.rehost("backup", "/mnt", "--store", "/old", "--overwrite")
        kit.expect(self.restored() == digest_of(self.place.old), "restored is something else")

    def suite(self):
        """The tests of src/backup with their directories on the stick."""
        self.machine.run("rm -rf /mnt/*")
        passed = 0
        for name in self.tests:
            said = self.machine.run("TMPDIR=/mnt %s; echo status=$?" % name, seconds=600)
            passed += kit.check_tests(name, int(re.search(r"status=(\d+)", said).group(1)), said, kit.LEFT_OUT)
        print("%d tests of src/backup pass" % passed)

    def interrupted(self, command, after):
        """Pulls the stick out at a random instant; the result of the command if it was hit."""
        self.machine.run("sync; echo 3 >/proc/sys/vm/drop_caches")
        self.machine.speed(SLOW)
        started = time.monotonic()
        self.machine.start(command)
        time.sleep(after)
        self.machine.pull()
        said, status = self.machine.finish(kit.ENDS_WITHIN)
        seconds = time.monotonic() - started - after
        self.machine.speed(0)
        self.pulled()
        last = json.loads([line for line in said.splitlines() if line.startswith("{")][-1])
        code = last.get("error", last)["code"]
        if status == kit.DONE:
            return None
        print("pulled after %.1f s: %s after %.1f s more" % (after, code, seconds), flush=True)
        # A stick that had gone before the program looked at it was none.
        known = '"event":"medium"' not in said or '"kind":"usb"' in said
        right = ("E_MEDIUM_GONE",) if known else ("E_MEDIUM_GONE", "E_WRITE", "E_READ", "E_OPEN")
        kit.expect(status == kit.ENVIRONMENT and code in right,
                   "pulled: %d, %s", status, said[-2000:])
        return code

    def backup(self):
        hits = 0
        # Written and read back at this speed, it takes as long as this.
        whole = 2 * 2.7 * 2 * LICENCES / 2000 * 1000000 / SLOW
        for number in range(PULLS):
            # The stick is as it was at first: the old backup alone.
            self.rehost("backup", "/mnt", "--store", "/old", "--overwrite")
            hit = self.interrupted(self.command("backup", "/mnt", "--store", "/grown", "--overwrite"),
                                   whole * (number + self.place.random.random()) / PULLS)
            hits += hit is not None
            self.plug()
            allowed = [digest_of(self.place.grown)] + ([digest_of(self.place.old)] if hit else [])
            kit.expect(self.restored() in allowed, "neither the old nor the new backup: %s", self.names())
            self.again()
            kit.expect(self.restored() == allowed[0], "the next backup is not complete")
            kit.expect(not [name for name in self.names() if ".part" in name], "left: %s", self.names())
            self.check_stores()
        kit.expect(hits > PULLS // 4, "only %d of %d hit the run", hits, PULLS)

    def again(self):
        """The same run.  FAT has no journal: where the kernel finds it torn it makes it read-only, and it is mended first."""
        command = self.command("backup", "/mnt", "--store", "/grown", "--overwrite")
        said = self.machine.run(command + "; echo status=$?")
        if "Read-only file system" in said and "FAT-fs" in self.machine.run("dmesg | tail -n 20"):
            print("FAT is torn, and repaired by fsck.fat", flush=True)
            self.machine.run("d=$(grep ' /mnt ' /proc/mounts | cut -d ' ' -f 1) && umount /mnt && "
                             "{ fsck.fat -a $d || true; } && mount -t vfat $d /mnt")
            self.machine.run(command)
        else:
            kit.expect("status=0" in said, "the next run: %s", said[-2000:])

    def restore(self):
        hits = 0
        for number in range(PULLS // 2):
            self.machine.run("rm -rf /proof")
            command = self.command("restore", "/mnt", "--store", "/proof", "--recovery-key-file", "/key", other=True)
            hits += self.interrupted(command, 2.5 * (number + self.place.random.random()) / (PULLS // 2)) is not None
            self.plug()
            self.rehost("restore", "/mnt", "--store", "/proof", "--recovery-key-file", "/key", other=True)
            kit.expect(self.digest("/proof", other=True) == digest_of(self.place.grown), "not all is restored")
        kit.expect(hits > 0, "none of %d hit the run", PULLS // 2)


def digest_of(licences):
    return hashlib.sha256("".join(line + "\n" for line in licences).encode()).hexdigest()


def test(place):
    stick = Test(place)
    for way in (stick.life, stick.backup, stick.restore, stick.suite):
        started = time.monotonic()
        try:
            way()
        except kit.Broken as error:
            raise kit.Broken("%s: %s" % (way.__name__, error))
        print("%-8s %.1f s" % (way.__name__, time.monotonic() - started), flush=True)


if __name__ == "__main__":
    kit.main(test)
