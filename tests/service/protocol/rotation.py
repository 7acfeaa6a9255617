#!/usr/bin/env python3
"""New keys of a service, copies of them, and other names of it: what was signed or sealed before goes on.

usage: rotation.py, with the environment of the kit
"""
import os
import shutil
import stat
import unittest

import service as kit

ADDRESS = "http://localhost/lms"


class Case(unittest.TestCase):
    def setUp(self):
        self.tool = kit.Tool()
        self.addCleanup(self.tool.close)
        self.issuer = kit.Issuer(self.tool)
        self.service = self.a_service()
        self.computer = kit.Computer(self.tool, self.service)
        self.computer.individualize()

    def a_service(self, **options):
        service = kit.Service(issuers=[self.issuer] if "directory" not in options else [], address=ADDRESS, **options)
        self.addCleanup(service.close)
        return service

    def test_rotation(self):
        licence = self.issuer.licence(ADDRESS, "kept")
        batch = kit.Batch(self.tool, self.service)
        nonce = self.service.nonce()
        old = self.service.keys()["keys"]
        grants = self.computer.commit([batch.licence(licence, b"a content key")], key=batch.key).json
        self.service.run("keys", "rotate")
        # Who runs goes on with the keys that he read.
        self.assertEqual(self.service.keys()["keys"], old)
        self.assertEqual(self.service.stop(), 0)
        self.service.start()

        new = self.service.keys()["keys"]
        self.assertEqual(new[2:], old)
        self.assertEqual([key["use"] for key in new], ["sig", "enc"] * 2)
        # Certificate, head and batch key are from before; the nonce's key went with the signing key.
        self.assertEqual(self.computer.post("/v1/plan", {"licenses": [{"document": licence}]}, nonce=nonce).code, "nonce-unknown")
        answer = self.computer.commit([batch.licence(licence, b"a content key")], key=batch.key)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["licenses"][0]["result"], "free")
        self.assertEqual(self.computer.secret(answer.json, 0), b"a content key")
        # Both grants prove themselves with the set; the new one is signed by the new key.
        for said in (grants, answer.json):
            self.assertTrue(kit.check_grants(self.tool, self.service, said, self.computer.thumbprint))
        self.assertEqual(kit.header(answer.json["grants"])["kid"], new[0]["kid"])
        self.assertEqual(kit.header(answer.json["head"])["kid"], new[0]["kid"])
        # A new backup is sealed for the new key.
        batch = kit.Batch(self.tool, self.service)
        self.assertEqual(self.computer.commit([batch.licence(licence, b"another")], key=batch.key).status, 200)

    def test_two_with_copies_of_the_keys(self):
        """Nonces, certificates, heads and batch keys of one are taken by the other."""
        licence = self.issuer.licence(ADDRESS, "shared")
        directory = self.service.directory / "other"
        (directory / "data").mkdir(parents=True, mode=0o700)
        shutil.copy2(self.service.data / "service-keys.json", directory / "data")
        other = self.a_service(directory=directory, database="sqlite:%s" % (self.service.data / "ledger.db"))
        batch = kit.Batch(self.tool, self.service)
        body = self.computer.commit_body([batch.licence(licence, b"a content key")], key=batch.key)
        first = self.computer.post("/v1/commit", body, service=other, nonce=self.service.nonce())
        self.assertEqual(first.status, 200, first)
        again = self.computer.post("/v1/commit", body, service=self.service, nonce=other.nonce())
        self.assertEqual(again.status, 200, again)
        self.assertEqual(first.json["licenses"][0]["since"], again.json["licenses"][0]["since"])
        self.assertEqual(other.keys(), self.service.keys())
        # A nonce that changed something at one is used at the other, too.
        nonce = self.service.nonce()
        self.assertEqual(self.computer.post("/v1/commit", self.computer.commit_body([licence]), service=other,
                                            nonce=nonce).status, 200)
        reply = self.computer.post("/v1/commit", self.computer.commit_body([licence]), nonce=nonce)
        self.assertEqual(reply.code, "nonce-used")

    def test_another_name(self):
        """Licences, certificates, heads and claims hold at the address that they name."""
        licence = self.issuer.licence(ADDRESS, "moved")
        self.service.stop()
        self.service.address = "http://127.0.0.1/lms"
        self.service.start()
        self.assertEqual(self.computer.plan([licence]).code, "certificate-invalid")
        body = kit.json.dumps({"licenses": [{"document": licence}]}).encode()
        proof = self.computer.proof("/v1/plan", body, self.service.nonce(), htu=ADDRESS + "/v1/plan")
        self.assertEqual(self.computer.post("/v1/plan", body, proof=proof).code, "proof-audience")
        self.assertEqual(self.computer.individualize().status, 200)
        self.computer.head = None
        self.assertEqual(self.computer.plan([licence]).json["licenses"][0]["code"], "license-service")

    def test_too_often(self):
        self.service.stop()
        self.service.arguments = ["--rate", "1"]
        self.service.start()
        licence = self.issuer.licence(ADDRESS, "often")
        replies = [self.computer.post("/v1/plan", {"licenses": [{"document": licence}]}) for _ in range(12)]
        self.assertEqual(replies[0].status, 200, replies[0])
        self.assertEqual(replies[-1].code, "too-many-requests")
        self.assertGreaterEqual(int(replies[-1].headers["Retry-After"]), 1)

    def test_file(self):
        path = self.service.data / "service-keys.json"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.service.stop()
        os.chmod(path, 0o644)
        with self.assertRaisesRegex(AssertionError, "0600"):
            self.service.start()
        done = self.service.run("keys", "rotate", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("0600", done.stderr)
        os.chmod(path, 0o600)
        self.service.start()

    def test_lost(self):
        """No new keys in place of those that a ledger's computers know."""
        path = self.service.data / "service-keys.json"
        keys = self.service.keys()
        self.service.stop()
        kept = path.rename(self.service.directory / "copy")
        with self.assertRaisesRegex(AssertionError, "there is no .*/service-keys.json: put its copy back"):
            self.service.start()
        self.assertFalse(path.exists())
        kept.rename(path)
        self.service.start()
        self.assertEqual(self.service.keys(), keys)

    def test_show(self):
        self.service.run("keys", "rotate")
        shown = self.service.run("keys", "show")
        self.assertEqual([(key["use"], key["current"]) for key in shown],
                         [("sig", True), ("enc", True), ("sig", False), ("enc", False)])
        self.assertTrue(all("d" not in key["jwk"] for key in shown))


if __name__ == "__main__":
    unittest.main()
