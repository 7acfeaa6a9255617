#!/usr/bin/env python3
"""Compiles each public header alone, as every kind of program that may include it.

usage: headers.py SOURCE-DIRECTORY
"""
import pathlib
import shutil
import subprocess
import sys

WAYS = [("gcc", "c", "c11"), ("gcc", "c", "c17"), ("g++", "c++", "c++17"),
        ("clang", "c", "c11"), ("clang", "c", "c17"), ("clang++", "c++", "c++17")]
# As rehost.pc says: <rehost/x.h> and <x.h> both work.
FLAGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]


def main(top):
    include = top / "include"
    headers = sorted((include / "rehost").glob("*.h"))
    failed = done = 0
    missing = sorted({compiler for compiler, _, _ in WAYS if not shutil.which(compiler)})
    for header in headers:
        for compiler, language, standard in WAYS:
            if compiler in missing:
                continue
            for name in ("rehost/" + header.name, header.name):
                # Twice, so that a missing guard shows.
                text = "#include <%s>\n#include <%s>\nint unused_main(void);\n" % (name, name)
                run = subprocess.run(
                    [compiler, "-x", language, "-std=" + standard, *FLAGS, "-I", include, "-I", include / "rehost", "-"],
                    input=text, capture_output=True, text=True)
                done += 1
                if run.returncode != 0:
                    failed += 1
                    print("%s as %s with %s:\n%s" % (name, standard, compiler, run.stderr))
    print("%d headers, %d compilations, %d failed%s" % (
        len(headers), done, failed, "".join(", no " + name for name in missing)))
    return failed != 0 or done == 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
