#!/usr/bin/env python3
"""Sessions with a service that keeps to the protocol, and with every kind that does not.

usage: test_session.py SESSION-TOOL
"""
import concurrent.futures
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import fake_service as fake

TOOL = None


def openssl(*words):
    fake.run("openssl", *words)


def make_authority(folder, name):
    key, certificate = (os.path.join(folder, name + suffix) for suffix in (".key", ".pem"))
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=Invented authority " + name, "-keyout", key, "-out", certificate)
    return key, certificate


def make_certificate(folder, authority, name, hosts, days="2"):
    """A server's certificate for ${hosts}, and its key, in one file."""
    key, request, certificate, extension, both = (
        os.path.join(folder, name + suffix) for suffix in (".key", ".csr", ".pem", ".ext", ".both"))
    with open(extension, "w") as file:
        file.write("subjectAltName=%s\n" % hosts)
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
            "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", authority[1], "-CAkey", authority[0], "-CAcreateserial",
            "-days", days, "-extfile", extension, "-out", certificate)
    with open(both, "wb") as file:
        for part in (certificate, key):
            with open(part, "rb") as source:
                file.write(source.read())
    return both


def document(identity, issuer="issuer.example", computers=4):
    claims = {"jti": identity, "iss": issuer, "computers": computers}
    return "e30.%s.c2ln" % fake.base64url(json.dumps(claims).encode())


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.folder = cls.directory.name
        authority = make_authority(cls.folder, "one")
        cls.authority, cls.other = authority[1], make_authority(cls.folder, "two")[1]
        hosts = "IP:127.0.0.1,DNS:lms.example"
        cls.here = make_certificate(cls.folder, authority, "here", hosts)
        cls.elsewhere = make_certificate(cls.folder, authority, "elsewhere", "DNS:elsewhere.example")
        cls.expired = make_certificate(cls.folder, authority, "expired", hosts, days="-1")
        cls.key, cls.service_key, cls.stranger = (fake.Key(cls.folder) for _ in range(3))

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    @staticmethod
    def each(function, items):
        """Several at once, as most of the time is spent with waiting."""
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for future in [pool.submit(function, *item) for item in items]:
                future.result()

    def service(self, **options):
        service = fake.FakeService(self.service_key, **options)
        self.addCleanup(service.stop)
        return service

    def secure(self, **options):
        return self.service(certificate=self.here, **options)

    def script(self, service, calls, **more):
        script = {"address": service.address, "asked_at": service.asked_at, "keys": json.dumps(service.keys()),
                  "secret": self.key.secret, "certificate": service.certificate(self.key.name), "calls": calls}
        script.update(more)
        return {name: value for name, value in script.items() if value is not None}

    def run_script(self, script, environment=None):
        variables = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        variables["SSL_CERT_FILE"] = self.authority
        variables.pop("SSL_CERT_DIR", None)
        variables.update(environment or {})
        done = subprocess.run((TOOL,), input=json.dumps(script).encode(), capture_output=True, timeout=120,
                              env=variables)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return json.loads(done.stdout)

    def play(self, service, *calls, environment=None, **more):
        return self.run_script(self.script(service, calls, **more), environment)

    def one(self, service, call, **more):
        results = self.play(service, call, **more)
        self.assertEqual(len(results), 1)
        return results[0]

    def fails(self, service, call, code, *words, tries=None, **more):
        result = self.one(service, call, **more)
        self.assertEqual(result["code"], code, result)
        self.assertFalse(result["text"].endswith("."), result)
        self.assertNotIn("\n", result["text"])
        for word in words:
            self.assertIn(word, result["text"])
        if tries is not None:
            self.assertEqual(len(service.posts()), tries, result)
        return result

    def commit(self, *identities, secret=True, **more):
        licenses = [{"document": document(identity)} for identity in identities or ("one", "two")]
        call = {"call": "commit", "idempotency_key": secrets.token_urlsafe(16), "licenses": licenses,
                "computer": self.key.name}
        if secret:
            call["key"] = "e30.a.a.a.a"
            for licence in licenses:
                licence["secret"] = fake.base64url(b"sealed")
        return dict(call, **more)

    def release(self, **more):
        return dict({"call": "release", "computer": self.stranger.name, "secret": self.stranger.secret}, **more)

    def same_request_other_proof(self, service, tries):
        """That a request was tried so often: the same body, and nothing of the proof twice."""
        self.assertEqual(len(service.posts()), tries)
        self.assertEqual(len({request["body"] for request in service.posts()}), 1)
        self.assertEqual(len({request["headers"]["Rehost-Proof"] for request in service.posts()}), tries)
        nonces = {json.loads(fake.unbase64url(request["headers"]["Rehost-Proof"].split(".")[1]))["nonce"]
                  for request in service.posts()}
        self.assertEqual(len(nonces), tries)


class Fine(Case):
    def test_whole_conversation(self):
        service = self.secure()
        commit = self.commit()
        results = self.play(
            service, {"call": "connect"}, {"call": "individualize", "name": "kitchen", "release": self.stranger.name},
            {"call": "plan", "licenses": commit["licenses"]}, commit, dict(commit, idempotency_key="B" * 22),
            {"call": "status", "licenses": commit["licenses"]}, self.release(), self.release(cancel=True),
            certificate=None, language="de-AT")
        self.assertEqual([result["code"] for result in results], ["OK"] * 8, results)
        self.assertEqual([one["result"] for result in results[2:5] for one in result["licenses"]], [1, 1, 2, 2, 0, 0])
        self.assertEqual([result["state"] for result in results[6:]], [0, 2])
        self.assertEqual(results[3]["leaves"], results[4]["leaves"])
        self.assertEqual(results[3]["leaves"],
                         [leaf.hex() for leaf in service.leaves(self.key.name, service.answers["B" * 22][1])])
        self.assertEqual(results[0]["privacy"], service.address + "/v1/privacy")
        self.assertEqual(service.connections, 1)
        self.assertEqual([request["method"] for request in service.seen], ["GET"] + ["POST"] * 7)
        for request in service.posts():
            self.assertEqual(request["headers"]["Accept-Language"], "de-AT")
            self.assertEqual(request["headers"]["Content-Type"], "application/json")
            self.assertNotIn("Expect", request["headers"])
        self.assertEqual(len({proof["nonce"] for proof in service.proofs}), 7)
        shown = [json.loads(request["body"]).get("head") for request in service.posts()]
        self.assertEqual(shown[:2], [None, results[1]["head"]])
        self.assertEqual(shown[2:4], [result["head"] for result in results[2:4]])
        for result in results:
            self.assertEqual(result["progress"][-1], "completed")
        self.assertIn("connecting", results[0]["progress"])

    def test_other_address(self):
        service = self.secure(address="https://lms.example/lms")
        self.assertEqual(self.one(service, self.commit())["code"], "OK")
        self.assertTrue(service.proofs[0]["htu"].startswith("https://lms.example/lms/v1/"))

    def test_without_tls_on_this_machine(self):
        self.assertEqual(self.one(self.service(), self.commit(secret=False))["code"], "OK")

    def test_refused_licence(self):
        service = self.service()
        service.held["full"] = {name: (number + 1, 5) for number, name in enumerate("abcd")}
        result = self.one(service, self.commit("one", "full", "two"))
        self.assertEqual([one["result"] for one in result["licenses"]], [2, 3, 2])
        self.assertEqual(result["licenses"][1]["code"], "limit-reached")
        self.assertEqual(len(result["leaves"]), 2)
        self.assertEqual(self.one(service, self.commit("full"))["leaves"], [])

    def test_unreadable_document_is_refused(self):
        for bad in ("rubbish", "e30.e30", "e30.!!!.c2ln", "e30.e30.c2ln", "e30..c2ln"):
            service = self.service()
            reply = {"licenses": [{"result": "refused", "code": "license-malformed"}], "head": service.head()}
            service.play("/v1/plan", fake.whole(lambda handler, reply=reply: handler.answer(
                200, "application/json", json.dumps(reply).encode())))
            self.assertEqual(self.one(service, {"call": "plan", "licenses": [{"document": bad}]})["code"], "OK")

    def test_language(self):
        for language in ("de-AT\r\nX: y", "x" * 65, "", None):
            service = self.service()
            self.assertEqual(self.one(service, {"call": "connect"}, language=language)["code"], "OK")
            self.assertNotIn("Accept-Language", service.seen[0]["headers"])

    def test_keys(self):
        service = self.secure()
        result = self.one(service, {"call": "keys", "address": service.asked_at})
        self.assertEqual(json.loads(result["keys"]), service.keys())
        for play in (fake.status(302, Location="/lms/v1/nonce"), fake.status(404), fake.status(200)):
            service.play("/v1/keys", play)
            self.fails(service, {"call": "keys", "address": service.asked_at}, "E_SERVICE_REPLY")
        service.play("/v1/keys", fake.status(200, "application/json", b" " * 65537))
        self.fails(service, {"call": "keys", "address": service.asked_at}, "E_SERVICE_REPLY", "more than 65536 bytes")
        service.play("/v1/keys", fake.close, fake.status(503))
        self.assertEqual(self.one(service, {"call": "keys", "address": service.asked_at})["code"], "OK")
        self.fails(service, {"call": "keys", "address": "http://198.51.100.1/lms"}, "E_NETWORK")
        self.fails(service, {"call": "keys", "address": service.asked_at, "stop_at": "idle"}, "E_CANCELED")


class Again(Case):
    def test_once_bad_then_fine(self):
        plays = (fake.status(503), fake.status(500), fake.problem(429, "too-many-requests"),
                 fake.problem(503, "busy", Retry_After="1"), fake.reset, fake.close, fake.half)

        def try_one(play):
            service = self.secure()
            service.play("/v1/commit", play)
            result = self.one(service, self.commit())
            self.assertEqual(result["code"], "OK", result)
            self.same_request_other_proof(service, 2)
        self.each(try_one, [(play,) for play in plays])

    def test_reply_is_lost(self):
        """What was counted is not counted again."""
        service = self.secure()

        @fake.whole
        def counts_and_dies(handler):
            service.reply(service.seen[-1])
            fake.half(handler)
        service.play("/v1/commit", counts_and_dies, fake.reset, counts_and_dies)
        result = self.one(service, self.commit())
        self.assertEqual(result["code"], "OK", result)
        self.same_request_other_proof(service, 4)
        self.assertEqual(service.seq, 9)

    def test_always_bad(self):
        plays = {"503": fake.status(503), "reset": fake.reset, "half": fake.half, "429": fake.problem(
            429, "too-many-requests", "Zu viele Anfragen.", "Warten Sie bitte."), "hang": fake.hang, "drip": fake.drip}
        words = {"503": "status 503", "429": "refuses: Zu viele Anfragen: Warten Sie bitte", "hang": "in time",
                 "drip": "in time"}

        def try_one(name):
            service = self.secure()
            service.forever("/v1/commit", plays[name])
            self.fails(service, self.commit(), "E_SERVICE_UNAVAILABLE", words.get(name, "127.0.0.1"), tries=4,
                       request_ms=700 if name in ("hang", "drip") else 0)
            self.same_request_other_proof(service, 4)

        def nonce():
            service = self.secure()
            service.forever("/v1/nonce", fake.status(503, Rehost_Nonce=None))
            self.fails(service, self.commit(), "E_SERVICE_UNAVAILABLE", tries=0)
            self.assertEqual(len(service.seen), 4)

        def retry_after():
            service = self.secure()
            service.play("/v1/commit", fake.problem(503, "busy", Retry_After="3600"))
            self.assertEqual(self.one(service, self.commit())["code"], "OK")

        def nobody():
            service = self.secure()
            service.server.server_close()
            self.fails(service, {"call": "connect"}, "E_SERVICE_UNAVAILABLE", "127.0.0.1 cannot be asked")

        def silent():
            with socket.create_server(("127.0.0.1", 0)) as server:
                service = self.secure()
                self.fails(service, {"call": "connect"}, "E_SERVICE_UNAVAILABLE", "in time",
                           asked_at="https://127.0.0.1:%d/lms" % server.getsockname()[1])

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            for future in [pool.submit(try_one, name) for name in plays] + [
                    pool.submit(function) for function in (nonce, retry_after, nobody, silent)]:
                future.result()

    def test_signed_anew(self):
        for code in ("nonce-unknown", "nonce-used"):
            service = self.secure()
            service.play("/v1/commit", fake.problem(401, code), fake.problem(401, code))
            self.assertEqual(self.one(service, self.commit())["code"], "OK")
            self.same_request_other_proof(service, 3)
            service = self.secure()
            service.forever("/v1/commit", fake.problem(401, code))
            self.assertEqual(self.fails(service, self.commit(), "E_SERVICE_REFUSED", tries=3)["problem"], code)

    def test_signed_anew_without_a_nonce(self):
        service = self.secure()
        service.play("/v1/commit", fake.problem(401, "nonce-unknown", Rehost_Nonce=None),
                     fake.problem(401, "nonce-unknown", Rehost_Nonce="x" * 129))
        self.assertEqual(self.one(service, self.commit())["code"], "OK")
        self.assertEqual([request["path"].rpartition("/")[2] for request in service.seen],
                         ["nonce", "commit", "nonce", "commit", "nonce", "commit"])

    def test_other_clock(self):
        for ahead in (3600, -3600):
            service = self.secure()
            service.ahead = ahead
            results = self.play(service, self.commit(), self.commit("three"))
            self.assertEqual([result["code"] for result in results], ["OK", "OK"])
            self.assertEqual(len(service.posts()), 3)

    def test_release_is_signed_for_each_nonce(self):
        service = self.secure()
        service.play("/v1/release", fake.close, fake.problem(401, "nonce-used"))
        self.assertEqual(self.one(service, self.release())["code"], "OK")
        self.assertEqual(len({json.loads(request["body"])["proof"] for request in service.posts()}), 3)


class Untrusted(Case):
    def test_certificates(self):
        for certificate, environment in ((self.elsewhere, None), (self.expired, None),
                                         (self.here, {"SSL_CERT_FILE": self.other})):
            service = self.service(certificate=certificate)
            self.fails(service, {"call": "connect"}, "E_SERVICE_CERTIFICATE", "certificate", environment=environment)
            self.assertEqual((service.seen, service.connections), ([], 1))
        self.fails(self.secure(), {"call": "connect"}, "E_SERVICE_CERTIFICATE",
                   environment={"SSL_CERT_FILE": "/nonexistent/ca.pem"})

    def test_addresses(self):
        service = self.secure()
        for address in ("http://198.51.100.1/lms", "ftp://lms.example", "rubbish", "", "https://me:word@lms.example",
                        service.asked_at + "/", service.asked_at + "?a", service.asked_at + "#a", service.asked_at + "/.."):
            self.fails(service, {"call": "connect"}, "E_NETWORK", asked_at=address)
        self.assertEqual(service.seen, [])

    def test_no_certificate(self):
        service = self.secure()
        for call in (self.commit(), {"call": "plan", "licenses": []}, self.release()):
            self.fails(service, call, "E_INDIVIDUALIZE", certificate=None)
        self.assertEqual(service.seen, [])

    def test_rubbish(self):
        plays = (fake.status(200), fake.status(200, None), fake.status(200, "application/jsonx", b"{}"),
                 fake.status(200, "application/json", b"{"), fake.status(200, "application/json", b"[]"),
                 fake.status(200, "application/json", b""), fake.status(200, "application/json", b"{}"),
                 fake.status(204, None, b""), fake.status(201, "application/json", b"{}"), fake.status(404),
                 fake.status(400, "application/problem+json", b"{"), fake.status(401, "application/json", b"{}"),
                 fake.status(302, Location="/lms/v1/plan"), fake.status(307, Location="/lms/v1/plan"))

        def try_one(play):
            service = self.service()
            service.play("/v1/commit", play)
            self.fails(service, self.commit(), "E_SERVICE_REPLY", tries=1)
        self.each(try_one, [(play,) for play in plays])
        for play in (fake.huge, fake.headers_without_end, fake.no_http):
            service = self.secure()
            service.play("/v1/commit", play)
            self.fails(service, self.commit(), "E_SERVICE_REPLY", "127.0.0.1", tries=1)
        service = self.service()
        for play in (fake.status(200, "application/json", b"{}"), fake.status(204, None, b"", Rehost_Nonce=None)):
            service.play("/v1/nonce", play)
            self.fails(service, {"call": "connect"}, "E_SERVICE_REPLY")

    def edited(self, path, call, code, edit, *words, **more):
        service = self.service()
        service.play(path, lambda reply: edit(service, reply))
        return self.fails(service, call, code, *words, tries=1, **more)

    def test_heads(self):
        stranger = self.stranger
        calls = {"/v1/commit": self.commit(), "/v1/plan": {"call": "plan", "licenses": self.commit()["licenses"]},
                 "/v1/licenses": {"call": "status", "licenses": self.commit()["licenses"]},
                 "/v1/computers": {"call": "individualize"}, "/v1/release": self.release()}
        claims = {"seq": 9, "hash": "A" * 43}
        heads = (("E_SERVICE_REPLY", lambda service: service.sign("rehost-head+jwt", claims, key=stranger)),
                 ("E_SERVICE_KEYS", lambda service: stranger.sign(
                     "rehost-head+jwt", dict(claims, iss=service.address, iat=1), kid=stranger.name)),
                 ("E_SERVICE_REPLY", lambda service: service.head(iss="https://other.example")),
                 ("E_SERVICE_REPLY", lambda service: service.head(seq=-1)),
                 ("E_SERVICE_REPLY", lambda service: service.sign("rehost-grants+jwt", claims)),
                 ("E_SERVICE_REPLY", lambda service: "rubbish"), ("E_SERVICE_REPLY", lambda service: 5))
        def try_one(path, code, head):
            self.edited(path, calls[path], code, lambda service, reply: reply.update(head=head(service)))
        self.each(try_one, [(path, code, head) for path in calls for code, head in heads[:2]] +
                  [("/v1/plan", code, head) for code, head in heads[2:]])
        self.edited("/v1/plan", calls["/v1/plan"], "E_SERVICE_REPLY", lambda _, reply: reply.pop("head") and None)

    def test_head_that_goes_back(self):
        for older in (lambda service: service.head(seq=6), lambda service: service.head(text=b"other")):
            for kept in (True, False):
                service = self.secure()
                head = older(service)
                plan = {"call": "plan", "licenses": self.commit()["licenses"]}
                calls = [plan] if kept else [plan, plan]
                if not kept:
                    service.play("/v1/plan", None)
                service.play("/v1/plan", lambda reply, head=head: reply.update(head=head))
                result = self.play(service, *calls, head=service.head() if kept else None)[-1]
                self.assertEqual(result["code"], "E_SERVICE_ROLLED_BACK", result)
                self.assertNotEqual(result["head"], head)
        service = self.secure()
        service.play("/v1/plan", lambda reply: reply.update(head=service.head(seq=8)))
        newer = self.one(service, plan, head=service.head())["head"]
        self.assertEqual(json.loads(fake.unbase64url(newer.split(".")[1]))["seq"], 8)

    def test_head_that_was_kept(self):
        service, stranger = self.secure(), self.stranger
        for head, code in (("rubbish", "E_SERVICE_REPLY"),
                           (stranger.sign("rehost-head+jwt", {"iss": service.address}, kid=stranger.name),
                            "E_SERVICE_KEYS")):
            self.fails(service, {"call": "connect"}, code, head=head)
        self.assertEqual(service.seen, [])

    def test_certificate_of_a_computer(self):
        stranger = self.stranger
        for code, make in (
                ("E_SERVICE_REPLY", lambda service: service.certificate(stranger.name)),
                ("E_SERVICE_REPLY", lambda service: service.certificate(self.key.name, iss="https://other.example")),
                ("E_SERVICE_REPLY", lambda service: service.sign(
                    "rehost-computer+jwt", {"sub": self.key.name}, key=stranger)),
                ("E_SERVICE_KEYS", lambda service: stranger.sign(
                    "rehost-computer+jwt", {"iss": service.address, "sub": self.key.name, "iat": 1},
                    kid=stranger.name)),
                ("E_SERVICE_REPLY", lambda service: "a.b.c")):
            self.edited("/v1/computers", {"call": "individualize"}, code,
                        lambda service, reply, make=make: reply.update(certificate=make(service)))

    def test_grants(self):
        def sign(service, reply, **more):
            reply["grants"] = service.grants(service.leaves(self.key.name, reply), self.key.name, **more)

        def change(member, value):
            return lambda _, reply: reply["licenses"][1].update({member: value})
        stranger = self.stranger
        commit = self.commit()
        bad = [change("computers", 3), change("limit", 5), change("since", 5), change("result", "refused"),
               lambda _, reply: reply.pop("grants") and None, lambda _, reply: reply.update(grants="a.b.c"),
               lambda service, reply: sign(service, reply, sub=stranger.name),
               lambda service, reply: sign(service, reply, iss="https://other.example"),
               lambda service, reply: sign(service, reply, size=3),
               lambda service, reply: sign(service, reply, root="A" * 43),
               lambda service, reply: reply["licenses"].reverse() or sign(service, reply),
               lambda service, reply: reply["licenses"].pop() and sign(service, reply),
               lambda service, reply: reply["licenses"].append(dict(reply["licenses"][0], id="three")) or
               sign(service, reply),
               lambda service, reply: change("id", "other")(service, reply) or sign(service, reply),
               lambda service, reply: change("issuer", "other")(service, reply) or sign(service, reply),
               lambda service, reply: change("result", "costs")(service, reply) or sign(service, reply),
               lambda _, reply: reply.pop("key") and None,
               lambda _, reply: reply["licenses"][0].pop("secret") and None,
               lambda _, reply: reply["licenses"][0].pop("since") and None,
               lambda _, reply: reply.update(licenses=[]), lambda _, reply: reply.update(licenses=5)]
        self.each(self.edited, [("/v1/commit", commit, "E_SERVICE_REPLY", edit) for edit in bad])
        self.edited("/v1/commit", commit, "E_SERVICE_KEYS", lambda service, reply: reply.update(
            grants=stranger.sign("rehost-grants+jwt", {"iss": service.address, "sub": self.key.name, "iat": 1, "size": 2,
                                                       "root": "A" * 43}, kid=stranger.name)))

    def test_plans_and_states(self):
        plan = {"call": "plan", "licenses": self.commit()["licenses"]}
        state = {"call": "status", "licenses": self.commit()["licenses"]}
        for edit in (lambda _, reply: reply["licenses"].reverse(), lambda _, reply: reply["licenses"].pop() and None,
                     lambda _, reply: reply["licenses"][0].pop("id") and None):
            self.edited("/v1/plan", plan, "E_SERVICE_REPLY", edit)
            self.edited("/v1/licenses", state, "E_SERVICE_REPLY", edit)
        self.edited("/v1/plan", plan, "E_SERVICE_REPLY",
                    lambda _, reply: reply["licenses"][0].update(result="granted", since=5), "result of a commit")
        self.edited("/v1/release", self.release(), "E_SERVICE_REPLY",
                    lambda _, reply: reply.update(computer=self.key.name), "another computer")

    def test_problems(self):
        def refused(path, call, code, status, problem, *words, **more):
            service = self.secure()
            service.play(path, fake.problem(status, problem, **more))
            result = self.fails(service, call, code, *words, tries=1)
            self.assertEqual(result["problem"], problem)
            return result["text"]
        refused("/v1/commit", self.commit(), "E_SERVICE_ROLLED_BACK", 409, "ledger-rolled-back")
        refused("/v1/commit", self.commit(), "E_SERVICE_ROLLED_BACK", 503, "ledger-rolled-back")
        refused("/v1/commit", self.commit(), "E_INDIVIDUALIZE", 401, "certificate-invalid")
        refused("/v1/commit", self.commit(), "E_INDIVIDUALIZE", 401, "certificate-missing")
        refused("/v1/commit", self.commit(), "E_SERVICE_REFUSED", 409, "idempotency-conflict", "refuses: Nein: Grüße",
                title="Nein.", detail="Grüße.")
        refused("/v1/computers", {"call": "individualize"}, "E_INDIVIDUALIZE_FAILED", 403, "forbidden")
        refused("/v1/release", self.release(), "E_SERVICE_REFUSED", 404, "release-unknown")

    def test_words_of_problems(self):
        service = self.secure()
        service.play("/v1/commit", fake.problem(403, "forbidden", "a\x1b[31mb\r\nc\x85d", "ü" * 900))
        result = self.one(service, self.commit())
        self.assertIn(result["code"], ("E_SERVICE_REFUSED", "E_SERVICE_REPLY"))
        self.assertFalse([character for character in result["text"] if ord(character) < 32 or character == "\x85"])
        self.assertLess(len(result["text"].encode()), 1020)


class Stopped(Case):
    def stops(self, call, state, service=None, behind=2, seen=None, **more):
        service = service or self.secure()
        result = self.fails(service, dict(call, stop_at=state, stop_behind=behind), "E_CANCELED", **more)
        self.assertGreaterEqual(result["asked"], behind)
        if seen is not None:
            self.assertEqual(len(service.seen), seen)

    def test_before(self):
        self.stops(self.commit(), "idle", behind=0, seen=0)

    def test_while_connecting(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.stops({"call": "connect"}, "connecting",
                       asked_at="https://127.0.0.1:%d/lms" % silent.getsockname()[1])

    def test_while_the_name_is_looked_up(self):
        self.stops({"call": "connect"}, "connecting", asked_at="https://lms.example/lms",
                   environment={"REHOST_TEST_LOOKUP": "100"})

    def test_while_waiting(self):
        service = self.secure()
        service.play("/v1/commit", fake.hang)
        self.stops(self.commit(), "requesting", service, behind=5, seen=2)

    def test_while_receiving(self):
        service = self.secure()
        service.play("/v1/commit", fake.drip)
        self.stops(self.commit(), "receiving", service, behind=5, seen=2)

    def test_during_a_pause(self):
        service = self.secure()
        service.play("/v1/commit", fake.problem(503, "busy", Retry_After="5"))
        self.stops(self.commit(), "completed", service, behind=8, seen=2)

    def test_goes_on_afterwards(self):
        service = self.secure()
        service.play("/v1/commit", fake.hang)
        commit = self.commit()
        results = self.play(service, dict(commit, stop_at="requesting", stop_behind=5), commit)
        self.assertEqual([result["code"] for result in results], ["E_CANCELED", "OK"])
        self.same_request_other_proof(service, 2)


class Proxies(Case):
    @staticmethod
    def pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def proxy(self, asked, port=None):
        """Tunnels one connection to this machine's ${port}, wherever it is asked to; None: refuses."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def stand():
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(4096).split(b"\r\n")[0])
                if port is None:
                    connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
                    server.close()
                    return
                with socket.create_connection(("127.0.0.1", port)) as other:
                    connection.sendall(b"HTTP/1.1 200 Yes\r\n\r\n")
                    threading.Thread(target=self.pump, args=(connection, other), daemon=True).start()
                    self.pump(other, connection)
        threading.Thread(target=stand, daemon=True).start()
        return {"https_proxy": "http://127.0.0.1:%d" % server.getsockname()[1]}

    def test_tunnel(self):
        service, asked = self.secure(address="https://lms.example/lms"), []
        result = self.one(service, self.commit(), asked_at=None, environment=self.proxy(asked, service.port))
        self.assertEqual((result["code"], asked), ("OK", [b"CONNECT lms.example:443 HTTP/1.1"]))

    def test_refusing(self):
        service, asked = self.secure(address="https://lms.example/lms"), []
        self.fails(service, self.commit(), "E_SERVICE_UNAVAILABLE", "lms.example", asked_at=None,
                   environment=self.proxy(asked))
        self.assertEqual(asked, [b"CONNECT lms.example:443 HTTP/1.1"])

    def test_not_for_this_machine(self):
        self.assertEqual(self.one(self.secure(), self.commit(), environment={"https_proxy": "http://127.0.0.1:9"})["code"],
                         "OK")


class Memory(Case):
    def calls(self):
        commit = self.commit("one")
        return ({"call": "individualize", "name": "kitchen"}, commit, {"call": "plan", "licenses": commit["licenses"]},
                {"call": "status", "licenses": commit["licenses"]}, self.release())

    def test_allocations_that_fail(self):
        def try_one(call):
            service = self.service()
            for counts in self.play(service, call, failing="ours", head=service.head()):
                self.assertEqual(counts.pop("last"), "OK")
                self.assertLess(counts.pop("OK", 0), 10)  # jsontext.c does without what makes it faster
                self.assertEqual(list(counts), ["E_MEMORY"], counts)
                self.assertGreater(counts["E_MEMORY"], 20)
        self.each(try_one, [(call,) for call in self.calls()])

    def test_allocations_of_curl_that_fail(self):
        """It does not always say that it was memory that ran out, and it may do without."""
        service = self.service()
        results = self.play(service, {"call": "connect"}, failing="curl")
        for counts in results:
            self.assertEqual(counts.pop("last"), "OK")
            self.assertLessEqual(set(counts), {"OK", "E_MEMORY", "E_SERVICE_UNAVAILABLE", "E_SERVICE_REPLY", "E_NETWORK"})
            self.assertGreater(counts["E_MEMORY"], 10)


if __name__ == "__main__":
    TOOL = sys.argv.pop(1)
    unittest.main()
