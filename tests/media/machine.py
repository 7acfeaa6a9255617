"""A virtual machine with Debian's kernel, and a USB stick that QEMU plugs in and pulls out."""
import json
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import time

import kit

BOOTS_WITHIN = 180
# In this order; what each of them needs is found in modules.dep.
MODULES = ("xhci-pci", "sd_mod", "usb-storage", "nls_cp437", "nls_ascii", "nls_utf8", "vfat")
INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
%s
ip link set lo up 2>/dev/null
exec </dev/ttyS1 >/dev/ttyS1 2>/dev/console
stty raw -echo
echo ready
while IFS= read -r line; do
	sh -c "$line" >/out 2>&1 </dev/null
	status=$?
	cat /out
	printf '\\n%%s %%s\\n' "=====" $status
done
"""


def kernel():
    """The newest of Debian's kernels that has what a USB stick needs: its image, and the folder of its modules."""
    for modules in sorted(pathlib.Path("/lib/modules").glob("*"), reverse=True):
        image = pathlib.Path("/boot/vmlinuz-" + modules.name)
        if image.exists() and (modules / "modules.dep").exists() and list(modules.rglob("usb-storage.ko*")):
            return image, modules
    raise kit.Skip("no Debian kernel with usb-storage in /boot")


def needed(modules):
    """The files of the modules, each behind those that it needs."""
    lines = [line.split(":") for line in (modules / "modules.dep").read_text().splitlines()]
    needs = {path: rest.split() for path, rest in lines}
    found = []
    for name in MODULES:
        path = next(path for path in needs if pathlib.Path(path).name.startswith(name + ".ko"))
        for one in [*reversed(needs[path]), path]:
            if one not in found:
                found.append(one)
    return [modules / path for path in found]


class Root:
    """What lies in the machine's memory when it starts."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("proc", "sys", "dev", "tmp", "mnt", "bin", "lib/modules"):
            (folder / name).mkdir(parents=True)
        busybox = self.program("/bin/busybox")
        for name in kit.tool(busybox, "--list").split():
            if not (folder / "bin" / name).exists():
                (folder / "bin" / name).symlink_to("/bin/busybox")

    def program(self, path):
        """Puts a program into /bin, and the libraries where it looks for them."""
        target = self.folder / "bin" / pathlib.Path(path).name
        shutil.copy(path, target)
        for line in kit.tool("ldd", path, status=(0, 1)).splitlines():
            # "name => path (address)", or the loader's "path (address)".
            words = line.split()
            library = words[2] if "=>" in words else words[0]
            if not library.startswith("/"):
                continue
            where = library if "=>" not in words or library.startswith(("/lib", "/usr/lib")) else "/lib/" + words[0]
            copy = self.folder / where.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, copy)
        return path

    def pack(self, path, modules):
        loads = []
        for file in needed(modules):
            shutil.copy(file, self.folder / "lib/modules")
            loads.append("insmod /lib/modules/" + file.name)
        init = self.folder / "init"
        init.write_text("#!/bin/sh\nexport PATH=/bin LD_LIBRARY_PATH=/lib\n" + INIT.partition("\n")[2]
                        % "\n".join(loads))
        init.chmod(0o755)
        with open(path, "wb") as archive:
            names = subprocess.run(["find", ".", "-mindepth", "1"], cwd=self.folder, stdout=subprocess.PIPE,
                                   check=True).stdout
            subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=self.folder, input=names, stdout=archive,
                           stderr=subprocess.DEVNULL, check=True)


class Machine:
    def __init__(self, place, root, stick):
        self.place, self.plugged = place, 0
        image, modules = kernel()
        archive = place.top / "initramfs"
        root.pack(archive, modules)
        shutil.rmtree(root.folder)
        self.console = place.top / "console"
        command = [
            "qemu-system-%s" % platform.machine(), "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "768",
            "-nodefaults", "-display", "none", "-no-reboot", "-kernel", image, "-initrd", archive,
            "-append", "console=ttyS0 panic=-1 quiet",
            "-serial", "file:%s" % self.console,
            "-serial", "unix:%s,server=on,wait=off" % (place.top / "line"),
            "-qmp", "unix:%s,server=on,wait=off" % (place.top / "qmp"),
            "-device", "qemu-xhci,id=xhci", "-object", "throttle-group,id=speed",
            "-blockdev", json.dumps({"driver": "raw", "node-name": "image",
                                     "file": {"driver": "file", "filename": str(stick)}}),
            "-blockdev", json.dumps({"driver": "throttle", "node-name": "stick", "throttle-group": "speed",
                                     "file": "image"})]
        try:
            self.process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except FileNotFoundError:
            raise kit.Skip("there is no %s" % command[0])
        self.qmp, self.line = self.connect("qmp"), self.connect("line")
        self.ask("qmp_capabilities")
        self.heard = b""
        self.hear(b"ready\n", BOOTS_WITHIN)

    def connect(self, name):
        for _ in range(400):
            if self.process.poll() is not None:
                raise kit.Broken("QEMU: %s" % self.process.stderr.read().decode(errors="replace"))
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(str(self.place.top / name))
                return line
            except OSError:
                line.close()
                time.sleep(0.05)
        raise kit.Broken("QEMU does not answer")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.qmp.close()
        self.line.close()

    # ---- QEMU ----

    def ask(self, command, **arguments):
        self.qmp.settimeout(kit.WAIT)
        self.qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        text = b""
        while True:
            text += self.qmp.recv(65536)
            *lines, text = text.split(b"\n")
            for line in map(json.loads, lines):
                if "error" in line:
                    raise kit.Broken("QEMU: %s: %s" % (command, line["error"]["desc"]))
                if "return" in line:
                    return line["return"]

    def speed(self, bytes_per_second):
        """Of the stick; 0: as fast as it goes."""
        self.ask("qom-set", path="/objects/speed", property="limits", value={"bps-total": bytes_per_second})

    def plug(self):
        self.plugged += 1
        self.ask("device_add", driver="usb-storage", id="usb%d" % self.plugged, drive="stick", bus="xhci.0",
                 removable=True)

    def pull(self):
        self.ask("device_del", id="usb%d" % self.plugged)

    # ---- The machine's shell ----

    def hear(self, end, seconds):
        deadline = time.monotonic() + seconds
        while end not in self.heard:
            left = deadline - time.monotonic()
            if left <= 0 or self.process.poll() is not None:
                raise kit.Broken("the machine says nothing more: %s\n%s" % (
                    self.heard[-2000:].decode(errors="replace"), self.console.read_text(errors="replace")[-3000:]))
            self.line.settimeout(min(left, 1))
            try:
                self.heard += self.line.recv(65536)
            except TimeoutError:
                pass
        said, _, self.heard = self.heard.partition(end)
        return said.decode(errors="replace")

    def start(self, command):
        self.line.sendall(command.encode() + b"\n")

    def finish(self, seconds=kit.WAIT):
        """What the command said, and its exit status."""
        said = self.hear(b"\n===== ", seconds)
        return said, int(self.hear(b"\n", seconds))

    def run(self, command, status=0, seconds=kit.WAIT):
        self.start(command)
        said, ended = self.finish(seconds)
        kit.expect(status is None or ended == status, "in the machine, '%s' ended with %d: %s", command, ended,
                   said[-2000:])
        return said
