"""Every kind of problem in a definition: where it is found, and what is said."""

import pytest
from tests.definition.slips import (
    BOOT,
    CALL,
    GOOD,
    HERE,
    INLINE,
    LOGIN,
    MESSAGE,
    NAME,
    OS,
    PATH,
    PRIORITY,
    REMOTE,
    ROLES,
    RUN,
    SERVER,
    STEP,
    TEST,
    TO,
    USE,
    VLAN,
    Slip,
    box,
    check,
    deploy,
    found,
    guest,
    one,
    server,
    two,
    vlan,
)
from tests.definition.test_bad_calls import CALLS
from tests.definition.test_lava_validation import ROWS

from callboard.definition import CODES
from callboard.definition.codes import FLOW_CODES, REHEARSAL_CODES, RUN_CODES

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
    server("count: ¶-1", "CB052", "`count` of role `server` must be 0 or more"),
    server("count: ¶two", "CB052", "must be a whole number, but is the text `two`"),
    server("count: ¶1.0", "CB052", "must be a whole number, but is the number `1.0`"),
    server("count: ¶'1'", "CB052", "must be a whole number", "remove the quotes"),
    server("count: ¶1000000000", "CB052", "must be at most 1000000"),
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
    server("count: 1, ¶colour: red", "CB025", "role `server` has no use for `colour`", "ignored"),
    two(
        ROLES,
        ROLES.replace("count: 1", "¶count: 0").replace("count: 2", "count: 0"),
        "CB068",
        "every role has `count: 0`",
    ),
]

GUEST = [
    guest("host_role: host", "¶host_role: guest", "CB059 CB059", "no device of its own"),
    guest(
        "expect_role: host",
        "¶expect_role: other",
        "CB067 CB051",
        "waits for role `other`, which has no node",
        "give `other` a `count`",
        also=("    roles:", "    roles:\n      other: {device_type: x, count: 0}"),
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
    guest(LOGIN, f"¶{LOGIN}", "CB091", "nobody waits for", also=(CALL, "{action: scp-overlay")),
    guest(
        "role: [guest]\n    method: ssh",
        "¶role: [guest]\n    method: ssh",
        "CB095",
        "no deploy of `host` lets the guests of boot block 2 in",
        "add `authorize: ssh`",
        also=("authorize: ssh, ", ""),
    ),
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
    two("role: [server, client]", "role: ¶[]", "CB072", "`role` of deploy block 1 is empty"),
    two("role: [server, client]", "role: ¶server", "CB073", "should be a list", "[server]"),
    two("role: [server, client]", "role: [¶1, client]", "CB022", "not the number `1`", '"1"'),
    two("role: [server, client]", "role: ¶{a: b}", "CB021", "must be a list, but is a map"),
    deploy("failure_retry: ¶0", "CB023", "must be 1 or more, but is the number `0`"),
    deploy("failure_retry: ¶two", "CB021", "must be a whole number, but is the text `two`"),
    two(TEST, f"{TEST}    ¶failure_retry: 2\n", "CB077", "has no effect"),
    one("- test:\n    timeout", "- test:\n    ¶role: [x]\n    timeout", "CB078", "has no roles"),
    deploy("connection-namespace: ¶common", "CB079", "ignores `connection-namespace`"),
    two(TEST, f"{TEST}    connection-namespace: ¶commo\n", "CB079", "no namespace `commo`"),
    deploy("¶timeuot: {minutes: 1}", "CB025", "no use for `timeuot`", "`timeout`"),
    one("command: {name: usb-hub-on}", "command: ¶{}", "CB020", "command block 1 has no `name`"),
]


PROTOCOLS = [
    box("name: lxc-board", "name: ¶../../x", "CB120", "can't be called `../../x`", "letter"),
    box("name: lxc-board", f"name: ¶{'x' * 60}", "CB120", "can't be called", "55 characters"),
    box("template: debian", "template: ¶debain", "CB121", "can't be `debain`", "`debian`"),
    box("template: debian", "template: ¶arch", "CB121", "can't be `arch`", "or `busybox`"),
    box('release: "12"', 'release: ¶"../12"', "CB125", "can't be `../12`", "begins with a letter"),
    box("verbose: true", "mirror: ¶ftp://x y/", "CB125", "can't be `ftp://x y/`", "its address"),
    box('release: "12"', "release: ¶12", "CB022", "must be text", 'quote it: "12"'),
    box(
        'name: helper\n      distribution: debian\n      release: "12"',
        "¶name: helper\n      distribution: debian",
        "CB020",
        "has no `release`",
        "quote a number",
    ),
    box(
        "packages: [android-tools]",
        "packages: ¶htop",
        "CB021",
        "deploy block 1 must be a list",
        "`[htop]`",
    ),
    box("    helper:\n", "    ¶helpr:\n", "CB057 CB123 CB123", "role `helpr`", "`helper`"),
    box("  lava-lxc:\n", "  lava-lxc:\n    ¶name: x\n", "CB122 CB123 CB123", "belongs to a role"),
    box("verbose: true", "verbose: true\n      ¶persist: true", "CB124", "several nodes share"),
    box("verbose: true", "¶verbos: true", "CB025", "no use for `verbos`", "`verbose`"),
    box("request: pre-os-command", "request: ¶pre-os-comand", "CB083", "", "`pre-os-command`"),
    two(BOOT, "- boot: ¶{role: [server], method: lxc}", "CB123", "describes none for it"),
    one("  lava-xnbd", "  lava-vland: ¶{}\n  lava-xnbd", "CB130", "needs `lava-multinode`"),
    vlan(f"    {VLAN}\n    server", "    ¶server", "CB131", "role `client` is missing"),
    vlan(
        "bbb, count: 1", "bbb, count: ¶2", "CB132", "`count: 2`, but `lava-vland` of LAVA wants 1"
    ),
    vlan(VLAN, "client: {¶vlan-one: {tags: [RJ45]}}", "CB133", "can't be called `vlan-one`"),
    vlan(VLAN, "client: {vlan_one: ¶[RJ45, 10M]}", "CB134", "should be a map with `tags`"),
    vlan(VLAN, "client: {vlan_one: ¶{}}", "CB020", "has no `tags`", "write for instance"),
    vlan(VLAN, "client: {vlan_one: {tags: [¶10]}}", "CB022", "must be text", 'quote it: "10"'),
    guest(
        "actions:\n",
        "  lava-vland:\n    host: {}\n    ¶guest: {one: {tags: []}}\nactions:\n",
        "CB246 CB132",
        "can't be in a VLAN itself",
        "write `guest: {}`",
    ),
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
    two(
        "['root@x:']}",
        "[¶'root[']}",
        "CB191",
        "`root[` is no regular expression",
        "a backslash",
    ),
    two(
        "prompts: ['root@x:']}",
        "prompts: ['root@x:'], auto_login: ¶{login_prompt: 'login:'}}",
        "CB020",
        "`auto_login` of boot block 1 has no `username`",
    ),
    two(
        "prompts: ['root@x:']}",
        "prompts: ['root@x:'], auto_login: {login_prompt: l, username: u, ¶password: p}}",
        "CB020",
        "has a `password` but no `password_prompt`",
        "password_prompt: 'Password:'",
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

SLIPS = [*FILE, *VALUES, *JOB, *TIMEOUTS, *ROLE, *GUEST, *BLOCK, *PROTOCOLS, *TESTS]
ALL = [*SLIPS, *CALLS, *ROWS.values()]

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


@pytest.mark.parametrize("slip", SLIPS, ids=str)
def test_a_slip_is_found_where_it_is_and_nothing_else_is(slip: Slip) -> None:
    check(slip)


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
    elsewhere = {"CB001", "CB002", "CB007", "CB015"}  # test_limits.py
    elsewhere |= {"CB126", "CB127", "CB190", "CB192", "CB193"}  # of devices files
    elsewhere |= {f"CB{number}" for number in range(194, 200)} | {"CB240"}  # test_cabling.py
    elsewhere |= {"CB260", "CB261", "CB262", "CB263"}  # test_links.py
    shown = {slip.codes.split()[0] for slip in ALL} | {code for code, *_ in WHOLE_FILES}
    assert shown | elsewhere == CODES.keys() - RUN_CODES - FLOW_CODES - REHEARSAL_CODES


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


def test_a_circle_is_said_to_stop_all_only_if_it_does() -> None:
    circle = ROWS["lava-start on every role"].marked.replace(HERE, "")
    third = circle.replace(
        "    roles:\n", "    roles:\n      free: {device_type: x, count: 1}\n", 1
    )
    third = third.replace("role: [host], to", "role: [host, free], to")
    [message] = [each.message for each in found(third) if each.code == "CB061"]
    assert message == "the roles `host` and `guest` wait for each other's start"


def test_messages_are_one_lower_case_sentence_without_a_stop() -> None:
    texts = [slip.marked.replace(HERE, "") for slip in ALL]
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
