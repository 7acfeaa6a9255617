#!/usr/bin/env python3
"""Writes our own age test vectors: make_vectors.py DIR

A second implementation of age v1 (C2SP age.md), small and slow, from the RFCs and
with nothing but Python's own library, so that the vectors owe nothing to the code
that they test.  The files are the same at every run.
"""
import base64
import hashlib
import hmac
import os
import sys
import zlib

CHUNK = 65536
FILE_KEY = bytes(range(1, 17))
NONCE = bytes(range(0x40, 0x50))
ONE = hashlib.sha256(b"first identity").digest()
TWO = hashlib.sha256(b"second identity").digest()


def hkdf(key, salt, info):
    """RFC 5869, 32 bytes."""
    prk = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(prk, info + b"\x01", "sha256")


def x25519(scalar, point):
    """RFC 7748, section 5."""
    p = 2**255 - 19
    k = int.from_bytes(scalar, "little")
    k = k & ~7 & (2**255 - 1) | 2**254
    x1 = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3 = 1, 0, x1, 1
    for t in reversed(range(255)):
        swap = k >> t & 1
        if swap:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a % p, c * b % p, a * a % p, b * b % p
        x3, z3 = pow(da + cb, 2, p), x1 * pow(da - cb, 2, p) % p
        x2, z2 = aa * bb % p, (aa - bb) * (aa + 121665 * (aa - bb)) % p
        if swap:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


def public(secret):
    return x25519(secret, (9).to_bytes(32, "little"))


def chacha20(key, nonce, counter, size):
    """RFC 8439, section 2.4: ${size} bytes of key stream."""
    mask = 0xFFFFFFFF
    start = [int.from_bytes(part, "little") for part in
             (b"expa", b"nd 3", b"2-by", b"te k")]
    start += [int.from_bytes(key[i:i + 4], "little") for i in range(0, 32, 4)]
    start += [0] + [int.from_bytes(nonce[i:i + 4], "little") for i in range(0, 12, 4)]
    columns = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
               (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    out = bytearray()
    while len(out) < size:
        start[12] = counter
        s = list(start)
        for _ in range(10):
            for a, b, c, d in columns:
                for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                    s[x] = s[x] + s[y] & mask
                    v = s[z] ^ s[x]
                    s[z] = (v << n | v >> (32 - n)) & mask
        for i in range(16):
            out += (s[i] + start[i] & mask).to_bytes(4, "little")
        counter += 1
    return bytes(out[:size])


def poly1305(key, message):
    """RFC 8439, section 2.5."""
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for i in range(0, len(message), 16):
        total += int.from_bytes(message[i:i + 16] + b"\x01", "little")
        total = total * r % (2**130 - 5)
    return (total + int.from_bytes(key[16:], "little") & 2**128 - 1).to_bytes(16, "little")


def tag(key, nonce, sealed):
    padding = bytes(-len(sealed) % 16)
    lengths = bytes(8) + len(sealed).to_bytes(8, "little")
    return poly1305(chacha20(key, nonce, 0, 32), sealed + padding + lengths)


def seal(key, nonce, plain):
    stream = chacha20(key, nonce, 1, len(plain))
    sealed = bytes(a ^ b for a, b in zip(plain, stream))
    return sealed + tag(key, nonce, sealed)


def b64(raw):
    return base64.b64encode(raw).rstrip(b"=")


def body(raw):
    text = b64(raw)
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    if not lines or len(lines[-1]) == 64:
        lines.append(b"")
    return b"".join(line + b"\n" for line in lines)


def stanza(arguments, raw):
    return b"-> " + b" ".join(arguments) + b"\n" + body(raw)


def stanza_x25519(secret, seed, share=None, file_key=FILE_KEY):
    recipient = public(secret)
    ephemeral = hashlib.sha256(seed).digest()
    shared = x25519(ephemeral, recipient)
    if share is None:
        share = public(ephemeral)
    key = hkdf(shared, share + recipient, b"age-encryption.org/v1/X25519")
    return stanza([b"X25519", b64(share)], seal(key, bytes(12), file_key))


def stanza_scrypt(passphrase, work, salt=bytes(range(16))):
    key = hashlib.scrypt(passphrase, salt=b"age-encryption.org/v1/scrypt" + salt,
                         n=2**work, r=8, p=1, dklen=32, maxmem=2**30)
    return stanza([b"scrypt", b64(salt), b"%d" % work], seal(key, bytes(12), FILE_KEY))


def header(*stanzas, line=b"age-encryption.org/v1\n"):
    text = line + b"".join(stanzas) + b"---"
    mac = hmac.digest(hkdf(FILE_KEY, b"", b"header"), text, "sha256")
    return text + b" " + b64(mac) + b"\n"


PAYLOAD_KEY = hkdf(FILE_KEY, NONCE, b"payload")


def chunk(number, last, plain):
    nonce = number.to_bytes(11, "big") + bytes([last])
    return seal(PAYLOAD_KEY, nonce, plain)


FULL = {}


def full_chunk(number, last):
    """A full chunk that is all zeros when sealed, so that zlib makes it small."""
    if (number, last) not in FULL:
        nonce = number.to_bytes(11, "big") + bytes([last])
        plain = chacha20(PAYLOAD_KEY, nonce, 1, CHUNK)
        FULL[number, last] = plain, bytes(CHUNK) + tag(PAYLOAD_KEY, nonce, bytes(CHUNK))
    return FULL[number, last]


BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(prefix, raw):
    """BIP 173."""
    bits = int.from_bytes(raw, "big") << 4
    values = [bits >> 5 * (51 - i) & 31 for i in range(52)]

    def polymod(items):
        state = 1
        for value in items:
            top = state >> 25
            state = (state & 0x1FFFFFF) << 5 ^ value
            for i, g in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD,
                                   0x2A1462B3)):
                state ^= g if top >> i & 1 else 0
        return state

    front = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = polymod(front + values + [0] * 6) ^ 1
    values += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return (prefix + "1" + "".join(BECH32[v] for v in values)).upper()


def identity(secret):
    return "identity: " + bech32("age-secret-key-", secret)


class Writer:
    def __init__(self, directory):
        self.directory = directory

    def write(self, name, expect, keys, data, released=None, comment=None):
        lines = ["expect: " + expect]
        if released is not None:
            lines.append("payload: " + hashlib.sha256(released).hexdigest())
        lines.append("file key: " + FILE_KEY.hex())
        lines += keys
        if comment:
            lines.append("comment: " + comment)
        packed = zlib.compress(data, 9)
        if len(packed) + 100 < len(data):
            lines.append("compressed: zlib")
            data = packed
        with open(os.path.join(self.directory, name), "wb") as file:
            file.write("\n".join(lines).encode() + b"\n\n" + data)


def header_vectors(w):
    one = [identity(ONE)]
    a, b = stanza_x25519(ONE, b"a"), stanza_x25519(TWO, b"b")
    plain = b"the licences of one computer"
    payload = NONCE + chunk(0, 1, plain)

    def good(name, head, keys=one, comment=None):
        w.write(name, "success", keys, head + payload, plain, comment)

    def bad(name, head, comment=None, keys=one, expect="header failure"):
        w.write(name, expect, keys, head + payload, None, comment)

    good("recipients_first", header(a, b))
    good("recipients_second", header(a, b), [identity(TWO)])
    good("recipients_both_keys", header(b, a), one + [identity(TWO)])
    good("stanza_unknown_long", header(stanza([b"example.com/long", b"~!", b"x" * 300],
                                              bytes(1000)), a))
    good("stanza_unknown_full_line", header(stanza([b"example.com/48"], bytes(48)), a),
         comment="a body of exactly 64 columns is followed by an empty line")
    good("stanza_many", header(*[stanza([b"example.com/%d" % i], b"") for i in range(255)], a))
    high = public(hashlib.sha256(b"a").digest())
    high = high[:31] + bytes([high[31] | 0x80])
    good("x25519_share_high_bit", header(stanza_x25519(ONE, b"a", high)),
         comment="the bit that X25519 ignores counts where the share is salt")
    good("scrypt_low_work", header(stanza_scrypt(b"Zw\xc3\xb6lf", 1)),
         ["passphrase: Zwölf"])
    good("scrypt_second_passphrase", header(stanza_scrypt(b"right", 10)),
         ["passphrase: wrong", "passphrase: right"])

    bad("no_match_other_key", header(a), keys=[identity(TWO)], expect="no match")
    bad("no_match_only_unknown", header(stanza([b"example.com/a"], b"a")), expect="no match")
    bad("hmac_stanzas_swapped", header(a, b).replace(a + b, b + a), expect="HMAC failure")
    bad("hmac_stanza_added", header(a).replace(a, a + b), expect="HMAC failure")
    bad("hmac_other_file_key", header(stanza_x25519(ONE, b"a", file_key=bytes(16))),
        expect="HMAC failure")
    bad("header_no_stanza", header())
    bad("header_no_newline", header(a)[:-1])
    bad("header_version_space", header(a, line=b"age-encryption.org/v1 \n"))
    bad("header_version_2", header(a, line=b"age-encryption.org/v2\n"))
    bad("header_leading_newline", b"\n" + header(a))
    bad("header_too_long", header(stanza([b"example.com/big"], bytes(60000)), a),
        "longer than the 64 KiB that we read")
    bad("stanza_too_many", header(*[stanza([b"example.com/a"], b"")] * 256, a),
        "more than the 256 that we read")
    bad("stanza_tab", header(b"-> example.com/a\tb\n\n", a))
    bad("stanza_nul", header(b"-> example.com/a\0b\n\n", a))
    bad("stanza_eight_bit", header(b"-> example.com/\xc3\xa4\n\n", a))
    bad("stanza_trailing_space", header(b"-> example.com/a \n\n", a))
    bad("stanza_two_spaces", header(b"-> example.com/a  b\n\n", a))
    bad("stanza_no_space", header(b"->example.com/a\n\n", a))
    bad("stanza_body_space", header(b"-> example.com/a\nAAAA \n", a))
    bad("stanza_body_url_alphabet", header(b"-> example.com/a\n-_-_\n", a))
    bad("stanza_body_impossible_length", header(b"-> example.com/a\nAAAAA\n", a))
    bad("x25519_padding", header(a.replace(b"\n", b"=\n", 1)))
    bad("x25519_body_short", header(stanza([b"X25519", b64(high)], bytes(31)), a))
    bad("x25519_no_argument", header(stanza([b"X25519"], bytes(32)), a))
    bad("x25519_second_malformed", header(a, stanza([b"X25519", b"AAAA"], bytes(32))),
        "malformed behind a stanza that fits")
    for name, point in (("one", 1), ("p_minus_one", 2**255 - 20), ("p", 2**255 - 19),
                        ("p_plus_one", 2**255 - 18)):
        share = point.to_bytes(32, "little")
        bad("x25519_low_order_" + name,
            header(stanza([b"X25519", b64(share)], bytes(32))))
    s = stanza_scrypt(b"password", 10)
    phrase = ["passphrase: password"]
    bad("scrypt_with_unknown", header(s, stanza([b"example.com/a"], b"a")), keys=phrase)
    bad("scrypt_after_x25519", header(a, s), keys=one)
    bad("scrypt_work_space", header(s.replace(b" 10\n", b"  10\n")), keys=phrase)
    bad("scrypt_work_huge", header(s.replace(b" 10\n", b" 4294967306\n")), keys=phrase)
    bad("scrypt_body_long", header(s.replace(s.split(b"\n")[1], b64(bytes(33)))), keys=phrase)
    bad("scrypt_for_identity", header(s), expect="no match")


def payload_vectors(w):
    one = [identity(ONE)]
    head = header(stanza_x25519(ONE, b"a")) + NONCE

    def good(name, data, plain, comment=None):
        w.write(name, "success", one, head + data, plain, comment)

    def bad(name, data, released=b"", comment=None):
        w.write(name, "payload failure", one, head + data, released, comment)

    p0, c0 = full_chunk(0, 0)
    p1, c1 = full_chunk(1, 0)
    p0_last, c0_last = full_chunk(0, 1)
    p1_last, c1_last = full_chunk(1, 1)
    good("stream_one_byte", chunk(0, 1, b"a"), b"a")
    good("stream_empty", chunk(0, 1, b""), b"")
    good("stream_one_full", c0_last, p0_last)
    good("stream_two_full", c0 + c1_last, p0 + p1_last)
    good("stream_full_and_one", c0 + chunk(1, 1, b"b"), p0 + b"b")
    bad("stream_nothing", b"")
    bad("stream_only_part_of_tag", chunk(0, 1, b"")[:15])
    bad("stream_chunks_swapped", c1 + c0 + chunk(2, 1, b"c"))
    bad("stream_chunk_twice", c0 + c0 + chunk(2, 1, b"c"), p0)
    bad("stream_chunk_missing", c0 + chunk(2, 1, b"c"), p0)
    bad("stream_first_missing", c1_last)
    bad("stream_end_cut", c0 + c1, p0 + p1)
    bad("stream_end_cut_in_chunk", c0 + c1[:-1], p0)
    bad("stream_last_not_flagged", c0 + chunk(1, 0, b"b"), p0)
    bad("stream_flagged_and_more", c0_last + chunk(1, 1, b"b"), p0_last)
    bad("stream_flag_two", seal(PAYLOAD_KEY, bytes(11) + b"\x02", b"a"),
        comment="the flag is neither 0 nor 1")
    bad("stream_empty_last", c0 + chunk(1, 1, b""), p0)
    bad("stream_byte_behind", chunk(0, 1, b"a") + b"\n")
    bad("stream_counter_little_endian",
        c0 + seal(PAYLOAD_KEY, b"\x01" + bytes(10) + b"\x01", b"b"), p0)


def main():
    writer = Writer(sys.argv[1])
    header_vectors(writer)
    payload_vectors(writer)


if __name__ == "__main__":
    main()
