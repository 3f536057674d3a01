"""What stands for a coordinator elsewhere: what it asks there, and what it makes of the answers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import pytest
from attrs import define, field, frozen
from tests.coordinator.hosting import Host
from tests.coordinator.peer import ACK, NACK, WAIT, Peer, answering
from tests.coordinator.running import free_port

from callboard.actors.members import Member
from callboard.actors.messages import (
    Answer,
    BridgeMessage,
    Deliver,
    Depart,
    Disband,
    Gather,
    Gathered,
    GivenUp,
    Granted,
    Leave,
    Refused,
    Release,
    Send,
    Start,
    Sync,
    Wait,
    WaitAll,
    Withdraw,
)
from callboard.coordinator import bridge
from callboard.coordinator.bridge import Bridge
from callboard.coordinator.client import Address
from callboard.coordinator.framing import frame
from callboard.coordinator.joining import Joining
from callboard.events import Event, Message
from callboard.journal import Journal
from callboard.runtime import ActorRef, ActorSystem, Request

_DELAY_S = 0.02
_SERVER, _CLIENT = Member(1, "server"), Member(2, "client")
_ALL = frame({"response": "group_data", "roles": {"2": "client", "1": "server"}})


@frozen
class Bridged:
    """A bridge, what it has recorded, and whether it has."""

    ref: ActorRef[BridgeMessage]
    events: list[Event]
    spoken: anyio.Event

    @property
    def said(self) -> list[str]:
        """The lines of the log that are its own."""
        return [each.body.text for each in self.events if isinstance(each.body, Message)]


@asynccontextmanager
async def bridged(
    address: Address, members: Sequence[Member] = (_SERVER,), size: int = 2
) -> AsyncIterator[Bridged]:
    """A bridge of some members of the group "g"."""
    events: list[Event] = []
    spoken = anyio.Event()

    def sink(event: Event) -> None:
        events.append(event)
        spoken.set()

    journal = Journal(asyncio.get_running_loop().time, sinks=[sink])
    joining = Joining(address, "g", size, _DELAY_S)
    async with ActorSystem() as system:
        ref = system.spawn(lambda: Bridge(joining, members, journal), "coordinator")
        yield Bridged(ref, events, spoken)


def _address(host: Host) -> Address:
    return Address(*host.address)


def _names(peer: Peer) -> list[str]:
    """What was asked, and under which ID."""
    return [" ".join(filter(None, (a["request"], a.get("messageID")))) for a in peer.asked]


@define(eq=False)
class Pending:
    """A request on its way."""

    answer: object = None
    _over: anyio.Event = field(factory=anyio.Event)

    async def ask(self, at: Bridged, request: Request[object]) -> None:
        """Make it."""
        self.answer = await at.ref.ask(request)
        self._over.set()

    async def over(self) -> object:
        """Its answer."""
        await self._over.wait()
        return self.answer


# Joining


@pytest.mark.asyncio
async def test_who_joins_is_told_of_everybody_when_all_are_there() -> None:
    everybody = Gathered((_SERVER, _CLIENT))
    with Host() as host:
        async with bridged(_address(host)) as one, bridged(_address(host), [_CLIENT]) as other:
            first, second = Pending(), Pending()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(first.ask, one, Gather(1, 20.0))
                tasks.start_soon(second.ask, other, Gather(2, 20.0))
    assert (first.answer, second.answer) == (everybody, everybody)


@pytest.mark.asyncio
async def test_the_size_of_the_group_is_said_by_who_joins_it_and_never_again() -> None:
    async with answering(_ALL, ACK) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        await own.ref.ask(Deliver(Send(1, "x", {}, 1)))
        await own.ref.ask(Depart(1))
    assert [each.get("group_size") for each in peer.asked] == [2, None, None]
    assert _names(peer) == ["group_data", "lava_send x", "clear_group"]


@pytest.mark.parametrize(
    ("roles", "why"),
    [
        ({"1": "client", "2": "client"}, "1 is another node, of the role client; --first-id"),
        ({"2": "client", "3": "server"}, "1 is another node, of the role None; --first-id"),
        ({"1": "server", "board-7": "client"}, "a node 'board-7', and nodes go by the ids"),
        ({"1": "server", "007": "client"}, "a node '007'"),
        ({"1": "server", "²": "client"}, "a node '²'"),
        ({"1": "server", "": "client"}, "a node ''"),
        ({"1": "server", "\x1b[2J": "client"}, r"a node '\x1b[2J'"),
        ({"1": "server", "2": "client\n3\tserver"}, r"the role 'client\n3\tserver', which can't"),
        ({"1": "server", "2": "\ud800"}, r"the role '\ud800', which can't be printed"),
        ({"1": "server", "2": 5}, "a node '2'"),
        ({"1": "server"}, "has 1 nodes, and was to have 2; whoever joins"),
        ([], "'group_data' doesn't say who is in the group"),
    ],
)
@pytest.mark.asyncio
async def test_a_group_that_is_not_as_it_should_be_is_refused(roles: object, why: str) -> None:
    reply = frame({"response": "group_data", "roles": roles})
    async with answering(reply) as peer, bridged(peer.address) as own:
        answer = await own.ref.ask(Gather(1, 20.0))
    assert isinstance(answer, Refused)
    assert why in answer.reason
    assert str(peer.address) in answer.reason


@pytest.mark.asyncio
async def test_a_node_of_another_run_with_the_same_id_is_found_out() -> None:
    with Host() as host:
        host.ask("group_data", "1", role="client", group_size=1)
        async with bridged(_address(host), size=1) as own:
            answer = await own.ref.ask(Gather(1, 20.0))
    assert isinstance(answer, Refused)
    assert "1 is another node, of the role client" in answer.reason


@pytest.mark.asyncio
async def test_a_group_that_does_not_gather_is_given_up_at_the_limit() -> None:
    async with answering(WAIT) as peer, bridged(peer.address) as own:
        answer = await own.ref.ask(Gather(1, 0.2))
    assert isinstance(answer, Refused)
    assert "the group g was not complete within 0.2 s" in answer.reason
    assert "two with the same id count as one" in answer.reason


@pytest.mark.asyncio
async def test_where_nobody_listens_it_is_said_at_once_and_tried_up_to_the_limit() -> None:
    address = Address("127.0.0.1", free_port())
    async with bridged(address) as own:
        answer = await own.ref.ask(Gather(1, 0.2))
    trouble = "connection refused"
    assert answer == Refused(f"{address} has not answered within 0.2 s: {trouble}")
    assert own.said == [f"{address} doesn't answer: {trouble}; it is tried up to the limit"]


# Calls


@pytest.mark.asyncio
async def test_what_one_node_sends_arrives_in_that_order_before_what_it_asks_then() -> None:
    nothing = frame({"response": "ack", "message": {}})
    async with answering(_ALL, ACK, ACK, WAIT, nothing) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        requests: list[Request[Answer]] = [
            Deliver(Send(1, "x", {"k": "v"}, 1)),
            Deliver(Release(1, ("client",), 2)),
            Wait((1, 3), "y"),
        ]
        pending = [Pending() for _ in requests]
        peer.held = anyio.Event()
        async with anyio.create_task_group() as tasks:
            for each, request in zip(pending, requests, strict=True):
                tasks.start_soon(each.ask, own, request)
            await peer.arrived(2)
            assert _names(peer) == ["group_data", "lava_send x"]
            peer.held.set()
    assert [each.answer for each in pending] == [Granted()] * 3
    assert _names(peer)[1:] == ["lava_send x", "lava_send lava_start", "lava_wait y", "lava_wait y"]
    assert peer.asked[1]["message"] == {"k": "v"}


@pytest.mark.asyncio
async def test_who_waits_holds_up_nothing_that_the_node_sends() -> None:
    async with answering(_ALL, WAIT) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        waiting = Pending()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiting.ask, own, Sync((1, 1), "s"))
            await peer.arrived(2)
            peer.script[:] = [ACK]
            assert await own.ref.ask(Deliver(Send(1, "x", {}, 2))) == Granted()
            assert await waiting.over() == Granted()


@pytest.mark.asyncio
async def test_data_comes_by_the_senders_ids_and_what_is_no_text_becomes_json() -> None:
    message = {"2": {"a": "b", "n": None, "l": [1], "i": 7}, "30": {}}
    reply = frame({"response": "ack", "message": message})
    async with answering(_ALL, reply) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        answer = await own.ref.ask(WaitAll((1, 1), "x", "client"))
    assert answer == Granted({2: {"a": "b", "n": "", "l": "[1]", "i": "7"}, 30: {}})
    assert peer.asked[1]["waitrole"] == "client"


@pytest.mark.asyncio
async def test_halves_of_characters_become_the_sign_for_what_can_not_be_printed() -> None:
    reply = frame({"response": "ack", "message": {"2": {"a\udc00": "\ud800b"}}})
    async with answering(_ALL, reply) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        answer = await own.ref.ask(Wait((1, 1), "x"))
    assert answer == Granted({2: {"a\N{REPLACEMENT CHARACTER}": "\N{REPLACEMENT CHARACTER}b"}})


@pytest.mark.parametrize("depth", [500, 950, 980])
@pytest.mark.asyncio
async def test_a_value_that_is_too_deep_is_refused_or_taken(depth: int) -> None:
    text = b'{"response": "ack", "message": {"2": {"a": %b}}}' % (b"[" * depth + b"]" * depth)
    async with answering(_ALL, b"%08X%b" % (len(text), text)) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        answer = await own.ref.ask(Wait((1, 1), "x"))
    assert isinstance(answer, Granted | Refused)
    if isinstance(answer, Refused):
        assert "doesn't answer as a coordinator does" in answer.reason


@pytest.mark.asyncio
async def test_a_delayed_start_waits_for_all_of_a_role() -> None:
    reply = frame({"response": "ack", "message": {"2": {}}})
    async with answering(_ALL, reply) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        assert await own.ref.ask(Start((1, 1), "client")) == Granted({2: {}})
    assert (peer.asked[1]["messageID"], peer.asked[1]["waitrole"]) == ("lava_start", "client")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"HTTP/1.1 400\r\n\r\n", "no length"),
        (frame({"response": "ack"}), "its message is None"),
        (frame({"response": "ack", "message": "x"}), "its message is 'x'"),
        (frame({"response": "ack", "message": {"\x1b": {}}}), r"its message has '\x1b'"),
        (frame({"response": "ack", "message": {"x": {}}}), "its message has 'x'"),
        (frame({"response": "ack", "message": {"2": "x"}}), "its message has '2'"),
        (frame({"response": "group_data"}), "'group_data' answers no call"),
    ],
)
@pytest.mark.asyncio
async def test_an_answer_that_is_none_refuses_the_call_and_says_where_it_is_from(
    reply: bytes, why: str
) -> None:
    async with answering(_ALL, reply) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        answer = await own.ref.ask(Wait((1, 1), "x"))
    assert isinstance(answer, Refused)
    assert answer.reason.startswith(f"{peer.address} doesn't answer as a coordinator does: ")
    assert why in answer.reason


@pytest.mark.asyncio
async def test_a_wait_for_all_before_anybody_has_sent_is_overlooked_as_lava_does() -> None:
    async with answering(_ALL, NACK, WAIT) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        answer = await own.ref.ask(WaitAll((1, 1), "x"))
    assert answer == Refused("nobody has sent x yet", overlooked=True)
    assert _names(peer)[1:] == ["lava_wait_all x", "group_data"]


@pytest.mark.parametrize(
    "request_",
    [WaitAll((1, 1), "x"), Wait((1, 1), "x"), Sync((1, 1), "x"), Deliver(Send(1, "x", {}, 1))],
)
@pytest.mark.asyncio
async def test_a_call_to_a_group_that_is_lost_is_refused(request_: Request[Answer]) -> None:
    async with answering(_ALL, NACK) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        answer = await own.ref.ask(request_)
    assert isinstance(answer, Refused)
    assert answer.reason.startswith(f"{peer.address} refuses x: the group g may be over there")
    assert not answer.overlooked


@pytest.mark.asyncio
async def test_a_role_that_nobody_has_is_not_asked_for() -> None:
    async with answering(_ALL) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        answer = await own.ref.ask(WaitAll((1, 1), "x", "router"))
    assert answer == Refused("no node of the group has the role router")
    assert _names(peer) == ["group_data"]


@pytest.mark.asyncio
async def test_the_id_of_a_sync_is_not_sent_as_that_of_a_message() -> None:
    async with answering(_ALL, ACK) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        assert await own.ref.ask(Sync((1, 1), "x")) == Granted()
        answer = await own.ref.ask(Deliver(Send(1, "x", {}, 2)))
    assert isinstance(answer, Refused)
    assert "x is a sync's ID" in answer.reason
    assert _names(peer) == ["group_data", "lava_sync x"]


@pytest.mark.asyncio
async def test_a_call_that_is_withdrawn_is_asked_for_no_more() -> None:
    async with answering(_ALL, WAIT) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        waiting = Pending()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiting.ask, own, Wait((1, 1), "x"))
            await peer.arrived(3)
            assert await own.ref.ask(Withdraw((1, 1))) == ()
            assert await waiting.over() == GivenUp()
            peer.asked.clear()
            await own.ref.ask(Depart(1))
    assert _names(peer) == ["clear_group"]


@pytest.mark.asyncio
async def test_the_rest_of_what_a_node_sends_goes_out_when_one_is_withdrawn() -> None:
    async with answering(_ALL, ACK) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        peer.held = anyio.Event()
        first, second = Pending(), Pending()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(first.ask, own, Deliver(Send(1, "x", {}, 1)))
            await peer.arrived(2)
            tasks.start_soon(second.ask, own, Deliver(Send(1, "y", {}, 2)))
            await own.ref.ask(Withdraw((1, 1)))
            assert await first.over() == GivenUp()
            peer.held.set()
            assert await second.over() == Granted()


# Leaving


@pytest.mark.asyncio
async def test_who_has_ended_says_so_once() -> None:
    async with answering(_ALL, ACK) as peer, bridged(peer.address, [_SERVER, _CLIENT]) as own:
        await own.ref.ask(Gather(1, 20.0))
        await own.ref.ask(Gather(2, 20.0))
        await own.ref.tell(Disband())
        await own.ref.tell(Leave(1))
        await own.ref.ask(Depart(1))
        await own.ref.ask(Depart(1))
        await own.ref.ask(Depart(2))
    left = [each["client_name"] for each in peer.asked if each["request"] == "clear_group"]
    assert left == ["1", "2"]


@pytest.mark.asyncio
async def test_who_has_not_joined_has_nothing_to_leave() -> None:
    async with answering(ACK) as peer, bridged(peer.address) as own:
        await own.ref.ask(Depart(1))
    assert peer.asked == []


@pytest.mark.asyncio
async def test_that_a_node_has_ended_is_not_said_again_when_it_may_be_known() -> None:
    async with answering(_ALL, b"") as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        await own.ref.ask(Depart(1))
    assert _names(peer) == ["group_data", "clear_group"]
    assert own.said[-1].startswith(f"{peer.address} may not know that the job has ended: ")


@pytest.mark.asyncio
async def test_nobody_waits_long_for_a_coordinator_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge, "FAREWELL_S", 0.1)
    async with answering(_ALL) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        await peer.end()
        await own.ref.ask(Depart(1))
    assert "may not know that the job has ended: connection refused" in own.said[-1]


@pytest.mark.asyncio
async def test_nobody_waits_long_for_a_coordinator_that_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge, "FAREWELL_S", 0.1)
    async with answering(_ALL) as peer, bridged(peer.address) as own:
        await own.ref.ask(Gather(1, 20.0))
        peer.held = anyio.Event()
        await own.ref.ask(Depart(1))
    assert own.said[-1].endswith("may not know that the job has ended: no answer within 0.1 s")


# Losing the coordinator


@pytest.mark.asyncio
async def test_one_of_many_that_wait_says_that_the_coordinator_is_gone_and_back() -> None:
    async with bridged(Address("127.0.0.1", port := free_port()), [_SERVER, _CLIENT]) as own:
        pending = [Pending(), Pending()]
        async with anyio.create_task_group() as tasks:
            for number, each in enumerate(pending, 1):
                tasks.start_soon(each.ask, own, Gather(number, 20.0))
            await own.spoken.wait()
            async with answering(_ALL, port=port):
                for each in pending:
                    await each.over()
    gone, back = own.said
    assert "doesn't answer: connection refused" in gone
    assert "answers again, after " in back
