"""Every kind of problem in a definition: where it is found, and what is said."""

from pathlib import Path

import pytest
from attrs import frozen

from callboard.definition import CODES, Diagnostic, read_text
from callboard.definition.codes import RUN_CODES

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


FILE = [
    two(OS, "¶\tos: debian", "CB005", "a tab can't indent a line", "spaces"),
    two(OS, "    os: debian¶: x", "CB004", "a `:` can't stand here", "quote a value"),
    two(OS, "   ¶os: debian", "CB004", "doesn't line up with the keys above it", "indentation"),
    two(f"{OS}\n    images", "    os debian\n    ¶images", "CB004", "neither `key: value`"),
    two(f"{OS}\n    images", "    os: [debian\n    images¶", "CB004", "a `,` or `]` is missing"),
    two(OS, "    os: ¶@debian", "CB004", "can't begin with this character", "quote"),
    two(OS, "    os: debian\n    ¶to: nfs", "CB010", "the key `to` was given before, in line 14"),
    two(OS, "    os: !!python/name:os.system ¶x", "CB011", "`!!python/name:os.system`"),
    two(OS, "    os: !mine ¶debian", "CB011", "the tag `!mine` is not allowed"),
    two(OS, "    xs: !!set ¶{debian}", "CB011", "the tag `!!set` is not allowed"),
    two(OS, "    os: ¶*debian", "CB009", "nothing is called `&debian`", "write `&debian`"),
    two(OS, "    os: &x [¶*x]", "CB009", "`*x` stands inside `&x` itself"),
    two(OS, "    ? ¶[a, b]\n    : c", "CB012", "a key must be a single value", "templates"),
    two(OS, "    os: !!int ¶abc", "CB013", "can't be read as a number", "quote it"),
    two(OS, "    os: !!bool ¶abc", "CB013", "can't be read as a truth value", "quote it"),
    two(OS, "    os: ¶2024-13-45", "CB013", "can't be read as a date", "quote it"),
    two(OS, f"    os: ¶{'1' * 2000}", "CB013", "a number of 2,000 characters"),
    two(OS, "    os: debian\n    <<: ¶nothing", "CB016", "`<<` needs a map", "<<: *name"),
    two(OS, "    <<: [&a {x: 1}, ¶b]", "CB016", "`<<` needs a map or a list of maps"),
    two(NAME, "- x\n¶---\na: b", "CB008", "a second document begins here", "split it"),
    two(OS, f"    os: {'[' * 60}¶[", "CB006", "more than 64 maps and lists inside each other"),
]

VALUES = [
    two(NAME, "¶jobname: x", "CB020", "the job has no `job_name`", "rename `jobname`"),
    two(NAME, "job_name: ¶12", "CB022", "must be text, not the number `12`", 'quote it: "12"'),
    two(NAME, "job_name: ¶on", "CB022", "not the truth value `on`", 'quote it: "on"'),
    two(NAME, "job_name: ¶~", "CB026", "`job_name` of the job is empty"),
    two(NAME, "job_name: ¶''", "CB026", "`job_name` of the job is empty"),
    two(NAME, "job_name: ¶[a]", "CB021", "must be text, but is a list"),
    two(PRIORITY, "¶prioritty: low", "CB025", "no use for `prioritty`", "did you mean `priority`"),
    two(PRIORITY, "reboot_to_fastboot: ¶'true'", "CB021", "the text `true`", "remove the quotes"),
    two(PRIORITY, "metadata: ¶[a]", "CB021", "`metadata` of the job must be a map"),
    two(
        "  lava-multinode:",
        "  ¶lava-multinod:",
        "CB025 CB030 CB078 CB078 CB078 CB078",
        "no use for",
    ),
]

JOB = [
    two(NAME, f"job_name: ¶{'x' * 201}", "CB035", "201 characters; the limit is 200"),
    two("visibility: public", "visibility: ¶private", "CB037", "can't be the text `private`"),
    two("visibility: public", "visibility: ¶{group: []}", "CB037", "names no group"),
    two(f"{NAME}\nvisibility: public", f"¶{NAME}", "CB020", "has no `visibility`", "public"),
    two(PRIORITY, "priority: ¶101", "CB036", "`priority` can't be the number `101`"),
    two(PRIORITY, "priority: ¶true", "CB036", "`priority` can't be the truth value `true`"),
    two(PRIORITY, "priority: ¶urgent", "CB036", "`priority` can't be the text `urgent`", "low"),
    two(PRIORITY, "secrets: {¶A: abc}", "CB033", "fewer than 4 characters", "longer"),
    two(PRIORITY, "secrets: {¶A: 1234}", "CB033", "a secret must be text", "quote"),
    two(PRIORITY, "secrets: {¶A: [hunter2]}", "CB033", "not a list or map"),
    two(PRIORITY, "secrets: ¶[hunter2]", "CB033", "`secrets` must be a map of names to texts"),
    two(PRIORITY, "¶device_type: qemu", "CB031", "stands beside `lava-multinode`", "each role"),
    two(PRIORITY, "¶tags: [a]", "CB032", "reaches no node", "put it into the roles"),
    two(PRIORITY, "¶context: {a: b}", "CB032", "reaches no node", "put it into the roles"),
    one("job_name: single\ndevice_type: qemu", "¶job_name: single", "CB030", "neither"),
    one("job_name: single\ndevice_type", "¶job_name: single\ndevicetype", "CB030", "", "rename"),
    one("port: auto", "port: ¶0", "CB023", "`port` of `lava-xnbd` must be 1 or more"),
    one("port: auto", "port: ¶70000", "CB023", "`port` of `lava-xnbd` must be at most 65535"),
]

TIMEOUTS = [
    two("timeouts: {job: {minutes: 20}, ", "¶timeouts: {", "CB045", "no limit of the `job`"),
    two(
        f"{NAME}\nvisibility: public\n{PRIORITY}\ntimeouts",
        f"¶{NAME}\nvisibility: public\ntimeout",
        "CB045",
        "the job has no `timeouts`",
        "rename `timeout` to `timeouts`",
    ),
    two("{minutes: 20}", "¶20", "CB040", "a map of units", "write `{seconds: 20}`"),
    two("{minutes: 20}", "¶soon", "CB040", "a map of units", "{minutes: 5}"),
    two("{minutes: 20}", "{minutes: ¶-1}", "CB040", "must be 0 or more"),
    two("{minutes: 20}", "{minutes: ¶1.5}", "CB040", "must be a whole number"),
    two(
        "{minutes: 20}", "{minutes: ¶'20'}", "CB040", "must be a whole number", "remove the quotes"
    ),
    two("{minutes: 20}", "{¶mins: 20}", "CB040", "the unknown unit `mins`", "minutes"),
    two("{minutes: 20}", "¶{hours: 1, minutes: 2}", "CB041", "several units", "strict schema"),
    two("{minutes: 4}", "¶{minutes: 40}", "CB042", "2400 s, but the whole job ends after 1200 s"),
    two("{minutes: 8}", "¶{minutes: 80}", "CB042", "`multinode-test` is 4800 s"),
    deploy("timeout: ¶{hours: 2}", "CB042", "`timeout` of deploy block 1 is 7200 s"),
    deploy("timeouts: {lava-overlay: ¶{hours: 2}}", "CB042", "`lava-overlay` is 7200 s"),
    two("{minutes: 4}", "¶{}", "CB044", "empty or zero, which LAVA takes as 30 seconds"),
    two("{minutes: 4}", "¶{minutes: 0}", "CB044", "empty or zero, which LAVA takes as 30 seconds"),
    two("multinode-test:", "¶multinode_test:", "CB043", "can't be the name", "`multinode-test`"),
    two(TEST, f"{TEST}    ¶timeout: {{minutes: 3, skip: true}}\n", "CB046", "has no effect"),
]

ROLE = [
    two(ROLES, "    roles: ¶{}\n", "CB050", "`roles` is empty", "write for instance"),
    two(f"{ROLES}    timeout", "    ¶timeout", "CB050", "`lava-multinode` has no `roles`"),
    two("    roles:\n", "    ¶target_group: x\n    roles:\n", "CB034", "after LAVA's split"),
    two("    roles:\n", "    ¶request: lava-start\n    roles:\n", "CB069", "beside `roles`"),
    two(SERVER, f"{SERVER}\n      more: ¶{{device_type: x, count: 1}}", "CB051", "no action names"),
    server("count: ¶-1", "CB052", "`count` of role `server` must be 0 or more"),
    server("count: ¶two", "CB052", "must be a whole number, but is the text `two`"),
    server("count: ¶1.0", "CB052", "must be a whole number, but is the number `1.0`"),
    server("count: ¶'1'", "CB052", "must be a whole number", "remove the quotes"),
    server("count: ¶1000000000", "CB052", "must be at most 100000"),
    two(SERVER, "server: ¶{device_type: qemu}", "CB052", "role `server` has no `count`"),
    two(SERVER, "¶server: {count: 1}", "CB053", "neither `device_type` nor `connection`"),
    two(SERVER, "server: ¶qemu", "CB021", "role `server` must be a map, but is the text `qemu`"),
    two(
        SERVER,
        f"{SERVER}\n      ¶on: {{device_type: x, count: 1}}",
        "CB022",
        "the name of a role must be text, not the truth value `on`",
        'quote it: "on"',
    ),
    two(
        SERVER,
        f"{SERVER}\n      ¶1: {{device_type: x, count: 1}}",
        "CB022",
        "the name of a role must be text, not the number `1`",
        'quote it: "1"',
    ),
    server("count: 2, ¶device: rack-1", "CB066", "names one `device`, but has `count: 2`"),
    server("count: 1, ¶timeout: {minutes: 1}", "CB064", "both have a `timeout`", "keep one"),
    server("count: 1, ¶request: lava-start", "CB063", "no `expect_role`", "starts at once"),
    server("count: 1, ¶request: lava-star", "CB063", "does nothing", "did you mean `lava-start`"),
    server("count: 1, ¶expect_role: client", "CB058", "`expect_role`, but no `host_role`"),
    server("count: 1, ¶colour: red", "CB025", "role `server` has no use for `colour`", "ignored"),
    two(
        ROLES,
        ROLES.replace("count: 1", "¶count: 0").replace("count: 2", "count: 0"),
        "CB068",
        "every role has `count: 0`",
    ),
]

HOSTED = "        host_role: host\n        request: lava-start\n        expect_role: host\n"
LOGIN = "parameters: {hostID: addr, host_key: ipaddr}"

GUEST = [
    guest("connection: ssh\n", "¶connection: ssh\n        device_type: x\n", "CB054", "has both"),
    guest("connection: ssh", "¶connection: ssh", "CB055", "no `host_role`", also=(HOSTED, "")),
    guest(HOSTED, "        ¶host_role: host\n", "CB058", "has `host_role`, but no `expect_role`"),
    guest(
        "host_role: host",
        "host_role: ¶hots",
        "CB057",
        "role `hots` is not defined, but `host_role` of role `guest` names it",
        "did you mean `host`?",
    ),
    guest("expect_role: host", "expect_role: ¶hots", "CB057", "role `hots` is not defined"),
    guest("host_role: host", "¶host_role: guest", "CB059 CB059", "no device of its own"),
    guest("host_role", "¶host_role", "CB059", "has `count: 2`", also=("count: 1", "count: 2")),
    guest(
        "expect_role: host",
        "¶expect_role: other",
        "CB067 CB051",
        "waits for role `other`, which has no node",
        "give `other` a `count`",
        also=("    roles:", "    roles:\n      other: {device_type: x, count: 0}"),
    ),
    guest("expect_role: host", "¶expect_role: guest", "CB060", "waits for its own start"),
    guest(
        "essential: true",
        "request: lava-start, ¶expect_role: guest, host_role: host",
        "CB061 CB065",
        "the roles `host` and `guest` wait for each other's start",
    ),
    guest("count: 2\n", "count: 2\n        ¶environment: {A: b}\n", "CB065", "is a connection"),
    guest("essential: true", "¶host_role: host, expect_role: host", "CB065", "is a device"),
    guest("count: 2\n", "count: 1\n        ¶device: x\n", "CB066", "can't have `device`"),
    guest("count: 2\n", "count: 1\n        ¶worker: x\n", "CB066", "can't have `worker`"),
    guest(CALL, f"¶{CALL}", "CB090", "needs a `message`", also=(MESSAGE, "")),
    guest(
        CALL,
        f"{CALL}, request: lava-wait, messageID: addr, message: {{ipaddr: $x}}}}\n      - ¶{CALL}",
        "CB090",
        "can ask for one address only",
    ),
    guest(MESSAGE, "message: ¶ipaddr, ", "CB086", "must be a map", "{ipaddr: $ipaddr}"),
    guest(LOGIN, "¶parameters: {hostID: address, host_key: ipaddr}", "CB091", "must name what"),
    guest(LOGIN, "¶parameters: {hostID: addr, host_key: ip}", "CB091", "", "`ipaddr` of `addr`"),
]

BLOCK = [
    two(TO, "    to: ¶[tmpfs]\n", "CB021", "`to` of deploy block 1 must be text"),
    two(
        f"deploy:\n    role: [server, client]\n{TO}",
        "deploy:\n    ¶role: [server, client]\n",
        "CB020",
        "deploy block 1 has no `to`",
    ),
    two(BOOT, "- ¶boot", "CB070", "an action can't be the text `boot`", "a map of one key"),
    two(BOOT, "- ¶boot: {}\n  role: [server]", "CB070", "an action can't be a map of 2 keys"),
    two(BOOT, "- boot: ¶qemu", "CB021", "boot block 1 must be a map, but is the text `qemu`"),
    two(BOOT, BOOT.replace("boot", "¶reboot", 1), "CB071", "no action `reboot`", "`boot`"),
    two(BOOT, BOOT.replace("boot", "¶repeat", 1), "CB071", "no action `repeat`", "write the"),
    two("deploy:\n    role: [server, client]\n", "¶deploy:\n", "CB072", "has no `role`", "role: ["),
    two("role: [server, client]", "role: ¶[]", "CB072", "`role` of deploy block 1 is empty"),
    two("role: [server, client]", "role: ¶server", "CB073", "should be a list", "[server]"),
    two(
        "role: [server, client]",
        "role: [¶sever, client]",
        "CB057",
        "role `sever` is not defined, but deploy block 1 names it",
        "did you mean `server`?",
    ),
    two("role: [server, client]", "role: [¶1, client]", "CB022", "not the number `1`", '"1"'),
    two("role: [server, client]", "role: ¶{a: b}", "CB021", "must be a list, but is a map"),
    box(
        "    namespace: box\n    to: lxc",
        "    namespace: ¶common\n    to: lxc",
        "CB075",
        "reserved",
    ),
    box("role: [board, helper]\n    namespace: box", "¶role: [board, helper]", "CB074", "has no"),
    deploy("failure_retry: ¶0", "CB023", "must be 1 or more, but is the number `0`"),
    deploy("failure_retry: ¶two", "CB021", "must be a whole number, but is the text `two`"),
    deploy("failure_retry: 2\n    ¶repeat: 2", "CB076", "has both `repeat` and `failure_retry`"),
    two(TEST, f"{TEST}    ¶failure_retry: 2\n", "CB077", "has no effect"),
    one("- test:\n    timeout", "- test:\n    ¶role: [x]\n    timeout", "CB078", "has no roles"),
    deploy("connection-namespace: ¶common", "CB079", "ignores `connection-namespace`"),
    two(TEST, f"{TEST}    connection-namespace: ¶commo\n", "CB079", "no namespace `commo`"),
    deploy("¶timeuot: {minutes: 1}", "CB025", "no use for `timeuot`", "`timeout`"),
    one("command: {name: usb-hub-on}", "command: ¶{}", "CB020", "command block 1 has no `name`"),
]

CALLS = [
    call("¶{action: lava-overlay, request: lava-sync, messageID: a}", "CB080", "must be a list"),
    call("¶lava-sync", "CB021", "must be a list, but are the text `lava-sync`"),
    call("[¶lava-sync]", "CB021", "the call of `lava-multinode` must be a map"),
    call("[¶{}]", "CB081", "an empty call", "write for instance"),
    call("[¶~]", "CB081", "an empty call", "write for instance"),
    call("[¶{action: a, messageID: a}]", "CB082", "has no `request`", "or `lava-start`"),
    call("[¶{request: lava-sync, messageID: a}]", "CB082", "names no `action`"),
    call("[{action: lava-overlay, request: ¶aggregate, messageID: a}]", "CB083", "`aggregate`"),
    call("[{action: a, request: ¶lava_wait, messageID: a}]", "CB083", "", "mean `lava-wait`?"),
    call("[¶{action: lava-overlay, request: lava-sync}]", "CB084", "has no `messageID`"),
    call("[¶{action: a, request: lava-sync, messageId: a}]", "CB084", "", "rename `messageId`"),
    call("[{action: a, request: lava-sync, messageID: ¶1}]", "CB022", "must be text", '"1"'),
    call(
        "[¶{action: lava-overly, request: lava-sync, messageID: a}]",
        "CB085",
        "deploy block 1 has no action `lava-overly`",
        "did you mean `lava-overlay`? it has `deploy",
    ),
    call("[{action: a, request: lava-send, messageID: a, message: {a: ¶1}}]", "CB086", "`a` of"),
    call("[{action: a, request: lava-send, messageID: a, message: ¶[a]}]", "CB086", "is a list"),
    call(
        f"[{{action: a, request: lava-send, messageID: a, message: ¶{'x' * 65500}}}]",
        "CB086",
        "longer than LAVA's limit",
    ),
    call(
        "[{action: lava-overlay, request: lava-wait, messageID: a, ¶role: client}]",
        "CB087",
        "`lava-wait` ignores `role`",
    ),
    call(
        "[{action: lava-overlay, request: lava-wait, messageID: a, ¶roles: [client]}]",
        "CB087",
        "`lava-wait` ignores `roles`",
    ),
    call(
        "[{action: a, request: lava-wait-all, messageID: a, role: ¶clint}]",
        "CB057",
        "role `clint` is not defined, but the call names it",
        "did you mean `client`?",
    ),
    call("[{action: a, request: lava-start, roles: ¶[clint]}]", "CB057", "`clint` is not defined"),
    call("[{action: a, request: lava-wait, messageID: a, timeout: ¶soon}]", "CB040", "of the call"),
    call("[{action: a, request: lava-wait, messageID: a, poll_delay: ¶x}]", "CB021", "poll_delay"),
    call("[{action: lava-overlay, request: lava-sync, messageID: a, ¶wait: 1}]", "CB025", "`wait`"),
    deploy(
        "protocols: {¶lava-vland: [{action: lava-overlay, request: deploy_vlans}]}",
        "CB089",
        "calls `lava-vland`, which the job doesn't declare",
    ),
    deploy("protocols: {¶timeout: {minutes: 1}}", "CB025", "has no use for `timeout`"),
    deploy("protocols: ¶[a]", "CB021", "`protocols` of deploy block 1 must be a map"),
    Slip(
        TWO,
        TO,
        f"{TO}    protocols: {{lava-multinode: [{{action: lava-overlay, request: "
        "lava-wait-all, messageID: a, role: ¶client}]}\n",
        "CB067",
        "waits for role `client`, which has no node",
        "",
        ("count: 2", "count: 0"),
    ),
]

PROTOCOLS = [
    box("name: lxc-board", "name: ¶../../x", "CB120", "can't be called `../../x`", "letter"),
    box("name: lxc-board", f"name: ¶{'x' * 60}", "CB120", "can't be called", "55 characters"),
    box("template: debian", "template: ¶debain", "CB121", "can't be `debain`", "`debian`"),
    box("template: debian", "template: ¶arch", "CB121", "can't be `arch`", "or `busybox`"),
    box('release: "12"', "release: ¶12", "CB022", "must be text", 'quote it: "12"'),
    box(
        'name: helper\n      distribution: debian\n      release: "12"',
        "¶name: helper\n      distribution: debian",
        "CB020",
        "has no `release`",
        "quote a number",
    ),
    box("    helper:\n", "    ¶helpr:\n", "CB057 CB123 CB123", "role `helpr`", "`helper`"),
    box("  lava-lxc:\n", "  lava-lxc:\n    ¶name: x\n", "CB122 CB123 CB123", "belongs to a role"),
    box("verbose: true", "verbose: true\n      ¶persist: true", "CB124", "several nodes share"),
    box("verbose: true", "¶verbos: true", "CB025", "no use for `verbos`", "`verbose`"),
    box("request: pre-os-command", "request: ¶pre-os-comand", "CB083", "", "`pre-os-command`"),
    two(BOOT, "- boot: ¶{role: [server], method: lxc}", "CB123", "describes none for it"),
    one("  lava-xnbd", "  lava-vland: ¶{}\n  lava-xnbd", "CB130", "needs `lava-multinode`"),
    vlan(f"    {VLAN}\n    server", "    ¶server", "CB131", "role `client` is missing"),
    vlan("bbb, count: 1", "bbb, count: ¶2", "CB132", "`count: 2`, but `lava-vland` wants 1"),
    vlan(VLAN, "client: {¶vlan-one: {tags: [RJ45]}}", "CB133", "can't be called `vlan-one`"),
    vlan(VLAN, "client: {vlan_one: ¶[RJ45, 10M]}", "CB134", "should be a map with `tags`"),
    vlan(VLAN, "client: {vlan_one: ¶{}}", "CB020", "has no `tags`", "write for instance"),
    vlan(VLAN, "client: {vlan_one: {tags: [¶10]}}", "CB022", "must be text", 'quote it: "10"'),
    vlan(
        "- {action: lava-vland",
        "- ¶{action: lava-vland",
        "CB135",
        "has 60 s",
        "lava-vland-overlay: {minutes: 2}",
        ("connection: {minutes: 2}", "connection: {minutes: 1}"),
    ),
    vlan("request: deploy_vlans", "request: ¶deploy_vlan", "CB083", "", "`deploy_vlans`"),
]

TESTS = [
    two(
        "role: [server]\n    def", "¶role: [server]\n    ddef", "CB140", "", "rename `ddefinitions`"
    ),
    two(
        f"{TEST}    definitions:\n", f"{TEST}    definitions: ¶[]\n    x:\n", "CB026 CB025", "empty"
    ),
    two("    definitions:\n", "    monitors: []\n    ¶definitions:\n", "CB147", "only the first"),
    two(
        "    definitions:\n",
        "    interactive: [¶{name: x, script: []}]\n    definitions:\n",
        "CB020 CB147",
        "an item of `interactive` has no `prompts`",
    ),
    two("name: serve\n", "name: ¶a.b\n", "CB141", "can't be the name of a test", "e.g. `a-b`"),
    two("name: serve\n", "name: ¶größe\n", "CB150", "LAVA's strict schema refuses", "ASCII"),
    two("name: serve\n", "name: ¶lava\n", "CB142", "the name `lava` is reserved"),
    two("name: serve\n", "name: ¶12\n", "CB022", "must be text", 'quote it: "12"'),
    two(
        f"{USE}",
        USE.replace("client]", "server, client]")
        .replace("- from", "- ¶from")
        .replace("use", "serve", 1),
        "CB143",
        "a test `serve` exists already, in line 21",
    ),
    two("from: inline", "from: ¶inlin", "CB024", "can't be `inlin`", "did you mean `inline`?"),
    two("from: inline", "from: ¶local", "CB024", "can't be `local`", "`inline`, `git` or `url`"),
    two(
        "- from: inline\n      name: serve\n      path: inline/serve.yaml",
        "- ¶from: inline\n      name: serve",
        "CB020",
        "has no `path`",
    ),
    two(PATH, "      path: ¶../serve.yaml\n", "CB151", "leads out of the test", "relative"),
    two(PATH, "      path: ¶/serve.yaml\n", "CB151", "leads out of the test", "relative"),
    two(
        INLINE,
        f"{REMOTE}      sha256sum: ¶12ab\n",
        "CB154",
        "`12ab` is no SHA-256",
        "64 digits",
    ),
    two(
        INLINE,
        f"{REMOTE}      compression: ¶zip\n",
        "CB024",
        "can't be `zip`",
        "`gz`",
    ),
    two(INLINE, f"{REMOTE}      strip-components: ¶-1\n", "CB023", "0 or more"),
    two(INLINE, f"{REMOTE}      headers: ¶[a]\n", "CB021", "must be a map"),
    two(
        "        run:",
        "        install: {git-repos: [{url: u, destination: ¶../x}]}\n        run:",
        "CB151",
        "leads out of the test",
        "below the test's own",
    ),
    two(
        "        run:",
        "        install: {git-repos: [{url: u, destination: ¶run.sh/x}]}\n        run:",
        "CB151",
        "can't be a folder of the test",
        "below the test's own",
    ),
    two(
        "        run:",
        "        install: {git-repos: [¶{destination: x}]}\n        run:",
        "CB020",
        "has no `url`",
    ),
    two(PATH, f"{PATH}      skip_install: ¶[dep]\n", "CB144", "can't hold `dep`", "`deps`"),
    two(PATH, f"{PATH}      skip_install: ¶deps\n", "CB021", "must be a list", "write `[deps]`"),
    two(PATH, f"{PATH}      ¶params: {{A: 1}}\n", "CB149", "is inline and has `params`"),
    two(PATH, f"{PATH}      lava-signal: ¶syslog\n", "CB024", "`syslog`", "`stdout` or `kmsg`"),
    two(
        f"{USE}        metadata",
        f"{USE}        params: {{¶a-b: 1}}\n        metadata",
        "CB152",
        "`a-b`",
    ),
    two(
        f"{USE}        metadata",
        f"{USE}        params: {{a: ¶[1]}}\n        metadata",
        "CB021",
        "`a`",
    ),
    two("format: Lava-Test Test Definition 1.0", "format: ¶Lava-Test 2", "CB146", "not known"),
    two(
        "metadata: {format: Lava-Test Test Definition 1.0, ", "¶metadata: {", "CB146", "no `format`"
    ),
    two("metadata: {format", "¶metdata: {format", "CB020", "", "rename `metdata` to `metadata`"),
    two(STEP, "¶echo a: b, ", "CB148", "a step must be text, but is a map", "quote the whole step"),
    two(STEP, "¶~, ", "CB148", "a step must be text, but is empty", "remove the `-`"),
    two(STEP, "¶true, ", "CB022", "not the truth value `true`", 'quote it: "true"'),
    two(RUN, "run: ¶{step: []}", "CB020", "has no `steps`", "rename `step` to `steps`"),
    two(RUN, "run: {steps: ¶lava-sync}", "CB021", "must be a list, but is the text `lava-sync`"),
    two(
        f"metadata: {{format: Lava-Test Test Definition 1.0, name: serve}}\n        {RUN}",
        "¶metadata: {format: Lava-Test Test Definition 1.0, name: serve}",
        "CB020",
        "has no `run`",
    ),
    two(RUN, f"{RUN}\n        parse: {{¶pattern: x}}", "CB153", "is deprecated", "lava-test-case"),
    two(RUN, f"{RUN}\n        install: {{¶dep: [a]}}", "CB025", "no use for `dep`"),
    box("revision: abc123", "¶revision: abc123, shallow: true", "CB145", "of a shallow clone"),
    box("revision: abc123", "revision: abc123, ¶depth: 1", "CB025", "no use for `depth`"),
    box("parameters: {X", "headers: {a: b}, parameters: {¶0X", "CB152 CB025", "`0X`"),
]

SLIPS = [*FILE, *VALUES, *JOB, *TIMEOUTS, *ROLE, *GUEST, *BLOCK, *CALLS, *PROTOCOLS, *TESTS]

WHOLE_FILES = [
    ("CB003", b"job_name: \xff", (1, 11), "the byte 0xff is not UTF-8"),
    ("CB003", b"a: b\nc: \x00", (2, 4), "the character U+0000 is not allowed"),
    ("CB003", "a: b".encode("utf-16"), (1, 1), "the file is UTF-16"),
    ("CB004", b"a: 'b", (1, 6), "the file ends inside a quoted text"),
    ("CB004", b"a: [b\n", (2, 1), "a `,` or `]` is missing"),
    ("CB004", b"\n%YAML 9.9\n---\na: b", (2, 1), "not valid YAML"),
    ("CB014", b"", (1, 1), "the file is empty"),
    ("CB014", b"# nothing\n", (1, 1), "the file is empty"),
    ("CB014", b"\n- a", (2, 1), "the file holds a list, not a map"),
    ("CB014", b"some words", (1, 1), "the file holds the text `some words`, not a map"),
]


def found(text: str | bytes) -> tuple[Diagnostic, ...]:
    definition, diagnostics = read_text(text, "group.yaml")
    refused = any(diagnostic.severity == "error" for diagnostic in diagnostics)
    assert (definition is None) == refused
    return diagnostics


@pytest.mark.parametrize("slip", SLIPS, ids=str)
def test_a_slip_is_found_where_it_is_and_nothing_else_is(slip: Slip) -> None:
    before, _, after = slip.marked.partition(HERE)
    diagnostics = found(before + after)
    first, *others = slip.codes.split()
    assert sorted(d.code for d in diagnostics) == sorted([first, *others])
    here = next(d for d in diagnostics if d.code == first and slip.message in d.message)
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert here.place is not None
    assert (here.place.file, here.place.line, here.place.column) == ("group.yaml", line, column)
    assert slip.hint in (here.hint or "")


@pytest.mark.parametrize(("code", "text", "place", "message"), WHOLE_FILES)
def test_what_is_no_definition_at_all_is_refused(
    code: str, text: bytes, place: tuple[int, int], message: str
) -> None:
    (diagnostic,) = found(text)
    assert diagnostic.code == code
    assert diagnostic.place is not None
    assert (diagnostic.place.line, diagnostic.place.column) == place
    assert message in diagnostic.message


def test_every_code_has_a_case_and_every_case_a_code() -> None:
    elsewhere = {"CB001", "CB002", "CB007", "CB015"}  # test_limits.py, test_devices.py
    shown = {slip.codes.split()[0] for slip in SLIPS} | {code for code, *_ in WHOLE_FILES}
    assert shown | elsewhere == CODES.keys() - RUN_CODES


def test_all_problems_are_shown_at_once_in_the_order_of_the_file() -> None:
    text = (GOOD / "two-roles.yaml").read_text()
    for old, new in (
        ("count: 2", "count: -2"),
        ("tmpfs", "[]"),
        ("use\n", "a b\n"),
        (PRIORITY, "x: 1"),
    ):
        text = text.replace(old, new, 1)
    diagnostics = found(text)
    assert [d.code for d in diagnostics] == ["CB025", "CB052", "CB021", "CB141"]
    assert [d.severity for d in diagnostics] == ["warning", "error", "error", "error"]


def test_a_diagnostic_names_the_role_that_it_concerns() -> None:
    (diagnostic,) = found((GOOD / "two-roles.yaml").read_text().replace("count: 2", "count: -2"))
    assert diagnostic.role == "client"


def test_messages_are_one_lower_case_sentence_without_a_stop() -> None:
    texts = [slip.marked.replace(HERE, "") for slip in SLIPS]
    for diagnostic in (d for text in texts for d in found(text)):
        for sentence in (diagnostic.message, diagnostic.hint or "x"):
            assert sentence == sentence.strip()
            assert "\n" not in sentence
            assert not sentence.endswith(".")
            assert sentence[0] == sentence[0].lower() or sentence.startswith(
                ("LAVA", "YAML", "VLAN")
            )


def test_the_catalogue_explains_every_code() -> None:
    for code, entry in CODES.items():
        assert code == entry.code
        assert entry.title
        assert not entry.title.endswith(".")
        assert entry.explanation.endswith(".")
    assert list(CODES) == sorted(CODES)
