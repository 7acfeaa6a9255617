#!/usr/bin/env python3
"""What rehostd does not let clients do: send too much, too slowly, too often, or be too many."""
import concurrent.futures
import os
import socket
import threading
import time
import unittest

from serving import MIB, Case, read_all

NONSENSE = "", ",", "nonsense", "x" * 1000, "1.2.3.4:x:y", "[", "[::1", 'for="', "for=", '"', '",', '\\"'
SANITIZED = os.environ.get("SANITIZED", "none") != "none"


def head(size, path="/v1/plan", more=""):
    return ("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n" % (path, size, more)).encode()


class Bodies(Case):
    def test_sizes(self):
        server = self.server()
        for size in (0, 1, 32 * 1024, 32 * 1024 + 1, MIB):
            self.assert_problem(server.ask("POST", "/v1/plan", b"x" * size), 401, "proof-missing")
        for size in (MIB + 1, 2 * MIB, 3 * MIB):
            self.assert_problem(server.ask("POST", "/v1/plan", b"x" * size), 413, "message-too-large")
        # The connection goes on after a body that was read and refused.
        connection = server.connect()
        for _ in range(3):
            self.assert_problem(server.ask("POST", "/v1/plan", b"x" * (MIB + 1), connection=connection), 413,
                                "message-too-large")
            self.assertEqual(server.get("/healthz", connection=connection).status, 200)
        connection.close()
        self.assertTrue(server.wait_for_metric("rehostd_body_bytes", 0))

    def test_no_body_is_read_where_none_belongs(self):
        server = self.server()
        self.assert_problem(server.ask("GET", "/healthz", b"x" * 10), 413, "message-too-large")
        self.assert_problem(server.ask("POST", "/nothing", b"x" * MIB), 404, "not-found")

    def test_huge_is_refused_unread(self):
        server = self.server()
        with server.raw() as connection:
            connection.sendall(head(10 ** 15))
            said = read_all(connection)
        self.assertTrue(said.startswith(b"HTTP/1.1 413 "), said)
        with server.raw() as connection:
            connection.sendall(head(2 * MIB, more="Expect: 100-continue\r\n"))
            said = connection.recv(65536)
        self.assertTrue(said.startswith(b"HTTP/1.1 413 "), said)
        with server.raw() as connection:
            connection.sendall(head(10, more="Expect: 100-continue\r\n"))
            said = connection.recv(65536)
            self.assertTrue(said.startswith(b"HTTP/1.1 100 "), said)
            connection.sendall(b"x" * 10)
            self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 401 "))

    def test_chunks(self):
        server = self.server()
        for count, status, code in ((3, 401, "proof-missing"), (16, 401, "proof-missing"), (17, 413, "message-too-large"),
                                    (100, 413, "message-too-large")):
            reply = server.ask("POST", "/v1/plan", iter([b"x" * 65536] * count))
            self.assert_problem(reply, status, code)
        self.assertTrue(server.wait_for_metric("rehostd_body_bytes", 0))

    def test_all_together(self):
        """Bodies that were announced and do not come leave room for small ones, and for others once they are gone."""
        server = self.server("--timeout", "3")
        waiting = []
        for _ in range(24):
            connection = server.raw()
            connection.sendall(head(MIB) + b"x")
            waiting.append(connection)
        self.assertTrue(server.wait_for_metric("rehostd_body_bytes", 24 * MIB))
        reply = server.ask("POST", "/v1/plan", b"x" * MIB)
        self.assert_problem(reply, 503, "busy")
        self.assertGreaterEqual(int(reply.headers["Retry-After"]), 1)
        self.assert_problem(server.ask("POST", "/v1/plan", b"x" * 32 * 1024), 401, "proof-missing")
        for connection in waiting[:12]:
            connection.close()
        self.assertTrue(server.wait_for_metric("rehostd_body_bytes", 12 * MIB))
        self.assert_problem(server.ask("POST", "/v1/plan", b"x" * MIB), 401, "proof-missing")
        for connection in waiting[12:]:
            self.assertEqual(read_all(connection), b"")
            connection.close()
        self.assertTrue(server.wait_for_metric("rehostd_body_bytes", 0))
        self.assertTrue(server.wait_for_metric("rehostd_requests_aborted_total", 24))

    def test_memory(self):
        """200 clients send bodies of 1 MiB at once, again and again: each is answered, in less than 128 MiB."""
        server = self.server()
        barrier = threading.Barrier(200)
        codes = {}

        def send(_):
            connection = server.connect()
            connection.connect()
            barrier.wait(60)
            found = []
            for _ in range(5):
                reply = server.ask("POST", "/v1/plan", b"[" * MIB, connection=connection)
                found.append(reply.code)
            connection.close()
            return found

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            for found in pool.map(send, range(200)):
                for code in found:
                    codes[code] = codes.get(code, 0) + 1
        self.assertEqual(sum(codes.values()), 1000)
        self.assertLessEqual(set(codes), {"proof-missing", "busy"})
        self.assertGreater(codes["proof-missing"], 0)
        print("200 clients: %s; at most %d MiB" % (codes, server.memory() // 1024))
        if not SANITIZED:
            self.assertLess(server.memory(), 128 * 1024)


class Time(Case):
    """With --timeout 1.  Nothing here asserts how long; that it ends at all is the point."""

    def setUp(self):
        self.one = self.server("--timeout", "1")

    def trickle(self, data, first=b""):
        """One byte after another, each well before a timeout; whether the service ended it before all was sent."""
        with self.one.raw() as connection:
            connection.sendall(first)
            for byte in data:
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return True
                connection.settimeout(0.2)
                try:
                    if connection.recv(65536) == b"":
                        return True
                except socket.timeout:
                    pass
                except ConnectionResetError:
                    return True
        return False

    def test_slow_header(self):
        self.assertTrue(self.trickle(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 100))

    def test_slow_body(self):
        self.assertTrue(self.trickle(b"x" * 1000, head(1000)))
        self.assertTrue(self.one.wait_for_metric("rehostd_requests_aborted_total", 1))

    def test_silence(self):
        with self.one.raw() as connection:
            self.assertEqual(read_all(connection), b"")
        with self.one.raw() as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(read_all(connection).startswith(b"HTTP/1.1 200 "))

    def test_slow_reader(self):
        """Who does not take his replies is dropped."""
        with self.one.raw() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(30)
            with self.assertRaises(OSError):
                for _ in range(100000):
                    connection.sendall(b"GET /v1/keys HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        self.assertEqual(self.one.get("/healthz").status, 200)

    def test_others_are_served(self):
        slow = [self.one.raw() for _ in range(100)]
        for connection in slow:
            connection.sendall(head(1000) + b"x")
        for _ in range(20):
            self.assertEqual(self.one.get("/readyz").status, 200)
        for connection in slow:
            self.assertEqual(read_all(connection), b"")
            connection.close()
        self.assertTrue(self.one.wait_for_metric("rehostd_connections", 1))


class Numbers(Case):
    def test_300_connections(self):
        server = self.server()
        connections = [server.connect() for _ in range(300)]
        for connection in connections:
            self.assertEqual(server.get("/healthz", connection=connection).status, 200)
        self.assertTrue(server.wait_for_metric("rehostd_connections", 301))
        for connection in connections:
            self.assertEqual(server.get("/readyz", connection=connection).status, 200)
            connection.close()

    def test_more_than_there_may_be(self):
        """They wait until others go."""
        server = self.server("--connections", "8", "--timeout", "2")
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            replies = list(pool.map(lambda _: server.get("/readyz").status, range(200)))
        self.assertEqual(replies, [200] * 200)

    def test_per_address(self):
        server = self.server("--per-address", "5")
        there = [server.connect() for _ in range(5)]
        for connection in there:
            self.assertEqual(server.get("/healthz", connection=connection).status, 200)
        with self.assertRaises(OSError):
            server.get("/healthz")
        there[0].close()
        for _ in range(500):
            try:
                self.assertEqual(server.get("/healthz").status, 200)
                break
            except OSError:
                time.sleep(0.01)
        else:
            self.fail("no place was given back")
        for connection in there:
            connection.close()

    def test_rate(self):
        server = self.server("--rate", "1")
        codes = [server.ask("POST", "/v1/plan").code for _ in range(20)]
        self.assertEqual(codes[:4], ["proof-missing"] * 4)
        self.assertIn("too-many-requests", codes)
        reply = server.get("/v1/keys")
        while reply.status == 200:
            reply = server.get("/v1/keys")
        self.assert_problem(reply, 429, "too-many-requests")
        self.assertGreaterEqual(int(reply.headers["Retry-After"]), 1)
        # Who looks after the service is not counted.
        self.assertEqual(server.get("/healthz").status, 200)
        time.sleep(int(reply.headers["Retry-After"]) + 0.1)
        self.assertEqual(server.get("/v1/keys").status, 200)

    def test_rate_behind_a_proxy(self):
        server = self.server("--rate", "1", "--behind-proxy")

        def is_refused(**headers):
            return any(server.get("/v1/keys", **headers).status == 429 for _ in range(40))

        self.assertTrue(is_refused(X_Forwarded_For="198.51.100.1"))
        self.assertEqual(server.get("/v1/keys", X_Forwarded_For="198.51.100.2").status, 200)
        # What stands before the last is the client's word.
        self.assertTrue(any(server.get("/v1/keys", X_Forwarded_For="10.0.0.%d, 198.51.100.3" % i).status == 429
                            for i in range(40)))
        self.assertTrue(is_refused(X_Forwarded_For="2001:db8::18"))
        # IPv4 in the words of a proxy that listens on both: each client counts for itself.
        self.assertTrue(is_refused(X_Forwarded_For="::ffff:198.51.100.6"))
        self.assertEqual(server.get("/v1/keys", X_Forwarded_For="::ffff:198.51.100.7").status, 200)
        # Some proxies add a line.
        self.assertTrue(any(self.status(server, ("X-Forwarded-For", "10.0.1.%d" % i), ("x-forwarded-for", "198.51.100.4")) == 429
                            for i in range(40)))
        # A header that the proxy does not write is the client's.
        self.assertTrue(any(self.status(server, ("Forwarded", "for=10.0.2.%d" % i), ("X-Forwarded-For", "198.51.100.5")) == 429
                            for i in range(40)))
        refused = [line["client"] for line in server.wait_for_log(20) if line["status"] == 429]
        self.assertEqual({"198.51.100.1", "198.51.100.3", "198.51.100.4", "198.51.100.5", "198.51.100.6", "2001:db8::18"}, set(refused))
        for nonsense in NONSENSE:
            self.assertIn(server.get("/v1/keys", X_Forwarded_For=nonsense).status, (200, 429))

    def status(self, server, *lines):
        """The status of a request with these header lines."""
        connection = server.connect()
        connection.putrequest("GET", "/v1/keys")
        for name, value in lines:
            connection.putheader(name, value)
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        return status

    def test_rate_behind_a_proxy_that_says_forwarded(self):
        server = self.server("--rate", "1", "--behind-proxy", "--forwarded")
        clients = set()
        for client, make in (
                ("2001:db8::17", lambda i: [("Forwarded", 'for=10.0.0.%d, for="[2001:db8::17]:4711";proto=https' % i)]),
                ("198.51.100.1", lambda i: [("Forwarded", "for=10.0.0.%d" % i), ("Forwarded", "for=198.51.100.1")]),
                ("198.51.100.2", lambda i: [("Forwarded", "for=198.51.100.2"), ("X-Forwarded-For", "10.0.0.%d" % i)]),
                ("198.51.100.3", lambda i: [("Forwarded", 'x="10.0.0.%d, proto=https; For=198.51.100.3' % i)]),
                ("198.51.100.4", lambda i: [("Forwarded", 'host="\\"x, ;for=10.0.0.%d";for=198.51.100.4' % i)])):
            self.assertTrue(any(self.status(server, *make(i)) == 429 for i in range(40)), client)
            clients.add(client)
        server.get("/healthz")  # after the last of them is logged
        refused = [line["client"] for line in server.log() if line.get("status") == 429]
        self.assertEqual(set(refused), clients)
        for nonsense in NONSENSE:
            self.assertIn(server.get("/v1/keys", Forwarded=nonsense).status, (200, 429))

    def test_forwarded_is_a_strangers_word(self):
        server = self.server("--rate", "1")
        self.assertTrue(any(server.get("/v1/keys", X_Forwarded_For="10.0.0.%d" % i).status == 429 for i in range(40)))

    def test_a_flood_of_tiny_requests(self):
        """Memory does not grow with requests; $REHOST_TINY_REQUESTS is how many come."""
        server = self.server()
        rounds = max(1, int(os.environ.get("REHOST_TINY_REQUESTS", "20000")) // 800)
        asked = b"POST /v1/plan HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" * 100

        def flood(rounds):
            with server.raw() as connection:
                for _ in range(rounds):
                    connection.sendall(asked)
                    count = 0
                    while count < 100:
                        said = connection.recv(1 << 20)
                        self.assertNotEqual(said, b"")
                        count += said.count(b"HTTP/1.1 401 ")

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(flood, [10] * 8))
            before = server.memory()
            list(pool.map(flood, [rounds] * 8))
        print("8,000 requests: %d KiB; %d more: %d KiB" % (before, rounds * 800, server.memory()))
        if not SANITIZED:
            self.assertLess(server.memory() - before, 8 * 1024)


if __name__ == "__main__":
    unittest.main(verbosity=2)
