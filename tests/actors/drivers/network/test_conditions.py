"""Links of a real network that are cut, lose packets, and carry less."""

import sys
from ipaddress import IPv4Address, IPv6Address
from typing import cast

import anyio
import pytest
from attrs import evolve
from tests.actors.drivers.network.lab import Lab, open_lab

from callboard.actors.drivers.network.conditions import SegmentCables
from callboard.actors.drivers.segment import Segment
from callboard.actors.links import Change, Links
from callboard.definition.links import CUT, Conditions, Link
from callboard.definition.model import Place

pytestmark = pytest.mark.asyncio

HERE = Place("devices.yaml", 1, 1)
JOBS = {"a": 1, "b": 2, "c": 3}
ROLES = {1: "client", 2: "server", 3: "other"}
A_AND_B = (frozenset({1}), frozenset({2}))
OF_A = (frozenset({1}),)

RECEIVE = """
import socket, time
server = socket.create_server(("::", 5001), family=socket.AF_INET6, dualstack_ipv6=True)
print("listens", flush=True)
peer, _ = server.accept()
began, seen = time.monotonic(), 0
while data := peer.recv(1 << 20):
    seen += len(data)
print(seen * 8 / (time.monotonic() - began), flush=True)
"""
SEND = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 5001), timeout=20) as peer:
    until = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        peer.sendall(bytes(1 << 16))
"""
EXCHANGE = """
import socket, sys
if len(sys.argv) == 1:
    server = socket.create_server(("", 5002))
    print("listens", flush=True)
    peer, _ = server.accept()
    while data := peer.recv(100):
        peer.sendall(data)
else:
    with socket.create_connection((sys.argv[1], 5002), timeout=60) as peer:
        for number in range(int(sys.argv[2])):
            peer.sendall(b"x")
            assert peer.recv(100) == b"x"
            print(number, flush=True)
"""


def cables(lab: Lab, links: Links) -> SegmentCables:
    return SegmentCables(cast("Segment", lab), JOBS, links)


async def throughput_bps(
    lab: Lab, device: str, other: str, address: IPv4Address | IPv6Address, time_s: float = 1.5
) -> float:
    """What one node gets to another over TCP, in bits a second."""
    told: list[str] = []
    ready = anyio.Event()

    def heard(line: str) -> None:
        told.append(line)
        ready.set()

    async def receive() -> None:
        await lab.on(other, sys.executable, "-c", RECEIVE, said=heard)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await ready.wait()
        ran = await lab.on(device, sys.executable, "-c", SEND, str(address), str(time_s))
        assert ran.status == 0, ran.errors
    return float(told[-1])


async def test_a_link_that_is_cut_carries_nothing_and_the_others_do() -> None:
    async with open_lab("a", "b", "c") as lab:
        links = Links(ROLES)
        acted = cables(lab, links)
        cut = Change("cut", A_AND_B, CUT)
        links.begin(cut)
        await acted.apply()
        await lab.on("a", "ip", "neigh", "flush", "all")
        assert not await lab.ping("a", "b")
        assert not await lab.ping("b", "a")
        neighbours = (await lab.on("a", "ip", "neigh")).output
        assert str(lab.plan["b"].mac) not in neighbours, "not even addresses are resolved"
        assert await lab.ping("a", "c")
        assert await lab.ping("b", "c")
        links.end(cut)
        await acted.apply()
        assert await lab.ping("a", "b", count=4)


async def test_a_node_that_is_cut_off_reaches_nobody_not_even_the_router() -> None:
    async with open_lab("a", "b", "c") as lab:
        links = Links(ROLES, [Link(("client",), CUT, HERE)])
        await cables(lab, links).apply()
        assert not await lab.ping("a", "b")
        assert not await lab.ping("c", "a")
        assert (await lab.on("a", "ping", "-c1", "-W1", "10.77.0.1")).status == 1
        assert await lab.ping("b", "c")
        assert (await lab.on("b", "ping", "-c1", "-W1", "10.77.0.1")).status == 0


async def test_a_way_round_by_the_router_is_cut_too() -> None:
    """The router has been told to forward, and the node to send by it what it would send itself."""
    async with open_lab("a", "b", "c") as lab:
        await lab.execute("sysctl", "-qw", "net.ipv4.ip_forward=1")
        address = str(lab.plan["b"].ipv4)
        await lab.on("a", "ip", "route", "add", address, "via", "10.77.0.1")
        await lab.execute("sysctl", "-qw", f"net.ipv4.conf.{lab.bridge}.send_redirects=0")
        assert (await lab.on("a", "ping", "-c1", "-W1", address)).status == 0
        links = Links(ROLES)
        links.begin(Change("cut", A_AND_B, CUT))
        await cables(lab, links).apply()
        assert (await lab.on("a", "ping", "-c1", "-W1", address)).status == 1


async def test_losses_are_a_matter_of_chance_except_all_and_none() -> None:
    async with open_lab("a", "b", "c") as lab:

        async def arrived(loss: float) -> int:
            links = Links(ROLES, [Link(("client", "server"), Conditions(loss=loss), HERE)])
            await cables(lab, links).apply()
            command = ("ping", "-n", "-q", "-f", "-c400", "-i0.002", "-W1")
            ran = await lab.on("a", *command, str(lab.plan["b"].ipv4))
            return int(ran.output.split("packets transmitted, ")[1].split()[0])

        assert await arrived(0) == 400
        # An echo goes over the link twice: a quarter is expected, the deviation is below 9.
        assert 50 < await arrived(0.5) < 150
        assert await arrived(1) == 0


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
async def test_a_rate_is_kept_between_two_nodes_and_counts_for_no_others(family: str) -> None:
    async with open_lab("a", "b", "c") as lab:
        to = {name: getattr(station, family) for name, station in lab.plan.items()}
        free_bps = await throughput_bps(lab, "a", "b", to["b"], 0.5)
        assert free_bps > 100e6, "the rates below mean something"
        rule = Link(("client", "server"), Conditions(rate_bps=10_000_000), HERE)
        links = Links(ROLES, [rule])
        acted = cables(lab, links)
        await acted.apply()
        for device, other in (("a", "b"), ("b", "a")):
            assert 5e6 < await throughput_bps(lab, device, other, to[other]) < 12e6
        assert await throughput_bps(lab, "c", "b", to["b"], 0.5) > 50e6
        links.begin(Change("impair", OF_A, Conditions(rate_bps=2_000_000)))
        await acted.apply()
        assert 0.5e6 < await throughput_bps(lab, "a", "b", to["b"]) < 4e6
        links.begin(Change("heal", OF_A))
        await acted.apply()
        assert 5e6 < await throughput_bps(lab, "a", "b", to["b"]) < 12e6


async def test_a_tcp_connection_outlives_a_cut_and_changes_of_its_rate() -> None:
    turns = 300
    async with open_lab("a", "b", "c") as lab:
        links = Links(ROLES)
        acted = cables(lab, links)
        listens, went_on = anyio.Event(), anyio.Event()
        stops: dict[int, anyio.Event] = {100: anyio.Event(), 200: anyio.Event()}
        last = -1

        def heard(line: str) -> None:
            nonlocal last
            last = int(line)
            if last in stops:
                stops[last].set()
            if last == turns - 1:
                went_on.set()

        async def serve() -> None:
            command = (sys.executable, "-c", EXCHANGE)
            await lab.on("b", *command, said=lambda _line: listens.set())

        async def use() -> None:
            await listens.wait()
            address = str(lab.plan["b"].ipv4)
            ran = await lab.on("a", sys.executable, "-c", EXCHANGE, address, f"{turns}", said=heard)
            assert ran.status == 0, ran.errors

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            tasks.start_soon(use)
            await stops[100].wait()
            cut = Change("cut", A_AND_B, CUT)
            links.begin(cut)
            await acted.apply()
            assert not await lab.ping("a", "b")
            before = last
            assert not await lab.ping("a", "b")
            assert last == before, "nothing gets through meanwhile"
            links.end(cut)
            slow = Change("impair", A_AND_B, Conditions(rate_bps=1_000_000))
            links.begin(slow)
            await acted.apply()
            await stops[200].wait()
            links.end(slow)
            await acted.apply()
            await went_on.wait()


async def test_a_node_that_comes_again_has_its_conditions_before_its_first_packet() -> None:
    async with open_lab("a", "b", "c") as lab:
        rules = [
            Link(("client", "server"), Conditions(rate_bps=10_000_000), HERE),
            Link(("client", "other"), CUT, HERE),
        ]
        acted = cables(lab, Links(ROLES, rules))
        await acted.apply()
        await lab.leave("b")
        await lab.join("b", acted.welcome)
        await lab.leave("a")
        await lab.join("a", acted.welcome)
        assert not await lab.ping("a", "c")
        for device, other in (("a", "b"), ("b", "a")):
            found = await throughput_bps(lab, device, other, lab.plan[other].ipv4)
            assert 5e6 < found < 12e6


async def test_without_conditions_nothing_is_left_of_them() -> None:
    async with open_lab("a", "b", "c") as lab:

        async def settings() -> tuple[str, str]:
            rules = await lab.execute("nft", "list", "ruleset")
            return rules, await lab.execute("tc", "qdisc", "show")

        before = await settings()
        links = Links(ROLES)
        acted = cables(lab, links)
        await acted.apply()
        assert await settings() == before
        like = Conditions(loss=0.1, rate_bps=1_000_000)
        changes = [Change("impair", OF_A, like), Change("cut", A_AND_B, CUT)]
        for change in changes:
            links.begin(change)
            await acted.apply()
        assert await settings() != before
        for change in changes:
            links.end(change)
            await acted.apply()
        assert await settings() == before


async def test_a_node_that_has_died_is_no_hindrance_for_the_others() -> None:
    async with open_lab("a", "b", "c") as lab:
        links = Links(ROLES)
        acted = cables(lab, links)
        await lab.execute("ip", "link", "delete", "p1")
        like = Conditions(rate_bps=10_000_000)
        links.begin(Change("impair", (frozenset({1, 2}),), like))
        await acted.apply()
        assert 5e6 < await throughput_bps(lab, "c", "b", lab.plan["b"].ipv4) < 12e6


async def test_nodes_that_die_one_after_another_are_no_hindrance_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_lab("a", "b", "c") as lab:
        links = Links(ROLES, [Link(("other",), Conditions(rate_bps=10_000_000), HERE)])
        acted = cables(lab, links)
        execute = Lab.execute
        dying = ["p2", "p1"]

        async def meanwhile(own: Lab, *command: str, given: str = "") -> str:
            """The next one dies as soon as it was seen to be alive."""
            said = await execute(own, *command, given=given)
            if command[:2] == ("ip", "-brief") and dying:
                await execute(own, "ip", "link", "delete", dying.pop())
            return said

        await lab.execute("ip", "link", "delete", dying.pop())
        monkeypatch.setattr(Lab, "execute", meanwhile)
        await acted.apply()
        assert not dying
        shown = await lab.execute("tc", "qdisc", "show", "dev", "p3")
        assert "htb" in shown


async def test_a_cable_that_came_unseen_has_its_conditions_when_it_is_welcome() -> None:
    """Others change their links while it is laid, and take it for one that they know."""
    async with open_lab("a", "b", "c") as lab:
        links = Links(ROLES, [Link(("client",), Conditions(rate_bps=10_000_000), HERE)])
        acted = cables(lab, links)
        await acted.apply()
        await lab.leave("a")
        await lab.join("a")
        links.begin(Change("impair", OF_A, Conditions(rate_bps=2_000_000)))
        await acted.apply()
        await acted.welcome(lab.plan["a"])
        await acted.welcome(lab.plan["a"])
        assert 0.5e6 < await throughput_bps(lab, "b", "a", lab.plan["a"].ipv4) < 4e6


async def test_what_the_tools_refuse_is_an_error_with_their_words() -> None:
    async with open_lab("a") as lab:
        links = Links({1: "client"})
        odd = {"a": evolve(lab.plan["a"], link="a name that no interface has")}
        acted = SegmentCables(cast("Segment", evolve(lab, plan=odd)), {"a": 1}, links)
        links.begin(Change("cut", OF_A, CUT))
        with pytest.raises(OSError, match="nft"):
            await acted.apply()
