#!/usr/bin/env python3
"""The lying client: what a computer may try, and what the service answers.  Whatever is refused has changed nothing.

usage: lying.py sqlite|postgresql [TEST...], with the environment of the kit
"""
import concurrent.futures
import json
import secrets
import sys
import time
import unittest

import service as kit
import with_postgres

ADDRESS = "http://localhost/lms"
MIB = 1 << 20
postgres = None  # the cluster, if there is one


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = kit.Tool()
        cls.addClassCleanup(cls.tool.close)
        cls.issuer = kit.Issuer(cls.tool)
        cls.second = kit.Issuer(cls.tool, "Second Songs", kid="second")
        database = postgres.create_database(cls.__name__.lower()) if postgres else None
        cls.service = kit.Service(issuers=[cls.issuer, cls.second], address=ADDRESS, database=database)
        cls.addClassCleanup(cls.service.close)
        cls.honest = cls.a_computer()
        cls.addClassCleanup(cls.check_log)

    @classmethod
    def check_log(cls):
        """At the end of each class: the log is whole, and rehostd ends in order."""
        cls.service.run("audit", "verify")
        assert cls.service.stop() == 0, cls.service.words()

    @classmethod
    def a_computer(cls, **options):
        computer = kit.Computer(cls.tool, cls.service, **options)
        computer.individualize()
        return computer

    def setUp(self):
        self.computer = self.a_computer()
        self.original = self.tool.key()

    def licence(self, id=None, issuer=None, service=ADDRESS, **more):
        return (issuer or self.issuer).licence(service, id, self.original.thumbprint, **more)

    def refused(self, reply, status, code):
        self.assertEqual((reply.status, reply.code), (status, code), reply)
        self.assertEqual(reply.headers["Content-Type"], "application/problem+json")
        self.assertIsNotNone(reply.nonce)
        problem = reply.json
        self.assertEqual(problem["type"], "urn:rehost:problem:" + code)
        self.assertEqual(problem["status"], status)
        for name in ("title", "detail"):
            self.assertTrue(problem[name])

    def results(self, reply):
        self.assertEqual(reply.status, 200, reply)
        return [one.get("code", one["result"]) for one in reply.json["licenses"]]

    def computers_of(self, licence):
        """Which computers hold it, but for the original, as the ledger tells an honest one."""
        answer = self.honest.status([licence])
        self.assertEqual(answer.status, 200, answer)
        said = answer.json["licenses"][0]
        self.assertNotIn("code", said)
        computers = [one["computer"] for one in said["computers"] if "original" not in one]
        self.assertEqual(said["free"], said["limit"] - 1 - len(computers))
        return computers

    def nobody_holds(self, *licences):
        for licence in licences:
            self.assertEqual(self.computers_of(licence), [])


class Proof(Case):
    """Before any other work: each with its own code."""

    def setUp(self):
        super().setUp()
        self.document = self.licence()
        self.body = json.dumps(self.computer.commit_body([self.document])).encode()

    def tearDown(self):
        self.nobody_holds(self.document)

    def send(self, proof, body=None, path="/v1/commit"):
        return self.computer.post(path, self.body if body is None else body, proof=proof)

    def proof(self, path="/v1/commit", nonce=None, **changes):
        return self.computer.proof(path, self.body, nonce or self.service.nonce(), **changes)

    def test_missing(self):
        self.refused(self.send(""), 401, "proof-missing")
        # Also if nothing else is right.
        self.refused(self.send("", b"{"), 401, "proof-missing")

    def test_malformed(self):
        good = self.proof()
        parts = good.split(".")
        for bad in ("x", "..", "a.b.c", good[1:], parts[0] + ".." + parts[2], "A" * 5000,
                    ".".join((parts[0], kit.encode(b"[]"), parts[2])),
                    ".".join((kit.encode(b'{"alg":"none"}'), parts[1], ""))):
            self.refused(self.send(bad), 401, "proof-malformed")

    def test_claims_that_are_missing_or_of_another_type(self):
        for name in ("htm", "htu", "iat", "body"):
            self.refused(self.send(self.proof(**{name: None})), 401, "proof-malformed")
        said = {name: value for name, value in kit.claims(self.proof()).items() if name != "nonce"}
        self.refused(self.send(self.computer.key.sign("proof", said)), 401, "proof-malformed")
        for name, value in (("htm", 1), ("iat", "now"), ("iat", -1), ("iat", 1.5), ("body", "x"), ("certificate", 3)):
            self.refused(self.send(self.proof(**{name: value})), 401, "proof-malformed")

    def test_header(self):
        for changes in ({"typ": "rehost-claim+jwt"}, {"typ": "JWT"}, {"crit": ["exp"]}, {"jwk": self.computer.key.jwk},
                        {"jwk": {"kty": "oct", "k": "AAAA"}}, {"kid": "x", "jwk": self.computer.key.public}):
            self.refused(self.send(self.proof(header=changes)), 401, "proof-malformed")
        self.refused(self.send(self.proof(type="claim")), 401, "proof-malformed")
        self.refused(self.send(self.proof(header={"kid": "x"})), 401, "proof-malformed")

    def test_another_body(self):
        other = self.body.replace(b'"idempotency_key": "', b'"idempotency_key": "A')
        self.refused(self.send(self.proof(), other), 401, "proof-body")
        self.refused(self.send(self.proof(), self.body + b" "), 401, "proof-body")
        self.refused(self.send(self.proof(), b""), 401, "proof-body")

    def test_signature(self):
        """Signed with one key, shown with another; claims changed under a signature; a signature cut."""
        other = self.tool.key()
        self.refused(self.send(self.proof(key=other, header={"jwk": self.computer.key.public})), 401, "proof-signature")
        self.refused(self.send(kit.with_claims(self.proof(), iat=int(time.time()) - 1)), 401, "proof-signature")
        head, said, signature = self.proof().split(".")
        changed = bytearray(kit.decode(signature))
        changed[5] ^= 1
        for bad in (kit.encode(changed), signature + "A", signature + "=", signature + ".", signature[:-1], "AAAA"):
            self.refused(self.send(".".join((head, said, bad))), 401, "proof-signature")

    def test_audience(self):
        for changes in ({"htm": "GET"}, {"htm": "post"}, {"htu": ADDRESS + "/v1/plan"}, {"htu": ADDRESS}, {"htu": "/v1/commit"},
                        {"htu": ADDRESS + "/v1/commit?x"}, {"htu": "http://localhost:80/lms/v1/commit"},
                        {"htu": "http://other.example/lms/v1/commit"}, {"htu": "http://localhost/lm/v1/commit"}):
            self.refused(self.send(self.proof(**changes)), 401, "proof-audience")

    def test_stale(self):
        for seconds in (-10_000, -310, 310, 10_000, 10 ** 9):
            self.refused(self.send(self.proof(iat=int(time.time()) + seconds)), 401, "proof-stale")

    def test_nonce_of_nobody(self):
        good = self.service.nonce()
        changed = ("B" if good[0] != "B" else "C") + good[1:]
        for nonce in ("x", "A" * len(good), changed, good[:-1], good + "A", "A" * 100):
            self.refused(self.send(self.proof(nonce=nonce)), 401, "nonce-unknown")

    def test_replay(self):
        document = self.licence()
        body = json.dumps(self.computer.commit_body([document])).encode()
        proof = self.computer.proof("/v1/commit", body, self.service.nonce())
        self.assertEqual(self.results(self.send(proof, body)), ["granted"])
        for _ in range(3):
            self.refused(self.send(proof, body), 401, "nonce-used")
        # The nonce with another proof is as used.
        nonce = kit.claims(proof)["nonce"]
        self.refused(self.send(self.proof(nonce=nonce)), 401, "nonce-used")
        self.refused(self.send(self.proof("/v1/plan", nonce), path="/v1/plan"), 401, "nonce-used")
        self.assertEqual(self.computers_of(document), [self.computer.thumbprint])

    def test_replay_at_once(self):
        """Of requests with one nonce, sent at the same moment, one is answered."""
        for _ in range(8):
            document, nonce = self.licence(), self.service.nonce()
            bodies = [json.dumps(self.computer.commit_body([document])).encode() for _ in range(6)]
            proofs = [self.computer.proof("/v1/commit", body, nonce) for body in bodies]
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                replies = list(pool.map(self.send, proofs, bodies))
            self.assertEqual(sorted(reply.status for reply in replies), [200] + 5 * [401])
            for reply in replies:
                if reply.status == 401:
                    self.refused(reply, 401, "nonce-used")
            self.assertEqual(self.computers_of(document), [self.computer.thumbprint])

    def test_no_certificate(self):
        self.refused(self.send(self.proof(certificate=None)), 401, "certificate-missing")

    def test_certificate_of_somebody_else(self):
        other = self.a_computer()
        self.refused(self.send(self.proof(certificate=other.certificate)), 401, "certificate-invalid")

    def test_forged_certificate(self):
        said = kit.claims(self.computer.certificate)
        kid = kit.header(self.computer.certificate)["kid"]
        forger = self.tool.key()
        stranger = kit.Computer(self.tool, self.service)
        for certificate in ("x", "a.b.c", forger.sign("computer", said, kid=kid), forger.sign("computer", said),
                            forger.sign("computer", said, kid="another"), self.computer.head,
                            kit.with_claims(self.computer.certificate, iat=1)):
            self.refused(self.send(self.proof(certificate=certificate)), 401, "certificate-invalid")
        stranger.certificate = kit.with_claims(self.computer.certificate, sub=stranger.thumbprint)
        self.refused(stranger.plan([self.document]), 401, "certificate-invalid")

    def test_every_resource_is_guarded(self):
        for path in ("/v1/computers", "/v1/plan", "/v1/commit", "/v1/licenses", "/v1/release"):
            self.refused(self.send("", path=path), 401, "proof-missing")
            self.refused(self.send(self.proof("/v1/nonce"), path=path), 401, "proof-audience")
            if path != "/v1/computers":
                self.refused(self.send(self.proof(path, certificate=None), path=path), 401, "certificate-missing")

    def test_words(self):
        reply = self.computer.post("/v1/plan", b"{}", proof="", headers={"Accept-Language": "de-AT, en;q=0.1"})
        self.refused(reply, 401, "proof-missing")
        self.assertIn("Die Anfrage", reply.json["title"])


class Form(Case):
    """Bodies of a wrong form: signed well, and refused before anything is looked up."""

    def send(self, body, path="/v1/commit"):
        return self.computer.post(path, body)

    def test_no_json(self):
        for body in (b"", b"{", b"[]", b"null", b"1", b"\xff\xfe", b'{"licenses":[]', b"{}{}", b'"x"', b"[" * 100_000,
                     b'{"licenses":' + b'[' * 3000 + b']' * 3000 + b'}', b'{"head":"a\\u0000b"}', b'\x00'):
            for path in ("/v1/computers", "/v1/plan", "/v1/commit", "/v1/licenses", "/v1/release"):
                self.refused(self.send(body, path), 400, "message-malformed")

    def test_members_of_another_type(self):
        document = self.licence()
        good = self.computer.commit_body([document])
        for changes in ({"licenses": []}, {"licenses": {}}, {"licenses": None}, {"licenses": [1]}, {"licenses": [{}]},
                        {"licenses": [{"document": 1}]}, {"licenses": [{"document": ""}]}, {"idempotency_key": 1},
                        {"licenses": [{"document": document, "secret": 1}]}, {"idempotency_key": "short"},
                        {"idempotency_key": "x" * 65}, {"idempotency_key": "with spaces in it"}, {"key": 1}, {"owner": []},
                        {"claim": 7}, {"head": {}}, {"head": 3}, {"licenses": [{"document": document, "secret": "AAAA"}]},
                        {"licenses": [{"document": document, "secret": "not base64!"}], "key": "a.b.c.d.e"}):
            self.refused(self.send({**good, **changes}), 400, "message-malformed")
        for name in ("idempotency_key", "licenses"):
            self.refused(self.send({key: value for key, value in good.items() if key != name}), 400, "message-malformed")
        self.refused(self.send(json.dumps(good).encode()[:-1] + b', "licenses": []}'), 400, "message-malformed")
        self.nobody_holds(document)

    def test_computers(self):
        for body in ({"name": ""}, {"name": "x" * 65}, {"name": 1}, {"release": "short"}, {"release": 1},
                     {"name": "a\nb"}, {"name": "a\u0007b"}):
            self.refused(self.send(body, "/v1/computers"), 400, "message-malformed")
        self.assertEqual(self.send({"name": "ä" * 64}, "/v1/computers").status, 200)

    def test_release(self):
        for body in ({}, {"computer": self.computer.thumbprint}, {"proof": "a.b.c"}, {"computer": 1, "proof": "a.b.c"},
                     {"computer": "x", "proof": "a.b.c"}, {"computer": self.computer.thumbprint, "proof": "a.b.c", "cancel": 1}):
            self.refused(self.send(body, "/v1/release"), 400, "message-malformed")

    def test_what_is_not_known_is_ignored(self):
        document = self.licence()
        body = self.computer.commit_body([{"document": document, "colour": "blue"}], weather=[{"rain": True}])
        self.assertEqual(self.results(self.send(body)), ["granted"])

    def test_501_licences(self):
        licences = [self.licence("many-%d" % i) for i in range(501)]
        self.refused(self.computer.plan(licences), 400, "message-malformed")
        self.refused(self.computer.commit(licences), 400, "message-malformed")
        self.nobody_holds(licences[0], licences[500])
        self.assertEqual(self.results(self.computer.plan(licences[:500])), ["costs"] * 500)

    def test_too_large(self):
        body = b'{"licenses":[{"document":"' + b"a" * MIB + b'"}]}'
        self.refused(self.send(body), 413, "message-too-large")
        with self.subTest("announced, and never sent"):
            connection = self.service.connect(timeout=30)
            connection.putrequest("POST", "/lms/v1/commit")
            connection.putheader("Content-Length", str(50 * MIB))
            connection.endheaders()
            reply = connection.getresponse()
            self.assertEqual(reply.status, 413)
            connection.close()

    def test_nothing_there(self):
        self.refused(self.service.get("/v1/nothing"), 404, "not-found")
        self.refused(self.service.get("/v1/plan"), 405, "method-not-allowed")
        self.refused(self.service.exchange("POST", "/v1/keys", b"{}"), 405, "method-not-allowed")
        self.refused(self.service.exchange("DELETE", "/v1/computers"), 405, "method-not-allowed")


class Licences(Case):
    """Wrong licences are refused one by one, and the others go on."""

    def check(self, wrong, code):
        good = self.licence()
        for answer in (self.computer.plan([wrong, good]), self.computer.commit([wrong, good])):
            self.assertEqual(self.results(answer)[0], code)
            self.assertIn(self.results(answer)[1], ("costs", "granted"))
            refused = answer.json["licenses"][0]
            self.assertEqual((refused["result"], refused["computers"], refused["limit"]), ("refused", 0, 0))
            self.assertNotIn("secret", refused)
        self.assertTrue(kit.check_grants(self.tool, self.service, answer.json, self.computer.thumbprint))
        self.assertEqual(self.computers_of(good), [self.computer.thumbprint])
        status = self.honest.status([wrong, good]).json["licenses"]
        self.assertEqual((status[0].get("code"), "detail" in status[0]), (code, True))
        self.assertNotIn("code", status[1])

    def test_no_licence(self):
        for document in ("x", "a.b.c", "{}", "e30.e30.AAAA", self.computer.head, self.computer.certificate):
            self.check(document, "license-malformed")

    def test_altered(self):
        licence = self.licence(computers=2)
        self.check(kit.with_claims(licence, computers=1000), "license-signature")
        self.check(kit.with_claims(licence, jti="another"), "license-signature")
        self.check(kit.with_claims(licence, cnf={"jkt": self.computer.thumbprint}), "license-signature")
        self.check(kit.with_claims(licence, service="http://other.example"), "license-signature")
        self.nobody_holds(licence)

    def test_altered_after_it_was_seen(self):
        licence = self.licence(computers=2)
        self.assertEqual(self.results(self.computer.commit([licence])), ["granted"])
        self.check(kit.with_claims(licence, computers=1000), "license-signature")
        self.check(licence[:-2] + ("AA" if not licence.endswith("AA") else "QQ"), "license-signature")
        self.assertEqual(self.computers_of(licence), [self.computer.thumbprint])

    def test_signed_by_nobody(self):
        forger = kit.Issuer(self.tool, self.issuer.name, self.issuer.kid)
        self.check(self.licence(issuer=forger), "license-signature")
        self.check(self.licence(issuer=kit.Issuer(self.tool, "Nobody")), "license-issuer")
        self.check(self.licence(issuer=kit.Issuer(self.tool, self.issuer.name, "unknown")), "license-issuer")

    def test_mixed_issuers(self):
        """One issuer signs in the name of another; and two that use the same id."""
        mixed = kit.Issuer(self.tool, self.second.name, self.issuer.kid)
        mixed.key = self.issuer.key
        self.check(self.licence(issuer=mixed), "license-issuer")
        mixed.kid = self.second.kid
        self.check(self.licence(issuer=mixed), "license-signature")
        first, second = self.licence("same"), self.licence("same", issuer=self.second, computers=2)
        answer = self.computer.commit([first, second])
        self.assertEqual(self.results(answer), ["granted", "granted"])
        self.assertEqual([one["limit"] for one in answer.json["licenses"]], [4, 2])
        self.assertTrue(kit.check_grants(self.tool, self.service, answer.json, self.computer.thumbprint))

    def test_of_another_service(self):
        self.check(self.licence(service="http://localhost/lm"), "license-service")
        self.check(self.licence(service="https://licences.example/lms"), "license-service")
        self.check(self.issuer.licence(None), "license-service")

    def test_not_to_be_backed_up(self):
        self.check(self.licence(backup=False), "license-backup")

    def test_twice(self):
        licence, other = self.licence("twice"), self.licence("twice", title="another document of the same licence")
        for again in (licence, other):
            answer = self.computer.commit([licence, again])
            self.assertIn(self.results(answer)[0], ("granted", "free"))
            self.assertEqual(self.results(answer)[1], "license-twice")
            self.assertTrue(kit.check_grants(self.tool, self.service, answer.json, self.computer.thumbprint))
        self.assertEqual(self.computers_of(licence), [self.computer.thumbprint])

    def test_an_issuer_that_was_removed(self):
        third = kit.Issuer(self.tool, "Third Songs")
        self.service.add_issuer(third)
        licence = self.licence(issuer=third)
        self.assertEqual(self.results(self.computer.commit([licence])), ["granted"])
        self.service.run("issuer", "remove", "Third Songs")
        self.assertEqual(self.results(self.computer.commit([licence])), ["license-issuer"])
        self.service.add_issuer(third)
        self.assertEqual(self.results(self.computer.commit([licence])), ["free"])

    def test_an_issuer_whose_keys_were_replaced(self):
        """What was verified with the old keys, and is not in the ledger, is verified anew."""
        fourth = kit.Issuer(self.tool, "Fourth Songs")
        self.service.add_issuer(fourth)
        planned = self.licence(issuer=fourth)
        self.assertEqual(self.results(self.computer.plan([planned])), ["costs"])
        self.assertEqual(self.results(self.computer.plan([planned])), ["costs"])
        self.service.run("issuer", "remove", "Fourth Songs")
        self.assertEqual(self.results(self.computer.commit([planned])), ["license-issuer"])
        self.service.add_issuer(kit.Issuer(self.tool, "Fourth Songs"))
        self.assertEqual(self.results(self.computer.commit([planned])), ["license-signature"])


class Secrets(Case):
    """What a commit brings is opened before anything is charged."""

    def setUp(self):
        super().setUp()
        self.batch = kit.Batch(self.tool, self.service)

    def test_they_come_back(self):
        documents = [self.licence() for _ in range(3)]
        words = [secrets.token_bytes(16 + i) for i in range(3)]
        brought = [self.batch.licence(document, word) for document, word in zip(documents, words)]
        for expected in ("granted", "free"):
            answer = self.computer.commit(brought, key=self.batch.key)
            self.assertEqual(self.results(answer), [expected] * 3)
            for i, word in enumerate(words):
                self.assertEqual(self.computer.secret(answer.json, i), word)
            # New keys each time, and nobody else opens them.
            self.assertNotEqual(self.computer.key.open(answer.json["key"]), self.batch.secret)
            with self.assertRaises(ValueError):
                self.honest.key.open(answer.json["key"])

    def test_swapped(self):
        first, second, third = self.licence("swap-1"), self.licence("swap-2"), self.licence("swap-3")
        answer = self.computer.commit([(first, self.batch.seal("swap-2", b"second")),
                                       (second, self.batch.seal("swap-1", b"first")),
                                       (third, self.batch.seal("swap-3", b"third"))], key=self.batch.key)
        self.assertEqual(self.results(answer), ["license-secret", "license-secret", "granted"])
        self.assertEqual(self.computer.secret(answer.json, 2), b"third")
        self.nobody_holds(first, second)
        self.assertEqual(self.computers_of(third), [self.computer.thumbprint])

    def test_damaged(self):
        licence = self.licence("damaged")
        good = self.batch.seal("damaged", b"a content key")
        for sealed in (good[:-1], good + b"x", good[:27], b"", b"x" * 60, bytes([good[0] ^ 1]) + good[1:]):
            answer = self.computer.commit([{"document": licence, "secret": kit.encode(sealed)}], key=self.batch.key)
            if answer.status == 200:
                self.assertEqual(self.results(answer), ["license-secret"])
            else:
                self.assertEqual(sealed, b"")
                self.refused(answer, 400, "message-malformed")
        self.nobody_holds(licence)

    def test_sealed_for_another_address(self):
        licence = self.licence("elsewhere")
        sealed = self.tool.managed_seal(self.batch.secret, "http://other.example", "elsewhere", b"a content key")
        self.assertEqual(self.results(self.computer.commit([(licence, sealed)], key=self.batch.key)), ["license-secret"])
        self.nobody_holds(licence)

    def test_key_that_does_not_open(self):
        licence = self.licence("closed")
        public = self.service.key("enc")
        jwk = {name: public[name] for name in ("kty", "crv", "x", "y")}
        signing = self.service.key("sig")
        keys = [self.tool.seal(jwk, self.batch.secret), self.tool.seal(jwk, self.batch.secret, "another"),
                self.tool.seal(jwk, self.batch.secret[:31], public["kid"]), self.tool.seal(jwk, self.batch.secret + b"x", public["kid"]),
                self.tool.seal(self.computer.key.public, self.batch.secret, public["kid"]),
                self.tool.seal({name: signing[name] for name in jwk}, self.batch.secret, signing["kid"])]
        for key in keys:
            answer = self.computer.commit([(licence, self.batch.seal("closed", b"a content key"))], key=key)
            self.refused(answer, 422, "key-invalid")
        self.nobody_holds(licence)

    def test_somebody_elses_secret_under_ones_own_key(self):
        """A secret is opened with the request's key alone: that of another backup opens nothing."""
        licence = self.licence("stolen")
        stolen = self.batch.seal("stolen", b"a content key")
        own = kit.Batch(self.tool, self.service)
        self.assertEqual(self.results(self.computer.commit([(licence, stolen)], key=own.key)), ["license-secret"])
        self.nobody_holds(licence)

    def test_refused_licences_bring_no_secret(self):
        licence = self.licence("full", computers=1)
        answer = self.computer.commit([self.batch.licence(licence, b"a content key")], key=self.batch.key)
        self.assertEqual(self.results(answer), ["limit-reached"])
        self.assertNotIn("secret", answer.json["licenses"][0])
        self.assertNotIn("key", answer.json)
        self.assertNotIn("grants", answer.json)


class Statements(Case):
    def test_claim(self):
        """Who holds the licence key is the original, and pays nothing; nobody else is."""
        licence = self.licence()
        original = self.a_computer(license_key=self.original)
        for claim in (original.claim(), self.original.claim("http://other.example", self.computer.thumbprint),
                      kit.with_claims(original.claim(), sub=self.computer.thumbprint), "a.b.c",
                      self.original.owner(ADDRESS, self.computer.thumbprint),
                      self.tool.key().sign("claim", {"aud": ADDRESS, "sub": self.computer.thumbprint}, jwk=self.original.public)):
            for path in ("/v1/plan", "/v1/commit", "/v1/licenses"):
                body = self.computer.commit_body([licence], claim=claim)
                self.refused(self.computer.post(path, body), 400, "claim-invalid")
        self.nobody_holds(licence)
        # A claim of one's own that is good, but of another key than the licence's.
        self.assertEqual(self.results(self.computer.plan([licence], claim=self.computer.claim())), ["costs"])
        self.assertEqual(self.results(original.commit([licence], claim=original.claim())), ["free"])
        self.nobody_holds(licence)

    def test_owner(self):
        licence, release = self.licence(), self.tool.key()
        good = self.original.owner(ADDRESS, release.thumbprint)
        for owner in (kit.with_claims(good, release=self.computer.thumbprint), "a.b.c",
                      self.original.owner("http://other.example", release.thumbprint),
                      self.original.sign("owner", {"aud": ADDRESS, "release": "short"}),
                      self.tool.key().sign("owner", kit.claims(good), jwk=self.original.public)):
            for path in ("/v1/plan", "/v1/commit"):
                body = self.computer.commit_body([licence], owner=owner)
                self.refused(self.computer.post(path, body), 400, "claim-invalid")
        self.nobody_holds(licence)
        self.assertEqual(self.results(self.computer.commit([licence], owner=good)), ["granted"])

    def test_head(self):
        """One that the service did not sign is malformed, and no sign that the ledger was put back."""
        licence = self.licence()
        good = self.computer.head
        said, kid = kit.claims(good), kit.header(good)["kid"]
        ahead = {**said, "seq": said["seq"] + 1000}
        for head in (kit.with_claims(good, **ahead), self.tool.key().sign("head", ahead, kid=kid), "a.b.c", "x",
                     self.tool.key().sign("head", ahead), self.tool.key().sign("head", ahead, kid="another"),
                     self.computer.certificate):
            for path in ("/v1/plan", "/v1/commit", "/v1/licenses"):
                body = {**self.computer.commit_body([licence]), "head": head}
                self.refused(self.computer.post(path, body), 400, "message-malformed")
        self.nobody_holds(licence)
        self.assertEqual(self.results(self.computer.commit([licence])), ["granted"])

    def test_release(self):
        licence = self.licence()
        key, other = self.tool.key(), self.tool.key()
        lost = kit.Computer(self.tool, self.service)
        lost.individualize(release=key.thumbprint)
        self.assertEqual(self.results(lost.commit([licence])), ["granted"])
        me = self.computer
        self.refused(me.release(lost.thumbprint, other), 403, "release-proof")
        self.refused(me.release(lost.thumbprint, lost.key), 403, "release-proof")
        nonce = self.service.nonce()
        for proof in (key.release(ADDRESS, me.thumbprint, nonce), key.release(ADDRESS, lost.thumbprint, "another"),
                      key.release("http://other.example", lost.thumbprint, nonce), "a.b.c",
                      kit.with_claims(key.release(ADDRESS, me.thumbprint, nonce), computer=lost.thumbprint)):
            reply = me.post("/v1/release", {"computer": lost.thumbprint, "proof": proof}, nonce=nonce)
            self.assertIn((reply.status, reply.code), ((403, "release-proof"), (401, "nonce-used")))
            nonce = self.service.nonce()
        unknown = self.tool.key().thumbprint
        self.refused(me.release(unknown, key), 404, "release-unknown")
        self.assertEqual(self.computers_of(licence), [lost.thumbprint])
        self.assertNotIn("releasing", self.honest.status([licence]).json["licenses"][0]["computers"][1])
        self.assertEqual(me.release(lost.thumbprint, key).json["state"], "waiting")

    def test_release_of_an_original_by_a_stranger(self):
        """The statement of the owner must be by the licence key itself."""
        licence, mine = self.licence(), self.tool.key()
        self.assertEqual(self.results(self.computer.commit([licence])), ["granted"])
        forged = self.computer.license_key.owner(ADDRESS, mine.thumbprint)
        reply = self.computer.release(self.original.thumbprint, mine, owner=forged)
        self.assertIn((reply.status, reply.code), ((403, "release-proof"), (404, "release-unknown")))
        reply = self.computer.release(self.original.thumbprint, mine)
        self.assertIn((reply.status, reply.code), ((403, "release-proof"), (404, "release-unknown")))

    def test_idempotency(self):
        """The same key brings the same answer, and no other."""
        first, second = self.licence(), self.licence()
        body = self.computer.commit_body([first])
        answer = self.computer.post("/v1/commit", body)
        again = self.computer.post("/v1/commit", body)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["licenses"], again.json["licenses"])
        self.assertEqual(self.results(again), ["granted"])
        self.refused(self.computer.post("/v1/commit", {**body, "licenses": [{"document": second}]}), 409, "idempotency-conflict")
        self.refused(self.honest.post("/v1/commit", body), 409, "idempotency-conflict")
        self.nobody_holds(second)
        self.assertEqual(self.computers_of(first), [self.computer.thumbprint])

    def test_a_million_and_more_computers_do_not_help(self):
        """New identities cost as much as new computers."""
        licence = self.licence(computers=3)
        results = [self.results(self.a_computer().commit([licence]))[0] for _ in range(6)]
        self.assertEqual(results, ["granted", "granted"] + ["limit-reached"] * 4)


def main(kind, *tests):
    global postgres
    with_postgres.stop_on_signals()
    try:
        if kind == "postgresql":
            postgres = with_postgres.Postgres().start()
        program = unittest.main(argv=[sys.argv[0], *tests], exit=False)
    finally:
        if postgres:
            postgres.remove()
    return not program.result.wasSuccessful()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
