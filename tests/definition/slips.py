"""Definitions with one thing wrong: a good one of the folder `good`, and what is changed in it."""

from pathlib import Path

from attrs import frozen

from callboard.definition import Diagnostic, read_text

GOOD = Path(__file__).parent / "good"
HERE = "¶"
"""Marks the place that a diagnostic must point to."""


@frozen
class Slip:
    """A good definition with one thing changed.

    Attributes:
        base: Name of a file in `good`.
        old: What is replaced, at its first place.
        new: What stands there instead, `¶` at the place of the diagnostic.
        codes: All codes that come of it, that of `¶` first, the others in the file's order.
        message: A part of the message.
        hint: A part of the hint.
        also: A further replacement.
    """

    base: str
    old: str
    new: str
    codes: str
    message: str
    hint: str = ""
    also: tuple[str, str] = ("", "")

    def __str__(self) -> str:
        return f"{self.codes.split()[0]} {self.base} {self.message or self.hint}"

    @property
    def marked(self) -> str:
        text = (GOOD / f"{self.base}.yaml").read_text()
        for old, new in ((self.old, self.new), self.also):
            assert old in text
            text = text.replace(old, new, 1)
        return text


TWO, GUESTS, BOXES, VLANS, ONE = "two-roles", "ssh-guests", "containers", "vlans", "single"

NAME = "job_name: two-roles"
OS = "    os: debian"
TO = "    to: tmpfs\n"
PRIORITY = "priority: medium"
SERVER = "server: {device_type: qemu, count: 1, context: {arch: amd64}, essential: true}"
ROLES = (
    f"    roles:\n      {SERVER}\n"
    "      client: {device_type: qemu, count: 2, context: {arch: amd64}}\n"
)
BOOT = "- boot: {role: [server, client], method: qemu, prompts: ['root@x:']}"
TEST = "- test:\n    role: [server]\n"
PATH = "      path: inline/serve.yaml\n"
INLINE = """\
    - from: inline
      name: serve
      path: inline/serve.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: serve}
        run: {steps: ['lava-send ready port=80', 'lava-sync done']}
"""
REMOTE = """\
    - from: url
      name: serve
      path: serve.yaml
      repository: http://files.example/serve.tar.gz
"""
STEP = "'lava-send ready port=80', "
RUN = "run: {steps: ['lava-send ready port=80', 'lava-sync done']}"
USE = (
    "role: [client]\n    definitions:\n    - from: inline\n      name: use\n"
    "      path: inline/use.yaml\n      repository:\n"
)
CALL = "{action: prepare-scp-overlay"
MESSAGE = "message: {ipaddr: $ipaddr}, "
HOSTED = "        host_role: host\n        request: lava-start\n        expect_role: host\n"
LOGIN = "parameters: {hostID: addr, host_key: ipaddr}"
VLAN = "client: {vlan_one: {tags: [RJ45, 10M]}}"


def two(old: str, new: str, codes: str, message: str, hint: str = "") -> Slip:
    return Slip(TWO, old, new, codes, message, hint)


def server(new: str, codes: str, message: str, hint: str = "") -> Slip:
    """Another `count: 1` of the server."""
    return two(SERVER, SERVER.replace("count: 1", new), codes, message, hint)


def deploy(new: str, codes: str, message: str, hint: str = "") -> Slip:
    """A further line in the first deploy."""
    return two(TO, f"{TO}    {new}\n", codes, message, hint)


def call(new: str, codes: str, message: str, hint: str = "") -> Slip:
    """Calls of the first deploy; `action: a` stands for one that it has."""
    new = new.replace("action: a,", "action: lava-overlay,")
    return deploy(f"protocols: {{lava-multinode: {new}}}", codes, message, hint)


def guest(
    old: str, new: str, codes: str, message: str, hint: str = "", also: tuple[str, str] = ("", "")
) -> Slip:
    return Slip(GUESTS, old, new, codes, message, hint, also)


def box(old: str, new: str, codes: str, message: str, hint: str = "") -> Slip:
    return Slip(BOXES, old, new, codes, message, hint)


def vlan(
    old: str, new: str, codes: str, message: str, hint: str = "", also: tuple[str, str] = ("", "")
) -> Slip:
    return Slip(VLANS, old, new, codes, message, hint, also)


def one(old: str, new: str, codes: str, message: str, hint: str = "") -> Slip:
    return Slip(ONE, old, new, codes, message, hint)


def found(text: str | bytes) -> tuple[Diagnostic, ...]:
    definition, diagnostics = read_text(text, "group.yaml")
    refused = any(diagnostic.severity == "error" for diagnostic in diagnostics)
    assert (definition is None) == refused
    return diagnostics


def check(slip: Slip) -> Diagnostic:
    """See that a slip is found where it is, and nothing else is; returns what was found."""
    before, _, after = slip.marked.partition(HERE)
    diagnostics = found(before + after)
    first, *others = slip.codes.split()
    assert sorted(d.code for d in diagnostics) == sorted([first, *others])
    here = next(d for d in diagnostics if d.code == first and slip.message in d.message)
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert here.place is not None
    assert (here.place.file, here.place.line, here.place.column) == ("group.yaml", line, column)
    assert slip.hint in (here.hint or "")
    return here
