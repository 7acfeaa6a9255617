#!/usr/bin/env python3
"""Our JOSE against the jose tool, in both directions: jose_interop.py JOSE-TOOL"""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv.pop(1)
SIZES = [1, 15, 16, 17, 32, 1000, 4096]
HEADER = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM"}


def run(*arguments, data=b"", good=True):
    done = subprocess.run(arguments, input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if (done.returncode == 0) != good:
        raise AssertionError("%s: %d %s" % (arguments[:3], done.returncode,
                                            done.stderr.decode()))
    return done.stdout


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def plain_of(size):
    return bytes(i * 167 + (i >> 8) & 0xFF for i in range(size))


class Interop(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.key = os.path.join(self.directory, "key")
        self.jwk = json.loads(run(TOOL, "keygen", self.key))
        self.public = self.write("public.jwk", self.jwk)
        with open(self.key, "rb") as file:
            self.private = self.write("private.jwk",
                                      dict(self.jwk, d=base64url(file.read())))

    def write(self, name, value):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(value if isinstance(value, bytes) else json.dumps(value).encode())
        return path

    def encrypt(self, plain, **more):
        template = json.dumps({"protected": dict(HEADER, **more)})
        return run("jose", "jwe", "enc", "-I", self.write("plain", plain), "-k", self.public,
                   "-c", "-i", template)

    def generate(self, template):
        key = os.path.join(self.directory, "generated")
        run("jose", "jwk", "gen", "-i", json.dumps(template), "-o", key)
        return key, os.path.join(self.directory, "generated.pub")

    def test_thumbprint(self):
        expected = run("jose", "jwk", "thp", "-i", self.public).decode()
        self.assertEqual(run(TOOL, "thumbprint", self.key).decode().strip(), expected)

    def test_we_open_joses(self):
        for size in SIZES:
            plain = plain_of(size)
            for more in ({}, {"kid": "a"}, {"apu": base64url(b"Alice")},
                         {"apu": base64url(b"A" * 300), "apv": base64url(b"\0\1")}):
                self.assertEqual(run(TOOL, "open", self.key,
                                     data=self.encrypt(plain, **more)), plain)
        run(TOOL, "open", self.key, data=self.encrypt(b"a", zip="DEF"), good=False)
        run(TOOL, "open", self.key, data=self.encrypt(plain_of(4097)), good=False)
        run(TOOL, "open", self.key, data=self.encrypt(b"a", enc="A256CBC-HS512"), good=False)
        run(TOOL, "open", self.key, data=self.encrypt(b"a", alg="ECDH-ES"), good=False)

    def test_jose_opens_ours(self):
        for size in SIZES:
            plain = plain_of(size)
            for more in ((), ("an \"id\"",)):
                jwe = self.write("jwe", run(TOOL, "seal", self.public, *more, data=plain))
                self.assertEqual(run("jose", "jwe", "dec", "-i", jwe, "-k", self.private),
                                 plain)
        other, _ = self.generate({"kty": "EC", "crv": "P-256"})
        run("jose", "jwe", "dec", "-i", jwe, "-k", other, good=False)

    def test_joses_signatures(self):
        key, public = self.generate({"alg": "ES256"})
        run("jose", "jwk", "pub", "-i", key, "-o", public)
        for size in SIZES:
            jws = run("jose", "jws", "sig", "-I", self.write("plain", plain_of(size)), "-k",
                      key, "-c")
            run(TOOL, "verify", public, data=jws)
            middle = jws.index(b".") + 1
            changed = bytes([jws[middle] ^ 1])
            run(TOOL, "verify", public, data=jws[:middle] + changed + jws[middle + 1:],
                good=False)

    def test_jose_verifies_our_statements(self):
        claims = b'{"iss":"https://licences.example/lms","seq":5}'
        for more in ((), ("an \"id\"",)):
            jws = run(TOOL, "sign", self.key, *more, data=claims)
            path = self.write("jws", jws)
            self.assertEqual(run("jose", "jws", "ver", "-i", path, "-k", self.public, "-O-"),
                             claims)
            header = json.loads(base64.urlsafe_b64decode(jws.split(b".")[0] + b"=="))
            self.assertEqual(header.pop("kid" if more else "jwk"),
                             more[0] if more else self.jwk)
            self.assertEqual(header, {"alg": "ES256", "typ": "rehost-test+jwt"})
            middle = jws.index(b".") + 1
            run("jose", "jws", "ver", "-i",
                self.write("jws", jws[:middle] + b"f" + jws[middle + 1:]), "-k", self.public,
                good=False)

    def test_joses_statements(self):
        key, public = self.generate({"alg": "ES256"})
        run("jose", "jwk", "pub", "-i", key, "-o", public)
        with open(public, "rb") as file:
            whole = json.load(file)
        jwk = {name: whole[name] for name in ("kty", "crv", "x", "y")}
        claims = self.write("claims", b'{"seq":5}')
        header = {"alg": "ES256", "typ": "rehost-test+jwt"}

        def sign(**more):
            template = json.dumps({"protected": dict(header, **more)})
            return run("jose", "jws", "sig", "-I", claims, "-k", key, "-c", "-s", template)

        self.assertEqual(run(TOOL, "statement", public, data=sign(kid="a")), b'{"seq":5}')
        # The key in the header, whatever the set holds.
        self.assertEqual(run(TOOL, "statement", self.public, data=sign(jwk=jwk)),
                         b'{"seq":5}')
        run(TOOL, "statement", self.public, data=sign(kid="a"), good=False)
        run(TOOL, "statement", public, data=sign(jwk=self.jwk), good=False)
        for more in ({}, {"kid": "a", "jwk": jwk}, {"kid": "a", "crit": ["exp"]},
                     {"kid": "a", "typ": "other+jwt"}, {"kid": "a", "x5u": "b"},
                     {"jwk": dict(jwk, use="sig")}):
            run(TOOL, "statement", public, data=sign(**more), good=False)

    def test_joses_sets(self):
        keys, thumbprints = [], []
        for template in ({"alg": "ES256"}, {"kty": "RSA", "bits": 2048},
                         {"kty": "EC", "crv": "P-256", "kid": "e", "key_ops": ["wrapKey"]},
                         {"kty": "EC", "crv": "P-384"}, {"kty": "EC", "crv": "P-256"}):
            key, public = self.generate(template)
            run(TOOL, "set", key, good=False)  # private
            run("jose", "jwk", "pub", "-i", key, "-o", public)
            keys.append(public)
            thumbprints.append(run("jose", "jwk", "thp", "-i", public).decode())
            with open(public, "rb") as file:
                keys[-1] = json.load(file)
        path = self.write("set", {"keys": keys})
        self.assertEqual(run(TOOL, "set", path).decode().splitlines(), [
            "%s 1 0 %s" % (thumbprints[0], thumbprints[0]),
            "e 0 1 %s" % thumbprints[2],
            "%s 1 1 %s" % (thumbprints[4], thumbprints[4])])


if __name__ == "__main__":
    if shutil.which("jose") is None:
        print("the jose tool is not installed")
        sys.exit(77)
    unittest.main()
