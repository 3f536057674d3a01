"""Who is at which address in a group's network, and whom its nodes ask for names."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.drivers.network import subnets
from callboard.actors.drivers.network.naming import link_of
from callboard.actors.drivers.network.plan import MOST_NODES, Member, Plan, TooSmall
from callboard.actors.drivers.network.resolver import needs_server, resolver_text
from callboard.definition.interfaces import Interface

RUN = "0d9d1c1e-7a0e-4a3c-9a53-0c4a2b6f7f10"
IPV6 = IPv6Network("fd77::/64")
SERVER = IPv4Address("10.79.0.3")


def plan(*members: Member, ipv4: str = "10.77.0.0/22") -> Plan:
    return Plan(RUN, members, IPv4Network(ipv4), IPV6)


def test_everybody_is_known_by_device_role_number_and_job() -> None:
    found = plan(
        Member("desk-1", "client", 7, names=("desk-1",)),
        Member("desk 2", "server", 8, names=("desk-2",)),
        Member("desk-3", "client", 9),
    )
    assert found.hosts.splitlines()[::2] == [
        "10.77.0.2 desk-1 client-1 client job-7",
        "10.77.0.3 desk-2 server-1 server job-8",
        "10.77.0.4 desk-3 client-2 client job-9",
    ]
    assert found.hosts.splitlines()[1] == "fd77::2 desk-1 client-1 client job-7"
    assert [str(each) for each in found.router] == ["10.77.0.1", "fd77::1"]


def test_no_role_takes_the_name_of_a_device_or_of_every_node_itself() -> None:
    found = plan(Member("d1", "d2", 1), Member("d2", "localhost", 2), Member("d3", "d3", 3))
    assert found.hosts.splitlines()[::2] == [
        "10.77.0.2 d1 d2-1 job-1",
        "10.77.0.3 d2 localhost-1 job-2",
        "10.77.0.4 d3 d3-1 job-3",
    ]


@pytest.mark.parametrize(("ipv4", "room"), [("10.77.0.0/29", 5), ("10.77.0.0/16", MOST_NODES)])
def test_a_network_takes_as_many_nodes_as_it_says(ipv4: str, room: int) -> None:
    members = [Member(f"d{number}", None, number) for number in range(room + 1)]
    stations = plan(*members[:-1], ipv4=ipv4).stations.values()
    network = IPv4Network(ipv4)
    addresses = {each.ipv4 for each in stations} | {network[0], network[1], network[-1]}
    assert len(addresses) == room + 3
    with pytest.raises(TooSmall, match=f"{room:,} (addresses|nodes)"):
        plan(*members, ipv4=ipv4)


def test_no_two_cables_are_called_alike_and_all_names_are_short_enough() -> None:
    interfaces = tuple(Interface(f"eth{number}", ("veth",)) for number in range(1, 100))
    found = plan(*(Member(f"d{number}", None, number, interfaces) for number in range(20)))
    links = [each.link for each in found.stations.values()]
    links += [each.link for own in found.cables.values() for each in own.values()]
    macs = [each.mac for each in found.stations.values()]
    macs += [each.mac for own in found.cables.values() for each in own.values()]
    assert len(set(links)) == len(set(macs)) == len(links) == 20 * 100
    assert len(link_of(MOST_NODES, 9_999)) <= 15


NETWORKS = st.builds(
    lambda number, prefix: IPv4Network((number, prefix), strict=False),
    st.integers(10 * 2**24, 11 * 2**24 - 1),
    st.integers(8, 32),
)


@given(taken=st.lists(NETWORKS, max_size=20), uplink=st.booleans())
def test_a_range_is_private_and_nobody_elses(taken: list[IPv4Network], *, uplink: bool) -> None:
    found = subnets.free(taken, uplink=uplink)
    assert not found.is_global
    assert not any(found.overlaps(each) for each in taken)


def test_that_no_range_is_free_is_said() -> None:
    with pytest.raises(LookupError, match="all private IPv4 addresses"):
        subnets.free(
            [
                IPv4Network("0.0.0.0/2"),
                *IPv4Network("64.0.0.0/2").subnets(new_prefix=3),
                IPv4Network("128.0.0.0/1"),
            ]
        )


@pytest.mark.parametrize(
    ("first", "upstream", "text"),
    [
        ("nameserver 192.0.2.1\n", "", None),
        ("nameserver 127.0.0.53\nsearch lab\n", "nameserver 192.0.2.9\n", "nameserver 192.0.2.9\n"),
        ("nameserver 127.0.0.1\nnameserver 192.0.2.1\n", "", "nameserver 192.0.2.1\n"),
        ("nameserver ::1\nsearch lab\n", "", f"search lab\nnameserver {SERVER}\n"),
    ],
)
def test_nodes_ask_servers_that_they_reach(
    tmp_path: Path, first: str, upstream: str, text: str | None
) -> None:
    files = (tmp_path / "first", tmp_path / "upstream")
    for file, content in zip(files, (first, upstream), strict=True):
        file.write_text(content)
    assert resolver_text(SERVER, files) == text
    assert needs_server(files) == (text is not None and str(SERVER) in text)
