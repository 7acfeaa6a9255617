#!/usr/bin/env python3
"""Sends every request of PROTOCOL.md, "Examples", to a service and compares its replies with those that stand there.

usage: examples.py, with the environment of the kit
"""
import json
import re
import secrets
import sys

import service as kit

ADDRESS = "http://localhost/lms"
PLACE = re.compile(r"\$\{([^}]+)\}")
TIME = 1_000_000_000  # numbers from here on are times, and only their type is compared


class Wrong(Exception):
    pass


class Story:
    """The service and the computer of the examples, and what stands for each ${...}."""

    def __init__(self, tool, service, issuer, stranger):
        self.service, self.issuer = service, issuer
        self.computer = kit.Computer(tool, service)
        self.original = tool.key()
        self.release_key = tool.release_key(secrets.token_bytes(32), ADDRESS)
        self.batch = kit.Batch(tool, service)
        licence_1 = issuer.licence(ADDRESS, "river-songs-1", self.original.thumbprint, title="River songs")
        licence_2 = issuer.licence(ADDRESS, "river-songs-2", self.original.thumbprint, computers=1)
        self.known = {
            "licence 1": licence_1,
            "licence 2": licence_2,
            "licence 3": stranger.licence(ADDRESS, "strange-songs-1"),
            "secret 1": kit.encode(self.batch.seal("river-songs-1", b"key of song one!")),
            "secret 2": kit.encode(self.batch.seal("river-songs-2", b"key of song two!")),
            "backup key": self.batch.key,
            "owner": self.original.owner(ADDRESS, self.release_key.thumbprint),
            "license key": self.original.thumbprint,
            "computer": self.computer.thumbprint,
            "release thumbprint": self.release_key.thumbprint,
        }
        self.used_nonce = None

    def fill(self, text, path, nonce, body=b""):
        def value(match):
            name = match[1]
            if name == "idempotency key":
                return secrets.token_urlsafe(16)
            if name == "release":
                return self.release_key.release(ADDRESS, self.original.thumbprint, nonce)
            if name == "proof without certificate":
                return self.computer.proof(path, body, nonce, certificate=None)
            if name == "used proof":
                return self.computer.proof(path, body, self.used_nonce)
            if name == "proof":
                self.used_nonce = nonce
                return self.computer.proof(path, body, nonce)
            if name not in self.known:
                raise Wrong("nothing is known to stand for ${%s}" % name)
            return self.known[name]

        return PLACE.sub(value, text)

    def learn(self, name, text):
        if name in ("head", "token"):
            self.known[name] = text
        if name == "certificate":
            self.computer.certificate = text
        if name in ("computer", "license key") and text != self.known[name]:
            raise Wrong("${%s} is another than before" % name)

    # ---- Comparing ----

    def compare_text(self, expected, got, place):
        names = PLACE.findall(expected)
        pattern = "(.+)".join(re.escape(part) for part in PLACE.split(expected)[::2])
        match = re.fullmatch(pattern, got)
        if match is None:
            raise Wrong("%s: %r in place of %r" % (place, got, expected))
        for name, text in zip(names, match.groups()):
            self.learn(name, text)

    def compare(self, expected, got, place):
        if type(expected) is not type(got):
            raise Wrong("%s: %r in place of %r" % (place, got, expected))
        if isinstance(expected, dict):
            if expected.keys() != got.keys():
                raise Wrong("%s: members %s in place of %s" % (place, sorted(got), sorted(expected)))
            for name, value in expected.items():
                self.compare(value, got[name], "%s.%s" % (place, name))
        elif isinstance(expected, list):
            if len(expected) != len(got):
                raise Wrong("%s: %d in place of %d" % (place, len(got), len(expected)))
            for i, value in enumerate(expected):
                self.compare(value, got[i], "%s[%d]" % (place, i))
        elif isinstance(expected, str):
            self.compare_text(expected, got, place)
        elif not (type(expected) is int and expected >= TIME and got >= TIME) and expected != got:
            raise Wrong("%s: %r in place of %r" % (place, got, expected))


def parse(text):
    """(first line, headers, body) of a request or a reply."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    return first, dict(line.split(": ", 1) for line in lines), body.strip()


def check(story, request, reply):
    first, headers, body = parse(request)
    method, target, version = first.split(" ")
    if version != "HTTP/1.1" or headers.pop("Host") != "localhost" or not target.startswith("/lms/"):
        raise Wrong("the request is for somebody else")
    path = target.removeprefix("/lms")
    nonce = story.service.nonce()
    path = story.fill(path, path, nonce)
    data = story.fill(body, path, nonce).encode()
    if data:
        json.loads(data)
    headers = {name: story.fill(value, path, nonce, data) for name, value in headers.items()}
    got = story.service.exchange(method, path, data or None, headers)

    first, headers, body = parse(reply)
    if first != "HTTP/1.1 %d %s" % (got.status, kit.http.client.responses[got.status]):
        raise Wrong("status %d: %r" % (got.status, got.body[:1000]))
    for name, value in headers.items():
        if got.headers.get(name) is None:
            raise Wrong("the header %s is missing" % name)
        story.compare_text(value, got.headers[name], name)
    if headers.get("Content-Type", "").endswith("json"):
        story.compare(json.loads(body), got.json, "body")
    elif body:
        raise Wrong("a body that nobody compares")


def main():
    text = (kit.SOURCE / "src" / "authority" / "PROTOCOL.md").read_text()
    blocks = re.findall(r"^```http\n(.*?)^```$", text.partition("\n## Examples\n")[2], re.M | re.S)
    resources = set(re.findall(r"^\| `(/[^`]+)` \| (?:GET|POST) \|", text, re.M))
    failed = 0
    with kit.Tool() as tool:
        issuer, stranger = kit.Issuer(tool), kit.Issuer(tool, "Somebody else")
        with kit.Service(issuers=[issuer], address=ADDRESS) as service:
            story = Story(tool, service, issuer, stranger)
            for block in blocks:
                request, _, reply = block.partition("\nHTTP/1.1 ")
                line = request.splitlines()[0]
                resource = line.split(" ")[1].removeprefix("/lms")
                resources.discard("/cases/TOKEN" if resource.startswith("/cases/") else resource)
                try:
                    check(story, request.rstrip() + "\n", "HTTP/1.1 " + reply)
                    print("ok: %s" % line)
                except Wrong as wrong:
                    failed += 1
                    print("WRONG: %s: %s" % (line, wrong))
    if resources:
        print("WRONG: no example of %s" % ", ".join(sorted(resources)))
    return failed > 0 or bool(resources) or not blocks


if __name__ == "__main__":
    sys.exit(main())
