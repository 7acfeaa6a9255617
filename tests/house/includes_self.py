#!/usr/bin/env python3
"""The include test must be able to fail: plants one breach at a time and expects it named.

usage: includes_self.py SOURCE-DIRECTORY
"""
import pathlib
import shutil
import sys
import tempfile

import includes

BREACHES = [
    ("src/base/planted.c", '#include "crypto/age.h"\n', "may not include room crypto"),
    ("src/license/planted.c", "#include <sqlite3.h>\n", "may not include <sqlite3.h>"),
    ("src/store/planted.c", '#include "rehost/rehost.h"\n', "rehost/codes.h alone"),
    ("src/cli/planted.c", '#include "base/file.h"\n', "may not include room base"),
    ("src/object/planted.c", '#include "engine/engine.h"\n', "may not include room engine"),
    ("src/backup/planted.c", '#include "frame.h"\n', "room/header.h"),
    ("src/engine/planted.c", '#include "base/file.h"\n#include <stdio.h>\n', "after one of ours"),
    ("src/base/error.c", '#include "base/error.h"\n#include "base/bytes.h"\n', "base/error.h last"),
    ("src/engine/planted.c", "void f(void) { pthread_create(0, 0, 0, 0); }\n", "may not start threads"),
    ("src/engine/planted.c", "void f(void) { posix_spawnp(0, 0, 0, 0, 0, 0); }\n", "may not start programs"),
    ("src/base/planted.c", "int f(void) { return fork(); }\n", "may not start programs"),
    ("src/store/planted.c", 'void f(void) { fprintf(stderr, "x"); }\n', "may not print"),
    ("src/planted/planted.c", "\n", "no such room"),
    ("include/rehost/planted.h", "#include <openssl/evp.h>\n", "may not include <openssl/evp.h>"),
    ("examples/planted.c", '#include "rehost/rehost.h"\n', "an example may not include"),
    # What only looks like one.
    ("src/base/planted.c", '/* #include "crypto/age.h" */\n// printf(\nchar *s = "fork(";\n', None),
]


def main(source):
    failed = 0
    for where, text, expected in BREACHES:
        with tempfile.TemporaryDirectory() as name:
            top = pathlib.Path(name)
            for part in ("docs", "src", "include", "examples"):
                shutil.copytree(source / part, top / part,
                                ignore=lambda folder, files: [f for f in files if f.endswith(".c")])
            (top / where).parent.mkdir(exist_ok=True)
            (top / where).write_text(text)
            found = includes.check(top)[1]
            if not ([] == found if expected is None else any(expected in line for line in found)):
                print("%s: expected %r, found %r" % (where, expected, found))
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
