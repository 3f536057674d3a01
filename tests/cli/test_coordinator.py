"""`callboard coordinator` and `callboard coordinator status`, as they are typed."""

import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest
from rich.console import Console
from tests.commandline import CALLBOARD, Ran, callboard, document, process
from tests.coordinator.following import Followed, leave, wait
from tests.coordinator.real import ask
from tests.coordinator.running import Coordinator, free_port

from callboard.cli.coordinator_view import Screen
from callboard.cli.output import Output
from callboard.coordinator.inquiry import Picture

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "packaging/callboard-coordinator.service"


def refused(folder: Path, *arguments: str | Path, **variables: str) -> str:
    """What is said of a coordinator that can't be run like this."""
    return ended(2, folder, *arguments, **variables)


def ended(code: int, folder: Path, *arguments: str | Path, **variables: str) -> str:
    """What is said of a coordinator that ends with this code instead of being run."""
    ran = callboard(folder, "coordinator", *arguments, **variables)
    assert (ran.returncode, ran.stdout) == (code, "")
    return " ".join(ran.stderr.split())


# How it is run


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "lab.example"])
def test_an_address_that_others_reach_needs_the_networks_that_may(
    tmp_path: Path, host: str
) -> None:
    text = refused(tmp_path, "--bind", host)
    assert f"error[CB290]: --bind: {host} can be reached from elsewhere" in text
    assert "hint: name the networks of the workers, such as --allow 10.1.0.0/16" in text


def test_an_error_says_where_the_value_came_from(tmp_path: Path) -> None:
    text = refused(tmp_path, CALLBOARD_COORDINATOR_BIND="127.0.0.1 ::")
    assert "$CALLBOARD_COORDINATOR_BIND: :: can be reached" in text
    text = refused(tmp_path, CALLBOARD_COORDINATOR_PORT="high")
    assert "invalid value for '$CALLBOARD_COORDINATOR_PORT': 'high' is not" in text
    assert "invalid value for '--port': 70000 is not" in refused(tmp_path, "--port", "70000")
    (tmp_path / "callboard.toml").write_text('[coordinator]\nallow = ["10.1.0.0/16", "10.2"]\n')
    assert "allow in callboard.toml: '10.2' is no network" in refused(tmp_path)
    (tmp_path / "callboard.toml").write_text("[coordinator]\nallow = [1.5, true]\n")
    assert "'allow' of [coordinator] can't have this value" in refused(tmp_path)
    (tmp_path / "callboard.toml").write_text('[coordinator]\nbind = "0.0.0.0"\n')
    assert "bind in callboard.toml: 0.0.0.0 can be reached" in refused(tmp_path)


@pytest.mark.parametrize(
    ("network", "hint"),
    [
        ("10.1.2.3/16", "write that"),
        ("everybody", "such as 10.1.0.0/16, fd00::/8, or one address"),
        ("", "such as"),
    ],
)
def test_what_is_no_network_is_refused_with_what_is(
    tmp_path: Path, network: str, hint: str
) -> None:
    text = refused(tmp_path, "--allow", network)
    assert f"--allow: '{network}' is no network" in text
    assert hint in text


@pytest.fixture
def taken() -> Iterator[list[int]]:
    """Ports of loopback on which others listen."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
    yield [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()


def test_an_option_comes_before_the_environment_and_that_before_the_files(
    tmp_path: Path, taken: list[int]
) -> None:
    option, variable, ours, lavas = taken
    (tmp_path / "lava.conf").write_text(json.dumps({"port": lavas, "blocksize": 4096}))

    def tried(*arguments: str, **variables: str) -> str:
        words = ["--config", "lava.conf", *arguments]
        return ended(3, tmp_path, *words, **variables)

    assert f"port {lavas}" in tried()
    (tmp_path / "callboard.toml").write_text(f"[coordinator]\nport = {ours}\n")
    assert f"port {ours}" in tried()
    environment = {"CALLBOARD_COORDINATOR_PORT": str(variable)}
    assert f"port {variable}" in tried(**environment)
    assert f"port {option}" in tried("--port", str(option), **environment)


LAVAS = """\
{
    "port": 3079,
    "blocksize": 4096,
    "poll_delay": 3,
    "coordinator_hostname": "control.example"
}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3079,", "3079", "lava.conf:3:5: error[CB291]: this is no JSON: expecting ',' delimiter"),
        ("3079", '"3079"', "lava.conf:2:5: error[CB291]: 'port' can't be \"3079\""),
        ("3079", "true", "'port' can't be true"),
        ("3079", "0", "'port' can't be 0"),
        ("3,", "[],", "lava.conf:4:5: error[CB291]: 'poll_delay' can't be []"),
        ("3,", "-1,", "it is a number of seconds, more than 0"),
        ("3,", "1e999,", "'poll_delay' can't be Infinity"),
        (LAVAS, "[]", "lava.conf:1:1: error[CB291]: the file is no JSON object"),
        (LAVAS, "", "lava.conf:1:1: error[CB291]: this is no JSON"),
        (LAVAS, "[" * 100_000, "is no JSON"),
    ],
)
def test_a_mistake_in_lavas_file_is_located(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in LAVAS
    (tmp_path / "lava.conf").write_text(LAVAS.replace(old, new, 1))
    assert message in refused(tmp_path, "--config", "lava.conf")


def test_a_file_of_lava_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    text = refused(tmp_path, "--config", "none.conf")
    assert "none.conf can't be read: No such file" in text
    assert "/etc/lava-coordinator/lava-coordinator.conf" in text
    (tmp_path / "bad.conf").write_bytes(b"\xff")
    assert "bad.conf can't be read: it is no UTF-8" in refused(tmp_path, "--config", "bad.conf")


def test_networks_of_the_environment_are_separated_by_spaces(tmp_path: Path) -> None:
    variable = {"CALLBOARD_COORDINATOR_ALLOW": "10.1.0.0/16,10.2.0.0/16"}
    assert "hint: separate several by spaces" in refused(tmp_path, **variable)


@pytest.mark.parametrize(
    "option",
    [
        "hold=x",
        "hold=nan",
        "hold=inf",
        "hold=1e999",
        "forget-after=0",
        "forget-after=inf",
        "request-time=nan",
        "request-time=inf",
        "max-ids=0",
        "max-bytes=inf",
        "max-bytes=1.5",
    ],
)
def test_numbers_that_make_no_sense_are_refused(tmp_path: Path, option: str) -> None:
    name, _, value = option.partition("=")
    text = refused(tmp_path, f"--{option}")
    assert f"invalid value for '--{name}': " in text
    assert value in text
    assert "float" not in text
    written = "[]" if value == "x" else value.replace("1e999", "inf")
    (tmp_path / "callboard.toml").write_text(f"[coordinator]\n{name} = {written}\n")
    assert f"'{name}' of [coordinator] can't have this value" in refused(tmp_path)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("HOLDS", "did you mean $CALLBOARD_COORDINATOR_HOLD?"),
        ("MAX_CLIENT", "did you mean $CALLBOARD_COORDINATOR_MAX_CLIENTS?"),
        ("hold", "did you mean $CALLBOARD_COORDINATOR_HOLD?"),
        ("WHATEVER", "see callboard coordinator --help"),
        ("", "see callboard coordinator --help"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused_with_the_one_that_was_meant(
    tmp_path: Path, name: str, hint: str
) -> None:
    variable = f"CALLBOARD_COORDINATOR_{name}"
    text = refused(tmp_path, **{variable: "1"})
    said = f"error[CB290]: ${variable} is no setting of a coordinator hint: {hint}"
    assert text.endswith(said)


def test_a_number_of_very_many_digits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "callboard.toml").write_text(f"[coordinator]\nhold = 1{'0' * 400}\n")
    assert "'hold' of [coordinator] can't have this value" in refused(tmp_path)


# What it says while it runs


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    """A coordinator with two groups in which clients wait."""
    with Coordinator(tmp_path_factory.mktemp("ours")) as coordinator:
        talk(coordinator)
        yield coordinator


@pytest.fixture
def ours(standing: Coordinator) -> Coordinator:
    """The same, whose clients have just asked again; it stays as it is."""
    poll(standing)
    return standing


def said(coordinator: Coordinator, name: str, role: str, request: str, **fields: object) -> None:
    common = {"group_name": "g1", "group_size": 2, "hostname": "rack-1", "poll_delay": 3}
    who = {"client_name": name, "role": role, "request": request}
    ask(coordinator.address, common | who | fields)


def talk(coordinator: Coordinator) -> None:
    for name, role in (("101", "server"), ("102", "client"), ("101", "server")):
        said(coordinator, name, role, "group_data")
    poll(coordinator)
    said(coordinator, "102", "client", "lava_frob")


def poll(coordinator: Coordinator) -> None:
    message = {"password": "hunter2"}
    said(coordinator, "102", "client", "lava_send", messageID="ready", message=message)
    said(coordinator, "101", "server", "lava_sync", messageID="done")
    said(coordinator, "201", "server", "group_data", group_name="g2", group_size=3)


def status(coordinator: Coordinator, *arguments: str, **variables: str) -> Ran:
    ran = callboard(
        coordinator.folder,
        *("coordinator", "status", "--socket", coordinator.control),
        *arguments,
        **variables,
    )
    assert ran.returncode == 0, ran.stderr
    return ran


def test_status_says_who_waits_for_what_and_for_whom(ours: Coordinator) -> None:
    lines = [line.rstrip() for line in status(ours).stdout.splitlines()]
    assert lines[0].startswith(f"127.0.0.1:{ours.port}, lava semantics, up ")
    assert lines[0].endswith("groups in memory only")
    assert lines[1] == "2 groups, 3 clients, waiting: 2"
    assert re.search("^connections 0: .*1 refused$", lines[2])
    table = re.sub(r"\d+ (s|min)", "T", "\n".join(lines[4:]))
    head, *rows = re.sub(" +", " ", table).splitlines()
    assert [head, *sorted(rows)] == [
        "group clients age waits",
        "g1 2 of 2 T T: lava-sync done of 101 (server), for 102 (client)",
        "g2 1 of 3 T T: 201 (server), for 2 clients to join",
    ]


def test_status_of_a_group_has_its_clients(ours: Coordinator) -> None:
    text = re.sub(r"\d+ (s|min)", "T", status(ours, "g1").stdout)
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert rows[-3:] == [
        "group client role worker seen waits in",
        "g1 101 server rack-1 T ago lava-sync done",
        "102 client rack-1 T ago -",
    ]
    assert not any("g2" in row for row in rows)


def test_a_group_that_is_not_there_is_said_to_be(ours: Coordinator) -> None:
    ran = callboard(ours.folder, "coordinator", "status", "--socket", ours.control, "g1", "g9")
    assert (ran.returncode, ran.stderr) == (1, "callboard: there is no group 'g9'\n")
    assert "lava-sync done" in ran.stdout


def test_status_as_json_is_the_whole_state(ours: Coordinator) -> None:
    found = document(status(ours, "--json"))
    assert (found["coordinator"]["pid"], found["coordinator"]["groups"]) == (ours.pid, 2)
    assert [each["name"] for each in found["groups"]] == ["g1", "g2"]
    [wait] = found["groups"][0]["waits"]
    assert (wait["request"], wait["id"], wait["clients"]) == ("lava_sync", "done", ["101"])
    assert (wait["missing"], wait["ready"], wait["hangs"]) == (["102"], False, None)


def test_status_finds_the_socket_of_the_coordinator_by_the_same_configuration(
    ours: Coordinator,
) -> None:
    (ours.folder / "callboard.toml").write_text(f'[coordinator]\nsocket = "{ours.control}"\n')
    ran = callboard(ours.folder, "coordinator", "status", "--json")
    assert document(ran)["coordinator"]["pid"] == ours.pid
    (ours.folder / "callboard.toml").unlink()
    environment = {"CALLBOARD_COORDINATOR_SOCKET": str(ours.control)}
    ran = callboard(ours.folder, "coordinator", "status", "--json", **environment)
    assert document(ran)["coordinator"]["pid"] == ours.pid
    ran = callboard(ours.folder, "coordinator", "--socket", ours.control, "status", "--json")
    assert document(ran)["coordinator"]["pid"] == ours.pid


def test_status_says_when_no_coordinator_is_running(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "coordinator", "status")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "error[CB293]: no coordinator is running: there is no " in ran.stderr
    ran = callboard(tmp_path, "coordinator", "status", "--json")
    assert document(ran)["diagnostics"][0]["code"] == "CB293"


def test_a_watch_follows_what_changes_and_ends_with_the_coordinator(tmp_path: Path) -> None:
    command = [*CALLBOARD, "coordinator", "status", "--watch", "--json", "--socket"]
    with Coordinator(tmp_path) as coordinator:
        talk(coordinator)
        watching = subprocess.Popen(
            [*command, str(coordinator.control)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        with watching:
            assert watching.stdout is not None
            assert watching.stderr is not None
            assert len(json.loads(watching.stdout.readline())["groups"]) == 2
            for name in ("101", "102"):
                request = {"request": "clear_group", "group_name": "g1", "client_name": name}
                ask(coordinator.address, request)
            for line in watching.stdout:
                if [each["name"] for each in json.loads(line)["groups"]] == ["g2"]:
                    break
            assert coordinator.stop() == 0
            assert b"has ended" in watching.stderr.read()
    assert watching.returncode == 3


def test_a_watch_fits_a_narrow_terminal_and_ends_with_ctrl_c(ours: Coordinator) -> None:
    screen = pyte.Screen(44, 12)
    stream = pyte.ByteStream(screen)
    arguments = [*CALLBOARD[1:], "coordinator", "status", "--watch", "--socket", str(ours.control)]
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    child: pexpect.spawn[bytes] = pexpect.spawn(
        CALLBOARD[0],
        arguments,
        env=environment | {"TERM": "xterm"},
        timeout=30,
        dimensions=(12, 44),
    )
    while "to join" not in (shown := "\n".join(screen.display)):
        stream.feed(child.read_nonblocking(1_000))
    assert "2 groups, 3 clients, waiting: 2" in shown
    assert "lava-sync done" in shown
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_the_log_says_what_happens_and_what_is_refused(ours: Coordinator) -> None:
    log = ours.log
    assert "warning: groups are kept in memory only, and lost at the end" in log
    for line in (
        f"listening on 127.0.0.1:{ours.port}",
        "group g1: made, for 2 clients",
        "group g1: 101 (server) has joined from rack-1",
        "group g1: complete, with 2 clients",
    ):
        assert re.search(rf"^\S+Z {re.escape(line)}$", log, re.MULTILINE)
    assert re.search(
        r"Z warning: 127\.0\.0\.1:\d+: .*there is no request 'lava_frob'$", log, re.MULTILINE
    )
    assert "hunter2" not in log


def test_the_log_can_be_json(tmp_path: Path) -> None:
    with Coordinator(tmp_path, ["--log-format", "json"]) as coordinator:
        talk(coordinator)
        assert coordinator.stop() == 0
        lines = [json.loads(line) for line in coordinator.log.splitlines()]
        events = [line["event"] for line in lines]
        assert events[:4] == ["memory-only", "ready", "group-made", "client-joined"]
        assert {"refused", "group-complete", "ended"} <= set(events)
        assert all(line["time"] and line["level"] and line["text"] for line in lines)


def test_json_puts_the_log_on_standard_output() -> None:
    command = [*CALLBOARD, "coordinator", "--json", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        lines = [json.loads(running.stdout.readline()) for _ in range(2)]
        assert [line["event"] for line in lines] == ["memory-only", "ready"]
        assert lines[1]["port"] > 0
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (130, b"")
    assert json.loads(out.splitlines()[-1])["event"] == "ended"


def test_status_after_a_restart_has_the_groups_and_those_that_have_asked_again(
    tmp_path: Path,
) -> None:
    with Coordinator(tmp_path, ["--state", tmp_path / "state"]) as coordinator:
        talk(coordinator)
        coordinator.kill()
        coordinator.start()
        found = document(status(coordinator, "--json"))
        assert found["coordinator"]["state"] == str(tmp_path / "state")
        assert [(each["name"], each["waits"]) for each in found["groups"]] == [
            ("g1", []),
            ("g2", []),
        ]
        assert ", 0 bytes to be written" in status(coordinator).stdout
        assert "memory only" not in coordinator.log


def test_a_watch_shows_as_many_groups_as_fit_and_counts_the_others() -> None:
    groups = Followed()
    for number in range(100):
        groups.join("s1", "c2", group=f"g{number}")
        groups.ask(wait("s1", "ready", f"g{number}"))
    groups.ask(leave("c2", "g77"))
    groups.after(60, wait("s1", "ready", "g77"))
    picture = Picture(groups.overview.state())
    for name in groups.overview.groups:
        found = groups.overview.group(name)
        assert found is not None
        picture.put(found)
    console = Console(width=50, height=20, force_terminal=True, file=io.StringIO())
    said = Output()
    said.console = console
    shown = console.render_lines(Screen(said, ()).drawn(picture, 20))
    lines = ["".join(segment.text for segment in line).rstrip() for line in shown]
    assert len(lines) <= 20
    assert lines[2].startswith("group")
    assert "g77" in lines[3]
    assert re.fullmatch(r"and \d\d groups more", lines[-1])


def test_a_log_that_nobody_reads_does_not_keep_it_from_serving_and_ending() -> None:
    port = free_port()
    command = [*CALLBOARD, "coordinator", "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        while b"listening on" not in running.stderr.readline():
            pass
        fields = {"group_size": 2, "client_name": "1", "role": "r" * 900, "hostname": "h"}
        for number in range(100):
            joining = {"request": "group_data", "group_name": f"g{number}"}
            assert ask(("127.0.0.1", port), joining | fields) == {"response": "wait"}
        running.terminate()
        assert running.wait(30) == 0


def test_names_with_controls_do_no_harm_to_a_terminal(tmp_path: Path) -> None:
    with Coordinator(tmp_path) as coordinator:
        name = "g\n\x1b[2J"
        fields = {"group_size": 2, "client_name": "\x1b]0;x\x07", "role": "\r\u202e"}
        ask(coordinator.address, {"request": "group_data", "group_name": name} | fields)
        shown = status(coordinator, "-v", "--color", "always").stdout
    assert "g\\n\\x1b[2J" in shown
    assert not re.search("[\r\x07\u202e]|\x1b[^[]|\x1b\\[2J", shown)


def test_two_coordinators_do_not_share_a_socket(ours: Coordinator) -> None:
    ran = process(ours.folder, "coordinator", "--port", "0", "--socket", ours.control)
    assert ran.returncode == 3
    assert f"error[CB292]: another coordinator has {ours.control}" in ran.stderr
    assert "--socket PATH" in ran.stderr
    status(ours)


# As a service


def test_the_service_starts_what_the_command_line_knows(tmp_path: Path) -> None:
    [line] = re.findall(r"^ExecStart=\S+/callboard (.*)$", UNIT.read_text(), re.MULTILINE)
    words = shlex.split(line.replace("%S", str(tmp_path)).replace("%t", str(tmp_path)))
    socket_path = Path(words[words.index("--socket") + 1])
    socket_path.parent.mkdir(parents=True)
    folder = socket_path.parent
    with Coordinator(folder, words[1:]) as coordinator:
        found = callboard(folder, "coordinator", "status", "--socket", socket_path, "--json")
        assert document(found)["coordinator"]["pid"] == coordinator.pid


def test_the_service_reads_the_machines_settings(tmp_path: Path) -> None:
    [line] = re.findall(r"^Environment=(.*)$", UNIT.read_text(), re.MULTILINE)
    name, _, value = line.replace("%E", str(tmp_path / "etc")).partition("=")
    settings = tmp_path / "etc/callboard/callboard.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[coordinator]\nbind = "0.0.0.0"\n')
    assert "bind in callboard.toml: 0.0.0.0 can be" in refused(tmp_path, **{name: value})


def test_the_service_is_tried_again_where_time_may_help(tmp_path: Path, taken: list[int]) -> None:
    [final] = re.findall(r"^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.MULTILINE)
    ended(int(final), tmp_path, "--bind", "0.0.0.0")
    (tmp_path / "core").touch()
    for words in (
        ["--port", str(taken[0])],
        ["--bind", "192.0.2.7", "--allow", "192.0.2.0/24"],
        ["--state", str(tmp_path)],
    ):
        ran = callboard(tmp_path, "coordinator", *words)
        assert ran.returncode not in (0, int(final))


def test_every_setting_of_the_service_is_one(tmp_path: Path) -> None:
    names = set(re.findall(r"CALLBOARD_COORDINATOR_(\w+)", UNIT.read_text()))
    options = callboard(tmp_path, "coordinator", "--help").stdout
    assert names
    assert all(f"--{name.lower().replace('_', '-')} " in options for name in names)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_no_fault_with_the_service(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    program = shutil.which("true") or ""
    unit.write_text(UNIT.read_text().replace("/opt/callboard/bin/callboard", program))
    checked = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    exposure = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            "--threshold=20",
            "--no-pager",
            str(unit),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert exposure.returncode == 0, exposure.stdout[-500:]
