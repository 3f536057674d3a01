"""Groups in a network of their own, as root and as an ordinary user."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from attrs import evolve
from tests.system.boxes import BUSYBOX, begin, clear
from tests.system.harness import Callboard, Test, definition

GROUP = ("--network", "group")

# Takes what its clients send, and says how much that was.
SERVE = """python3 -c '
import socket, threading
server = socket.create_server(("0.0.0.0", 80), backlog=8)
open("/tmp/up", "w").close()
def take(peer):
    size = 0
    while data := peer.recv(1 << 16):
        size += len(data)
    peer.sendall(b"%d" % size)
    peer.close()
threads = [threading.Thread(target=take, args=(server.accept()[0],)) for _ in range(3)]
[each.start() for each in threads]
[each.join() for each in threads]
' & until test -e /tmp/up; do sleep 0.05; done"""

SEND = """python3 -c '
import socket, sys
peer = socket.create_connection((sys.argv[1], 80), timeout=20)
for _ in range(64):
    peer.sendall(bytes(1 << 16))
peer.shutdown(socket.SHUT_WR)
assert peer.recv(64) == b"%d" % (64 << 16)
' """


def links() -> set[str]:
    """The network interfaces of this machine, but those that runs of other tests may have now."""
    names = {each.name for each in Path("/sys/class/net").iterdir()}
    return {each for each in names if not each.startswith(("veth", "cb"))}


# Prints the interfaces of this network, or of those that it has numbers for (rtnetlink(7)).
NEIGHBOURS = """python3 -c '
import socket, struct
def names(*number):
    asker = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    wanted = b"".join(struct.pack("HHi", 8, 46, each) for each in number)
    asker.send(struct.pack("IHHII16x", 32 + len(wanted), 18, 0x301, 1, 0) + wanted)
    while answer := asker.recv(1 << 16):
        while answer:
            length, kind = struct.unpack_from("IH", answer)
            message, answer = answer[32:length], answer[(length + 3) & ~3:]
            if kind != 16:
                return
            while message:
                size, attribute = struct.unpack_from("HH", message)
                if attribute == 3:
                    yield message[4:size - 1].decode()
                message = message[(size + 3) & ~3:]
print("OWN", *names())
others = [name for number in range(4) for name in names(number)]
print("OTHERS", *others, "END")
'"""


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    """No test of this file leaves an interface."""
    before = links()
    yield
    assert links() == before


def fetched(address: str) -> str:
    """The command that prints what a server at an address sends, and fails where there is none."""
    name, port = address.rsplit(":", 1)
    return (
        "python3 -c 'import socket; "
        f'print(socket.create_connection(("{name}", {port}), 5).recv(99).decode())\''
    )


def file_of(callboard: Callboard, network: object, *names: str) -> tuple[str, str]:
    """The options for devices in such a network."""
    devices = {name: {"type": "qemu"} for name in names}
    path = callboard.folder / "rack.yaml"
    path.write_text(yaml.safe_dump({"network": network, "devices": devices}))
    return "--devices", str(path)


def test_clients_reach_the_server_at_the_address_that_it_has_sent_them(anybody: Callboard) -> None:
    server = [SERVE, "lava-send up ip=$(lava-echo-ipv4 eth0)", "lava-wait-all done client"]
    client = [
        "lava-wait up",
        "ip=$(sed -n 's/.*ip=//p' /tmp/lava_multi_node_cache.txt)",
        f"if {SEND} $ip; then lava-test-case exchange --result pass; fi",
        "lava-send done",
    ]
    group = definition(
        {"server": [Test("t", server)], "client": [Test("t", client)]}, counts={"client": 3}
    )
    ran = anybody.run(group, *GROUP)
    assert ran.exit_code == 0, ran.console("client")
    assert [ran.results("client", each)["0_t/exchange"] for each in range(3)] == ["pass"] * 3


def test_nodes_know_each_other_by_name_and_by_both_kinds_of_address(anybody: Callboard) -> None:
    listen = (
        "python3 -c 'import socket\n"
        'server = socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True)\n'
        'open("/tmp/up", "w").close()\n'
        'while True: server.accept()[0].sendall(b"heard")\' &'
    )
    names = ("local-1", "a", "a-1", "job-1")
    steps = [f"test heard = $({fetched(f'{name}:7000')})" for name in names]
    steps += [
        "six=$(getent ahostsv6 a | sed -n '1s/ .*//p')",
        "case $six in fd*) ;; *) false ;; esac",
        f"test heard = $({fetched('$six:7000').replace('$six', chr(39) + '$six' + chr(39))})",
        "test $(getent ahosts b | grep -c STREAM) -ge 2",
        "test $(ls /sys/class/net | tr '\\n' ' ' | tr -d ' ') = eth0lo",
    ]
    first = Test("t", [listen, "until test -e /tmp/up; do sleep 0.05; done", "lava-sync up"])
    waits = evolve(first, steps=[*first.steps, "lava-sync done"])
    asks = Test("t", ["lava-sync up", *steps, "lava-sync done"])
    group = definition({"a": [waits], "b": [asks]}, counts={"b": 2})
    ran = anybody.run(group, *GROUP, "--first-id", "1")
    assert ran.exit_code == 0, ran.console("b")
    assert ran.suites("b") == {"0_t": "pass"}, ran.console("b")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give this machine other names")
def test_a_role_counts_more_than_whom_the_machine_knows_by_its_name(callboard: Callboard) -> None:
    hosts = callboard.folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.9 b other\n")
    script = f'mount --bind {hosts} /etc/hosts && exec "$@"'
    board = evolve(callboard, prefix=("unshare", "--mount", "sh", "-c", script, "-"))
    steps = [
        "test $(getent ahostsv4 b | grep -c 127) = 0",
        "getent ahostsv4 b",
        "getent ahostsv4 other | grep 127.0.0.9",
    ]
    ran = board.run(definition({"a": [Test("t", steps)], "b": []}), *GROUP)
    assert ran.suites("a") == {"0_t": "pass"}, ran.console("a")


def test_everybody_may_set_up_the_network_of_a_node(anybody: Callboard) -> None:
    steps = [
        "ip address add 192.168.7.1/24 dev eth0",
        "ip link add more type veth peer name end",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "python3 -c 'import socket; socket.create_server((\"192.168.7.1\", 80))'",
        "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
        "! mount -t tmpfs none /mnt",
        "! hostname other",
        "lava-test-case all --result pass",
    ]
    ran = anybody.run(definition({"a": [Test("t", ["set -e", *steps])], "b": []}), *GROUP)
    assert ran.results("a") == {"0_t/all": "pass"}, ran.console("a")


def test_nobody_sets_up_networks_behind_the_cables_of_a_node(anybody: Callboard) -> None:
    ran = anybody.run(definition({"a": [Test("t", [NEIGHBOURS])], "b": []}), *GROUP)
    assert "OWN lo eth0" in ran.console("a")
    assert "OTHERS END" in ran.console("a")


# The way out


@contextlib.contextmanager
def outside() -> Iterator[tuple[str, int]]:
    """A server of this machine, at an address that isn't its loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        address = probe.getsockname()[0]
    with socket.create_server((address, 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer:
                        peer.sendall(b"outside")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield address, server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


WAYS: Mapping[str, tuple[str, ...]] = {
    "pasta": ("slirp4netns",),
    "slirp4netns": ("pasta",),
    "masquerade": ("pasta", "slirp4netns"),
    "none": ("pasta", "slirp4netns", "nft"),
}


@contextlib.contextmanager
def without(board: Callboard, *tools: str) -> Iterator[Callboard]:
    """The command line with all tools of this machine but these, where nodes find them, too."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        for each in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
            for tool in Path(each).iterdir():
                link = Path(folder, tool.name)
                if tool.name not in tools and not link.is_symlink():
                    link.symlink_to(tool)
        yield evolve(board, path=folder)


@pytest.mark.parametrize("way", ["pasta", "slirp4netns", "masquerade"])
def test_nodes_get_out_of_the_network_of_the_group(anybody: Callboard, way: str) -> None:
    if way == "masquerade" and anybody.prefix:
        way = "pasta"  # an ordinary user has no masquerading
    with without(anybody, *WAYS[way]) as board, outside() as (address, port):
        steps = [
            f"lava-test-case out --shell test outside = $({fetched(f'{address}:{port}')})",
            f"if {fetched(f'127.0.0.1:{port}')}; then false; fi",
        ]
        ran = board.run(definition({"a": [Test("t", steps)], "b": []}), *GROUP)
    assert ran.exit_code == 0, ran.console("a")
    assert ran.results("a") == {"0_t/out": "pass"}, ran.console("a")
    assert tables() == []
    uplink = f"cb{ran.document['group'].replace('-', '')[:10]}"
    assert not (Path("/sys/class/net") / uplink).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's tools can be hidden")
def test_without_a_way_out_nodes_reach_only_each_other(callboard: Callboard) -> None:
    with without(callboard, *WAYS["none"]) as board, outside() as (address, port):
        steps = [f"if {fetched(f'{address}:{port}')}; then false; fi", "getent hosts b"]
        ran = board.run(definition({"a": [Test("t", steps)], "b": []}), *GROUP)
    assert ran.suites("a") == {"0_t": "pass"}, ran.console("a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's tools can be hidden")
def test_a_machine_without_the_tool_for_networks_says_so(callboard: Callboard) -> None:
    with without(callboard, "ip") as board:
        ran = board.run(definition({"a": [Test("t", ["true"])], "b": []}), *GROUP)
    assert ran.exit_code == 2
    [found] = ran.document["diagnostics"]
    assert found["code"] == "CB242"
    assert "`ip`, which is not installed" in found["message"]
    assert "iproute2" in found["hint"]


def tables() -> list[str]:
    """Tables of nft of this machine that are callboard's."""
    if os.geteuid() != 0:
        return []
    command = ("nft", "--json", "list", "tables")
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    names = (each.get("table", {}).get("name", "") for each in listed["nftables"])
    return [each for each in names if each.startswith("callboard_")]


# Faults


def test_a_firewall_that_forwards_nothing_is_no_hindrance(callboard: Callboard) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has a firewall to set up")
    rules = callboard.folder / "rules"
    rules.write_text(DROPPING)
    script = (
        f'nft -f {rules}; test ! -e {BRIDGED} || echo 1 > {BRIDGED}; ip link set lo up; exec "$@"'
    )
    prefix = ("unshare", "--net", "--fork", "sh", "-c", script, "-")
    board = evolve(callboard, prefix=prefix)
    serve = Test("t", [SERVE, "lava-sync up", "lava-wait-all done client"])
    send = Test("t", ["lava-sync up", f"{SEND} server", "lava-send done"])
    group = definition({"server": [serve], "client": [send]}, counts={"client": 3})
    ran = board.run(group, *GROUP)
    assert ran.exit_code == 0, ran.console("client")


DROPPING = """table ip filter {
  chain FORWARD {
    type filter hook forward priority 0
    policy drop
  }
}
"""
BRIDGED = "/proc/sys/net/bridge/bridge-nf-call-iptables"


def test_nothing_is_left_of_a_network_whose_callboard_was_killed(anybody: Callboard) -> None:
    steps = ["lava-test-case up --result pass", "sleep 4711"]
    running = begin(anybody, definition({"a": [Test("t", steps)], "b": []}), *GROUP)
    running.wait_for('"case":"up"')
    family = list(descendants(running.process.pid))
    spaces = {space for each in family if (space := network_of(each))} - {network_of(os.getpid())}
    assert spaces, "nodes have networks of their own"
    ended = [os.pidfd_open(each) for each in family]
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.communicate()
    for each in ended:
        assert_ends(each)
    living = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]
    assert not spaces & {network_of(each) for each in living}


def assert_ends(process: int) -> None:
    """See that a process ends."""
    found, _, _ = select.select([process], [], [], 20)
    os.close(process)
    assert found


def descendants(pid: int) -> Iterator[int]:
    """All processes that a process has started, those nearest to it first."""
    for folder in Path(f"/proc/{pid}/task").iterdir():
        for child in (folder / "children").read_text().split():
            yield int(child)
            yield from descendants(int(child))


def network_of(pid: int) -> str | None:
    """The network namespace of a process; None where that can't be seen."""
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None


@pytest.mark.parametrize(
    ("network", "options", "code", "words"),
    [
        ({"kind": "group", "ipv4": "10.99.0.0/29"}, (), "CB243", "10.99.0.0/29"),
        ({"kind": "group", "ipv4": "10.99.0.0/30"}, (), "CB240", "too few"),
        ({"kind": "group", "ipv4": "8.8.8.0/24"}, (), "CB240", "others have"),
        ({"kind": "group", "ipv4": "10.99.0.1/24"}, (), "CB240", "an address in a range"),
        ({"kind": "group", "ipv6": "fd00::/48"}, (), "CB240", "64"),
        ({"kind": "host", "ipv4": "10.99.0.0/24"}, (), "CB240", "`kind` is `host`"),
        ("groop", (), "CB024", "groop"),
        ("group", ("--no-sandbox",), "CB244", "sandbox"),
    ],
)
def test_a_network_that_can_not_be_is_refused(
    callboard: Callboard, network: object, options: tuple[str, ...], code: str, words: str
) -> None:
    names = [f"desk-{number}" for number in range(6)]
    group = definition({"a": [Test("t", ["true"])]}, counts={"a": 6})
    ran = callboard.run(group, *file_of(callboard, network, *names), *options)
    assert ran.exit_code == 2
    [found] = ran.document["diagnostics"]
    assert found["code"] == code
    assert words in found["message"]


def test_vlans_are_refused_in_the_network_of_the_machine(callboard: Callboard) -> None:
    text = yaml.safe_load(definition({"a": [Test("t", ["true"])], "b": []}))
    text["protocols"]["lava-vland"] = {each: {"one": {"tags": ["x"]}} for each in "ab"}
    ran = callboard.run(yaml.safe_dump(text), "--network", "host")
    assert ran.exit_code == 2
    assert "CB241" in {each["code"] for each in ran.document["diagnostics"]}


# Containers


@pytest.mark.needs_lxc("busybox")
def test_containers_and_local_nodes_reach_each_other(callboard: Callboard) -> None:
    serve = "mkdir /tmp/www; echo heard > /tmp/www/index.html; httpd -p 8000 -h /tmp/www"
    box = [
        serve,
        "lava-send box ip=$(lava-echo-ipv4 eth0)",
        "lava-wait node",
        "lava-test-case to-node --shell wget -qO /dev/null http://node:8000/",
        "lava-sync done",
    ]
    node = [
        "mkdir /tmp/www; cd /tmp/www; python3 -m http.server 8000 & ",
        "lava-wait box",
        "ip=$(sed -n 's/.*ip=//p' /tmp/lava_multi_node_cache.txt)",
        "until test $(curl -s -o /dev/null localhost:8000; echo $?) -ne 7; do sleep 0.05; done",
        "lava-send node",
        "for at in box box-1 lxc-2 $ip; do curl -s --max-time 9 $at:8000 | grep heard; done",
        "lava-test-case to-box --result pass",
        "lava-sync done",
    ]
    tested = {"node": [Test("t", ["set -e", *node])], "box": [Test("t", box)]}
    text = yaml.safe_load(definition(tested))
    text["protocols"]["lava-multinode"]["roles"]["box"]["device_type"] = "lxc"
    text["protocols"]["lava-lxc"] = {"box": {"name": "box", **BUSYBOX}}
    deploy, boot, *tests = text["actions"]
    text["actions"] = [
        {"deploy": {"role": ["box"], "to": "lxc"}},
        {"boot": {"role": ["box"], "method": "lxc", "prompts": ["#"]}},
        {"deploy": deploy["deploy"] | {"role": ["node"]}},
        {"boot": boot["boot"] | {"role": ["node"]}},
        *tests,
    ]
    try:
        ran = callboard.run(yaml.safe_dump(text, sort_keys=False), *GROUP)
        assert ran.results("node")["0_t/to-box"] == "pass", ran.console("node")
        assert ran.results("box")["0_t/to-node"] == "pass", ran.console("box")
    finally:
        clear(callboard)
