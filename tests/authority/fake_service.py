"""A License Management Service to test clients against, written after PROTOCOL.md and nothing else.

It checks what it is sent as the protocol says, and can be told to misbehave: play().
Signatures are made and checked by the command openssl.
"""
import base64
import hashlib
import http.server
import json
import os
import secrets
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")  # and an uncompressed point


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def run(*words, data=None):
    return subprocess.run(words, input=data, check=True, capture_output=True).stdout


def thumbprint(jwk):
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return base64url(hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest())


class Key:
    """A P-256 key in a file."""

    def __init__(self, folder):
        self.file = os.path.join(folder, secrets.token_hex(8) + ".pem")
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.file)
        point = run("openssl", "pkey", "-in", self.file, "-pubout", "-outform", "DER")[-64:]
        text = run("openssl", "ec", "-in", self.file, "-outform", "DER")
        self.secret = text[7:39].hex()
        self.jwk = {"kty": "EC", "crv": "P-256", "x": base64url(point[:32]), "y": base64url(point[32:])}
        self.name = thumbprint(self.jwk)

    def sign(self, kind, claims, kid=None):
        header = {"alg": "ES256", "typ": kind}
        header.update({"kid": kid} if kid else {"jwk": self.jwk})
        text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        der = run("openssl", "dgst", "-sha256", "-sign", self.file, data=text.encode())
        raw, at = b"", 2
        for _ in range(2):
            size = der[at + 1]
            raw += der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0")
            at += 2 + size
        return text + "." + base64url(raw)


def verify(jws, kind):
    """The header and claims of a statement that its own "jwk" signed."""
    text, _, signature = jws.rpartition(".")
    header, claims = (json.loads(unbase64url(part)) for part in text.split("."))
    assert header["typ"] == kind and header["alg"] == "ES256", header
    numbers = b""
    for half in (unbase64url(signature)[:32], unbase64url(signature)[32:]):
        half = half.lstrip(b"\0")
        half = b"\0" + half if half[0] & 0x80 else half
        numbers += b"\x02" + bytes([len(half)]) + half
    with tempfile.TemporaryDirectory() as folder:
        names = [os.path.join(folder, name) for name in ("key", "signature")]
        point = b"\x04" + unbase64url(header["jwk"]["x"]) + unbase64url(header["jwk"]["y"])
        for name, data in zip(names, (SPKI + point, b"\x30" + bytes([len(numbers)]) + numbers)):
            with open(name, "wb") as file:
                file.write(data)
        run("openssl", "dgst", "-sha256", "-verify", names[0], "-keyform", "DER", "-signature", names[1],
            data=text.encode())
    return header, claims


def leaf(issuer, licence, computer, number, limit, since):
    text = "rehost grant 1\n%s\n%s\n%s\n%d\n%d\n%d\n" % (issuer, licence, computer, number, limit, since)
    return hashlib.sha256(b"\0" + text.encode()).digest()


def root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + root(leaves[:split]) + root(leaves[split:])).digest()


class Problem(Exception):
    def __init__(self, status, code, title="No", detail="Not so", **headers):
        super().__init__(code)
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}
        self.body = {"type": "urn:rehost:problem:" + code, "title": title, "status": status, "detail": detail,
                     "code": code}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(self.server.service.now())

    def answer(self, status, kind, body, **headers):
        self.send_response(status)
        headers.setdefault("Rehost-Nonce", self.server.service.new_nonce())
        if kind:
            headers["Content-Type"] = kind
        if status != 204:
            headers["Content-Length"] = str(len(body))
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle(self):
        self.server.service.connections += 1
        try:
            super().handle()
        except (OSError, ssl.SSLError):
            pass

    def do_GET(self):
        self.serve(b"")

    def do_POST(self):
        self.serve(self.rfile.read(int(self.headers["Content-Length"])))

    def serve(self, body):
        service = self.server.service
        request = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
        service.seen.append(request)
        play = service.next_play(self.path)
        try:
            if callable(play) and getattr(play, "whole", False):
                play(self)
                return
            reply = service.reply(request)
            if callable(play):
                reply = play(reply) or reply
            if isinstance(reply, bytes):
                self.answer(200, "application/json", reply)
            elif reply is None:
                self.answer(204, None, b"")
            else:
                self.answer(200, "application/json; charset=utf-8", json.dumps(reply).encode())
        except Problem as problem:
            self.answer(problem.status, "application/problem+json", json.dumps(problem.body).encode(),
                        **problem.headers)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


# ---- What it may play in place of an answer ----

def whole(function):
    function.whole = True
    return function


def problem(*words, **more):
    @whole
    def play(_):
        raise Problem(*words, **more)
    return play


def status(number, kind="text/html", body=b"<p>Sorry</p>", **headers):
    @whole
    def play(handler):
        handler.answer(number, kind, body, **{name.replace("_", "-"): text for name, text in headers.items()})
    return play


@whole
def reset(handler):
    """After it was read: the connection is cut off."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())


@whole
def close(handler):
    handler.close_connection = True


@whole
def half(handler):
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"head":"')


@whole
def hang(handler):
    handler.close_connection = True
    handler.server.service.leave.wait(30)


@whole
def drip(handler):
    """Some of it, and never the rest."""
    half(handler)
    handler.wfile.flush()
    handler.server.service.leave.wait(30)


@whole
def huge(handler):
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    for _ in range(5000):
        handler.wfile.write(b" " * 1024)


@whole
def headers_without_end(handler):
    handler.close_connection = True
    handler.send_response(200)
    for number in range(3000):
        handler.send_header("X-%d" % number, "y" * 60)
    handler.end_headers()


@whole
def no_http(handler):
    handler.close_connection = True
    handler.wfile.write(b"\0\xff rubbish\r\n\r\n" * 10)


class FakeService:
    """One service with a signing key.  ${seen}: all requests; ${proofs}: the claims of those that were signed."""

    def __init__(self, key, address=None, certificate=None):
        self.key, self.seq, self.ahead, self.connections = key, 7, 0, 0
        self.nonces, self.plays, self.seen, self.proofs = {}, [], [], []
        self.held, self.answers, self.lock, self.leave = {}, {}, threading.Lock(), threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.service = self
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
            scheme = "https"
        self.port = self.server.server_address[1]
        self.asked_at = "%s://127.0.0.1:%d/lms" % (scheme, self.port)
        self.address = address or self.asked_at
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.leave.set()
        self.server.shutdown()
        self.server.server_close()

    # ---- What the test says ----

    def play(self, path, *plays):
        """What happens at the next requests for this resource, one each; None: nothing special."""
        self.plays.extend((path, play) for play in plays)

    def forever(self, path, play):
        self.plays.extend((path, play) for _ in range(50))

    def next_play(self, path):
        with self.lock:
            for at, (wanted, play) in enumerate(self.plays):
                if path == "/lms" + wanted:
                    del self.plays[at]
                    return play
        return None

    def posts(self, path=None):
        return [request for request in self.seen
                if request["method"] == "POST" and path in (None, request["path"][len("/lms"):])]

    # ---- What it says ----

    def now(self):
        return int(time.time()) + self.ahead

    def keys(self):
        return {"service": self.address, "keys": [dict(self.key.jwk, kid=self.key.name, use="sig", alg="ES256")]}

    def new_nonce(self):
        nonce = secrets.token_urlsafe(24)
        self.nonces[nonce] = self.now()
        return nonce

    def sign(self, kind, claims, key=None, **more):
        claims = dict({"iss": self.address, "iat": self.now()}, **claims)
        return (key or self.key).sign(kind, dict(claims, **more), kid=self.key.name)

    def head(self, seq=None, text=b"", **more):
        seq = self.seq if seq is None else seq
        claims = {"seq": seq, "hash": base64url(hashlib.sha256(b"%d" % seq + text).digest())}
        return self.sign("rehost-head+jwt", dict(claims, **more))

    def grants(self, leaves, computer, **more):
        claims = {"sub": computer, "size": len(leaves), "root": base64url(root(leaves))}
        return self.sign("rehost-grants+jwt", dict(claims, **more))

    def certificate(self, computer, **more):
        return self.sign("rehost-computer+jwt", dict({"sub": computer}, **more))

    # ---- What it checks ----

    def check(self, request):
        """The proof of a request; gives the name of the computer."""
        proof = request["headers"]["Rehost-Proof"]
        assert len(proof) <= 4096
        header, claims = verify(proof, "rehost-proof+jwt")
        computer = thumbprint(header["jwk"])
        self.proofs.append(dict(claims, text=proof, computer=computer))
        assert claims["htm"] == "POST" and claims["body"] == base64url(hashlib.sha256(request["body"]).digest())
        assert claims["htu"] == self.address + request["path"][len("/lms"):], claims["htu"]
        if abs(claims["iat"] - self.now()) > 300:
            raise Problem(401, "proof-stale")
        made = self.nonces.get(claims["nonce"])
        if made is None or self.now() - made > 300:
            raise Problem(401, "nonce-used" if made == 0 else "nonce-unknown")
        self.nonces[claims["nonce"]] = 0
        if request["path"] == "/lms/v1/computers":
            assert "certificate" not in claims
        else:
            text = claims["certificate"].split(".")
            assert json.loads(unbase64url(text[1]))["sub"] == computer
        return computer

    def reply(self, request):
        path = request["path"][len("/lms"):]
        if request["method"] == "GET":
            if path == "/v1/nonce":
                return None
            if path == "/v1/keys":
                return self.keys()
            raise Problem(404, "not-found")
        computer, message = self.check(request), json.loads(request["body"])
        reply = {"/v1/computers": self.computers, "/v1/plan": self.plan, "/v1/commit": self.commit,
                 "/v1/licenses": self.licenses, "/v1/release": self.release}[path](computer, message)
        reply["head"] = self.head()
        return reply

    def computers(self, computer, _):
        return {"certificate": self.certificate(computer)}

    def licence(self, computer, document, commit):
        claims = json.loads(unbase64url(document.split(".")[1]))
        held = self.held.setdefault(claims["jti"], {})
        named = {"id": claims["jti"], "issuer": claims["iss"], "limit": claims["computers"]}
        if computer in held:
            return dict(named, result="free", computers=held[computer][0], since=held[computer][1])
        if len(held) >= claims["computers"]:
            return dict(named, result="refused", computers=len(held), code="limit-reached", detail="On too many",
                        page=self.address + "/cases/x")
        if not commit:
            return dict(named, result="costs", computers=len(held) + 1)
        held[computer] = (len(held) + 1, self.now())
        self.seq += 1
        return dict(named, result="granted", computers=len(held), since=held[computer][1])

    def plan(self, computer, message):
        return {"licenses": [self.licence(computer, one["document"], False) for one in message["licenses"]]}

    def commit(self, computer, message):
        key = message["idempotency_key"]
        if key in self.answers:
            assert self.answers[key][0] == (computer, message["licenses"])
            return dict(self.answers[key][1])
        licenses = [self.licence(computer, one["document"], True) for one in message["licenses"]]
        reply = {"licenses": licenses}
        for one, asked in zip(licenses, message["licenses"]):
            if one["result"] != "refused" and "secret" in asked:
                one["secret"] = asked["secret"]
                reply["key"] = message["key"]
        self.sign_grants(computer, reply)
        self.answers[key] = ((computer, message["licenses"]), dict(reply))
        return reply

    def sign_grants(self, computer, reply):
        leaves = self.leaves(computer, reply)
        if leaves:
            reply["grants"] = self.grants(leaves, computer)

    @staticmethod
    def leaves(computer, reply):
        return [leaf(one["issuer"], one["id"], computer, one["computers"], one["limit"], one["since"])
                for one in reply["licenses"] if one["result"] in ("free", "granted")]

    def licenses(self, computer, message):
        replies = []
        for one in message["licenses"]:
            claims = json.loads(unbase64url(one["document"].split(".")[1]))
            held = self.held.get(claims["jti"], {})
            replies.append({"id": claims["jti"], "issuer": claims["iss"], "title": "River songs",
                            "limit": claims["computers"], "free": claims["computers"] - len(held),
                            "computers": [{"computer": name, "since": since, "original": number == 1,
                                           "you": name == computer} for name, (number, since) in held.items()]})
        return {"licenses": replies}

    def release(self, _, message):
        header, claims = verify(message["proof"], "rehost-release+jwt")
        assert claims["aud"] == self.address and claims["computer"] == message["computer"]
        assert claims["nonce"] == self.proofs[-1]["nonce"]
        assert header["jwk"]["kty"] == "EC"
        return {"computer": message["computer"], "effective": self.now() + 3600,
                "state": "cancelled" if message.get("cancel") else "waiting"}
