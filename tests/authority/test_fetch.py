#!/usr/bin/env python3
"""Fetches from real servers on this machine: good ones, and every kind of bad one.

usage: test_fetch.py FETCH-TOOL
"""
import http.server
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

TOOL = None
BODY = b'{"keys":[]}'


def openssl(*words):
    subprocess.run(("openssl",) + words, check=True, capture_output=True)


def make_authority(folder, name):
    """A certificate authority: its key and certificate."""
    key, certificate = (os.path.join(folder, name + suffix) for suffix in (".key", ".pem"))
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=Invented authority " + name, "-keyout", key, "-out", certificate)
    return key, certificate


def make_certificate(folder, authority, name, hosts):
    """A server's certificate for ${hosts}, and its key, in one file."""
    key, request, certificate, extension, both = (
        os.path.join(folder, name + suffix) for suffix in (".key", ".csr", ".pem", ".ext", ".both"))
    with open(extension, "w") as file:
        file.write("subjectAltName=%s\n" % hosts)
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
            "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", authority[1], "-CAkey", authority[0], "-CAcreateserial",
            "-days", "2", "-extfile", extension, "-out", certificate)
    with open(both, "wb") as file:
        for part in (certificate, key):
            with open(part, "rb") as source:
                file.write(source.read())
    return both


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        self.close_connection = True
        try:
            self.serve()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass

    def serve(self):
        word, _, rest = self.path[1:].partition("/")
        if word == "keys":
            self.answer(200, BODY)
        elif word == "size":
            self.answer(200, b"x" * int(rest))
        elif word == "stream":  # a body that does not say how long it is
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            for _ in range(int(rest)):
                self.wfile.write(b"x" * 1024)
        elif word == "headers":
            self.send_response(200)
            for number in range(3000):
                self.send_header("X-%d" % number, "y" * 60)
            self.end_headers()
        elif word == "to":
            self.answer(302, b"z" * 5000, Location=self.server.targets[rest])
        elif word == "chain":  # so many redirects, then the keys
            left = int(rest)
            self.answer(307, Location="/chain/%d" % (left - 1) if left > 1 else "/keys")
        elif word == "nowhere":
            self.answer(302)
        elif word == "slow":
            self.server.leave.wait(20)
        elif word == "drip":  # some of it, and never the rest
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"x")
            self.wfile.flush()
            self.server.leave.wait(20)
        elif word == "short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"x")
        elif word == "status":
            self.answer(int(rest), b"sorry " * 1000)
        else:
            self.answer(404, b"no such page")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


def serve(context=None):
    server = Server(("127.0.0.1", 0), Handler)
    server.seen, server.targets, server.leave = [], {}, threading.Event()
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def context(file):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(file)
    return made


class Fetch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folder = cls.folder.name
        authority = make_authority(folder, "one")
        cls.authority, cls.other = authority[1], make_authority(folder, "two")[1]
        here = make_certificate(folder, authority, "here", "IP:127.0.0.1,DNS:localhost")
        elsewhere = make_certificate(folder, authority, "elsewhere", "DNS:keys.example")
        cls.plain, cls.secure, cls.wrong = serve(), serve(context(here)), serve(context(elsewhere))
        cls.servers = (cls.plain, cls.secure, cls.wrong)
        cls.secure.targets = {
            "plain": cls.url(cls.plain, "keys"), "file": "file:///etc/passwd", "ftp": "ftp://localhost/keys",
            "name": cls.url(cls.secure, "keys").replace("https://", "https://me:secret@"),
            "far": "http://198.51.100.1/keys", "loop": "/to/loop", "wrong": cls.url(cls.wrong, "keys")}
        cls.plain.targets = {"secure": cls.url(cls.secure, "keys"), "far": "http://198.51.100.1/keys",
                             "back": "/keys"}

    @classmethod
    def tearDownClass(cls):
        for server in cls.servers:
            server.leave.set()
            server.shutdown()
            server.server_close()
        cls.folder.cleanup()

    @staticmethod
    def url(server, path, host="127.0.0.1"):
        scheme = "https" if isinstance(server.socket, ssl.SSLSocket) else "http"
        return "%s://%s:%d/%s" % (scheme, host, server.server_address[1], path)

    def fetch(self, address, limit=65536, milliseconds=10000, **environment):
        variables = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        variables["SSL_CERT_FILE"] = self.authority
        variables.pop("SSL_CERT_DIR", None)
        variables.update(environment)
        done = subprocess.run((TOOL, address, str(limit), str(milliseconds)), capture_output=True, timeout=60,
                              env={name: value for name, value in variables.items() if value is not None})
        self.assertEqual(done.returncode, 0, done.stderr)
        code, _, rest = done.stdout.partition(b"\n")
        return code.decode(), rest

    def refused(self, address, *words, **options):
        code, text = self.fetch(address, **options)
        text = text.decode()
        self.assertEqual(code, "E_NETWORK", text)
        self.assertEqual(text.count("\n"), 1)
        self.assertFalse(text.rstrip("\n").endswith("."), text)
        for word in words:
            self.assertIn(word, text)
        return text

    def test_good(self):
        self.assertEqual(self.fetch(self.url(self.secure, "keys")), ("OK", BODY))
        self.assertEqual(self.fetch(self.url(self.secure, "keys", "localhost")), ("OK", BODY))
        path, headers = self.secure.seen[-1]
        self.assertEqual(path, "/keys")
        self.assertIn("application/jwk-set+json", headers["Accept"])
        self.assertTrue(headers["User-Agent"].startswith("rehost/"))
        self.assertNotIn("Cookie", headers)
        self.assertNotIn("Authorization", headers)

    def test_own_machine_without_tls(self):
        for host in ("127.0.0.1", "localhost"):
            self.assertEqual(self.fetch(self.url(self.plain, "keys", host)), ("OK", BODY))
        self.assertEqual(self.fetch(self.url(self.plain, "to/back")), ("OK", BODY))
        self.assertEqual(self.fetch(self.url(self.plain, "to/secure")), ("OK", BODY))

    def test_this_machine_needs_no_proxy(self):
        proxy = "http://127.0.0.1:9"
        for server in (self.plain, self.secure):
            self.assertEqual(self.fetch(self.url(server, "keys"), http_proxy=proxy, https_proxy=proxy),
                             ("OK", BODY))

    def test_proxy_of_the_environment(self):
        self.refused("https://keys.example/keys", "keys.example", https_proxy=self.url(self.plain, ""))
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            asked = []

            def stand():
                connection, _ = proxy.accept()
                with connection:
                    asked.append(connection.recv(4096).split(b"\r\n")[0])
                    connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            thread = threading.Thread(target=stand, daemon=True)
            thread.start()
            self.refused("https://keys.example/keys", "keys.example",
                         https_proxy="http://127.0.0.1:%d" % proxy.getsockname()[1])
            thread.join(10)
            self.assertEqual(asked, [b"CONNECT keys.example:443 HTTP/1.1"])

    def test_wrong_authority(self):
        for certificates in (self.other, None, ""):
            text = self.refused(self.url(self.secure, "keys"), "127.0.0.1", "certificate", SSL_CERT_FILE=certificates)
            self.assertNotIn("keys", text)

    def test_directory_of_authorities(self):
        with tempfile.TemporaryDirectory() as folder:
            name = subprocess.run(("openssl", "x509", "-hash", "-noout", "-in", self.authority),
                                  check=True, capture_output=True, text=True).stdout.strip()
            os.symlink(self.authority, os.path.join(folder, name + ".0"))
            self.assertEqual(self.fetch(self.url(self.secure, "keys"), SSL_CERT_FILE=None, SSL_CERT_DIR=folder),
                             ("OK", BODY))
            self.assertEqual(self.fetch(self.url(self.secure, "keys"), SSL_CERT_FILE=self.other, SSL_CERT_DIR=folder),
                             ("OK", BODY))

    def test_missing_authorities(self):
        self.refused(self.url(self.secure, "keys"), "127.0.0.1", SSL_CERT_FILE="/nonexistent/ca.pem")

    def test_wrong_host(self):
        self.refused(self.url(self.wrong, "keys"), "127.0.0.1", "certificate subject name")
        self.refused(self.url(self.secure, "to/wrong"), "127.0.0.1", "cannot be asked")

    def test_plain_http_of_others(self):
        for address in ("http://198.51.100.1/keys", "http://127.0.0.1.example/keys", "http://localhost.example/keys",
                        "HTTP://keys.example/keys"):
            self.refused(address, "not an https one")

    def test_other_schemes(self):
        for address in ("file:///etc/passwd", "ftp://localhost/keys", "gopher://localhost/keys", "localhost/keys",
                        "https://", "https:///keys", "https://a b/keys", "https://[::1/keys", "rubbish", ""):
            text = self.refused(address)
            self.assertNotIn("passwd", text)

    def test_credentials(self):
        for address in ("https://me:secret@127.0.0.1/keys", "https://me@127.0.0.1/keys",
                        "http://me:secret@127.0.0.1:1/keys"):
            text = self.refused(address, "user name or a password")
            self.assertNotIn("secret", text)
        self.assertNotIn("secret", self.refused(self.url(self.secure, "to/name"), "user name or a password"))

    def test_redirects_that_leave(self):
        count = len(self.plain.seen)
        self.refused(self.url(self.secure, "to/plain"), "leaves https")
        self.assertEqual(len(self.plain.seen), count)
        for name in ("file", "ftp", "far"):
            self.refused(self.url(self.secure, "to/" + name), "127.0.0.1 answers with a redirect: ")
        self.refused(self.url(self.plain, "to/far"), "not an https one")
        self.refused(self.url(self.secure, "nowhere"), "redirect to nowhere")

    def test_redirects_that_are_many(self):
        for count in (1, 2, 3):
            self.assertEqual(self.fetch(self.url(self.secure, "chain/%d" % count)), ("OK", BODY))
        self.refused(self.url(self.secure, "chain/4"), "too many redirects")
        self.refused(self.url(self.secure, "to/loop"), "too many redirects")

    def test_size(self):
        for path in ("size/%d", "stream/%d"):
            unit = 1024 if "stream" in path else 1
            size = 64 * 1024 // unit
            code, body = self.fetch(self.url(self.secure, path % size))
            self.assertEqual((code, len(body)), ("OK", 64 * 1024))
            self.refused(self.url(self.secure, path % (size + 1)), "more than 65536 bytes")
            self.refused(self.url(self.secure, path % (100 * size)), "more than 65536 bytes")
        self.assertEqual(self.fetch(self.url(self.secure, "size/0"), limit=0), ("OK", b""))
        self.refused(self.url(self.secure, "size/1"), "more than 0 bytes", limit=0)

    def test_headers(self):
        self.refused(self.url(self.secure, "headers"), "headers without end")

    def test_status(self):
        for status in (201, 204, 206, 304, 400, 401, 404, 500, 503):
            self.refused(self.url(self.secure, "status/%d" % status), "127.0.0.1", "status %d" % status)
        self.refused(self.url(self.secure, "status/404"), "status 404", limit=10)

    def test_no_answer_in_time(self):
        for path in ("slow", "drip"):
            self.refused(self.url(self.secure, path), "127.0.0.1", "in time", milliseconds=300)
        self.refused(self.url(self.secure, "keys"), "in time", milliseconds=0)

    def test_no_handshake_in_time(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.refused("https://127.0.0.1:%d/keys" % silent.getsockname()[1], "in time", milliseconds=300)

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.refused("https://127.0.0.1:%d/keys" % port, "127.0.0.1", "cannot be asked")

    def test_cut_off(self):
        self.refused(self.url(self.secure, "short"), "127.0.0.1", "cannot be asked")

    def test_rubbish(self):
        for scheme, rubbish in (("http", b"\x00\xff rubbish\r\n\r\n" * 10), ("http", b""), ("https", b"no TLS at all\r\n"),
                                ("http", b"HTTP/9.9 \xff\r\n\r\n")):
            with socket.create_server(("127.0.0.1", 0)) as server:
                def stand(bytes_=rubbish, server_=server):
                    connection, _ = server_.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(bytes_)
                thread = threading.Thread(target=stand, daemon=True)
                thread.start()
                self.refused("%s://127.0.0.1:%d/keys" % (scheme, server.getsockname()[1]), "127.0.0.1")
                thread.join(10)


if __name__ == "__main__":
    TOOL = sys.argv.pop(1)
    unittest.main()
