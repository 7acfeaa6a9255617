#!/usr/bin/env python3
"""Makes the vectors of signed licences: make_vectors.py [DIRECTORY]

Needs the command jose (Debian package jose), which shares no code with Rehost.  Signatures and
content keys differ each time, so a vector that is there stays as it is: delete it to make it anew.
The keys are for tests alone.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

SECRET = b"\x00\x01Rehost vector, secret.\xff"


def ec(d, x, y, **more):
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "d": d, **more}


KEYS = {
    # Signs now.
    "2026": ec("pC3QKBAZNHDD-SQ-OEdXlzuIjwoFmjNIiwqHb2EycyA",
               "z_T26UmyQjPMSdX7tynSY3E02ygUFPudTotKNPesXEE",
               "ea7Mb6x5uHkRHb78WfSa2yRm6UQoucmhDLNuqJMW3bY"),
    # Signed before.
    "2025": ec("WxHVTlDYXXY02bxrio06bAQ6vlfr5lD25AeNInpVQj4",
               "zGHyS--mM5OqQJiZ5u2Q2ZaBMahEnMpM0CzSd8ESNiY",
               "xpTFheovtlKFHEirPqcuhg0wpmzfr0r56W7aiSRZnnA"),
    # Of nobody who is trusted.
    "stranger": ec("CMzYX9HXaWgSpmHIXQCUHPsdh5wjwpfM3iahpOUstEo",
                   "3jlmtmgsjxdtjnbHi2PkLH7D8oUyem54cI2ifYrNPTM",
                   "vi1JtkW8SxAQy1HGt61ZuPZIxt7Vqo2uxIY6Qd2X3v4"),
    "computer": ec("XP4htGzicmGhKPBG5-bmcjF4O8Jd6cqFTapCwZDXa9M",
                   "NjUB8do08Kb8mVwRS7o6QXZ1tRBpzxDQDBU_MFFPuFA",
                   "U968Hrsu9Hw5ZkxiBms5khC1jXujByK5K70X8jxT5M4"),
    "other": ec("y6-JpMg8SOEQcbjZlRL66n_1m_hh0F9ymj8IAvpeBQo",
                "yNAGV7GQle-vma00IWnKfn2k6E2nEVWOEuEDlEJRpNY",
                "zLMgBfxbwLoLTi64b5CurMfQz6dIWw1nzoTN7PnYUhU"),
    "oct": {"kty": "oct", "k": "c2l4dGVlbiBieXRlcyBhbmQgdGhlbiBzb21lIG1vcmU", "alg": "HS256"},
}

ISSUED = 1795359600  # 2026-11-22T15:00:00Z
HEADER = {"alg": "ES256", "typ": "rehost-license+jwt", "kid": "2026"}


def jose(*arguments, given=b""):
    """Runs jose; an argument that is a dict goes through a file."""
    with tempfile.TemporaryDirectory() as directory:
        words = []
        for argument in arguments:
            if isinstance(argument, dict):
                path = pathlib.Path(directory, str(len(words)))
                path.write_text(json.dumps(argument))
                argument = str(path)
            words.append(argument)
        done = subprocess.run(["jose", *words], input=given, check=True, capture_output=True)
    return done.stdout.strip().decode()


def public(key):
    return {name: value for name, value in key.items() if name != "d"}


def thumbprint(key):
    return jose("jwk", "thp", "-i", "-", given=json.dumps(key).encode())


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def sign(claims, header=None, key="2026"):
    """A compact JWS over claims, or over bytes that are to stand for them."""
    payload = claims if isinstance(claims, bytes) else compact(claims)
    template = json.dumps({"protected": {**HEADER, **(header or {})}})
    return jose("jws", "sig", "-I", "-", "-k", KEYS[key], "-s", template, "-c", given=payload)


def content_key(key="computer", alg="ECDH-ES+A256KW", enc="A256GCM", secret=SECRET, **more):
    template = json.dumps({"protected": {"alg": alg, "enc": enc, **more}})
    return jose("jwe", "enc", "-I", "-", "-k", public(KEYS[key]), "-i", template, "-c",
                given=secret)


def claims(number, **more):
    all_of_them = {"jti": f"vector-{number}", "iss": "Tidewater Music", "iat": ISSUED,
                   "cnf": {"jkt": thumbprint(KEYS["computer"])},
                   "key_id": "af638f67-a4bc-f148-11fd-afc2d7760e9f",
                   "title": "River songs", "actions": {"play": {}}, "backup": True, **more}
    return {name: value for name, value in all_of_them.items() if value is not None}


def edited(text, part):
    """Another character in the middle of a part."""
    parts = text.split(".")
    half = len(parts[part]) // 2
    letter = "B" if parts[part][half] == "A" else "A"
    parts[part] = parts[part][:half] + letter + parts[part][half + 1:]
    return ".".join(parts)


def good():
    yield "owned", lambda: sign(claims(1, sub="someone", content_key=content_key()))
    yield "owned-line-feed", lambda: sign(claims(2)) + "\n"
    yield "managed", lambda: sign(claims(
        3, service="https://licences.example/", computers=4, content_key=content_key()))
    yield "counted", lambda: sign(claims(
        4, nbf=ISSUED, exp=ISSUED + 86400, priority=-7, root_key_id="Root-Key",
        actions={"play": {"count": 3, "period": 3600}, "print": {"count": 9007199254740991},
                 "copy.to-cd_2": {"period": 60}, "read": {"later": [1]}}))
    yield "restricted", lambda: sign(claims(5, backup=None, title=None, key_id=None))
    yield "unbound", lambda: sign(claims(6, cnf=None, actions=None))
    yield "title", lambda: sign(claims(7, title={
        "de-AT": "Flusslieder \\ \"neu\"", "en-GB": "River songs, mate", "en": "River songs",
        "zh-Hant": "\u6cb3\u6b4c", "fr": "Chants\nde rivi\u00e8re"}))
    yield "title-long", lambda: sign(claims(8, title={
        "fr": "\u00e9" * 300, "de": "x" * 600, "en": "River " * 60, "it": "Canti"}))
    yield "title-brace", lambda: sign(claims(9, title="{\"en\":\"not an object\"}"))
    yield "unknown-claim", lambda: sign(claims(10, later={"a": [True, 1.5]}, aud="x", crit=["exp"]))
    yield "guid", lambda: sign(claims(
        11, key_id="Z49jr7ykSPER/a/C13YOnw==", root_key_id="{E3136375-8010-BDB6-2D7B-6EF3903F055A}"))
    yield "old-key", lambda: sign(claims(12), {"kid": "2025", "cty": "x"}, "2025")


def bad():
    yield "wrong-type", lambda: sign(claims(20, exp="2027-01-01"))
    yield "no-object", lambda: sign(b"[]")
    yield "member-twice", lambda: sign(b'{"jti":"vector-22","jti":"vector-22"}')
    yield "counted-unbound", lambda: sign(claims(23, cnf=None, actions={"play": {"count": 1}}))
    yield "key-id", lambda: sign(claims(24, key_id="two words"))
    yield "alg", lambda: sign(claims(25), {"alg": "HS256"}, "oct")
    yield "typ", lambda: sign(claims(26), {"typ": "JWT"})
    yield "crit-header", lambda: sign(claims(27), {"crit": ["b64"], "b64": True})
    yield "crit-claim", lambda: sign(claims(28, crit=["exp", "region"], region="at", exp="later"))
    yield "issuer", lambda: sign(claims(29, iss="Tidewater Musik"))
    yield "key-unknown", lambda: sign(claims(30), {"kid": "2024"})
    yield "signature", lambda: sign(claims(31), key="stranger")
    yield "edited", lambda: edited(sign(claims(32)), 2)
    yield "computer", lambda: sign(claims(33, cnf={"jkt": thumbprint(KEYS["other"])}))
    yield "expired", lambda: sign(claims(34, exp=ISSUED))
    yield "not-yet", lambda: sign(claims(35, nbf=ISSUED + 86400))
    yield "content-key-other", lambda: sign(claims(36, content_key=content_key("other")))
    yield "content-key-edited", lambda: sign(claims(37, content_key=edited(content_key(), 3)))
    yield "content-key-alg", lambda: sign(claims(38, content_key=content_key(alg="ECDH-ES")))
    yield "content-key-enc", lambda: sign(claims(39, content_key=content_key(
        alg="ECDH-ES+A256KW", enc="A128CBC-HS256")))
    yield "content-key-zip", lambda: sign(claims(40, content_key=content_key(zip="DEF")))
    yield "content-key-empty", lambda: sign(claims(41, content_key=content_key(secret=b"")))
    yield "content-key-no-jwe", lambda: sign(claims(42, content_key="a.b.c"))


def main():
    default = pathlib.Path(__file__).parents[2] / "src" / "license" / "vectors"
    directory = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else default)
    directory.mkdir(exist_ok=True)
    issuer = {"issuer": "Tidewater Music", "keys": [
        {**public(KEYS[kid]), "kid": kid, "use": "sig", "alg": "ES256"} for kid in ("2025", "2026")]}
    (directory / "issuer.jwks").write_text(json.dumps(issuer, indent=1) + "\n")
    (directory / "computer.jwk").write_text(json.dumps(KEYS["computer"], indent=1) + "\n")
    for name, make in [*good(), *bad()]:
        path = directory / f"{name}.jws"
        if not path.exists():
            path.write_bytes(make().encode())


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C.UTF-8"
    main()
