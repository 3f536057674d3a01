"""Links between nodes that are cut, healed, lossy and slow while a group really runs."""

from pathlib import Path

import pytest
import yaml
from tests.system.boxes import collect
from tests.system.harness import Callboard, Ran, Test, definition

from callboard.events import LinksChanged

SEND = """\
import socket, sys, time
with socket.create_connection((sys.argv[1], 5001), timeout=20) as peer:
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        peer.sendall(bytes(1 << 16))
"""
RECEIVE = """\
import socket, subprocess, time
server = socket.create_server(("", 5001))
subprocess.run(["lava-sync", "listens"], check=True)
peer, _ = server.accept()
began, seen = time.monotonic(), 0
while data := peer.recv(1 << 20):
    seen += len(data)
rate = seen * 8 / (time.monotonic() - began)
subprocess.run(
    ["lava-test-case", "rate", "--result", "pass", "--measurement", str(rate), "--units", "bps"],
    check=True,
)
"""
ECHO = """\
import socket
server = socket.create_server(("", 5002))
print("listens", flush=True)
peer, _ = server.accept()
while data := peer.recv(100):
    peer.sendall(data)
"""
LISTEN = "mkfifo said && (python3 echo.py > said &) && read -r line < said"
EXCHANGE = """\
import socket, subprocess, time

def sync(name):
    subprocess.run(["lava-sync", name], check=True)

def echo(timeout):
    peer.settimeout(timeout)
    peer.sendall(b"x")
    return peer.recv(100) == b"x"

with socket.create_connection(("server", 5002), timeout=10) as peer:
    assert echo(10)
    sync("cut")
    try:
        echo(1)
    except TimeoutError:
        print("nothing came")
    else:
        raise SystemExit("it came through a link that is cut")
    sync("healed")
    peer.settimeout(30)
    assert peer.recv(100) == b"x", "what was sent meanwhile arrives"
    assert echo(10)
"""


def script(name: str, text: str) -> list[str]:
    """Steps that write a program for Python; a step is one line, as in LAVA."""
    lines = [f"printf '%s\\n' {_quoted(line)} >> {name}" for line in text.splitlines()]
    return [f"cd /tmp && : > {name}", *lines]


def _quoted(line: str) -> str:
    return "'" + line.replace("'", "'\\''") + "'"


def group(server: list[str], client: list[str]) -> str:
    return definition({"server": [Test("serve", server)], "client": [Test("use", client)]})


def faults(board: Callboard, text: str) -> tuple[str, ...]:
    path = board.folder / "faults.yaml"
    path.write_text(text)
    return ("--network", "group", "--faults", str(path))


def devices(board: Callboard, *links: str) -> tuple[str, ...]:
    path = board.folder / "devices.yaml"
    network = f"network: {{kind: group, links: [{', '.join(links)}]}}\n"
    nodes = "devices:\n  a: {type: qemu}\n  b: {type: qemu}\n"
    path.write_text(network + nodes)
    return ("--devices", str(path))


def changes(ran: Ran) -> list[tuple[str, tuple[tuple[int, ...], ...]]]:
    bodies = [each.body for each in ran.events(LinksChanged)]
    return [(each.change, each.ends) for each in bodies if isinstance(each, LinksChanged)]


CUT_AND_HEAL = """\
faults:
- cut: {between: [client, server]}
  at: {call: lava-sync cut}
- heal: client
  at: {call: lava-sync healed}
"""


def test_a_tcp_connection_outlives_a_cut_between_its_ends(ordinary: Callboard) -> None:
    server = [*script("echo.py", ECHO), LISTEN, "lava-sync ready"]
    client = [*script("exchange.py", EXCHANGE), "lava-sync ready"]
    tried = "lava-test-case exchange --shell python3 exchange.py"
    found = group(
        [*server, "lava-sync cut", "lava-sync healed", "lava-sync done"],
        [*client, tried, "lava-sync done"],
    )
    ran = ordinary.run(found, *faults(ordinary, CUT_AND_HEAL))
    assert ran.exit_code == 0, ran.stderr
    assert ran.results("client")["0_use/exchange"] == "pass"
    ids = {job["role"]: job["id"] for job in ran.document["jobs"]}
    cut, healed = ((ids["client"],), (ids["server"],)), ((ids["client"],),)
    assert changes(ran) == [("cut", cut), ("heal", healed)]
    log = (ran.directory / f"jobs/{ids['server']}/output.yaml").read_text()
    assert "the links between job" in log


def test_the_devices_file_cuts_and_frees_links_from_the_first_step_on(ordinary: Callboard) -> None:
    probe = "lava-test-case reach --shell ping -n -c1 -W1"
    found = group(
        ["lava-sync there", f"{probe} client", "lava-sync done"],
        ["lava-sync there", f"{probe} server", "lava-sync done"],
    )
    for loss, result in (("100%", "fail"), ("0%", "pass")):
        rule = f"{{between: [client, server], loss: {loss}}}"
        arguments = (*devices(ordinary, rule), "-o", str(ordinary.folder / result))
        ran = ordinary.run(found, *arguments)
        told = yaml.safe_load((ordinary.folder / result / "results.yaml").read_text())
        reached = {case["result"] for case in told if case["name"] == "reach"}
        assert reached == {result}, ran.stderr


def test_a_rate_of_the_devices_file_is_kept(ordinary: Callboard) -> None:
    found = group(
        [*script("receive.py", RECEIVE), "python3 receive.py", "lava-sync done"],
        [*script("send.py", SEND), "lava-sync listens", "python3 send.py server", "lava-sync done"],
    )

    def rate_bps(*links: str, name: str) -> float:
        folder = ordinary.folder / name
        ran = ordinary.run(found, *devices(ordinary, *links), "-o", str(folder))
        assert ran.exit_code == 0, ran.stderr
        told = yaml.safe_load((folder / "results.yaml").read_text())
        [case] = [case for case in told if case["name"] == "rate"]
        return float(case["measurement"])

    assert rate_bps("{role: server, loss: 0}", name="free") > 100e6
    assert 5e6 < rate_bps("{role: client, rate: 10Mbit}", name="slow") < 12e6


def test_a_cut_that_lasts_ends_by_itself(ordinary: Callboard) -> None:
    # Whoever pings waits for each echo: the last attempt comes through.
    until = "until ping -n -c1 -W1 server; do echo again; done"
    found = group(
        ["lava-sync cut", "lava-sync done"],
        ["lava-sync cut", "! ping -n -c1 -W1 server", until, "lava-sync done"],
    )
    text = "faults: [{cut: client, at: {call: lava-sync cut}, for: 3}]"
    ran = ordinary.run(found, *faults(ordinary, text))
    assert ran.exit_code == 0, ran.stderr
    assert [change for change, _ in changes(ran)] == ["cut", "over"]


@pytest.mark.needs_lxc("busybox")
def test_a_link_between_a_container_and_a_local_node_is_cut_and_healed(
    callboard: Callboard,
) -> None:
    path = callboard.folder / "devices.yaml"
    path.write_text(
        "network: group\ndevices:\n"
        "  a: {type: qemu, driver: lxc, template: busybox, tags: [box]}\n  b: {type: qemu}\n"
    )
    probe = "ping -c1 -W1 server"
    found = yaml.safe_load(
        group(
            ["lava-sync there", "lava-sync cut", "lava-sync healed", "lava-sync done"],
            [
                "lava-sync there",
                f"lava-test-case before --shell {probe}",
                "lava-sync cut",
                f"lava-test-case during --shell '! {probe}'",
                "lava-sync healed",
                f"lava-test-case after --shell {probe.replace('-c1', '-c4')}",
                "lava-sync done",
            ],
        )
    )
    found["protocols"]["lava-multinode"]["roles"]["server"]["tags"] = ["box"]
    more = faults(callboard, CUT_AND_HEAL)[2:]
    try:
        ran = callboard.run(yaml.safe_dump(found), "--devices", str(path), *more)
        assert ran.exit_code == 0, ran.stderr
        cases = ("before", "during", "after")
        assert [ran.results("client")[f"0_use/{case}"] for case in cases] == ["pass"] * 3
    finally:
        collect(callboard, "--bases")


@pytest.mark.parametrize(
    ("text", "code", "line", "said"),
    [
        ("faults:\n- kill: client\n  at: {time: 1}", "CB264", 2, "in rehearsals alone"),
        ("faults:\n- cut: client\n  at: {step: x}", "CB264", 3, "doesn't tell when"),
        ("faults:\n- {draw: [cut, kill], rate: 1, within: 1}", "CB264", 2, "`kill`"),
        ("faults:\n- cut: clint", "CB210", 2, "did you mean `client`?"),
        ("faults:\n- cut: {role: client, node: 7}", "CB213", 2, "has 1 node"),
        ("faults:\n- impair: client\n  with: {rate: 1}", "CB260", 3, "write the unit"),
    ],
)
def test_faults_that_no_run_can_have_are_refused_before_it(
    callboard: Callboard, text: str, code: str, line: int, said: str
) -> None:
    ran = callboard.run(group(["true"], ["true"]), *faults(callboard, text))
    assert ran.exit_code == 2
    [problem] = ran.document["diagnostics"]
    assert (problem["code"], problem["line"]) == (code, line)
    assert said in f"{problem['message']} {problem['hint']}"
    assert not ran.directory.exists()


def test_links_that_are_not_there_are_refused(callboard: Callboard) -> None:
    arguments = faults(callboard, "faults:\n- cut: client\n  at: {time: 1}")
    ran = callboard.run(group(["true"], ["true"]), *arguments[2:])
    assert ran.exit_code == 2
    [problem] = ran.document["diagnostics"]
    assert (problem["code"], problem["line"]) == ("CB265", 2)
    assert "--network group" in problem["hint"]
    assert not ran.directory.exists()


def test_a_rule_for_a_role_that_is_not_there_is_refused(callboard: Callboard) -> None:
    arguments = devices(callboard, "{role: sever, cut: true}")
    ran = callboard.run(group(["true"], ["true"]), *arguments)
    assert ran.exit_code == 2
    [problem] = ran.document["diagnostics"]
    assert (problem["code"], problem["hint"]) == ("CB263", "did you mean `server`?")


def test_a_delay_is_refused_where_the_kernel_has_none_and_kept_where_it_has(
    ordinary: Callboard,
) -> None:
    again = "ping -n -q -c3 -i0.2 server"
    found = group(
        ["lava-sync there", "lava-sync done"],
        ["lava-sync there", f"{again} > /tmp/times", "cat /tmp/times", "lava-sync done"],
    )
    ran = ordinary.run(found, *devices(ordinary, "{role: client, delay: 50ms}"))
    if ran.exit_code == 2:
        [problem] = ran.document["diagnostics"]
        assert problem["code"] == "CB100"
        assert "no netem" in problem["message"]
        assert "sch_netem" in problem["hint"]
        assert problem["hint"].endswith("devices.yaml:1:32)")
        assert not ran.directory.exists()
        return
    assert ran.exit_code == 0, ran.stderr
    [line] = [each for each in ran.console("client") if each.startswith("rtt ")]
    least_ms = float(line.split(" = ")[1].split("/")[0])
    assert 100 <= least_ms < 140


def test_a_tool_that_is_missing_is_named_with_its_cure(
    callboard: Callboard, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for folder in callboard.environment["PATH"].split(":"):
        for tool in Path(folder).glob("*") if Path(folder).is_dir() else ():
            if tool.name != "nft" and not (tools / tool.name).exists():
                (tools / tool.name).symlink_to(tool)
    board = Callboard(callboard.folder, callboard.temporary, path=str(tools))
    ran = board.run(group(["true"], ["true"]), *devices(board, "{role: client, cut: true}"))
    assert ran.exit_code == 2
    [problem] = ran.document["diagnostics"]
    assert problem["message"] == "links can't be changed without nft"
    assert "nftables" in problem["hint"]
