#!/usr/bin/env python3
"""Reads a parity file by FORMAT.md, "Parity", alone: finds the bad blocks of a backup and mends them.

usage: independent.py MAKER FORMAT.md

MAKER FILE OUT PERCENT writes the parity of FILE.  The document's vectors are made, too.  Nothing else of Rehost takes part: the arithmetic
of the field, the layout and the table are written here a second time, out of the document.
"""
import hashlib
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

NAME = "licenses-20260102T030405Z-0123456789abcdef.age"
BLOCK, HASH, HEAD = 4096, 16, 256

EXP, LOG = [0] * 510, [0] * 256
value = 1
for power in range(255):
    EXP[power] = EXP[power + 255] = value
    LOG[value] = power
    value <<= 1
    if value & 0x100:
        value ^= 0x11d


def times(a, b):
    return EXP[LOG[a] + LOG[b]] if a and b else 0


def inverse(a):
    return EXP[255 - LOG[a]]


def up(a, b):
    return -(-a // b)


def sha(data):
    return hashlib.sha256(data).digest()


class Layout:
    def __init__(self, size, percent):
        self.size, self.percent = size, percent
        self.N = up(size, BLOCK)
        K = max(k for k in range(1, 255) if k + up(k * percent, 100) + 1 <= 255)
        self.S = up(self.N, K)
        self.k = up(self.N, self.S)
        self.m = up(self.k * percent, 100) + 1
        self.P = up(self.N + self.m * self.S, 240)
        self.G = up(self.P, 85)
        self.kt = up(self.P, self.G)
        self.mt = 2 * self.kt
        self.T = self.P + self.G * self.mt
        first = up(self.T, 3)
        second = up(self.T - first, 2)
        half = up(self.m * self.S, 2)
        table = [("t", i) for i in range(self.T)]
        parity = [("p", i) for i in range(self.m * self.S)]
        order = table[:first] + parity[:half] + table[first:first + second] + parity[half:] + table[first + second:]
        self.place = {what: place for place, what in enumerate(order)}


def solve(k, runs):
    """Of the runs of a code with k columns, k that are there; gives all columns."""
    there = [(i, run) for i, run in sorted(runs.items())][:k]
    if len(there) < k:
        raise SystemExit("more is lost than can be mended")
    missing = [c for c in range(k) if c not in runs]
    if not missing:
        return [runs[c] for c in range(k)]
    rows = []
    for i, run in there:
        if i < k:
            continue
        row = [inverse(i ^ c) for c in range(k)]
        rest = bytearray(run)
        for c in range(k):
            if c in runs:
                log = LOG[row[c]]
                rest = bytearray(x ^ (EXP[log + LOG[y]] if y else 0) for x, y in zip(rest, runs[c]))
        rows.append([[row[c] for c in missing], rest])
    # Gauss
    n = len(missing)
    rows = rows[:n]
    for i in range(n):
        pivot = next(r for r in range(i, n) if rows[r][0][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        factor = inverse(rows[i][0][i])
        rows[i] = [[times(factor, x) for x in rows[i][0]], bytearray(times(factor, x) for x in rows[i][1])]
        for r in range(n):
            factor = rows[r][0][i]
            if r != i and factor:
                rows[r] = [[x ^ times(factor, y) for x, y in zip(rows[r][0], rows[i][0])],
                           bytearray(x ^ times(factor, y) for x, y in zip(rows[r][1], rows[i][1]))]
    made = dict(zip(missing, (bytes(row[1]) for row in rows)))
    return [runs.get(c, made.get(c)) for c in range(k)]


def head(page):
    if len(page) == BLOCK and page[:16] == b"rehost parity 1\n" and sha(page[:240] + page[256:])[:HASH] == page[240:256]:
        size, percent, number = struct.unpack(">QII", page[16:32])
        return size, percent, number, page[32:96], page[96:128]
    return None


def mend(backup, parity):
    pages = [parity[i:i + BLOCK] for i in range(0, len(parity), BLOCK)]
    ours = NAME.encode().ljust(64, b"\0")
    size, percent, _, name, root = next(h for h in map(head, pages) if h and h[3] == ours)
    layout = Layout(size, percent)

    def page(what):
        place = layout.place[what]
        return pages[place] if place < len(pages) else b""

    # The table, out of what is there of it.
    table = {}
    for g in range(layout.G):
        runs = {}
        for c in range(layout.kt):
            number = c * layout.G + g
            found = head(page(("t", number))) if number < layout.P else None
            if number >= layout.P:
                runs[c] = bytes(BLOCK - HEAD)
            elif found and found[2] == number and found[4] == root:
                runs[c] = page(("t", number))[HEAD:]
        for r in range(layout.mt):
            number = layout.P + r * layout.G + g
            found = head(page(("t", number)))
            if found and found[2] == number and found[4] == root:
                runs[layout.kt + r] = page(("t", number))[HEAD:]
        for c, payload in enumerate(solve(layout.kt, runs)):
            table[c * layout.G + g] = payload
    hashes = b"".join(table[q] for q in range(layout.P))[:(layout.N + layout.m * layout.S) * HASH]
    told = b"rehost parity 1\n" + struct.pack(">QI", size, percent) + name + hashes
    if sha(told) != root:
        raise SystemExit("the table is wrong")

    def good(index, data):
        return len(data) == BLOCK and sha(data)[:HASH] == hashes[index * HASH:(index + 1) * HASH]

    # The stripes.
    backup = backup[:size].ljust(layout.N * BLOCK, b"\0")
    out = bytearray(backup)
    bad = 0
    for s in range(layout.S):
        runs = {}
        for c in range(layout.k):
            i = c * layout.S + s
            data = backup[i * BLOCK:(i + 1) * BLOCK] if i < layout.N else bytes(BLOCK)
            if i >= layout.N or good(i, data):
                runs[c] = data
        if len(runs) == layout.k:
            continue
        bad += layout.k - len(runs)
        for r in range(layout.m):
            if good(layout.N + r * layout.S + s, page(("p", r * layout.S + s))):
                runs[layout.k + r] = page(("p", r * layout.S + s))
        for c, data in enumerate(solve(layout.k, runs)):
            i = c * layout.S + s
            if i < layout.N:
                out[i * BLOCK:(i + 1) * BLOCK] = data
    return bytes(out[:size]), bad


def splitmix64(state):
    mask = (1 << 64) - 1
    while True:
        state = state + 0x9e3779b97f4a7c15 & mask
        z = (state ^ state >> 30) * 0xbf58476d1ce4e5b9 & mask
        z = (z ^ z >> 27) * 0x94d049bb133111eb & mask
        yield z ^ z >> 31


def vectors(path, parity, document):
    rows = re.findall(r"^\| ([0-9,]+) \| (\d+) \| ([0-9, ]+) \| ([0-9, ]+) \| (\d+) \| `([0-9a-f]{64})` \|$",
                      document, re.M)
    assert len(rows) == 3, rows
    for size, percent, stripes, groups, pages, digest in rows:
        size, percent = int(size.replace(",", "")), int(percent)
        layout, stream = Layout(size, percent), splitmix64(size)
        assert stripes == "%d, %d, %d, %d" % (layout.N, layout.S, layout.k, layout.m), stripes
        assert groups == "%d, %d, %d" % (layout.P, layout.G, layout.kt), groups
        assert int(pages) == len(layout.place), pages
        with open(path, "wb") as file:
            file.write(bytes(next(stream) >> 56 for _ in range(size)))
        subprocess.run([sys.argv[1], path, parity, str(percent)], check=True)
        with open(parity, "rb") as file:
            assert sha(file.read()).hex() == digest, size


def main():
    chance = random.Random(5)
    with tempfile.TemporaryDirectory() as folder:
        path, parity = os.path.join(folder, NAME), os.path.join(folder, "parity")
        for size, percent, hits in ((1, 10, 1), (5000, 100, 2), (300000, 10, 6), (1100000, 10, 12), (2000000, 3, 5)):
            whole = chance.randbytes(size)
            open(path, "wb").write(whole)
            subprocess.run([sys.argv[1], path, parity, str(percent)], check=True)
            table = open(parity, "rb").read()
            assert mend(whole, table) == (whole, 0)
            spoilt, worn = bytearray(whole), bytearray(table)
            first = chance.randrange(max(1, up(size, BLOCK) - hits))
            for i in range(first, first + hits):
                for at in range(i * BLOCK, min(size, i * BLOCK + BLOCK)):
                    spoilt[at] ^= 0x5a
            # Pages of the table at both ends, and a parity page.
            layout = Layout(size, percent)
            for what in (("t", 0), ("t", layout.T - 1)):
                at = layout.place[what] * BLOCK
                worn[at:at + BLOCK] = bytes(BLOCK)
            mended, bad = mend(bytes(spoilt), bytes(worn))
            assert mended == whole, "%d bytes at %d %%" % (size, percent)
            assert bad == min(hits, up(size, BLOCK)), (bad, hits)
        vectors(path, parity, open(sys.argv[2], encoding="utf-8").read())
    print("the document is enough")


main()
