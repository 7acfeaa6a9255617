"""The states that a refused licence can be in, each made as it comes about: by computers, owners and administrators."""
import json

from service import Computer, Issuer, Service

LONG = "The Complete Sessions, Recorded Live at the Lighthouse, with Every Rehearsal, False Start and Encore, " * 5
HOSTILE = "<script>document.title='x'</script> & \"quoted\" 'too' \U0001f3b5 \u05e9\u05d9\u05e8 \u202etxet"


class States:
    """cases: state -> address of the page; licences: state -> id."""

    def __init__(self, tool, **options):
        self.tool = tool
        self.service = Service(arguments=["--operator", "Example Records", "--privacy-contact", "privacy@records.example",
                                          *options.pop("arguments", ())], **options)
        self.cases, self.numbers, self.computers = {}, {}, {}
        self.issuer = Issuer(tool, "Example Songs")
        self.contact("help@records.example")
        self.run = self.service.run

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.service.close()

    def contact(self, contact, title="Example Songs Ltd"):
        path = self.service.directory / "issuer.json"
        path.write_text(json.dumps(self.issuer.keys))
        self.service.run("issuer", "add", path, "--title", title, *(["--contact", contact] if contact else []))

    def computer(self, name=None, release=None):
        one = Computer(self.tool, self.service, name=name)
        one.individualize(release)
        return one

    def give(self, licence, names):
        """On new computers with these names; returns them."""
        computers = []
        for name in names:
            one = self.computer(name)
            reply = one.commit([licence])
            assert reply.json["licenses"][0]["result"] == "granted", reply
            computers.append(one)
        return computers

    def refuse(self, state, licence):
        """One more computer; keeps the address of the page that it is told."""
        one = self.computer("One too many")
        reply = one.plan([licence])
        said = reply.json["licenses"][0]
        assert said["result"] == "refused", reply
        self.cases[state] = said["page"]
        return one

    def licence(self, state, title=None, computer=None, **more):
        """Issued to a computer that never came, if to no other."""
        return self.issuer.licence(self.service.address, id="song-" + state, computer=computer or self.tool.key().thumbprint,
                                   **({} if title is None else {"title": title}), **more)

    def make(self):
        titles = {"en": "Night Train to the Coast", "de": "Nachtzug an die Küste"}
        home = self.tool.key()
        names = ["Living room", "Anna’s laptop", "Old phone"]

        limit = self.licence("limit", titles, computer=home.thumbprint)
        self.give(limit, names)
        self.refuse("limit", limit)

        pending = self.licence("pending", titles)
        computers = self.give(pending, names)
        self.run("computer", "release", computers[1].thumbprint)
        self.refuse("pending", pending)
        self.computers["pending"] = computers

        blocked = self.licence("blocked", titles)
        self.run("licence", "block", "song-blocked", "--issuer", self.issuer.name, "--reason", "stolen key")
        self.refuse("blocked", blocked)

        many = self.licence("many", titles, computers=12)
        self.give(many, ["Computer %d" % i for i in range(1, 12)])
        self.refuse("many", many)

        for state, title in (("long", LONG), ("hostile", HOSTILE), ("untitled", None)):
            one = self.licence(state, title, computers=2)
            self.give(one, [{"long": "x" * 64, "hostile": HOSTILE[:40], "untitled": None}[state]])
            self.refuse(state, one)

        self.run("policy", "set", "--issuer", self.issuer.name, "--period", "365d", "--period-computers", "1")
        period = self.licence("period", titles)
        self.give(period, names[:1])
        self.refuse("period", period)
        self.run("policy", "set", "--issuer", self.issuer.name, "--cooldown", "12h")
        cooldown = self.licence("cooldown", titles)
        self.give(cooldown, names[:1])
        self.refuse("cooldown", cooldown)

        # Pages tell how it stands now: these policies are of their licences alone from here on.
        self.run("policy", "set", "--issuer", self.issuer.name)
        self.run("policy", "set", "--issuer", self.issuer.name, "--licence", "song-period", "--period", "365d",
                 "--period-computers", "1")
        self.run("policy", "set", "--issuer", self.issuer.name, "--licence", "song-cooldown", "--cooldown", "12h")

        free = self.licence("free", titles, computers=2)
        self.give(free, names[:1])
        self.refuse("free", free)
        self.run("licence", "allow", "song-free", "--reason", "a friendly letter")
        return self
