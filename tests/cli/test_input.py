#!/usr/bin/env python3
"""rehost add: files, directories, streams, and what they bring that is no licence."""
import json
import os
import unittest

from rehost import DONE, ENVIRONMENT, PARTIAL, USAGE, Case, licence_id, xml

LIMIT = 1024 * 1024


def lcp(name, **members):
    document = {"id": name, "issued": "2026-01-01T00:00:00Z", "provider": "https://shop.example",
                "encryption": {"profile": "http://readium.org/lcp/basic-profile",
                               "content_key": {"encrypted_value": "AAAA", "algorithm": "x"},
                               "user_key": {"text_hint": "h", "algorithm": "x", "key_check": "AAAA"}},
                "links": [{"rel": "hint", "href": "https://shop.example/h"},
                          {"rel": "publication", "href": "https://shop.example/p", "title": "A book",
                           "type": "application/epub+zip"}],
                "signature": {"algorithm": "x", "certificate": "AAAA", "value": "AAAA"}}
    document.update(members)
    return document


class Files(Case):
    def ids(self):
        return [line["id"] for line in self.run_rehost("list", "--json", status=DONE).lines]

    def test_directory_in_order_of_names(self):
        tree = self.top / "tree"
        for number, name in ((3, "c/one.xml"), (1, "a.xml"), (2, "b/deep/one.xml"), (9, ".hidden/no.xml"), (8, "b/.no")):
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(xml(number))
        run = self.run_rehost("add", tree, status=DONE)
        self.assertIn("added 3 licences", run.err)
        self.assertEqual(self.ids(), [licence_id(1), licence_id(2), licence_id(3)])

    def test_file_of_many(self):
        """A line of JSON each, in a file of its own or in a directory; what follows it is added too."""
        tree = self.top / "tree"
        tree.mkdir()
        (tree / "a.ndjson").write_text("".join(json.dumps({"body": xml(n)}) + "\n" for n in (1, 2)))
        (tree / "b.xml").write_text(xml(3))
        (self.top / "c.jsonl").write_text(json.dumps({"body": xml(4)}) + "\nno licence\n")
        run = self.run_rehost("add", tree, "c.jsonl", status=PARTIAL)
        self.assertEqual(self.ids(), [licence_id(n) for n in (1, 2, 3, 4)])
        self.assertIn("c.jsonl:2", run.err)

    def test_twice_is_no_error(self):
        self.add(xml(1))
        run = self.add(xml(1))
        self.assertIn("added 0 licences", run.err)
        self.assertIn("1 already here", run.err)
        self.assertEqual(self.ids(), [licence_id(1)])

    def test_refused_files_are_named(self):
        (self.top / "good.xml").write_text(xml(1))
        (self.top / "bad.xml").write_text("<LICENSERESPONSE>")
        (self.top / "note.txt").write_text("hello")
        (self.top / "huge.xml").write_bytes(b"<" + b" " * LIMIT)
        run = self.run_rehost("add", "good.xml", "bad.xml", "note.txt", "huge.xml", status=PARTIAL)
        for name in ("bad.xml", "note.txt", "huge.xml"):
            self.assertRegex(run.err, r"(?m)^refused: .*%s" % name)
        self.assertIn("added 1 licence (", run.err)
        self.assertIn("3 refused", run.err)

    def test_unreadable_file_in_a_tree(self):
        tree = self.top / "tree"
        tree.mkdir()
        (tree / "a.xml").write_text(xml(1))
        os.symlink("nowhere", tree / "b.xml")
        os.mkfifo(tree / "c")
        (tree / "d.xml").write_text(xml(2))
        run = self.run_rehost("add", tree, status=PARTIAL)
        self.assertRegex(run.err, r"refused: .*b\.xml")
        self.assertRegex(run.err, r"refused: .*/c: not a plain file")
        self.assertEqual(self.ids(), [licence_id(1), licence_id(2)])
        run = self.run_rehost("add", "--json", tree, status=PARTIAL)
        self.assertEqual(run.lines[0]["event"], "begin")
        self.assertEqual(run.lines[-1]["event"], "end")
        self.assertEqual(run.lines[-1]["summary"]["failed"], 2)
        self.assertEqual(len([1 for line in run.lines if line.get("code") == "E_OPEN"]), 2)

    def test_missing_file_stops_before_anything(self):
        (self.top / "good.xml").write_text(xml(1))
        self.assert_error(self.run_rehost("add", "good.xml", "nowhere"), ENVIRONMENT, "nowhere: No such file")
        self.assertFalse((self.top / "old").exists())

    def test_only_the_first_refusals_are_named(self):
        stream = "no licence\n" * 50
        run = self.run_rehost("add", "-", input=stream, status=PARTIAL)
        self.assertEqual(run.err.count("refused: "), 20)
        self.assertIn("... and 30 more", run.err)
        run = self.run_rehost("add", "-v", "-", input=stream, status=PARTIAL)
        self.assertEqual(run.err.count("refused: "), 50)
        run = self.run_rehost("add", "-q", "-", input=stream, status=PARTIAL)
        self.assertEqual(run.err, "")

    def test_format(self):
        (self.top / "vendor.lic").write_bytes(b"\x00\x01key")
        self.run_rehost("add", "vendor.lic", status=PARTIAL)
        self.run_rehost("add", "--format", "opaque", "vendor.lic", status=DONE)
        self.assertEqual(self.run_rehost("list", "--json").lines[0]["title"], "vendor.lic")
        self.run_rehost("add", "--format", "lcp", "vendor.lic", status=PARTIAL)

    def test_one_standard_input(self):
        self.assert_error(self.run_rehost("add", "-", "-"), USAGE, "once only")


class Stream(Case):
    def add_bytes(self, data, status=DONE):
        return self.run_rehost("add", "--json", "-", input=data, status=status)

    def ids(self):
        return {line["id"] for line in self.run_rehost("list", "--json", status=DONE).lines}

    def exported(self, *numbers):
        """The documents as they come back out of a backup."""
        self.run_rehost("backup", "-q", self.stick, status=DONE)
        self.run_rehost("export", "-q", self.stick, "--to", self.top / "out", status=DONE)
        return [(self.top / "out/licenses" / licence_id(number) / "document").read_bytes() for number in numbers]

    def test_bodies_in_json(self):
        body = xml(1, title="Tom &amp; \u65e5\u672c \U0001F3B5")
        self.add_bytes(json.dumps({"lid": "x", "kid": "y", "backup": True, "body": body}) + "\n"
                       + json.dumps({"body": xml(2)}, ensure_ascii=False) + "\n")
        self.assertEqual(self.exported(1, 2), [body.encode(), xml(2).encode()])

    def test_json_licences(self):
        lines = json.dumps(lcp("one")) + "\n\n" + json.dumps(lcp("two"), indent=2) + "\n" + json.dumps(lcp("three"))
        self.add_bytes(lines)
        self.assertEqual(self.ids(), {"one", "two", "three"})

    def test_xml_over_many_lines(self):
        indented = xml(2).replace("><", ">\r\n  <")
        plain = xml(3).replace("<LICENSERESPONSE>", "").replace("</LICENSERESPONSE>", "").replace("><", ">\n<")
        self.add_bytes("\ufeff" + xml(1) + "\n\r\n" + indented + "\r\n" + plain + "\n"
                       + "<?xml version=\"1.0\"?>\n" + xml(4))
        self.assertEqual(self.ids(), {licence_id(number) for number in (1, 2, 3, 4)})
        self.assertEqual(self.exported(2, 3), [indented.encode(), plain.encode()])

    def test_mixed(self):
        self.add_bytes(xml(1) + "\n" + json.dumps({"body": xml(2)}) + "\n" + json.dumps(lcp("three")) + "\n" + xml(4))
        self.assertEqual(self.ids(), {licence_id(1), licence_id(2), "three", licence_id(4)})

    def test_broken_lines_cost_only_themselves(self):
        run = self.add_bytes('garbage\n{"body": "unfinished\n{"body": 5}\n{"a": {\n' + json.dumps({"body": xml(1)})
                             + "\n{]}\n\x00\xff\n<LICENSE></LICENSE>\n" + xml(2) + "\n", status=PARTIAL)
        self.assertEqual(self.ids(), {licence_id(1), licence_id(2)})
        places = [line["text"] for line in run.lines if line["event"] == "license"]
        for number in (1, 2, 3, 4, 6, 7, 8):
            self.assertTrue(any("standard input:%d" % number in place for place in places), (number, places))
        self.assertEqual(run.lines[-1]["summary"]["failed"], 7)

    def test_too_big_is_passed_over(self):
        big = xml(1, extra=("<META name=\"x\">" + "y" * 5000 + "</META>\n") * 400)
        self.assertGreater(len(big), LIMIT)
        run = self.add_bytes(big + "\n" + xml(2) + "\n" + "z" * (9 * LIMIT) + "\n" + xml(3) + "\n"
                             + json.dumps({"body": "b" * (LIMIT + 1)}) + "\n" + json.dumps({"body": "b" * 8 * LIMIT})
                             + "\n" + xml(4), status=PARTIAL)
        self.assertEqual(self.ids(), {licence_id(number) for number in (2, 3, 4)})
        codes = [line["code"] for line in run.lines if line["event"] == "license"]
        self.assertEqual(codes, ["E_LICENSE_TOO_BIG"] * 4)

    def test_largest_escaped_body(self):
        body = xml(1, extra="<META name=\"x\">" + "\u00e9" * ((LIMIT - 1000) // 2) + "</META>")
        self.assertLessEqual(len(body.encode()), LIMIT)
        self.add_bytes('{"body": "%s"}\n' % "".join("\\u%04x" % ord(c) for c in body))
        self.assertEqual(self.exported(1), [body.encode()])

    def test_nothing(self):
        self.assertEqual(self.add_bytes("\n\r\n  \n").lines[-1]["summary"]["licenses"], 0)
        self.add_bytes("")

    def test_many(self):
        stream = "".join(json.dumps({"body": xml(number)}) + "\n" for number in range(20000))
        self.assertEqual(self.add_bytes(stream).lines[-1]["summary"]["done"], 20000)


if __name__ == "__main__":
    unittest.main()
