#!/usr/bin/env python3
"""rehostd starts, is stopped, is killed, and speaks TLS; what it logs; what it tells systemd."""
import concurrent.futures
import os
import pathlib
import signal
import socket
import ssl
import stat
import subprocess
import tempfile
import threading
import time
import unittest

from serving import REHOSTD, Case, Server, read_all

USAGE, ENVIRONMENT = 1, 2
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/plan HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


def make_certificate(directory, name):
    """A key and a certificate for it that nobody signed but itself."""
    key, certificate = directory / (name + ".key"), directory / (name + ".pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                    "-out", certificate, "-days", "2", "-subj", "/CN=" + name], check=True, capture_output=True, timeout=60)
    return certificate, key


class Start(Case):
    def test_empty_directory(self):
        server = self.server()
        self.assertEqual(stat.S_IMODE(server.data.stat().st_mode), 0o700)
        for name in ("ledger.db", "service-keys.json"):
            self.assertEqual(stat.S_IMODE((server.data / name).stat().st_mode), 0o600)
        self.assertEqual(server.line, "listening on http://127.0.0.1:%d, service address %s\n" % (server.port, server.address))
        self.assertEqual(server.log()[0]["event"], "started")

    def test_keys_stay(self):
        with tempfile.TemporaryDirectory() as directory:
            with Server(directory=directory, listen="127.0.0.1:0") as server:
                keys = server.get("/v1/keys").json["keys"]
                self.assertEqual(server.stop(), 0)
            with Server(directory=directory) as server:
                self.assertEqual(server.get("/v1/keys").json["keys"], keys)

    def test_killed(self):
        """SIGKILL leaves nothing that keeps the next one from starting."""
        with tempfile.TemporaryDirectory() as directory:
            keys = None
            for _ in range(10):
                with Server(directory=directory) as server:
                    self.assertEqual(server.get("/readyz").status, 200)
                    found = server.get("/v1/keys").json["keys"]
                    self.assertIn(keys, (None, found))
                    keys = found
                    server.process.send_signal(signal.SIGKILL)
                    server.process.wait(timeout=60)

    def test_two_on_one_ledger(self):
        with tempfile.TemporaryDirectory() as directory:
            with Server(directory=directory) as one, Server(directory=directory) as two:
                self.assertEqual(one.get("/readyz").status, 200)
                self.assertEqual(two.get("/readyz").status, 200)
                self.assertEqual(one.get("/v1/keys").json["keys"], two.get("/v1/keys").json["keys"])

    def run_rehostd(self, *arguments):
        return subprocess.run([REHOSTD, "serve", *map(str, arguments)], capture_output=True, text=True, timeout=60)

    def test_refusals(self):
        with tempfile.TemporaryDirectory() as name:
            directory = pathlib.Path(name)
            data = directory / "data"
            certificate, key = make_certificate(directory, "one")
            _, other = make_certificate(directory, "two")
            (directory / "file").write_text("no directory")
            secure = ("--tls-certificate", certificate, "--tls-key", key)
            for arguments, status, words in (
                    ((), USAGE, "--data"),
                    (("--data", data, "--listen", "nowhere"), USAGE, "nowhere"),
                    (("--data", data, "--listen", "127.0.0.1:99999"), USAGE, "99999"),
                    (("--data", data, "--listen", "::1:80"), USAGE, "[::1]"),
                    (("--data", data, "--listen", "127.0.0.1:"), USAGE, "127.0.0.1:"),
                    (("--data", data, "--listen", "192.0.2.1:0"), ENVIRONMENT, "192.0.2.1"),
                    (("--data", data, "--listen", "0.0.0.0:0"), USAGE, "--tls-certificate"),
                    (("--data", data, "--listen", "0.0.0.0:0", *secure), USAGE, "--address"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--address", "licences.example"), USAGE, "licences.example"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--address", "https://x/"), USAGE, "https://x/"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--address", "http://x/a%20b"), USAGE, "http://x/a%20b"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--address", "https://x?y"), USAGE, "https://x?y"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--address", "https://x"), USAGE, "--behind-proxy"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--address", "ftp://x"), USAGE, "ftp://x"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--address", "http://x", "--behind-proxy"), USAGE,
                     "address of https"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--address", "http://127.0.0.1.example"), USAGE,
                     "address of https"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--tls-key", key), USAGE, "--tls-certificate"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", other), USAGE,
                     "is not the key of"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--tls-certificate", certificate, "--tls-key", certificate),
                     USAGE, "one.pem"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--tls-certificate", directory / "none", "--tls-key", key),
                     ENVIRONMENT, "none"),
                    (("--data", directory / "file", "--listen", "127.0.0.1:0"), ENVIRONMENT, "file"),
                    (("--data", data, "--listen", "127.0.0.1:0", "--database", "mysql://x"), USAGE, "postgresql"),
                    (("--data", data, "--connections", "0"), USAGE, "--connections"),
                    (("--data", data, "extra"), USAGE, "extra")):
                run = self.run_rehostd(*arguments)
                self.assertEqual(run.returncode, status, (arguments, run.stderr))
                self.assertIn(words, run.stderr)
                self.assertEqual(run.stdout, "")
                self.assertNotRegex(run.stderr, r"backup|rehost help")
                self.assertEqual(len([line for line in run.stderr.splitlines() if line.startswith("rehostd: ")]), 1)

    def test_port_in_use(self):
        server = self.server()
        with tempfile.TemporaryDirectory() as directory:
            run = self.run_rehostd("--data", directory, "--listen", "127.0.0.1:%d" % server.port)
        self.assertEqual(run.returncode, ENVIRONMENT)
        self.assertIn(str(server.port), run.stderr)


class Stop(Case):
    def test_signals(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.server()
            server.get("/readyz")
            server.process.send_signal(number)
            self.assertEqual(server.process.wait(timeout=60), 0)
            self.assertEqual([line["event"] for line in server.log()][-2:], ["stopping", "stopped"])

    def test_idle_connections_do_not_hold_it(self):
        server = self.server()
        connections = [server.connect() for _ in range(20)]
        for connection in connections:
            server.get("/healthz", connection=connection)
        self.assertEqual(server.stop(), 0)
        for connection in connections:
            connection.close()

    def test_finishes_what_it_accepted(self):
        """A request that is half there is answered; a new connection is not taken; readyz says so meanwhile."""
        server = self.server()
        half, other = server.raw(), server.raw()
        half.sendall(POST + b"xxxxx")
        other.sendall(b"POST /v1/plan HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        asking = server.raw()
        asking.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n")
        self.assertTrue(server.wait_for_metric("rehostd_connections", 4))
        server.process.send_signal(signal.SIGTERM)
        while not any(line["event"] == "stopping" for line in server.log()):
            time.sleep(0.01)
        asking.sendall(b"\r\n")
        said = read_all(asking)
        self.assertTrue(said.startswith(b"HTTP/1.1 503 "), said)
        self.assertIn(b'"stopping"', said)
        self.assertIn(b"Connection: close", said)
        for _ in range(1000):
            try:
                server.raw().close()
                time.sleep(0.01)
            except ConnectionRefusedError:
                break
        else:
            self.fail("it still accepts")
        half.sendall(b"xxxxx")
        self.assertTrue(read_all(half).startswith(b"HTTP/1.1 401 "))
        self.assertIsNone(server.process.poll())
        other.sendall(b"cd")
        self.assertTrue(read_all(other).startswith(b"HTTP/1.1 401 "))
        self.assertEqual(server.process.wait(timeout=60), 0)
        for connection in (half, other, asking):
            connection.close()

    def test_nobody_is_cut_off(self):
        """Under load: whoever was accepted gets his whole answer."""
        server = self.server()
        started, ended = threading.Event(), []

        def ask(_):
            count = 0
            while True:
                try:
                    connection = server.raw()
                except OSError:
                    return count
                with connection:
                    try:
                        connection.sendall(POST + b"x" * 10)
                        said = read_all_of_one(connection)
                    except ConnectionResetError:
                        ended.append(b"")
                        return count
                    ended.append(said)
                    count += 1
                    if count == 20:
                        started.set()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            runs = [pool.submit(ask, i) for i in range(8)]
            self.assertTrue(started.wait(60))
            self.assertEqual(server.stop(), 0)
            for run in runs:
                run.result(60)
        # Those that the kernel had, but the service had not accepted, got nothing at all.
        for said in ended:
            self.assertTrue(said == b"" or (said.startswith(b"HTTP/1.1 401 ") and said.endswith(b"}")), said)
        self.assertGreater(len([said for said in ended if said]), 20)

    def test_does_not_wait_for_ever(self):
        """Who does not send the rest of his request is left behind after 20 seconds."""
        server = self.server("--timeout", "999")
        with server.raw() as half:
            half.sendall(POST)
            self.assertTrue(server.wait_for_metric("rehostd_connections", 2))
            self.assertEqual(server.stop(), 0)
        last = server.log()[-1]
        self.assertEqual((last["event"], last["level"]), ("stopped", "warning"))

    def test_second_signal_kills(self):
        server = self.server()
        with server.raw() as half:
            half.sendall(POST)
            self.assertTrue(server.wait_for_metric("rehostd_connections", 2))
            server.process.send_signal(signal.SIGTERM)
            while not any(line["event"] == "stopping" for line in server.log()):
                time.sleep(0.01)
            time.sleep(0.2)
            self.assertIsNone(server.process.poll())
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(timeout=60), -signal.SIGTERM)


def read_all_of_one(connection):
    """One reply with Content-Length."""
    said = b""
    while b"\r\n\r\n" not in said:
        piece = connection.recv(65536)
        if not piece:
            return said
        said += piece
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            break
        body += piece
    return head + b"\r\n\r\n" + body


class Systemd(Case):
    def test_notify(self):
        for abstract in (False, True):
            with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
                name = "@rehostd-test-%d" % os.getpid() if abstract else directory + "/notify"
                told.bind("\0" + name[1:] if abstract else name)
                told.settimeout(60)
                server = self.server(environment={"NOTIFY_SOCKET": name})
                self.assertEqual(told.recv(100), b"READY=1")
                self.assertEqual(server.stop(), 0)
                self.assertEqual(told.recv(100), b"STOPPING=1")


class Tls(Case):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="rehostd-tls-")
        cls.addClassCleanup(temporary.cleanup)
        cls.directory = pathlib.Path(temporary.name)
        cls.certificate, cls.key = make_certificate(cls.directory, "first")

    def serve(self, *arguments):
        return self.server("--tls-certificate", self.certificate, "--tls-key", self.key, *arguments)

    def s_client(self, server, *arguments):
        return subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port, *arguments], input=b"",
                              capture_output=True, timeout=60)

    def test_versions(self):
        server = self.serve()
        self.assertEqual(server.scheme, "https")
        self.assertEqual(server.address, "https://127.0.0.1:%d" % server.port)
        run = self.s_client(server, "-tls1_3")
        self.assertEqual(run.returncode, 0)
        self.assertIn(b"TLSv1.3", run.stdout)
        run = self.s_client(server, "-tls1_2", "-cipher", "ALL:@SECLEVEL=0")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn(b"Cipher is (NONE)", run.stdout)
        self.assertEqual(server.get("/healthz").status, 200)
        self.assertIsNotNone(server.get("/healthz").headers["Strict-Transport-Security"])

    def test_curl(self):
        server = self.serve()
        run = subprocess.run(["curl", "-s", "--cacert", self.certificate, "--resolve", "first:%d:127.0.0.1" % server.port,
                              "https://first:%d/healthz" % server.port], capture_output=True, timeout=60)
        self.assertEqual(run.stdout, b'{"status":"alive"}\n')

    def test_plain_is_not_answered(self):
        server = self.serve()
        self.assertNotIn(b"alive", server.say(HEALTH))
        with server.raw() as connection:
            connection.sendall(os.urandom(1000))
        self.assertEqual(server.get("/healthz").status, 200)

    def test_bodies(self):
        server = self.serve()
        connection = server.connect()
        for size in (0, 1, 100000, 1 << 20):
            self.assert_problem(server.ask("POST", "/v1/plan", b"x" * size, connection=connection), 401, "proof-missing")
        self.assert_problem(server.ask("POST", "/v1/plan", b"x" * ((1 << 20) + 1), connection=connection), 413,
                            "message-too-large")
        connection.close()

    def test_slow_handshakes(self):
        """Who does not finish one is dropped, and does not keep others from theirs."""
        server = self.serve("--timeout", "1")
        silent = [server.raw() for _ in range(50)]
        for connection in silent:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        self.assertEqual(server.get("/readyz").status, 200)
        for connection in silent:
            read_all(connection)
            connection.close()

    def test_200_connections(self):
        server = self.serve()
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            connections = [server.connect() for _ in range(200)]
            replies = list(pool.map(lambda one: server.get("/readyz", connection=one).status, connections))
            for connection in connections:
                connection.close()
        self.assertEqual(replies, [200] * 200)
        print("200 TLS connections: at most %d MiB" % (server.memory() // 1024))
        if os.environ.get("SANITIZED", "none") == "none":
            self.assertLess(server.memory(), 128 * 1024)

    def shown(self, server):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain:
            with server.context().wrap_socket(plain) as secure:
                return ssl.DER_cert_to_PEM_cert(secure.getpeercert(True))

    def wait_for_event(self, server, event):
        for _ in range(1000):
            if any(line["event"] == event for line in server.log()):
                return
            time.sleep(0.01)
        self.fail("never said: " + event)

    def test_reload(self):
        with tempfile.TemporaryDirectory() as name:
            directory = pathlib.Path(name)
            pair = make_certificate(directory, "served")
            server = self.server("--tls-certificate", pair[0], "--tls-key", pair[1])
            old = self.shown(server)
            kept = server.connect()
            server.get("/healthz", connection=kept)
            pair[0].write_text("no certificate")
            server.process.send_signal(signal.SIGHUP)
            self.wait_for_event(server, "certificate-refused")
            self.assertEqual(self.shown(server), old)
            make_certificate(directory, "served")
            server.process.send_signal(signal.SIGHUP)
            self.wait_for_event(server, "certificate-read")
            new = self.shown(server)
            self.assertNotEqual(new, old)
            self.assertEqual(new.split(), pair[0].read_text().split())
            self.assertEqual(server.get("/healthz", connection=kept).status, 200)
            kept.close()
            self.assertEqual(server.stop(), 0)

    def test_hangup_without_tls(self):
        server = self.server()
        server.process.send_signal(signal.SIGHUP)
        self.assertEqual(server.get("/healthz").status, 200)
        self.assertEqual(server.stop(), 0)


class Log(Case):
    def test_no_secrets(self):
        """What a client sends or is sent is not in the log."""
        server = self.server()
        secrets = ["s3cr3t-%d" % i for i in range(8)]
        server.ask("POST", "/v1/plan?" + secrets[0], secrets[1].encode(), Rehost_Proof=secrets[2],
                   Authorization="Bearer " + secrets[3], Cookie=secrets[4])
        server.get("/cases/" + secrets[5])
        server.get("/v1/nonce?nonce=" + secrets[6], User_Agent=secrets[7])
        nonce = server.get("/v1/nonce").headers["Rehost-Nonce"]
        lines = server.wait_for_log(4)
        self.assertEqual(len(lines), 4)
        text = server.log_text()
        for secret in secrets + [nonce]:
            self.assertNotIn(secret, text)
        key = (server.data / "service-keys.json").read_text()
        for part in key.replace('"', " ").split():
            if len(part) == 43:
                self.assertNotIn(part, text)

    def test_lines(self):
        server = self.server()
        server.get("/healthz")
        server.get("/v1/nothing")
        server.ask("POST", "/v1/commit", b"{}")
        first, second, third = server.wait_for_log(3)
        self.assertEqual((first["method"], first["route"], first["status"], first["level"]), ("GET", "/healthz", 200, "info"))
        self.assertNotIn("client", first)
        self.assertEqual((second["status"], second["problem"], second["client"]), (404, "not-found", "127.0.0.1"))
        self.assertNotIn("route", second)
        self.assertEqual((third["route"], third["problem"]), ("/v1/commit", "proof-missing"))
        for line in (first, second, third):
            self.assertGreaterEqual(line["ms"], 0)
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_strange_methods(self):
        server = self.server()
        server.say(b"A\"B\\\x01\xff HTTP/1.1\r\n\r\n")
        server.say(b"A\"B\\\x07\xff" + b"x" * 3000 + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
        server.get("/healthz")
        self.assertGreaterEqual(len(server.wait_for_log(2)), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
