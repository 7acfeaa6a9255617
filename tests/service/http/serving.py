"""What the tests of rehostd's HTTP share: one that runs on a free port, and ways to talk to it that no library would."""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

REHOSTD = os.environ.get("REHOSTD", "rehostd")
MIB = 1024 * 1024


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["code"]


class Server:
    """`rehostd serve` in a directory of its own; arguments as on the command line."""

    def __init__(self, *arguments, directory=None, environment=None, listen="127.0.0.1:0"):
        self.temporary = None if directory else tempfile.TemporaryDirectory(prefix="rehostd-http-")
        self.directory = pathlib.Path(directory or self.temporary.name)
        self.data = self.directory / "data"
        self.errors = self.directory / "log"
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen(
                [REHOSTD, "serve", "--data", str(self.data), "--listen", listen, *map(str, arguments)],
                stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **(environment or {})})
        self.line = self.process.stdout.readline()
        found = re.fullmatch(r"listening on (https?)://(.*):(\d+), service address (\S+)\n", self.line)
        if found is None:
            self.close()
            raise AssertionError("%r\n%s" % (self.line, self.log_text() if directory else ""))
        self.scheme, self.host, self.port, self.address = found[1], found[2], int(found[3]), found[4]

    def log_text(self):
        return self.errors.read_text()

    def log(self):
        return [json.loads(line) for line in self.log_text().splitlines()]

    def requests(self):
        return [line for line in self.log() if line["event"] == "request"]

    def wait_for_log(self, count):
        """Lines of requests, ${count} of them or more: a line may come after its reply."""
        for _ in range(500):
            if len(self.requests()) >= count:
                break
            time.sleep(0.01)
        return self.requests()

    def memory(self):
        """KiB at the most so far."""
        status = pathlib.Path("/proc/%d/status" % self.process.pid).read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=60)
        self.process.stdout.close()
        if self.temporary is not None:
            self.temporary.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- Talking ----

    def context(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def connect(self, timeout=60):
        if self.scheme == "https":
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.context())
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, connection=None, **headers):
        """Headers by keyword: accept_language is Accept-Language."""
        own = connection is None
        connection = connection or self.connect()
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())
        finally:
            if own:
                connection.close()

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def metric(self, name):
        """The value of a line of /metrics, labels included; 0 if there is none."""
        for line in self.get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return 0.0

    def wait_for_metric(self, name, value):
        """Whether it comes to that, as what a client sees comes before the end of its request."""
        for _ in range(1000):
            if self.metric(name) == value:
                return True
            time.sleep(0.01)
        return False

    def raw(self, timeout=60):
        """A connection that takes any bytes."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def say(self, data):
        """Sends bytes; what comes back until the end of the connection, or of one reply."""
        with self.raw() as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it did not want all of it
            return read_all(connection)


def read_all(connection):
    whole = b""
    try:
        while piece := connection.recv(65536):
            whole += piece
    except ConnectionResetError:
        pass
    return whole


class Case(unittest.TestCase):
    def server(self, *arguments, **options):
        server = Server(*arguments, **options)
        self.addCleanup(server.close)
        return server

    def assert_problem(self, reply, status, code):
        self.assertEqual((reply.status, reply.code), (status, code), reply.body)
        self.assertEqual(reply.headers["Content-Type"], "application/problem+json")
        self.assertEqual(reply.json["status"], status)
        self.assertEqual(reply.json["type"], "urn:rehost:problem:" + code)
        self.assertTrue(reply.json["title"] and reply.json["detail"])
