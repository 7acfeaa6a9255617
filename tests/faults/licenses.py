#!/usr/bin/env python3
"""Makes invented licences for the tests: the same seed and number, the same bytes.

usage: licenses.py COUNT [SEED [PERCENT-RESTRICTED [FIRST]]]   one JSON text a line, as "rehost add -" takes them
"""
import base64
import hashlib
import json
import sys

WORDS = ("amber brass cedar delta ember fjord grove harbour island juniper kettle lantern meadow north "
         "orchard pillar quartz river summit timber").split()


def noise(seed, number, what, size):
    return hashlib.shake_128(("%s:%d:%s" % (seed, number, what)).encode()).digest(size)


def is_restricted(seed, number, percent):
    return noise(seed, number, "restricted", 1)[0] % 100 < percent


def license_id(seed, number):
    raw = noise(seed, number, "lid", 16).hex().upper()
    return "{%s-%s-%s-%s-%s}" % (raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:])


def document(seed, number, percent=0):
    """The XML of one licence, as bytes."""
    pick = noise(seed, number, "title", 3)
    title = " ".join(WORDS[byte % len(WORDS)] for byte in pick)
    key_id = base64.b64encode(noise(seed, number, "kid", 16)).decode()
    body = base64.b64encode(noise(seed, number, "body", 600 + 4 * pick[0])).decode()
    backup = "" if is_restricted(seed, number, percent) else (
        '<ONACTION type="Backup"><CONDITION><![CDATA[app.minsec >= 1000]]></CONDITION></ONACTION>')
    return (
        '<LICENSERESPONSE><LICENSE version="2.0.0.0"><LICENSORINFO><DATA>'
        "<LID>%s</LID><KID>%s</KID><ISSUEDATE>20050102 03:04:05Z</ISSUEDATE><PRIORITY>10</PRIORITY>"
        '<META name="title">%s</META>'
        '<ONACTION type="Play"><CONDITION><![CDATA[machine.drmlevel >= 1000]]></CONDITION></ONACTION>%s'
        "<ENABLINGBITS><VALUE>%s</VALUE></ENABLINGBITS></DATA></LICENSORINFO></LICENSE></LICENSERESPONSE>"
        % (license_id(seed, number), key_id, title, backup, body)).encode()


def lines(count, seed="1", percent=0, first=0):
    for number in range(first, first + count):
        yield json.dumps({"lid": license_id(seed, number).strip("{}").replace("-", "").lower(),
                          "kid": base64.b64encode(noise(seed, number, "kid", 16)).decode(),
                          "backup": not is_restricted(seed, number, percent),
                          "body": document(seed, number, percent).decode()})


def main(count, seed="1", percent="0", first="0"):
    for line in lines(int(count), seed, int(percent), int(first)):
        print(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
