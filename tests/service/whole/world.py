"""A whole world on this machine: an issuer, a License Management Service over TLS, and any number of computers."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kit"))
import with_postgres  # noqa: E402


class Failed(Exception):
    pass


def openssl(*words):
    subprocess.run(("openssl",) + words, check=True, capture_output=True)


def make_certificates(folder):
    """An authority, and a certificate of localhost: authority.pem, server.pem, server.key."""
    for name in ("authority", "server"):
        openssl("req", "-x509" if name == "authority" else "-new", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Invented " + name,
                "-keyout", str(folder / (name + ".key")),
                "-out", str(folder / (name + (".pem" if name == "authority" else ".csr"))))
    (folder / "server.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", str(folder / "server.csr"), "-CA", str(folder / "authority.pem"),
            "-CAkey", str(folder / "authority.key"), "-CAcreateserial", "-days", "2",
            "-extfile", str(folder / "server.ext"), "-out", str(folder / "server.pem"))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class World:
    """Everything lies in a temporary folder; use it in a with statement."""

    def __init__(self, rehost, issue, rehostd, database=None, tls=True, secrets=None):
        self.programs = {"rehost": rehost, "rehost-issue": issue, "rehostd": rehostd, "secrets": secrets}
        self.programs = {name: str(pathlib.Path(path).resolve()) if path else None
                         for name, path in self.programs.items()}
        self.database = database
        self.tls = tls
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="rehost-world-"))
        self.services = []
        self.port = free_port()
        self.address = "%s://localhost:%d" % ("https" if tls else "http", self.port)

    def __enter__(self):
        make_certificates(self.top)
        self.run("rehost-issue", "key", "make", "keys.jwks", "--issuer", "Invented Records")
        (self.top / "public.jwks").write_text(self.run("rehost-issue", "key", "public", "keys.jwks").out)
        return self

    def __exit__(self, *_):
        for service in self.services:
            service.kill()
            service.wait(30)
            service.stdout.close()
        shutil.rmtree(self.top, ignore_errors=True)

    # ---- Programs ----

    def env(self, computer="nobody"):
        machine_id = self.top / (computer + ".machine-id")
        if not machine_id.exists():
            machine_id.write_text(hashlib.md5(computer.encode()).hexdigest() + "\n")
        return dict(os.environ, REHOST_MACHINE_ID_FILE=str(machine_id), REHOST_STORE=str(self.top / computer),
                    HOME=str(self.top), SSL_CERT_FILE=str(self.top / "authority.pem"), LC_ALL="C.UTF-8")

    def command(self, program, *arguments):
        return [self.programs[program]] + [str(argument) for argument in arguments]

    def run(self, program, *arguments, computer="nobody", status=0, timeout=300):
        done = subprocess.run(self.command(program, *arguments), env=self.env(computer), cwd=self.top,
                              capture_output=True, text=True, timeout=timeout)
        done.out, done.err = done.stdout, done.stderr
        allowed = status if isinstance(status, tuple) else (status,)
        if None not in allowed and done.returncode not in allowed:
            raise Failed("%s %s on %s ended with %d in place of %s:\n%s\n%s" % (
                program, " ".join(map(str, arguments)), computer, done.returncode, allowed, done.out[-2000:], done.err[-2000:]))
        return done

    def admin(self, *arguments, **more):
        where = ["--data", "service"] + (["--database", self.database] if self.database else [])
        return [json.loads(line) for line in self.run("rehostd", *arguments, *where, "--json", **more).out.splitlines()]

    # ---- The service ----

    def serve(self, *more, port=None, data="service"):
        """One rehostd; several may share the ledger, if they have copies of the keys."""
        port = port or self.port
        command = self.command("rehostd", "serve", "--data", data, "--listen", "127.0.0.1:%d" % port,
                               "--address", self.address, *more)
        if self.database:
            command += ["--database", self.database]
        if self.tls:
            command += ["--tls-certificate", "server.pem", "--tls-key", "server.key"]
        log = open(self.top / ("rehostd-%d.log" % port), "ab")
        service = subprocess.Popen(command, env=self.env("service"), cwd=self.top, stdout=subprocess.PIPE, stderr=log)
        log.close()
        self.services.append(service)
        line = service.stdout.readline().decode()
        if "listening" not in line:
            service.wait(10)
            raise Failed("rehostd does not start: %s %s" % (line, self.log(port)[-2000:]))
        return service

    def log(self, port=None):
        return (self.top / ("rehostd-%d.log" % (port or self.port))).read_text()

    def stop(self, service, how=signal.SIGTERM):
        service.send_signal(how)
        service.wait(30)
        service.stdout.close()
        self.services.remove(service)
        return service.returncode

    def get(self, address, language="en"):
        context = ssl.create_default_context(cafile=str(self.top / "authority.pem"))
        request = urllib.request.Request(address, headers={"Accept-Language": language})
        with urllib.request.urlopen(request, context=context, timeout=30) as reply:
            return reply.status, reply.headers, reply.read().decode()

    # ---- Computers and licences ----

    def trust(self, computer):
        self.run("rehost", "issuer", "add", "public.jwks", computer=computer)
        self.run("rehost", "service", "add", self.address + "/v1/keys", computer=computer)

    def issue(self, computer, rows, name="licences"):
        """Licences for the computer, added there; gives content keys in hex by id."""
        import base64
        (self.top / (computer + ".jwk")).write_text(
            self.run("rehost", "computer", "show", "--public", computer=computer).out)
        (self.top / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        keys = self.top / (name + ".keys")
        keys.unlink(missing_ok=True)
        (self.top / (name + ".ndjson")).unlink(missing_ok=True)
        self.run("rehost-issue", "issue", "--key", "keys.jwks", "--computer", computer + ".jwk", "--content-keys",
                 keys.name, "--output", name + ".ndjson", "rows.jsonl")
        self.run("rehost", "add", name + ".ndjson", computer=computer)
        entries = [json.loads(line) for line in keys.read_text().splitlines()]
        return {entry["jti"]: base64.urlsafe_b64decode(entry["content_key"] + "==").hex() for entry in entries}

    def documents(self, name):
        """The licences of NAME.ndjson as they are, one a line, in NAME.documents."""
        lines = (self.top / (name + ".ndjson")).read_text().splitlines()
        target = self.top / (name + ".documents")
        target.write_text("".join(json.loads(line)["body"] + "\n" for line in lines))
        return target

    def rows(self, count, name="song", **more):
        for i in range(count):
            yield dict({"jti": "%s-%07d" % (name, i), "key_id": "key-%s-%07d" % (name, i),
                        "title": {"en": "Song %d" % i, "de": "Lied %d" % i}, "actions": {"play": {}}, "backup": True,
                        "service": self.address, "content_key": "random"}, **more)

    def backup(self, computer, directory="stick"):
        (self.top / directory).mkdir(exist_ok=True)
        self.run("rehost", "backup", "--overwrite", directory, computer=computer)
        key = self.top / "recovery.key"
        key.write_text(self.run("rehost", "recovery", "show", computer=computer).out)
        lines = [line for line in key.read_text().split() if line.startswith("AGE-SECRET-KEY-1")]
        key.write_text(lines[0] + "\n")

    def restore(self, computer, *more, directory="stick", status=0):
        return self.run("rehost", "restore", directory, "--recovery-key-file", "recovery.key", "--individualize", *more,
                        computer=computer, status=status)

    def events(self, computer, *more, directory="stick", status=0):
        lines = self.restore(computer, "--json", *more, directory=directory, status=status).out.splitlines()
        return [json.loads(line) for line in lines]

    def listed(self, computer):
        out = self.run("rehost", "list", "--json", computer=computer).out
        return {json.loads(line)["id"] for line in out.splitlines()}

    def held(self, computer, action="play"):
        """Content keys in hex by id, as the computer can use them."""
        out = self.run("secrets", "dump", self.top / computer, action, computer=computer).out
        return dict(line.split(" ") for line in out.splitlines())


def check(condition, what):
    if not condition:
        raise Failed(what)


def main(function):
    """function(World of the arguments): REHOST REHOST-ISSUE REHOSTD SECRETS KIND [MORE...]; KIND: sqlite, postgresql."""
    rehost, issue, rehostd, secrets, kind, *more = sys.argv[1:]
    server = None
    try:
        if kind == "postgresql":
            server = with_postgres.Postgres()
            server.start()
        with World(rehost, issue, rehostd, server.url() if server else None, secrets=secrets) as world:
            world.server = server
            function(world, *more)
    finally:
        if server:
            server.remove()
    print("all is as it should be")
