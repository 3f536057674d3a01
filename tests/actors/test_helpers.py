"""The helpers of the overlay, in every shell that a device may have."""

import os
import pty
import select
import signal
import subprocess
import termios
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from attrs import evolve, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callboard.actors.drivers.switches import Port
from callboard.actors.members import Member
from callboard.actors.overlay import Definition, Overlay, build, write
from callboard.actors.signals import (
    ApiCall,
    CallGivenUp,
    CaseEnded,
    CaseReference,
    CaseResult,
    CaseStarted,
    FeedbackAsked,
    InstallError,
    InstallFailed,
    Noted,
    Raised,
    RunEnded,
    RunnerExited,
    RunStarted,
    SetStarted,
    SetStopped,
    Signal,
    signals,
)
from callboard.actors.wire import data_lines, escape
from callboard.actors.wiring import Wiring
from callboard.definition.interfaces import Interface

SHELLS = {"dash": ["/bin/dash"], "bash": ["/bin/bash"], "busybox": ["/bin/busybox", "sh"]}
HELPERS = Path(__file__).parents[2] / "actors/overlay/bin"

WIRING = Wiring(
    (
        Interface("uplink", (), "00:24:d7:9b:c0:8c", "/sys/devices/pci0000:00/0000:00:1c.0/net/"),
        Interface("a", ("RJ45", "10M"), "f0:de:f1:46:8c:21", "/sys/devices/odd,name/net/"),
        Interface("b's", ("RJ45",), None, None),
    ),
    {"vlan_two": Port("board", "b's"), "vlan_one": Port("board", "a", "switch", 5)},
)


def definition(index: int, name: str, *steps: str, install: tuple[str, ...] = ()) -> Definition:
    return Definition(index, name, f"1200_{index}", steps, install, (), "", {})


@frozen
class Node:
    """An overlay on this machine, and the shell that runs it."""

    folder: Path
    shell: list[str]

    @property
    def root(self) -> Path:
        return self.folder / "lava-1200"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def install(self, *stage: Definition) -> None:
        """Put the overlay here; its shell is a script, for busybox needs a word more."""
        shell = self.folder / "shell"
        shell.write_text(f'#!/bin/sh\nexec {" ".join(self.shell)} "$@"\n')
        shell.chmod(0o755)
        # A script can't be the interpreter of a script: helpers are run by the shell explicitly.
        write(
            build(
                Overlay(
                    job_id=1200,
                    root=str(self.root),
                    shell=self.shell[0] if len(self.shell) == 1 else "/bin/busybox sh",
                    role="server",
                    group=(Member(1200, "server"), Member(1201, "client"), Member(1202, "client")),
                    environment=(),
                    secrets=(),
                    cache=str(self.cache),
                    stages=(stage,) if stage else (),
                    wiring=WIRING,
                )
            ),
            self.root,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.root}/bin:{os.environ['PATH']}",
            "SHELL": str(self.folder / "shell"),
            "LAVA_MULTI_NODE_CACHE": str(self.cache),
        }

    def run(
        self, *command: str, stdin: str = "", **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command of the overlay."""
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=self.folder,
            env=self.environment | variables,
            timeout=10,
            check=False,
        )

    def cached(self) -> list[str] | None:
        """The lines of the cache file, None without one."""
        if not self.cache.exists():
            return None
        return self.cache.read_bytes().decode().removesuffix("\n").split("\n")


def seen(output: str) -> list[Signal]:
    return [found for line in output.split("\n") for found in signals(line)]


@pytest.fixture(params=list(SHELLS))
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Node:
    """A node with the overlay in one of the shells."""
    made = Node(tmp_path, SHELLS[request.param])
    made.install()
    return made


commands_from_path = pytest.mark.parametrize("node", ["dash", "bash"], indirect=True)
"""For tests that put commands of their own on the path: a busybox may prefer its own ones."""


@pytest.mark.parametrize("helper", sorted(HELPERS.iterdir()), ids=lambda path: path.name)
@pytest.mark.parametrize("shell", SHELLS)
def test_every_helper_is_portable_shell(shell: str, helper: Path) -> None:
    subprocess.run([*SHELLS[shell], "-n", str(helper)], check=True)


# Sending


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_send_passes_every_value_as_it_is(node: Node, locale: str) -> None:
    pairs = {
        "spaces": " two  words ",
        "equals": "a=b=",
        "quotes": 'it\'s "so"',
        "unicode": "Grüße\N{NO-BREAK SPACE}世 b=c",
        "empty": "",
        "backslash": "\\0040\\n%s",
        "tab": "a\tb\x1b[1m\x7f",
        "option": "-n",
    }
    words = [f"{key}={value}" for key, value in pairs.items()]
    sent = node.run("lava-send", "ready", *words, LANG=locale, LC_ALL=locale)
    assert (sent.returncode, sent.stderr) == (0, "")
    assert seen(sent.stdout) == [ApiCall("send", "ready", data=pairs)]


def test_line_breaks_in_a_value_become_a_space(node: Node) -> None:
    sent = node.run("lava-send", "ready", "lines=one\ntwo\r\n\nthree  four")
    assert seen(sent.stdout) == [ApiCall("send", "ready", data={"lines": "one two three  four"})]


def test_a_long_value_full_of_white_space_is_sent(node: Node) -> None:
    """A loop over its characters in shell would take longer than `run` waits."""
    value = "\t  ü" * 2_000
    sent = node.run("lava-send", "ready", f"k={value}")
    assert seen(sent.stdout) == [ApiCall("send", "ready", data={"k": value})]


@commands_from_path
def test_a_value_that_cannot_be_escaped_is_not_sent_without_its_text(node: Node) -> None:
    sent = node.run("lava-send", "ready", "k=a b", PATH=f"{node.root}/bin")
    assert (sent.returncode, sent.stdout) == (1, "")
    assert "needs tr and awk" in sent.stderr


def test_a_send_without_data_is_a_signal_alone(node: Node) -> None:
    assert node.run("lava-send", "ready").stdout == "<LAVA_MULTI_NODE> <LAVA_SEND ready>\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the message ID is missing"),
        (["a b"], "has white space"),
        (["a>b"], "has a '>'"),
        (["k=v"], "has a '='"),
        (["k="], "has a '='"),
        (["ready", "k=a>b"], "the value of 'k' has a '>'"),
        (["ready", "my-key=1"], "the key 'my-key'"),
        (["ready", "=1"], "the key ''"),
    ],
)
def test_a_bad_send_says_why_and_sends_nothing(
    node: Node, arguments: list[str], message: str
) -> None:
    sent = node.run("lava-send", *arguments)
    assert (sent.returncode, sent.stdout) == (1, "")
    assert sent.stderr.startswith("lava-send: ")
    assert message in sent.stderr


def test_an_argument_that_is_no_pair_is_left_out_with_a_warning(node: Node) -> None:
    sent = node.run("lava-send", "ready", "word", "k=v")
    assert sent.returncode == 0
    assert seen(sent.stdout) == [ApiCall("send", "ready", data={"k": "v"})]
    assert "'word' is no KEY=VALUE" in sent.stderr


VALUES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00\n\r>"), max_size=30
)


@given(st.lists(VALUES, min_size=1, max_size=20))
@settings(
    max_examples=settings().max_examples // 8,  # each runs two shells
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_value_comes_through_a_send_and_a_wait(node: Node, values: list[str]) -> None:
    data = {f"k{number}": value for number, value in enumerate(values)}
    sent = node.run("lava-send", "x", *(f"{key}={value}" for key, value in data.items()))
    assert seen(sent.stdout) == [ApiCall("send", "x", data=data)]
    reply = "".join(f"{line}\n" for line in data_lines({1201: data}))
    waited = node.run("lava-wait", "x", stdin=f"{reply}<LAVA_WAIT_COMPLETE>\n")
    assert waited.returncode == 0
    assert node.cached() == [f"1201:{key}={value}" for key, value in data.items()]


# Waiting

WAITS = {
    "WAIT": (["lava-wait", "ready"], ApiCall("wait", "ready")),
    "WAIT_ALL": (["lava-wait-all", "ready"], ApiCall("wait-all", "ready")),
    "SYNC": (["lava-sync", "ready"], ApiCall("sync", "ready")),
}


@pytest.mark.parametrize("api", WAITS)
def test_a_wait_ends_with_its_own_completion_and_keeps_the_data(node: Node, api: str) -> None:
    command, call = WAITS[api]
    node.cache.write_text("old\n")
    lines = ["noise", "<LAVA_OTHER_COMPLETE>", "<LAVA_DATUM 1201:ip=10.0.0.2>\r"]
    lines += ["<LAVA_DATUM 1202:at=at\\004012:30>", f"<LAVA_{api}_COMPLETE>\r", "left"]
    waited = node.run(*command, stdin="".join(f"{line}\n" for line in lines))
    assert (waited.returncode, waited.stderr) == (0, "")
    assert seen(waited.stdout) == [call]
    assert node.cached() == ["1201:ip=10.0.0.2", "1202:at=at 12:30"]


@pytest.mark.parametrize("api", WAITS)
def test_a_wait_without_data_removes_the_cache(node: Node, api: str) -> None:
    node.cache.write_text("old\n")
    waited = node.run(*WAITS[api][0], stdin=f"<LAVA_{api}_COMPLETE>\n")
    assert waited.returncode == 0
    assert node.cached() is None


@pytest.mark.parametrize("api", WAITS)
def test_a_refused_wait_fails_with_the_reason(node: Node, api: str) -> None:
    node.cache.write_text("old\n")
    reason = escape("nobody sent it: 1201 (client)")
    lines = f"<LAVA_DATUM 1201:k=v>\n<LAVA_{api}_COMPLETE nack {reason}>\n"
    waited = node.run(*WAITS[api][0], stdin=lines)
    assert waited.returncode == 1
    assert waited.stderr == f"{WAITS[api][0][0]}: nobody sent it: 1201 (client)\n"
    assert node.cached() is None


@pytest.mark.parametrize("api", WAITS)
def test_a_refusal_without_a_reason_fails_too(node: Node, api: str) -> None:
    waited = node.run(*WAITS[api][0], stdin=f"<LAVA_{api}_COMPLETE nack>\r\n")
    assert waited.returncode == 1
    assert waited.stderr == f"{WAITS[api][0][0]}: the call was refused\n"


@pytest.mark.parametrize("api", ["WAIT", "WAIT_ALL"])
def test_the_answer_of_lava_itself_is_understood(node: Node, api: str) -> None:
    data = "1200:ip=10.0.0.2 1201:at=at 12:30 * 1201:path=C:\\0101"
    waited = node.run(*WAITS[api][0], stdin=f"<LAVA_{api}_COMPLETE {data}>\r\n\n")
    assert (waited.returncode, waited.stderr) == (0, "")
    assert node.cached() == ["1200:ip=10.0.0.2", "1201:at=at 12:30 *", "1201:path=C:\\0101"]


def test_a_wait_whose_console_closes_fails_and_keeps_the_cache(node: Node) -> None:
    node.cache.write_text("old\n")
    waited = node.run("lava-wait", "ready", stdin="<LAVA_DATUM 1201:k=v>\n")
    assert waited.returncode == 1
    assert "the console was closed" in waited.stderr
    assert list(signals(waited.stdout.splitlines()[-1])) == [CallGivenUp("wait", "ready")]
    assert node.cached() == ["old"]
    assert sorted(each.name for each in node.folder.iterdir()) == ["cache", "lava-1200", "shell"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["lava-wait", "y"], "WAIT y"),
        (["lava-wait-all", "y", "client"], "WAIT_ALL y client"),
        (["lava-sync", "a\\b*"], "SYNC a\\0134b*"),
        (["lava-sync", "a\\0134b"], "SYNC a\\0134b"),
    ],
)
def test_an_answer_that_another_helper_has_left_is_passed_over(
    node: Node, call: list[str], words: str
) -> None:
    api = words.split(maxsplit=1)[0]
    lines = ["<LAVA_ANSWER WAIT x>", "<LAVA_DATUM 1201:k=old>", f"<LAVA_{api}_COMPLETE>"]
    lines += ["<LAVA_ANSWER WAIT x>", f"<LAVA_{api}_COMPLETE nack late>"]
    lines += [f"<LAVA_ANSWER {words}>", "<LAVA_DATUM 1201:k=new>", f"<LAVA_{api}_COMPLETE>"]
    waited = node.run(*call, stdin="".join(f"{line}\n" for line in lines))
    assert (waited.returncode, waited.stderr) == (0, "")
    assert node.cached() == ["1201:k=new"]


@pytest.mark.parametrize("api", WAITS)
def test_whose_an_answer_is_may_stand_on_its_last_line(node: Node, api: str) -> None:
    command = WAITS[api][0]
    words = " ".join([api, *command[1:]])
    lines = [f"<LAVA_ANSWER {api} other><LAVA_{api}_COMPLETE nack no>"]
    lines += [f"<LAVA_ANSWER {words}><LAVA_{api}_COMPLETE>"]
    waited = node.run(*command, stdin="".join(f"{line}\n" for line in lines))
    assert (waited.returncode, waited.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_wait_that_is_killed_says_that_it_gives_up(node: Node, number: signal.Signals) -> None:
    master, slave = pty.openpty()
    with os.fdopen(master, "rb", buffering=0):
        waiting = subprocess.Popen(
            [*node.shell, str(node.root / "bin/lava-wait-all"), "ready", "server"],
            stdin=slave,
            stdout=subprocess.PIPE,
            cwd=node.folder,
            env=node.environment,
            text=True,
        )
        os.close(slave)
        assert waiting.stdout is not None
        with waiting:
            assert list(signals(waiting.stdout.readline())) == [
                ApiCall("wait-all", "ready", "server")
            ]
            waiting.send_signal(number)
            said = [each for line in waiting.stdout for each in signals(line)]
    assert said == [CallGivenUp("wait-all", "ready", "server")]
    assert waiting.returncode == -number


@pytest.mark.parametrize(
    "command", [["lava-wait"], ["lava-sync", "a b"], ["lava-wait-all", "x", "a>b"]]
)
def test_a_bad_wait_asks_nothing(node: Node, command: list[str]) -> None:
    waited = node.run(*command)
    assert (waited.returncode, waited.stdout) == (1, "")


def test_wait_all_passes_its_role_on(node: Node) -> None:
    waited = node.run("lava-wait-all", "x", "client", stdin="<LAVA_WAIT_ALL_COMPLETE>\n")
    assert seen(waited.stdout) == [ApiCall("wait-all", "x", role="client")]


def on_a_terminal(node: Node, command: str, lines: Iterable[str]) -> int:
    """Run a helper on a terminal without echo, and type the lines; returns the exit status."""
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    process = subprocess.Popen(
        command.split(), stdin=slave, stdout=slave, stderr=slave, env=node.environment
    )
    os.close(slave)
    try:
        printed = b""
        while b">" not in printed:
            printed += os.read(master, 4096)
        data = "".join(f"{line}\n" for line in lines).encode()
        while data:
            select.select([], [master], [], 10)
            data = data[os.write(master, data) :]
        return process.wait(timeout=30)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_hundreds_of_lines_and_long_values_come_through_a_terminal(node: Node) -> None:
    data: Mapping[int, Mapping[str, str]] = {
        job: {f"key{number}": f"value {number} ü 世" for number in range(100)}
        for job in (1200, 1201)
    } | {1202: {"long": "ü x" * 3_000, "last": "at 12:30"}}
    lines = [*data_lines(data), "<LAVA_WAIT_ALL_COMPLETE>"]
    assert on_a_terminal(node, "lava-wait-all data", lines) == 0
    assert node.cached() == [
        f"{job}:{key}={value}" for job, values in data.items() for key, value in values.items()
    ]


# Asking


def test_a_node_knows_itself_and_its_group(node: Node) -> None:
    assert node.run("lava-self").stdout == "1200\n"
    assert node.run("lava-role").stdout == "server"
    assert node.run("lava-role", "list").stdout == "server\nclient\nclient\n"
    assert node.run("lava-group").stdout == "1200\tserver\n1201\tclient\n1202\tclient\n"
    assert node.run("lava-group", "client").stdout == "1201\n1202"
    nobody = node.run("lava-group", "boss")
    assert (nobody.returncode, nobody.stdout) == (1, "")


def test_a_node_knows_its_interfaces_and_their_vlans(node: Node) -> None:
    """One record a line in every shell, and nothing but records; primary interfaces as well."""
    node.install()
    assert node.run("lava-vland-self").stdout == (
        "uplink,00:24:d7:9b:c0:8c,/sys/devices/pci0000:00/0000:00:1c.0/net/\n"
        "a,f0:de:f1:46:8c:21,/sys/devices/odd,name/net/\n"
        "b's,,\n"
    )
    assert node.run("lava-vland-names").stdout == "vlan_two,b's\nvlan_one,a\n"
    assert node.run("lava-vland-tags").stdout == "a,RJ45\na,10M\nb's,RJ45\n"


def test_the_shared_configuration(node: Node) -> None:
    unset = node.run("lava-echo-config")
    assert (unset.returncode, unset.stdout) == (1, "no shared config\n")
    config = "ip=10.0.0.2\nname=a b"
    assert node.run("lava-echo-config", LAVA_SHARED_CONFIG=config).stdout == f"{config}\n"
    found = node.run("lava-echo-config", "name=", LAVA_SHARED_CONFIG=config)
    assert (found.returncode, found.stdout) == (0, "a b\n")
    assert node.run("lava-echo-config", "no", LAVA_SHARED_CONFIG=config).returncode == 1


@commands_from_path
def test_an_address_is_found_and_a_missing_interface_is_no_error(node: Node) -> None:
    tools = node.folder / "tools"
    tools.mkdir()
    ip = tools / "ip"
    ip.write_text(
        "#!/bin/sh\n[ \"$4\" = eth0 ] && printf '    inet 10.0.0.7/24 brd 10.0.0.255\\n'\n"
    )
    ip.chmod(0o755)
    path = f"{node.root}/bin:{tools}:/usr/bin:/bin"
    found = node.run("lava-echo-ipv4", "eth0", PATH=path)
    assert (found.returncode, found.stdout) == (0, "10.0.0.7\n")
    missing = node.run("lava-echo-ipv4", "nowhere", PATH=path)
    assert (missing.returncode, missing.stdout) == (0, "")
    unnamed = node.run("lava-echo-ipv4", PATH=path)
    assert (unnamed.returncode, unnamed.stdout) == (0, "")


@pytest.mark.parametrize(
    ("printed", "address"),
    [
        ("eth0  Link encap:Ethernet\n      inet addr:10.0.0.7  Bcast:10.0.0.255\n", "10.0.0.7\n"),
        ("eth0: flags=4163<UP>\n    inet 10.0.0.8  netmask 255.255.255.0\n", "10.0.0.8\n"),
        ("eth0: flags=4163<UP>\n    inet6 fe80::1  prefixlen 64\n", ""),
    ],
)
def test_an_address_is_found_without_ip(
    tmp_path: Path, printed: str, address: str
) -> None:  # not in busybox, whose shell prefers its own `ip` and `ifconfig`
    for shell in ("dash", "bash"):
        node = Node(tmp_path, SHELLS[shell])
        node.install()
        tools = node.folder / "tools"
        tools.mkdir(exist_ok=True)
        for name, script in (("ip", "exit 127"), ("ifconfig", f"cat << END\n{printed}END")):
            (tools / name).write_text(f"#!/bin/sh\n{script}\n")
            (tools / name).chmod(0o755)
        found = node.run("lava-echo-ipv4", "eth0", PATH=f"{node.root}/bin:{tools}:/usr/bin:/bin")
        assert (found.returncode, found.stdout) == (0, address)


# Reporting

CASES: dict[str, tuple[list[str], list[Signal]]] = {
    "line": (
        ["x", "--shell", "echo '1  2' && exit 0"],
        [CaseStarted("x"), CaseEnded("x"), CaseResult("x", "pass")],
    ),
    "failing line": (
        ["x", "--shell", "exit 7"],
        [CaseStarted("x"), CaseEnded("x"), CaseResult("x", "fail")],
    ),
    "words": (
        ["x", "--shell", "test", "a b", "=", "a b"],
        [CaseStarted("x"), CaseEnded("x"), CaseResult("x", "pass")],
    ),
    "measurement": (
        ["x", "--result", "pass", "--measurement", "4.5", "--units", "MB/s"],
        [CaseResult("x", "pass", 4.5, "MB/s")],
    ),
    "skip": (["x", "--result", "skip"], [CaseResult("x", "skip")]),
    "unknown": (
        ["x", "--units", "s", "--result", "unknown"],
        [CaseResult("x", "unknown", None, "s")],
    ),
}


@pytest.mark.parametrize("form", CASES)
def test_a_test_case_in_all_its_forms(node: Node, form: str) -> None:
    arguments, expected = CASES[form]
    ran = node.run("lava-test-case", *arguments)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert seen(ran.stdout) == expected


def test_a_test_case_prints_its_output_between_its_signals(node: Node) -> None:
    (node.folder / "out").write_text("from the file")
    ran = node.run("lava-test-case", "x", "--result", "pass", "--output", "out")
    assert ran.stdout.splitlines() == [
        "<LAVA_SIGNAL_STARTTC x>",
        "from the file",
        "<LAVA_SIGNAL_ENDTC x>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=x RESULT=pass>",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the test case ID is missing"),
        (["a b", "--result", "pass"], "has white space"),
        (["x"], "--result is missing"),
        (["x", "--result"], "--result needs a value"),
        (["x", "--result", "good"], "'good' is no result"),
        (["x", "--colour", "red"], "unknown option '--colour'"),
        (["x", "--shell"], "--shell needs a command"),
        (["x", "--result", "pass", "--output", "none"], "'none' can't be read"),
        (["x", "--result", "pass", "--units", "a b"], "the unit 'a b' has white space"),
    ],
)
def test_a_bad_test_case_says_why_and_reports_nothing(
    node: Node, arguments: list[str], message: str
) -> None:
    ran = node.run("lava-test-case", *arguments)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("lava-test-case: ")
    assert message in ran.stderr


@pytest.mark.parametrize(
    ("command", "expected", "status"),
    [
        (["lava-test-set", "start", "first"], SetStarted("first"), 0),
        (["lava-test-set", "stop"], SetStopped(), 0),
        (["lava-test-raise", "no", "board > here\nnow"], Raised("no board ) here now"), 1),
        (["lava-test-event", "half way"], Noted("half way"), 0),
        (["lava-test-feedback", "--namespace", "host"], FeedbackAsked("host"), 0),
        (
            ["lava-test-reference", "page", "--result", "fail", "--reference", "https://x/y"],
            CaseReference("page", "fail", "https://x/y"),
            0,
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_the_other_reports(node: Node, command: list[str], expected: Signal, status: int) -> None:
    ran = node.run(*command)
    assert (ran.returncode, ran.stderr) == (status, "")
    assert seen(ran.stdout) == [expected]


def test_a_background_process_runs_until_it_is_stopped(node: Node) -> None:
    script = (
        "mkfifo ticks; exec 4<> ticks\n"
        "lava-background-process-start ticker --cmd 'echo tick >&4'\n"
        "read tick <&4; read tick <&4; echo got two\n"
        "lava-background-process-stop ticker\n"
        "lava-background-process-stop ticker\n"
    )
    # This returns when nobody holds the output any more: the process is gone too.
    ran = node.run(*node.shell, "-c", script)
    assert ran.stdout == "got two\n"
    assert "no background process is called 'ticker'" in ran.stderr


# Signals through the kernel log

REPORTS = (
    "lava-test-case a --shell echo inside",
    "lava-test-case b --result pass --measurement 2 --units s",
    "lava-test-set start first",
    "lava-test-event half way",
    "lava-test-feedback --namespace other",
    "lava-test-reference c --result pass --reference https://x/y",
    "lava-send ready k=v",
)


def run_with_kmsg(node: Node, kernel: str) -> "subprocess.CompletedProcess[str]":
    node.install(evolve(definition(0, "smoke", *REPORTS), signal="kmsg"))
    return node.run(f"{node.root}/bin/lava-test-runner", f"{node.root}/0", LAVA_KMSG=kernel)


def test_signals_go_to_the_kernel_log_if_the_definition_says_so(node: Node) -> None:
    kernel = node.folder / "kmsg"
    os.mkfifo(kernel)
    reader = os.open(kernel, os.O_RDWR)  # keeps what is written, and no writer waits
    try:
        ran = run_with_kmsg(node, str(kernel))
        written = os.read(reader, 65_536).decode()
    finally:
        os.close(reader)
    assert all(line.startswith("<0><LAVA_SIGNAL_") for line in written.splitlines())
    assert seen(written) == [
        RunStarted("0_smoke", "1200_0"),
        CaseStarted("a"),
        CaseEnded("a"),
        CaseResult("a", "pass"),
        CaseResult("b", "pass", 2.0, "s"),
        SetStarted("first"),
        Noted("half way"),
        FeedbackAsked("other"),
        CaseReference("c", "pass", "https://x/y"),
        RunEnded("0_smoke", "1200_0"),
    ]
    assert "inside" in ran.stdout.splitlines()
    # Calls are answered on the console, and so are made there.
    assert seen(ran.stdout) == [ApiCall("send", "ready", data={"k": "v"}), RunnerExited()]


def test_signals_go_to_the_console_if_the_kernel_log_cannot_be_written(node: Node) -> None:
    ran = run_with_kmsg(node, str(node.folder / "nowhere/kmsg"))
    warnings = [line for line in ran.stdout.splitlines() if line.startswith("lava-signal: kmsg:")]
    assert len(warnings) == 1
    found = seen(ran.stdout)
    assert RunStarted("0_smoke", "1200_0") in found
    assert CaseResult("b", "pass", 2.0, "s") in found
    assert RunEnded("0_smoke", "1200_0") in found


def test_a_signal_that_the_kernel_log_refuses_goes_to_the_console(node: Node) -> None:
    ran = run_with_kmsg(node, "/dev/full")
    assert RunStarted("0_smoke", "1200_0") in seen(ran.stdout)
    assert RunEnded("0_smoke", "1200_0") in seen(ran.stdout)


# The runner


def test_the_runner_runs_each_definition_once_whatever_fails(tmp_path: Path) -> None:
    for shell in SHELLS.values():
        node = Node(tmp_path / shell[-1].strip("/").replace("/", "-"), shell)
        node.folder.mkdir()
        node.install(
            definition(0, "breaks", "echo one", "false", "echo not reached"),
            definition(1, "bad", "echo not reached either", install=("exit 3",)),
            definition(2, "fine", "lava-test-case x --result pass", install=("echo $PWD",)),
        )
        runner = f"{node.root}/bin/lava-test-runner"
        ran = node.run(runner, f"{node.root}/0")
        assert seen(ran.stdout) == [
            RunStarted("0_breaks", "1200_0"),
            InstallError("1_bad", "install.sh ended with status 3"),
            InstallFailed(),
            RunStarted("2_fine", "1200_2"),
            CaseResult("x", "pass"),
            RunEnded("2_fine", "1200_2"),
            RunnerExited(),
        ]
        assert "not reached" not in ran.stdout
        assert f"{node.root}/0/tests/2_fine" in ran.stdout.splitlines()
        codes = {
            path.parent.name.rpartition("-")[0] + "/" + path.name: path.read_text().strip()
            for path in (node.root / "0/results").glob("*/*return_code")
        }
        assert codes == {
            "0_breaks/return_code": "1",
            "1_bad/install_return_code": "3",
            "2_fine/return_code": "0",
            "2_fine/install_return_code": "0",
        }
        again = node.run(runner, f"{node.root}/0")
        assert seen(again.stdout) == [RunnerExited()]


@pytest.mark.parametrize(
    ("number", "status", "last"),
    [
        (signal.SIGTERM, 130, [RunnerExited()]),
        (signal.SIGINT, 130, [RunnerExited()]),
        # The console is gone: whoever still reads must not take this for an orderly end.
        (signal.SIGHUP, 129, []),
    ],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else "",
)
def test_a_runner_that_is_ended_says_so_unless_its_console_is_gone(
    node: Node, number: signal.Signals, status: int, last: list[Signal]
) -> None:
    node.install(definition(0, "waits", "echo begun", "read line"), definition(1, "next", "true"))
    with subprocess.Popen(
        [f"{node.root}/bin/lava-test-runner", f"{node.root}/0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=node.environment,
    ) as runner:
        assert runner.stdout is not None
        while runner.stdout.readline() != "begun\n":
            pass
        runner.send_signal(number)
        rest, _ = runner.communicate(timeout=10)
    assert (seen(rest), runner.returncode) == (last, status)


@commands_from_path
def test_a_stage_that_is_installed_again_runs_again(node: Node) -> None:
    stage = node.root / "0"
    for second in ("1", "2"):
        node.install(definition(0, "fine", "true"))
        date = node.folder / "date"
        date.write_text(f"#!/bin/sh\necho {second}\n")
        date.chmod(0o755)
        path = f"{node.folder}:{os.environ['PATH']}"
        ran = node.run(f"{node.root}/bin/lava-test-runner", str(stage), PATH=path)
        assert RunEnded("0_fine", "1200_0") in seen(ran.stdout)
    assert sorted(path.name for path in stage.glob("*.conf*")) == [
        "lava-test-runner.conf-1",
        "lava-test-runner.conf-2",
    ]
