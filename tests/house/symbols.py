#!/usr/bin/env python3
"""What the shared library exports, and what it is called.

usage: symbols.py LIBRARY SOURCE-DIRECTORY
"""
import pathlib
import re
import subprocess
import sys

ALLOWED = re.compile(r"^(rh_[a-z0-9_]+|WM[A-Za-z0-9]+|IID_[A-Za-z0-9]+)$")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(library, top):
    problems = []
    exported = set()
    for line in output("nm", "-D", "--defined-only", library).splitlines():
        kind, name = line.split()[-2:]
        name = name.split("@")[0]
        if kind == "A":  # the name of a version
            continue
        exported.add(name)
        if not ALLOWED.match(name):
            problems.append("exports %s" % name)

    # Every function that a header promises is there.
    for header in ("rehost.h", "codes.h"):
        text = (top / "include" / "rehost" / header).read_text()
        for name in re.findall(r"^RH_API [^;(]*?\b(rh_\w+)\(", text, re.M):
            if name not in exported:
                problems.append("%s promises %s, which is not exported" % (header, name))
    for name in ("WMCreateBackupRestorer", "IID_IWMStatusCallback", "IID_IWMLicenseBackup",
                 "IID_IWMLicenseRestore", "IID_IWMBackupRestoreProps"):
        if name not in exported:
            problems.append("%s is not exported" % name)

    dynamic = output("readelf", "-d", library)
    soname = re.search(r"\(SONAME\).*\[(.*)\]", dynamic)
    if not soname or soname.group(1) != "librehost.so.0":
        problems.append("its name is %s" % (soname and soname.group(1)))
    if "TEXTREL" in dynamic:
        problems.append("has text relocations")
    if re.search(r"GNU_STACK.*RWE", output("readelf", "-lW", library)):
        problems.append("has an executable stack")
    print("\n".join(problems) if problems else "%d symbols" % len(exported))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], pathlib.Path(sys.argv[2]).resolve()))
