"""Networks of groups: making and removing nodes in one, and how much two of them exchange."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from ipaddress import IPv4Network
from pathlib import Path
from statistics import median

import anyio

from benchmarks.measurement import Measurement
from callboard.actors.drivers.network import subnets
from callboard.actors.drivers.network.attachment import Attached
from callboard.actors.drivers.network.group import open_network
from callboard.actors.drivers.network.plan import Member, Plan
from callboard.actors.drivers.sandboxed import SandboxedNode, open_sandbox
from callboard.definition.devices import LocalLimits

_NODES = 10
_ROUNDS = 3
_MIB = 1024
_ROOT = Path(__file__).parents[1]
_AS_USER = _ROOT / "tests/system/ordinary.py"
_RECEIVE = """
import socket
server = socket.create_server(("", 5001))
print("listening", flush=True)
peer, _ = server.accept()
buffer, size = bytearray(1 << 20), 0
while got := peer.recv_into(buffer):
    size += got
peer.sendall(b"%d" % size)
"""
_SEND = f"""
import socket, sys, time
peer = socket.create_connection((sys.argv[1], 5001))
block, began_s = bytes(1 << 20), time.perf_counter()
for _ in range({_MIB}):
    peer.sendall(block)
peer.shutdown(socket.SHUT_WR)
assert peer.recv(64) == b"%d" % ({_MIB} << 20)
print("took=%.4f" % (time.perf_counter() - began_s))
"""


async def _answers(node: SandboxedNode) -> None:
    console = await node.open_shell()
    console.send(b"echo up\n")
    assert b"up" in await console.receive()


async def _made_and_removed(nodes: Sequence[SandboxedNode]) -> float:
    """Seconds a node, one after the other."""
    began_s = time.perf_counter()
    try:
        for node in nodes:
            await node.prepare()
            await _answers(node)
    finally:
        for node in nodes:
            await node.release()
    return (time.perf_counter() - began_s) / len(nodes)


async def _plan(count: int) -> tuple[Plan, list[IPv4Network]]:
    taken = list(await subnets.routes())
    members = tuple(Member(f"node-{number}", "node", number) for number in range(1, count + 1))
    return Plan("run", members, subnets.free(taken), subnets.local_ipv6("run")), taken


async def _nodes() -> tuple[float, float]:
    """Median seconds of a node in a network of the group, and of one in the machine's."""
    group: list[float] = []
    host: list[float] = []
    plan, taken = await _plan(_NODES)
    for _ in range(_ROUNDS):
        async with open_sandbox() as sandbox:
            await sandbox.probe()
            async with open_network(sandbox, plan, taken, _nowhere) as network:
                connected = [
                    SandboxedNode(each, sandbox, LocalLimits(), Attached(network, each))
                    for each in plan.stations
                ]
                group.append(await _made_and_removed(connected))
            plain = [SandboxedNode(each, sandbox, LocalLimits()) for each in plan.stations]
            host.append(await _made_and_removed(plain))
    return median(group), median(host)


def _nowhere(_tool: str) -> None:
    """No tool for a way out, which isn't what is measured."""


def _python(program: str, *arguments: str) -> bytes:
    """A line for a shell that runs a program."""
    return f"{shlex.join(['python3', '-c', f'exec({program!r})', *arguments])}\n".encode()


async def _exchange(receiver: SandboxedNode, sender: SandboxedNode, address: str) -> float:
    """Seconds that it takes to send a gibibyte."""
    listening = await receiver.open_shell()
    listening.send(_python(_RECEIVE))
    assert b"listening" in await listening.receive()
    sending = await sender.open_shell()
    sending.send(_python(_SEND, address))
    said = b""
    while not (found := re.search(rb"took=([0-9.]+)", said)):
        said += await sending.receive()
    return float(found[1])


async def _throughput() -> tuple[float, float]:
    """Mebibytes a second between two nodes, and on the loopback of one."""
    plan, taken = await _plan(2)
    async with (
        open_sandbox() as sandbox,
        open_network(sandbox, plan, taken, _nowhere) as network,
    ):
        nodes = [
            SandboxedNode(each, sandbox, LocalLimits(), Attached(network, each))
            for each in plan.stations
        ]
        try:
            for node in nodes:
                await node.prepare()
            address = str(network.plan[nodes[0].name].ipv4)
            between = await _exchange(nodes[0], nodes[1], address)
            loopback = await _exchange(nodes[0], nodes[0], "127.0.0.1")
        finally:
            for node in nodes:
                await node.release()
    return _MIB / between, _MIB / loopback


_MEASURED: dict[str, Callable[[], Coroutine[None, None, tuple[float, float]]]] = {
    "nodes": _nodes,
    "throughput": _throughput,
}


def networks() -> list[Measurement]:
    """Nodes in a network of their group, and what two of them exchange; also as ordinary user."""
    found: list[Measurement] = []
    for who, measure in (("", _here), (", ordinary user", _as_user)):
        made_s, plain_s = measure("nodes")
        name = f"node in a group's network{who}"
        ratio = plain_s / made_s
        found.append(Measurement(name, made_s * 1000, plain_s * 1000, "ms", ratio, limit=200))
        between, loopback = measure("throughput")
        name = f"between two nodes{who}"
        found.append(Measurement(name, between, loopback, "MiB/s", between / loopback))
    return found


def _here(what: str) -> tuple[float, float]:
    return anyio.run(_MEASURED[what])


def _as_user(what: str) -> tuple[float, float]:
    """The same by an ordinary user, which root becomes for that."""
    if os.geteuid() != 0:
        return _here(what)
    folders = [str(_ROOT), sys.base_prefix, sys.prefix]
    prefix = ["unshare", "--mount", "--propagation", "private", sys.executable, str(_AS_USER)]
    printed = subprocess.run(
        [*prefix, *folders, "--", sys.executable, "-m", "benchmarks.networks", what],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": str(_ROOT / "src")},
    ).stdout
    figure, baseline = map(float, printed.split())
    return figure, baseline


if __name__ == "__main__":
    print(*anyio.run(_MEASURED[sys.argv[1]]))
