#!/usr/bin/env python3
"""--eject: a disk image is unmounted after the backup; what stays in the computer is refused before it.

usage: eject.py REHOST [SEED]
"""
import os
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).parents[2] / "media"))
import kit  # noqa: E402


class Test:
    def __init__(self, place):
        self.place = place
        place.make_store("store", 20)
        self.licences = place.licences(place.top / "store")

    def backup(self, target, *arguments, **more):
        return self.place.rehost("backup", target, "--store", self.place.top / "store", *arguments, **more)

    def disk_image(self, image, json):
        """The medium is gone from its place, and all is on it."""
        place = self.place
        target = place.top / "my stick"
        with place.loop(image) as loop:
            target.mkdir(exist_ok=True)
            kit._mount(loop.path, target, "ext4")
            try:
                run = self.backup(target, "--eject", "--overwrite", status=kit.DONE, json=json)
                kit.expect(not os.path.ismount(target), "still mounted: %s", run)
            finally:
                if os.path.ismount(target):
                    kit._unmount(target)
        kit.expect(os.listdir(target) == [], "something lies below: %s", os.listdir(target))
        if json:
            medium = [event["medium"] for event in run.events if event["event"] == "medium"]
            kit.expect(len(medium) == 1 and medium[0]["kind"] == "loop" and medium[0]["mount"] == str(target) and
                       medium[0]["file_system"] == "ext4" and medium[0]["device"] == loop.path, "%s", run)
        else:
            kit.expect("to disk image %s, ext4, " % image in run.err and "unmounted %s" % target in run.err, "%s", run)
            kit.expect(run.err.index("to disk image") < run.err.index("backed up 20") < run.err.index("unmounted"),
                       "%s", run)
        with place.on_loop(image) as medium:
            place.rehost("verify", medium, "--store", place.top / "store", status=kit.DONE)
            kit.expect(kit.parts(medium) == [], "left: %s", kit.parts(medium))

    def in_use(self, image):
        """Somebody else is there: the backup is good, the status says that it is not unmounted."""
        place = self.place
        with place.on_loop(image) as medium:
            with open(medium / "busy", "w"):
                run = self.backup(medium, "--eject", "--overwrite", status=kit.ENVIRONMENT)
                kit.expect(os.path.ismount(medium), "unmounted under somebody's feet")
                kit.expect("cannot be unmounted" in run.last["text"] and "the backup is complete" in run.last["text"],
                           "%s", run)
                ends = [event["code"] for event in run.events if event.get("event") == "end"]
                kit.expect(ends == ["S_OK"] or ends == ["OK"], "%s", run)
                run = self.backup(medium, "--eject", "--overwrite", status=kit.ENVIRONMENT, json=False)
                kit.expect("rehost: the backup is complete, but %s cannot be unmounted" % medium in run.err, "%s", run)
            place.rehost("verify", medium, "--store", place.top / "store", status=kit.DONE)

    def refused(self):
        """What is not taken away: nothing is begun there."""
        target = self.place.top / "here"
        target.mkdir()
        for json in (True, False):
            run = self.backup(target, "--eject", status=kit.USAGE, json=json)
            kit.expect("--eject: %s lies on a medium that is not taken away (memory, tmpfs" % target in run.err, "%s", run)
            kit.expect(os.listdir(target) == [], "something was written: %s", os.listdir(target))
            if json:
                kit.expect(not any(event.get("event") == "begin" for event in run.events), "it began: %s", run)

    def not_good(self, image):
        """A backup that fails is no reason to unmount."""
        with self.place.on_loop(image) as medium:
            self.backup(medium, "--eject", status=kit.EXISTS)
            kit.expect(os.path.ismount(medium), "unmounted")


def test(place):
    eject = Test(place)
    image = place.ext4("disk", 16)
    eject.disk_image(image, True)
    eject.disk_image(image, False)
    eject.in_use(image)
    eject.refused()
    eject.not_good(image)


if __name__ == "__main__":
    kit.main(test)
