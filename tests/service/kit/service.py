"""What the tests of the License Management Service share: a service of their own, and who talks to it.

    tool = Tool()                       keys and signatures, by proof-tool
    issuer = Issuer(tool, "Example")    licences: issuer.licence(service, id="a", computer=..., ...)
    with Service(issuers=[issuer]) as service:
        computer = Computer(tool, service)
        computer.individualize()
        reply = computer.commit([licence])
        assert reply.status == 200 and reply.json["licenses"][0]["result"] == "granted"

Service(database="postgresql://...") uses another database than SQLite.  Everything lies in a directory that close() removes.
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import tempfile
import threading
import time

REHOSTD = os.environ.get("REHOSTD", "rehostd")
PROOF_TOOL = os.environ.get("PROOF_TOOL", "proof-tool")
SOURCE = pathlib.Path(os.environ.get("REHOST_SOURCE", pathlib.Path(__file__).parents[3]))

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def encode(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def header(jws):
    return json.loads(decode(jws.split(".")[0]))


def claims(jws):
    return json.loads(decode(jws.split(".")[1]))


def digest(data):
    return hashlib.sha256(data).digest()


def with_claims(jws, **changes):
    """The same statement with other claims under the old signature."""
    first, _, last = jws.split(".")
    return ".".join((first, encode(json.dumps({**claims(jws), **changes}).encode()), last))


class Tool:
    """proof-tool, asked a question a line; several threads may ask at once."""

    def __init__(self, path=None):
        self.process = subprocess.Popen([path or PROOF_TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def ask(self, do, **members):
        """The answer; ValueError if it cannot be done."""
        question = json.dumps({"do": do, **members}).encode() + b"\n"
        with self.lock:
            self.process.stdin.write(question)
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def key(self, secret=None):
        return Key(self, self.ask("key", **({} if secret is None else {"secret": encode(secret)})))

    def verify(self, jwk, text):
        return self.ask("verify", jwk=jwk, text=text)["good"]

    def seal(self, jwk, data, kid=None):
        return self.ask("seal", jwk=jwk, bytes=encode(data), **({} if kid is None else {"kid": kid}))["text"]

    def managed_seal(self, key, service, id, data):
        return decode(self.ask("managed-seal", key=encode(key), service=service, id=id, bytes=encode(data))["bytes"])

    def managed_open(self, key, service, id, sealed):
        return decode(self.ask("managed-open", key=encode(key), service=service, id=id, bytes=encode(sealed))["bytes"])

    def release_key(self, recovery, service):
        """The release key of an owner with these 32 secret bytes of a recovery key (PROTOCOL.md, "Signed statements")."""
        pseudo = hmac.new(b"\0" * 32, recovery, hashlib.sha256).digest()
        for count in range(256):
            info = b"rehost release key 1\0" + service.encode() + b"\0" + bytes([count])
            scalar = hmac.new(pseudo, info + b"\1", hashlib.sha256).digest()
            if 0 < int.from_bytes(scalar, "big") < P256_ORDER:
                return self.key(scalar)
        raise AssertionError("no scalar")


class Key:
    def __init__(self, tool, answer):
        self.tool, self.jwk, self.public, self.thumbprint = tool, answer["jwk"], answer["public"], answer["thumbprint"]

    def sign(self, type, claims, **header):
        """A statement; with "jwk" in its header unless "kid" is given."""
        name = {} if "kid" in header else {"jwk": self.public}
        whole = {"alg": "ES256", "typ": "rehost-%s+jwt" % type, **name, **header}
        return self.tool.ask("sign", jwk=self.jwk, header=whole, claims=claims)["text"]

    def open(self, jwe):
        return decode(self.tool.ask("open", jwk=self.jwk, text=jwe)["bytes"])

    def claim(self, service, computer):
        """By a licence key: that computer is the one that the licence was issued to."""
        return self.sign("claim", {"aud": service, "sub": computer})

    def owner(self, service, release):
        return self.sign("owner", {"aud": service, "release": release})

    def release(self, service, computer, nonce):
        return self.sign("release", {"aud": service, "computer": computer, "nonce": nonce})


class Issuer:
    def __init__(self, tool, name="Example Songs", kid="2026-01"):
        self.tool, self.name, self.kid, self.key = tool, name, kid, tool.key()

    @property
    def keys(self):
        """The JWK set that `rehostd issuer add` takes."""
        return {"issuer": self.name, "keys": [{**self.key.public, "kid": self.kid, "alg": "ES256", "use": "sig"}]}

    def licence(self, service, id=None, computer=None, computers=None, backup=True, **more):
        """A managed licence; ${computer}: the thumbprint that it is issued to."""
        said = {"jti": id or "licence-" + secrets.token_hex(6), "iss": self.name, "iat": 1767225600, "backup": backup}
        said.update({} if service is None else {"service": service})
        said.update({} if computer is None else {"cnf": {"jkt": computer}})
        said.update({} if computers is None else {"computers": computers})
        said.update(more)
        return self.key.sign("license", said, kid=self.kid)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.nonce = headers.get("Rehost-Nonce")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """Of a problem document; None."""
        return self.json.get("code") if self.status >= 400 and self.body else None

    def __repr__(self):
        return "Reply(%d, %r)" % (self.status, self.body[:2000])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """A rehostd on a free port of loopback, on an empty directory unless one is given."""

    def __init__(self, issuers=(), database=None, path="/lms", arguments=(), directory=None, address=None, port=None,
                 environment=None, start=True):
        self.temporary = None if directory else tempfile.TemporaryDirectory(prefix="rehostd-")
        self.directory = pathlib.Path(directory or self.temporary.name)
        self.data = self.directory / "data"
        self.database, self.arguments = database, list(arguments)
        self.port, self.path = port or free_port(), path
        self.address = address or "http://127.0.0.1:%d%s" % (self.port, path)
        self.environment = {**os.environ, **(environment or {})}
        self.process = self.log = None
        try:
            if start:
                self.start()
            for issuer in issuers:
                self.add_issuer(issuer)
        except BaseException:
            self.close()
            raise

    # ---- The process ----

    def store_arguments(self):
        return ["--data", self.data] + (["--database", self.database] if self.database else [])

    def start(self, wait=60):
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            [REHOSTD, "serve", *map(str, self.store_arguments()), "--listen", "127.0.0.1:%d" % self.port, "--address",
             self.address, *map(str, self.arguments)], stdout=self.log, stderr=self.log, env=self.environment)
        end = time.monotonic() + wait
        while True:
            try:
                if self.get("/v1/nonce").status == 204:
                    return self
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                status = self.process.poll()
                self.kill()
                raise AssertionError("rehostd does not answer (status %s):\n%s" % (status, self.words()))
            time.sleep(0.02)

    def words(self):
        """What it wrote, to standard output and to the log."""
        return (self.directory / "log").read_text(errors="replace")

    def signal(self, number):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self, wait=60):
        """As a system stops it; returns the exit status."""
        if self.process is None:
            return None
        self.signal(signal.SIGTERM)
        status = self.process.wait(timeout=wait)
        self.process = None
        self.log.close()
        return status

    def kill(self):
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait(timeout=60)
            self.process = None
            self.log.close()

    def close(self):
        self.kill()
        if self.temporary is not None:
            self.temporary.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- Administration ----

    def run(self, *command, check=True, input=None):
        """`rehostd COMMAND...` on the same data, with --json; returns the objects that it wrote."""
        done = subprocess.run([REHOSTD, *map(str, command), *map(str, self.store_arguments()), "--json"], input=input,
                              capture_output=True, text=True, timeout=120, env=self.environment)
        if check and done.returncode != 0:
            raise AssertionError("rehostd %s: %d: %s%s" % (" ".join(map(str, command)), done.returncode, done.stdout,
                                                           done.stderr))
        return [json.loads(line) for line in done.stdout.splitlines()] if check else done

    def add_issuer(self, issuer):
        path = self.directory / ("issuer-%s.json" % secrets.token_hex(4))
        path.write_text(json.dumps(issuer.keys))
        return self.run("issuer", "add", path)

    def audit(self):
        return self.run("audit", "list")

    # ---- Exchanges ----

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def exchange(self, method, path, body=None, headers=None, connection=None):
        """One exchange; ${path} is below the address.  On a connection of its own unless one is given."""
        own = connection is None
        connection = connection or self.connect()
        try:
            connection.request(method, self.path + path, body=body, headers=headers or {})
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())
        finally:
            if own:
                connection.close()

    def get(self, path, headers=None):
        return self.exchange("GET", path, headers=headers)

    def nonce(self):
        return self.get("/v1/nonce").nonce

    def keys(self):
        return self.get("/v1/keys").json

    def key(self, use):
        """The public key that signs ("sig") or that is sealed for ("enc")."""
        return next(key for key in self.keys()["keys"] if key["use"] == use)

    def post(self, path, body, computer, **options):
        return computer.post(path, body, service=self, **options)


class Computer:
    """One computer at one service: its two keys, its certificate, and the last head that it saw."""

    def __init__(self, tool, service, license_key=None, name=None):
        self.tool, self.service, self.name = tool, service, name
        self.key = tool.key()
        self.license_key = license_key or tool.key()
        self.certificate = self.head = None
        self.recovery = None
        self.connection = None

    @property
    def thumbprint(self):
        return self.key.thumbprint

    @property
    def license_thumbprint(self):
        return self.license_key.thumbprint

    def proof(self, path, data, nonce, service=None, key=None, type="proof", header=None, **changes):
        """Rehost-Proof; a claim that is None in ${changes} is left out."""
        said = {"htm": "POST", "htu": (service or self.service).address + path, "iat": int(time.time()), "nonce": nonce,
                "body": encode(digest(data)), "certificate": self.certificate, **changes}
        return (key or self.key).sign(type, {name: value for name, value in said.items() if value is not None},
                                      **(header or {}))

    def post(self, path, body, service=None, nonce=None, proof=None, headers=None, connection=None, keep_head=True,
             **changes):
        """Signs and sends ${body} (an object, or bytes as they are)."""
        service = service or self.service
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if proof is None:
            proof = self.proof(path, data, nonce or service.nonce(), service, **changes)
        sent = {"Content-Type": "application/json", **({} if proof == "" else {"Rehost-Proof": proof}), **(headers or {})}
        reply = service.exchange("POST", path, data, sent, connection)
        if keep_head and reply.status == 200 and "head" in reply.json:
            self.head = reply.json["head"]
        return reply

    def with_head(self, body):
        return body if self.head is None else {**body, "head": self.head}

    def individualize(self, release=None):
        """${release}: the thumbprint of a release key."""
        body = {**({} if self.name is None else {"name": self.name}), **({} if release is None else {"release": release})}
        reply = self.post("/v1/computers", body)
        assert reply.status == 200, reply
        self.certificate = reply.json["certificate"]
        return reply

    def claim(self, service=None):
        return self.license_key.claim((service or self.service).address, self.thumbprint)

    def plan(self, licences, **members):
        body = {"licenses": [as_licence(licence) for licence in licences], **members}
        return self.post("/v1/plan", self.with_head(body))

    def commit_body(self, licences, idempotency_key=None, **members):
        return self.with_head({"idempotency_key": idempotency_key or secrets.token_urlsafe(16),
                               "licenses": [as_licence(licence) for licence in licences], **members})

    def commit(self, licences, idempotency_key=None, **members):
        return self.post("/v1/commit", self.commit_body(licences, idempotency_key, **members))

    def status(self, licences, **members):
        return self.post("/v1/licenses", self.with_head({"licenses": [as_licence(one) for one in licences], **members}))

    def release(self, computer, release_key, cancel=False, owner=None, **options):
        nonce = options.pop("nonce", None) or self.service.nonce()
        body = {"computer": computer, "proof": release_key.release(self.service.address, computer, nonce)}
        body.update({"cancel": True} if cancel else {})
        body.update({} if owner is None else {"owner": owner})
        return self.post("/v1/release", body, nonce=nonce, **options)

    def secret(self, reply, index):
        """The content key that a reply to a commit brought for a licence."""
        batch = self.key.open(reply["key"])
        licence = reply["licenses"][index]
        return self.tool.managed_open(batch, self.service.address, licence["id"], decode(licence["secret"]))


def as_licence(licence):
    """Of a commit: a document alone, or (document, sealed secret)."""
    if isinstance(licence, dict):
        return licence
    if isinstance(licence, str):
        return {"document": licence}
    return {"document": licence[0], "secret": encode(licence[1])}


class Batch:
    """The batch key of a backup, and secrets sealed under it: `commit([batch.licence(document, secret)], key=batch.key)`."""

    def __init__(self, tool, service):
        self.tool, self.service = tool, service
        self.secret = secrets.token_bytes(32)
        public = service.key("enc")
        self.key = tool.seal({name: public[name] for name in ("kty", "crv", "x", "y")}, self.secret, public["kid"])

    def seal(self, id, content_key):
        return self.tool.managed_seal(self.secret, self.service.address, id, content_key)

    def licence(self, document, content_key):
        return document, self.seal(claims(document)["jti"], content_key)


# ---- Grants ----

def leaf(issuer, id, computer, number, limit, since):
    """The hash of a grant's leaf."""
    text = "rehost grant 1\n%s\n%s\n%s\n%d\n%d\n%d\n" % (issuer, id, computer, number, limit, since)
    return digest(b"\0" + text.encode())


def root(leaves):
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while 2 * half < len(leaves):
        half *= 2
    return digest(b"\1" + root(leaves[:half]) + root(leaves[half:]))


def check_grants(tool, service, reply, computer):
    """Whether the root that the service signed is that of the grants of a reply to a commit."""
    given = [one for one in reply["licenses"] if one["result"] in ("free", "granted")]
    if not given:
        assert "grants" not in reply
        return True
    said = claims(reply["grants"])
    leaves = [leaf(one["issuer"], one["id"], computer, one["computers"], one["limit"], one["since"]) for one in given]
    kid = header(reply["grants"])["kid"]
    key = next(key for key in service.keys()["keys"] if key["kid"] == kid)
    return (header(reply["grants"])["typ"] == "rehost-grants+jwt" and tool.verify(key, reply["grants"]) and
            said["iss"] == service.address and said["sub"] == computer and said["size"] == len(leaves) and
            said["root"] == encode(root(leaves)))
