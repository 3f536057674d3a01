"""Switches through VLANd: the protocol on the wire, what can go wrong, and what is left."""

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.actors.drivers import switchyard as yards
from tests.actors.drivers.switchyard import (
    Conversation,
    Reply,
    Socket,
    Switchyard,
    Trouble,
    switchyard,
)

from callboard.actors.drivers.switches import Port, Vlan
from callboard.actors.drivers.vland import VlandSwitches, open_vland, recover
from callboard.actors.drivers.vland.client import Client, Patience
from callboard.actors.drivers.vland.examination import (
    Finding,
    examine_daemon,
    examine_leftovers,
)
from callboard.actors.drivers.vland.frame import (
    MOST_RECEIVED,
    MOST_SENT,
    Decoder,
    FrameError,
    encode,
)
from callboard.actors.drivers.vland.ledger import open_ledger
from callboard.actors.drivers.vland.recovery import leftovers
from callboard.actors.errors import ActionError, ConfigurationError, InfrastructureError, JobError
from callboard.definition.model import Plain

T = TypeVar("T")

QUICK = Patience(
    connect_s=5, reply_s=5, whole_s=5, first_pause_s=0.001, longest_pause_s=0.01, attempts=3
)
ETH1 = Port("board-1", "eth1", "s1", 1)
ETH2 = Port("board-2", "eth2", "s1", 2)
FAR = Port("board-3", "eth1", "s2", 1)

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def with_switches(
    yard: Switchyard,
    folder: Path,
    act: Callable[[VlandSwitches], Awaitable[T]],
    patience: Patience = QUICK,
    *,
    run: str = "run-1",
) -> T:
    async def main() -> T:
        client = Client(yard.daemon, "tester", patience)
        async with open_vland(yard.daemon, folder, run, client=client) as switches:
            return await act(switches)

    return anyio.run(main)


def found(
    yard: Switchyard,
    folder: Path,
    act: Callable[[VlandSwitches], Awaitable[object]],
    patience: Patience = QUICK,
) -> ActionError:
    """How a thing fails that must."""

    async def fail(switches: VlandSwitches) -> ActionError:
        with pytest.raises(ActionError) as caught:
            await act(switches)
        return caught.value

    return with_switches(yard, folder, fail, patience)


async def whole(switches: VlandSwitches) -> None:
    """What a group of two does."""
    vlan = await switches.create("42vlanone")
    await switches.move(ETH1, vlan)
    await switches.move(ETH2, vlan)
    await switches.restore(ETH1)
    await switches.restore(ETH2)
    await switches.delete(vlan)


async def created(switches: VlandSwitches) -> Vlan:
    return await switches.create("42vlanone")


async def moved(switches: VlandSwitches) -> None:
    await switches.move(ETH1, await switches.create("42vlanone"))


@given(st.dictionaries(st.text(), PLAIN), st.data(), st.binary(max_size=5))
def test_a_frame_is_taken_from_bytes_in_any_pieces(
    message: dict[str, Plain], data: st.DataObject, behind: bytes
) -> None:
    frame = encode(message)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(frame)))) | {len(frame)})
    decoder = Decoder()
    start = 0
    for cut in cuts[:-1]:
        assert not decoder.feed(frame[start:cut])
        start = cut
    assert decoder.feed(frame[start:] + behind)
    assert decoder.message() == message


@given(st.binary(min_size=1, max_size=20))
def test_bytes_that_are_no_frame_are_found_or_wanted_more_of(data: bytes) -> None:
    decoder = Decoder()
    with contextlib.suppress(FrameError):
        if decoder.feed(data):
            decoder.message()


def test_a_frame_counts_the_bytes_of_its_text_as_lava_does() -> None:
    assert encode({"a": "ü"}) == b'0000000F{"a": "\\u00fc"}'
    with pytest.raises(FrameError, match="too long"):
        encode({"a": "x" * MOST_SENT})


def test_a_whole_run_is_said_byte_for_byte(tmp_path: Path) -> None:
    with switchyard(s1=2, s2=1) as yard:
        with_switches(yard, tmp_path, whole)
        port = yard.daemon.port
        assert yard.untouched
    said = [(each.received, each.sent) for each in yard.said]
    recorded = (Path(__file__).parent / "vland_conversation.txt").read_bytes()
    ours = b"".join(b"> " + asked + b"\n< " + told + b"\n" for asked, told in said)
    assert len(str(port)) == 5, "the frames' lengths count its digits"
    assert ours.replace(b'"port": %d' % port, b'"port": 54321') == recorded


def test_ports_are_looked_up_once_a_run(tmp_path: Path) -> None:
    with switchyard(s1=2) as yard:
        with_switches(yard, tmp_path, whole)
    assert yard.commands == [
        "api.create_vlan",
        "db.get_switch_id_by_name",
        "db.get_port_by_switch_and_number",
        "api.set_current_vlan",
        "db.get_port_by_switch_and_number",
        "api.set_current_vlan",
        "api.restore_base_vlan",
        "api.restore_base_vlan",
        "api.delete_vlan",
    ]


@pytest.mark.parametrize("knows", [True, False])
def test_ports_are_moved_and_put_back_whatever_more_the_daemon_knows(
    tmp_path: Path, *, knows: bool
) -> None:
    async def act(switches: VlandSwitches) -> None:
        one = await switches.create("42one")
        two = await switches.create("42two")
        assert (one, two) == (Vlan(2, 100, "42one"), Vlan(3, 101, "42two"))
        await switches.move(ETH1, one)
        await switches.move(FAR, one)
        await switches.move(ETH2, two)
        assert [port.current for port in yard.sockets.values()] == [2, 3, 2]
        await switches.move(ETH1, two)
        assert [port.current for port in yard.sockets.values()] == [3, 3, 2]
        for port in (ETH1, ETH2, FAR, ETH1):
            await switches.restore(port)
        for vlan in (one, two, one):
            await switches.delete(vlan)

    with switchyard(s1=2, s2=1) as yard:
        yard.knows = knows
        with_switches(yard, tmp_path, act)
    assert yard.untouched
    assert yard.commands.count("api.restore_base_vlan") == 3
    assert list(tmp_path.iterdir()) == [tmp_path / ".locks"]
    assert list((tmp_path / ".locks").iterdir()) == []


def test_replies_come_in_any_pieces_and_waits_are_waited_for(tmp_path: Path) -> None:
    with switchyard(s1=2) as yard:
        yard.trouble("api.create_vlan", yards.wait, yards.wait, yards.pieces)
        yard.trouble("api.set_current_vlan", *[yards.wait] * 20, yards.pieces)
        with_switches(yard, tmp_path, whole)
    assert yard.untouched
    assert yard.commands.count("api.create_vlan") == 3
    assert yard.commands.count("api.set_current_vlan") == 22


COMMANDS = [
    "db.get_switch_id_by_name",
    "db.get_port_by_switch_and_number",
    "db.get_port_by_id",
    "db.get_vlan_id_by_name",
    "api.create_vlan",
    "api.delete_vlan",
    "api.set_current_vlan",
    "api.restore_base_vlan",
]


@pytest.mark.parametrize("trouble", [yards.lose, yards.forget, yards.half])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_reply_that_is_lost_once_is_no_failure(
    tmp_path: Path, command: str, trouble: Trouble
) -> None:
    with switchyard(s1=2) as yard:
        yard.trouble(command, trouble)
        with_switches(yard, tmp_path, whole)
    assert yard.untouched
    assert leftovers(tmp_path) == []


BAD_REPLIES: list[tuple[Trouble, str]] = [
    (yards.raw(b"HTTP/1.1 400 Bad Request\r\n"), "no frame of VLANd: `HTTP/1.1 400 Bad Request`"),
    (yards.raw(b"\x00\x01\x02\x03\x04\x05\x06\x07\x08"), "no frame of VLANd"),
    (yards.raw(b"-0000001x"), "no frame of VLANd"),
    (yards.raw(b"00000003abc"), "not JSON: `abc`"),
    (yards.raw(b"000000010" + b"0" * 20), "which has no `response`"),
    (yards.raw(b"00000000"), "not JSON"),
    (yards.raw(b"00002710" + b"[" * 10_000), "not JSON"),
    (yards.raw(b"FFFFFFFF{"), "a reply of 4,294,967,295 bytes"),
    (yards.raw(b"%08X" % (MOST_RECEIVED + 1)), "a reply of 1,048,577 bytes"),
    (yards.answer(["ACK"]), "which has no `response`"),
    (yards.answer({"response": 7, "data": 1}), "which has no `response`"),
    (yards.answer({"data": 1}), "which has no `response`"),
]


@pytest.mark.parametrize(("trouble", "text"), BAD_REPLIES)
def test_what_is_no_reply_of_the_daemon_is_said_with_where_it_is_named(
    tmp_path: Path, trouble: Trouble, text: str
) -> None:
    with switchyard(s1=1) as yard:
        yard.trouble("api.create_vlan", trouble)
        error = found(yard, tmp_path, created)
    assert type(error) is InfrastructureError
    assert text in str(error)
    assert "devices.yaml:2:8" in str(error)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ({"response": "ERROR", "error": "no more tags"}, "no more tags"),
        ({"response": "ERROR", "data": "switch s1 is down"}, "switch s1 is down"),
        ({"response": "ACK"}, "ACK"),
        ({"response": "ACK", "data": None}, "`null`"),
        ({"response": "ACK", "data": [7]}, "`[7]`"),
        ({"response": "ACK", "data": ["7", "8"]}, '`["7", "8"]`'),
        ({"response": "ACK", "data": [7, 0]}, "`[7, 0]`"),
        ({"response": "ACK", "data": [7, 4095]}, "`[7, 4095]`"),
        ({"response": "ACK", "data": {"vlan_id": 7}}, '`{"vlan_id": 7}`'),
    ],
)
def test_a_vlan_that_is_not_made_is_the_jobs_matter_as_in_lava(
    tmp_path: Path, reply: object, text: str
) -> None:
    with switchyard(s1=1) as yard:
        yard.trouble("api.create_vlan", yards.answer(reply))
        error = found(yard, tmp_path, created)
    assert type(error) is JobError
    assert str(error).startswith("Deploy vlans failed for 42vlanone: ")
    assert text in str(error)


def test_what_the_daemon_does_not_know_is_the_devices_files_matter(tmp_path: Path) -> None:
    async def act(switches: VlandSwitches) -> None:
        vlan = await switches.create("42vlanone")
        wrong = (
            (evolve(ETH1, switch="s9"), "has no switch `s9`"),
            (evolve(ETH1, number=9), "`s1` has no port 9"),
            (Port("board-1", "eth1"), "eth1 of board-1 is on no switch"),
        )
        for port, text in wrong:
            with pytest.raises(ConfigurationError) as caught:
                await switches.move(port, vlan)
            assert text in str(caught.value)
            assert "devices file" in str(caught.value)

    with switchyard(s1=1) as yard:
        with_switches(yard, tmp_path, act)
    assert yard.untouched


@pytest.mark.parametrize("knows", [True, False])
def test_a_locked_port_is_respected(tmp_path: Path, *, knows: bool) -> None:
    with switchyard(s1=1) as yard:
        yard.knows = knows
        yard.sockets[11].locked = True
        error = found(yard, tmp_path, moved)
    assert isinstance(error, InfrastructureError)
    assert "eth1 of board-1, port 1 of s1" in str(error)
    assert "locked" in str(error)
    assert yard.commands.count("api.set_current_vlan") == (0 if knows else 1)
    assert yard.sockets[11].current == yards.BASE


def test_a_trunk_and_a_port_that_others_use_are_left_alone(tmp_path: Path) -> None:
    with switchyard(s1=1) as yard:
        yard.vlans[7] = ("others", 7)
        yard.sockets[11].current = 7
        assert "is in VLAN 7 of" in str(found(yard, tmp_path, moved))
        yard.sockets[11].trunk = True
        assert "is a trunk" in str(found(yard, tmp_path, moved))
    assert yard.sockets[11].current == 7
    assert list(yard.vlans) == [yards.BASE, 7]


def test_a_vlan_of_others_with_the_same_name_is_left_alone(tmp_path: Path) -> None:
    with switchyard(s1=1) as yard:
        yard.vlans[7] = ("42vlanone", 7)
        error = found(yard, tmp_path, created)
    assert "a VLAN `42vlanone` already, with id 7" in str(error)
    assert list(yard.vlans) == [yards.BASE, 7]


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("api.set_current_vlan", "eth1 of board-1, port 1 of s1"),
        ("api.restore_base_vlan", "eth1 of board-1, port 1 of s1"),
        ("api.delete_vlan", "VLAN `42vlanone`"),
    ],
)
def test_a_change_that_is_only_said_to_be_done_is_found(
    tmp_path: Path, command: str, named: str
) -> None:
    with switchyard(s1=2) as yard:
        yard.trouble(command, yards.pretend)
        error = found(yard, tmp_path, whole)
    assert "says that it has" in str(error)
    assert named in str(error)
    assert yard.untouched, "leaving has tried again"


def test_a_refused_move_says_what_the_daemon_says(tmp_path: Path) -> None:
    with switchyard(s1=1) as yard:
        refused = yards.answer({"response": "ERROR", "error": "the switch is asleep"})
        yard.trouble(
            "api.set_current_vlan", refused, yards.answer({"response": "ACK", "data": False})
        )
        assert "the switch is asleep" in str(found(yard, tmp_path, moved))
        assert "has not moved eth1" in str(found(yard, tmp_path, moved))
    assert yard.untouched


def test_a_daemon_that_is_busy_for_too_long_is_given_up_in_lavas_words(tmp_path: Path) -> None:
    with switchyard(s1=1) as yard:
        yard.trouble("api.create_vlan", *[yards.wait] * 1000)
        error = found(yard, tmp_path, created, evolve(QUICK, whole_s=1.0))
    assert type(error) is JobError
    assert str(error).startswith("protocol lava-vland timed out: VLANd at 127.0.0.1:")
    assert 3 < len(yard.commands) < 120, "the pauses grow"


def test_a_daemon_that_hangs_is_given_up(tmp_path: Path) -> None:
    released = threading.Event()
    with switchyard(s1=1) as yard:
        yard.trouble("api.create_vlan", yards.hang(released))
        error = found(yard, tmp_path, created, evolve(QUICK, reply_s=0.05))
        released.set()
    assert "did not answer `api.create_vlan` within 0.05 s" in str(error)


def test_no_daemon_is_said_with_why_and_where(tmp_path: Path) -> None:
    with switchyard(s1=1) as yard:
        pass
    error = found(yard, tmp_path, created)
    assert "can't be reached: Connection refused" in str(error)
    assert "devices.yaml:2:8" in str(error)
    yard.daemon = evolve(yard.daemon, host="no-such-host.invalid")
    assert "no address for `no-such-host.invalid`" in str(found(yard, tmp_path, created))


def test_a_daemon_that_takes_no_connection_is_given_up(tmp_path: Path) -> None:
    yard = Switchyard({})
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for each in (first, second):  # the queue is full with these
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yard.daemon = evolve(yard.daemon, port=listener.getsockname()[1])
        error = found(yard, tmp_path, created, evolve(QUICK, connect_s=0.05))
    assert "no connection within 0.05 s" in str(error)


def test_a_daemon_that_starts_anew_is_waited_for(tmp_path: Path) -> None:
    """The connection is refused at first; the daemon is there at the next attempt."""
    with switchyard(s1=1) as yard:
        port = yard.daemon.port

    async def main() -> Vlan:
        client = Client(yard.daemon, "tester", evolve(QUICK, first_pause_s=0.2, attempts=100))
        async with open_vland(yard.daemon, tmp_path, "run-1", client=client) as switches:
            vlans: list[Vlan] = []

            async def create() -> None:
                vlans.append(await switches.create("42vlanone"))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(create)
                await anyio.wait_all_tasks_blocked()
                with yards.opened(yard, port):
                    while not vlans:
                        await anyio.wait_all_tasks_blocked()
                    await switches.delete(vlans[0])
            return vlans[0]

    assert anyio.run(main).name == "42vlanone"


def test_what_is_not_undone_is_undone_on_leaving(tmp_path: Path) -> None:
    async def act(switches: VlandSwitches) -> None:
        await moved(switches)
        assert yard.sockets[11].current != yards.BASE

    with switchyard(s1=1) as yard:
        with_switches(yard, tmp_path, act)
    assert yard.untouched


def test_cancelling_a_run_puts_all_back(tmp_path: Path) -> None:
    async def main() -> None:
        client = Client(yard.daemon, "tester", QUICK)
        with anyio.CancelScope() as scope:
            async with open_vland(yard.daemon, tmp_path, "run-1", client=client) as switches:
                await moved(switches)
                scope.cancel()
                await anyio.sleep_forever()

    with switchyard(s1=1) as yard:
        anyio.run(main)
    assert yard.untouched
    assert leftovers(tmp_path) == []


def dead(yard: Switchyard, folder: Path) -> None:
    """A run that has moved a port and was killed: its ledger is there, and nobody has its lock."""
    ledger = folder / "run-1.ledger"

    async def act(switches: VlandSwitches) -> bytes:
        await moved(switches)
        vlans.update(yard.vlans)
        return ledger.read_bytes()

    vlans: dict[int, tuple[str, int]] = {}
    ledger.write_bytes(with_switches(yard, folder, act))
    yard.vlans = vlans
    yard.sockets[11].current = max(vlans)


def test_the_next_run_puts_back_what_a_dead_one_has_left(tmp_path: Path) -> None:
    with switchyard(s1=1) as yard:
        dead(yard, tmp_path)
        assert not yard.untouched
        assert [each.path.name for each in leftovers(tmp_path)] == ["run-1.ledger"]
        done = anyio.run(recover, tmp_path)
    assert done.ports == ["eth1 of board-1, port 1 of s1"]
    assert done.vlans == ["42vlanone"]
    assert done.left == []
    assert yard.untouched
    assert leftovers(tmp_path) == []


def test_wherever_a_run_is_killed_the_next_one_puts_everything_back(tmp_path: Path) -> None:
    """The ledger and the switches as they are at each request, before and after it is served."""
    ledger = tmp_path / "run-1.ledger"
    moments: list[tuple[bytes, dict[int, Socket], dict[int, tuple[str, int]]]] = []

    def keep(conversation: Conversation, reply: Callable[[], Reply]) -> None:
        note()
        told = reply()
        note()
        conversation.reply(told)

    def note() -> None:
        ports = {key: evolve(port) for key, port in yard.sockets.items()}
        moments.append((ledger.read_bytes(), ports, dict(yard.vlans)))

    with switchyard(s1=2) as yard:
        for command in COMMANDS:
            yard.trouble(command, *[keep] * 20)
        with_switches(yard, tmp_path, whole)
        yard.troubles.clear()
        assert len(moments) == 2 * len(yard.said) > 30
        for text, ports, vlans in moments:
            ledger.write_bytes(text)
            yard.sockets.update(ports)
            yard.vlans = dict(vlans)
            assert anyio.run(recover, tmp_path).left == []
            assert yard.untouched
            assert not ledger.exists()


MISHAPS = [
    yards.wait,
    yards.lose,
    yards.forget,
    yards.half,
    yards.pieces,
    yards.answer({"response": "ERROR", "error": "not now"}),
    yards.raw(b"nonsense"),
]


@settings(max_examples=max(20, settings().max_examples // 4))
@given(
    st.lists(
        st.tuples(st.sampled_from(COMMANDS), st.sampled_from(MISHAPS))
        | st.tuples(st.sampled_from(COMMANDS[-3:]), st.just(yards.pretend)),
        max_size=6,
    )
)
def test_whatever_a_daemon_does_nothing_is_left_once_it_is_well(
    mishaps: list[tuple[str, Trouble]],
) -> None:
    async def act(switches: VlandSwitches) -> None:
        with contextlib.suppress(ActionError):
            await whole(switches)

    with tempfile.TemporaryDirectory() as folder, switchyard(s1=2) as yard:
        for command, trouble in mishaps:
            yard.trouble(command, trouble)
        with_switches(yard, Path(folder), act)
        yard.troubles.clear()
        assert anyio.run(recover, Path(folder)).left == []
        assert yard.untouched


def test_only_what_is_as_the_dead_run_left_it_is_touched(tmp_path: Path) -> None:
    with switchyard(s1=1) as yard:
        dead(yard, tmp_path)
        yard.vlans = {yards.BASE: ("DEFAULT", 1), 2: ("others", 2), 7: ("42vlanone", 7)}
        before = len(yard.said)
        done = anyio.run(recover, tmp_path)
        assert not [each for each in yard.said[before:] if each.command.startswith("api.")]
    assert done.left == []
    assert yard.sockets[11].current == 2
    assert leftovers(tmp_path) == []


def test_what_can_not_be_undone_yet_stays_for_the_next_run(tmp_path: Path) -> None:
    with switchyard(s1=1) as yard:
        dead(yard, tmp_path)
        port = yard.daemon.port
    done = anyio.run(recover, tmp_path)
    assert len(done.left) == 2
    assert "eth1 of board-1, port 1 of s1 is still in VLAN 2" in done.left[0]
    assert "can't be reached: Connection refused" in done.left[0]
    yard.knows = False
    with yards.opened(yard, port):
        assert "doesn't tell where the port is" in anyio.run(recover, tmp_path).left[0]
        yard.knows = True
        yard.sockets[11].locked = True
        assert "is locked" in anyio.run(recover, tmp_path).left[0]
        assert not yard.untouched
        yard.sockets[11].locked = False
        assert anyio.run(recover, tmp_path).left == []
    assert yard.untouched


def test_a_run_that_lives_is_left_alone(tmp_path: Path) -> None:
    async def act(switches: VlandSwitches) -> None:
        await moved(switches)
        done = await recover(tmp_path)
        assert (done.ports, done.vlans, done.left) == ([], [], [])
        assert leftovers(tmp_path) == []
        assert yard.sockets[11].current != yards.BASE

    with switchyard(s1=1) as yard:
        with_switches(yard, tmp_path, act)


def test_a_vlan_that_was_perhaps_made_is_looked_up_by_its_name(tmp_path: Path) -> None:
    with switchyard(s1=1) as yard:
        ledger = open_ledger(tmp_path, "run-1", yard.daemon)
        ledger.making("42vlanone")
        yard.vlans[9] = ("42vlanone", 109)
        text = (tmp_path / "run-1.ledger").read_text()
        ledger.gone("42vlanone")
        ledger.close()
        (tmp_path / "run-1.ledger").write_text(text + '{"made": "42vlan')
        assert anyio.run(recover, tmp_path).vlans == ["42vlanone"]
    assert yard.untouched


def test_a_line_that_was_never_finished_spoils_none_that_comes_after_it(tmp_path: Path) -> None:
    path = tmp_path / "run-1.ledger"
    with switchyard(s1=1) as yard:
        dead(yard, tmp_path)
        with path.open("a") as file:
            file.write('{"restored": 1')
        yard.trouble("api.delete_vlan", yards.answer({"response": "error", "error": "no"}))
        done = anyio.run(recover, tmp_path)
        assert (len(done.ports), len(done.left)) == (1, 1)
        assert anyio.run(recover, tmp_path).left == []
    assert yard.untouched


def test_a_damaged_ledger_is_said_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "run-1.ledger"
    path.write_text('{"host": "h", "port": 1}\nwhat is this\n')
    (left,) = anyio.run(recover, tmp_path).left
    assert f"line 2 of {path} can't be read" in left
    assert path.exists()
    (leftover,) = leftovers(tmp_path)
    assert leftover.damage == left


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    async def act(switches: VlandSwitches) -> None:
        full = os.open("/dev/full", os.O_WRONLY)
        kept = os.dup(switches.ledger._descriptor)
        os.dup2(full, switches.ledger._descriptor)
        with pytest.raises(InfrastructureError, match=r"nothing is changed: .*No space left"):
            await switches.create("42vlanone")
        os.dup2(kept, switches.ledger._descriptor)
        os.close(full)
        os.close(kept)

    with switchyard(s1=1) as yard:
        with_switches(yard, tmp_path, act)
    assert "api.create_vlan" not in yard.commands


def test_a_daemon_is_examined_by_asking_for_the_switches_of_the_file(tmp_path: Path) -> None:
    with switchyard(s1=1) as yard:
        daemon = yard.daemon
        assert anyio.run(examine_daemon, daemon, []) == Finding(
            "VLANd", True, f"answers at {daemon}"
        )
        known = anyio.run(examine_daemon, daemon, ["s1", "s1"])
        assert known == Finding("VLANd", True, f"answers at {daemon}, and knows s1")
        unknown = anyio.run(examine_daemon, daemon, ["s1", "s2"])
        assert (unknown.ok, unknown.detail) == (False, f"the one at {daemon} doesn't know s2")
        assert not [each for each in yard.commands if each.startswith("api.")]
    silent = anyio.run(examine_daemon, daemon, ["s1"])
    assert silent.detail == f"VLANd at {daemon} can't be reached: Connection refused"
    assert silent.cure == "start it there, or mend `vland` in the devices file (devices.yaml:2:8)"
    assert examine_leftovers(tmp_path) == []


def test_what_a_dead_run_has_left_is_told(tmp_path: Path) -> None:
    with switchyard(s1=1) as yard:
        dead(yard, tmp_path)
    (found,) = examine_leftovers(tmp_path)
    assert not found.ok
    assert "eth1 of board-1, port 1 of s1 in VLAN 2; VLAN 42vlanone" in found.detail
    assert "the next `callboard run`" in (found.cure or "")
    assert str(tmp_path / "run-1.ledger") in (found.cure or "")
