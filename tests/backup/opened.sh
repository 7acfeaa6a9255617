#!/bin/bash
# What Rehost writes, ordinary tools open, byte for byte; what one of them spoils is found.
# usage: opened.sh BACKUP_TOOL
set -euo pipefail

tool=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
	echo "opened.sh: $*" >&2
	exit 1
}

"$tool" key KEY
mkdir stick opened restored
"$tool" write stick KEY originals 400
set -- stick/licenses-*.age
[ $# -eq 1 ] || fail "$# backups"
backup=$1

# The line of HOW-TO-OPEN.txt itself.
line=$(grep -m 1 'age -d -i KEY' stick/HOW-TO-OPEN.txt | sed "s,licenses-TIME-ID.age,../$backup,; s,KEY,../KEY,")
(cd opened && bash -o pipefail -c "$line") || fail "the tools do not open it: $line"
diff -r originals/licenses opened/licenses || fail "the tools give other bytes"
line=$(grep 'sha256sum' stick/HOW-TO-OPEN.txt)
(cd opened && bash -o pipefail -c "$line") || fail "the manifest is wrong"
[ "$(cat opened/manifest/*.sha256 | wc -l)" -eq "$(find opened/licenses -type f | wc -l)" ] ||
	fail "the manifest does not list every file"
[ "$(find opened -perm /077 -type f | wc -l)" -eq 0 ] || fail "members that others may read"
[ "$(ls opened)" = "$(printf '%s\n' issuers.json licenses manifest rehost.json rehost.json.jws rehost.json.mac)" ] ||
	fail "other members than FORMAT.md tells: $(ls opened)"

# Frames: several, each a tar without end, but for the last one.
age -d -i KEY "$backup" >plain.zst
zstd -lv plain.zst >frames 2>&1 || fail "zstd does not list it"
grep -q -E 'Zstandard Frames: ([5-9]|[1-9][0-9]+)$' frames || fail "not as many frames: $(cat frames)"
zstd -qdc plain.zst | tar tf - >members || fail "tar finds fault with it"
[ "$(head -n 2 members)" = "$(printf '%s\n' rehost.json rehost.json.jws)" ] ||
	fail "the first members are others"
[ "$(zstd -qdc plain.zst | tail -c 1024 | tr -d '\0' | wc -c)" -eq 0 ] || fail "no end of archive"

# Each manifest behind the eighth frame of licences after its own; the last ones at the end.
zstd -qdc plain.zst | python3 -c '
import itertools, sys, tarfile
frames = {}  # of each member of a licence
order = []
for member in (archive := tarfile.open(fileobj=sys.stdin.buffer, mode="r|")):
    if member.name.endswith(".sha256"):
        for line in archive.extractfile(member).read().decode().splitlines():
            frames[line[66:]] = ("licences", int(member.name[9:-7]))
    order.append(member.name)
order = [frames[name] if name in frames else ("manifest", int(name[9:].split(".")[0]))
         for name in order if name.startswith(("licenses/", "manifest/"))]
order = [key for key, _ in itertools.groupby(order)]
last = max(order)[1]
expected = []
for n in range(1, last + 1):
    expected += [("licences", n)] + ([("manifest", n - 8)] if n > 8 else [])
expected += [("manifest", n) for n in range(max(last - 7, 1), last + 1)]
assert last > 9 and order == expected, order
' || fail "the manifests are not where FORMAT.md says"

# Our own reader, on the same.
"$tool" read stick KEY restored
diff -r originals restored || fail "our reader gives other bytes"

# The signature of rehost.json, with openssl alone.
python3 - opened <<'PYTHON' || fail "the signature of rehost.json is not good"
import base64, json, pathlib, subprocess, sys, tempfile
folder = pathlib.Path(sys.argv[1])
text = (folder / "rehost.json").read_bytes()
head, content, signature = (folder / "rehost.json.jws").read_text().split(".")
def unbase64(part): return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
assert content == "" and json.loads(unbase64(head))["alg"] == "ES256"
key = json.loads(text)["computer"]["key"]
point = b"\x04" + unbase64(key["x"]) + unbase64(key["y"])
# SubjectPublicKeyInfo of a point on P-256 (RFC 5480); ECDSA-Sig-Value (RFC 3279).
spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + point
def integer(raw):
    raw = raw.lstrip(b"\0")
    raw = b"\0" + raw if raw[0] & 0x80 else raw
    return b"\x02" + bytes([len(raw)]) + raw
raw = unbase64(signature)
pair = integer(raw[:32]) + integer(raw[32:])
with tempfile.TemporaryDirectory() as name:
    place = pathlib.Path(name)
    (place / "key").write_bytes(b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(spki) + b"-----END PUBLIC KEY-----\n")
    (place / "sig").write_bytes(b"\x30" + bytes([len(pair)]) + pair)
    payload = base64.urlsafe_b64encode(text).rstrip(b"=")
    (place / "signed").write_bytes(head.encode() + b"." + payload)
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", place / "key", "-signature",
                    place / "sig", place / "signed"], check=True, stdout=subprocess.DEVNULL)
PYTHON

# The proof of the header and of each frame, from the key's own text.
python3 - opened KEY <<'PYTHON' || fail "the proof is not that of the key"
import hashlib, hmac, json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
text = next(line for line in open(sys.argv[2]) if line.startswith("AGE-SECRET-KEY-1")).strip().lower()
bits = "".join(f"{'qpzry9x8gf2tvdw0s3jn54khce6mua7l'.index(c):05b}" for c in text.rpartition("1")[2][:-6])
secret = bytes(int(bits[i:i + 8], 2) for i in range(0, 256, 8))
def mac(key, *parts): return hmac.new(key, b"".join(parts), "sha256").digest()
key = mac(mac(bytes(32), secret), b"rehost backup 1: proof", b"\x01")  # HKDF of one block
def proof(*pieces): return mac(key, hashlib.sha256(b"\0".join(pieces)).digest()).hex().encode()
header = (folder / "rehost.json").read_bytes()
assert (folder / "rehost.json.mac").read_bytes() == proof(header, (folder / "issuers.json").read_bytes())
name = json.loads(header)["id"].encode()
manifests = sorted(folder.glob("manifest/*.sha256"))
assert len(manifests) > 3
for path in manifests:
    path_text = f"manifest/{path.name}".encode()
    assert path.with_suffix(".mac").read_bytes() == proof(name, path_text, path.read_bytes(), b"")
PYTHON

# recovery.age: ours opened by age, age's opened by us.  age asks for passphrases on a terminal.
on_terminal() { # PASSPHRASE COMMAND ARGUMENT...
	python3 - "$@" >terminal 2>&1 <<'PYTHON' || fail "$*: $(cat terminal)"
import os, pty, select, sys

child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
prompt = b""
while select.select([terminal], [], [], 60)[0]:
    try:
        prompt += os.read(terminal, 4096)
    except OSError:  # the other end is closed
        break
    # Only once it asks does it take an answer.
    if b"passphrase" in prompt and prompt.endswith(b": "):
        os.write(terminal, sys.argv[1].encode() + b"\n")
        prompt = b""
sys.stdout.buffer.write(prompt)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
PYTHON
}
"$tool" passphrase stick KEY 'open sesame'
on_terminal 'open sesame' age -d -i stick/recovery.age -o plain2.zst "$backup"
cmp plain.zst plain2.zst || fail "age opens something else with recovery.age"
recipient=$("$tool" unlock stick 'open sesame')
rm stick/recovery.age
on_terminal 'another one' age -p -o stick/recovery.age KEY
[ "$("$tool" unlock stick 'another one')" = "$recipient" ] || fail "age's passphrase file does not open"
if "$tool" unlock stick 'open sesame' 2>said; then fail "a wrong passphrase opens"; fi
grep -q E_SECRET_WRONG said || fail "a wrong passphrase: $(cat said)"

# One byte of the backup: mended, and without its parity found.
mkdir target mended
printf 'X' | dd of="$backup" bs=1 seek=100000 conv=notrunc status=none
"$tool" read stick KEY mended
diff -r originals mended || fail "what was mended has other bytes"
rm "${backup%.age}.parity"
if "$tool" read stick KEY target 2>said; then fail "a damaged backup opens"; fi
grep -q E_BACKUP_CORRUPT said || fail "a damaged backup: $(cat said)"
diff -r originals target | grep -v '^Only in originals' && fail "a damaged backup gave other bytes"
exit 0
