#!/usr/bin/env python3
"""Counts the results in a test log of meson: "PASSED FAILED SKIPPED", then what failed and why.

usage: count.py TESTLOG.json
"""
import json
import sys

LINES = 60


def main(path):
    results = [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()]
    if not results:
        return 1
    passed = [test for test in results if test["result"] in ("OK", "EXPECTEDFAIL")]
    skipped = [test for test in results if test["result"] == "SKIP"]
    failed = [test for test in results if test not in passed and test not in skipped]
    print(len(passed), len(failed), len(skipped))
    for test in skipped:
        words = (test.get("stdout") or test.get("stderr") or "").strip().splitlines()
        print("       skipped %s: %s" % (test["name"], words[-1] if words else "no reason given"))
    for test in failed:
        print("--- %s: %s after %.0f s" % (test["name"], test["result"], test["duration"]))
        for part in ("stdout", "stderr"):
            lines = (test.get(part) or "").rstrip().splitlines()
            if len(lines) > LINES:
                print("[%d lines left out; all of it: %s]" % (len(lines) - LINES, path.replace(".json", ".txt")))
            print("\n".join(lines[-LINES:]))
        print("again: %s" % " ".join(test["command"]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except FileNotFoundError:
        sys.exit(1)
