"""The client of LAVA's coordinator protocol: what it says, what it takes, and its patience."""

import json

import anyio
import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from tests.coordinator.peer import ACK, NACK, WAIT, answering
from tests.coordinator.running import free_port

from callboard.coordinator import client as client_module
from callboard.coordinator.answers import Answer
from callboard.coordinator.client import Address, Client, Misanswered, Unanswered
from callboard.coordinator.framing import frame
from callboard.coordinator.requests import ClearGroup, LavaSend, LavaWait, Request, parse
from callboard.coordinator.requests import Client as Identity

_ME = Identity("101", "g", "server", "lab")
_WAIT = LavaWait(_ME, "ready")
_DELAY_S = 0.02


@define(eq=False)
class Notices:
    """What a client has noticed: of whose request, and the trouble."""

    all: list[tuple[str, str | None]] = field(factory=list[tuple[str, str | None]])
    lost: anyio.Event = field(factory=anyio.Event)
    regained: anyio.Event = field(factory=anyio.Event)

    def __call__(self, request: Request, trouble: str | None) -> None:
        """Take a notice."""
        self.all.append((request.client.name, trouble))
        (self.regained if trouble is None else self.lost).set()


# Addresses


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("lava://lab", "lab", 3079),
        ("lava://lab:17", "lab", 17),
        ("LAVA://10.0.0.1:3079/", "10.0.0.1", 3079),
        ("lava://[::1]:5", "::1", 5),
        ("lava://[fe80::1]", "fe80::1", 3079),
    ],
)
def test_a_url_names_host_and_port(url: str, host: str, port: int) -> None:
    assert Address.parse(url) == Address(host, port)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "doesn't begin with lava://"),
        ("lab:3079", "doesn't begin with lava://"),
        ("http://lab", "doesn't begin with lava://"),
        ("lava://", "names no host"),
        ("lava://:3079", "names no host"),
        ("lava://lab:0", "the port in"),
        ("lava://lab:65536", "the port in"),
        ("lava://lab:x", "the port in"),
        ("lava://user@lab", "more than a host and a port"),
        ("lava://lab/group", "more than a host and a port"),
        ("lava://lab?x=1", "more than a host and a port"),
        ("lava://[::1", "no address"),
    ],
)
def test_what_is_no_url_of_a_coordinator_is_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Address.parse(url)


@given(st.text(max_size=20))
def test_any_text_after_the_scheme_is_an_address_or_refused(text: str) -> None:
    try:
        address = Address.parse(f"lava://{text}")
    except ValueError:
        return
    assert Address.parse(str(address)) == address


# One request


@pytest.mark.asyncio
async def test_a_request_says_what_a_dispatchers_does_and_its_sender_shuts_its_side_down() -> None:
    request = LavaSend(_ME, "ready", {"port": "80", "name": "größe"})
    async with answering(ACK) as peer:
        answer = await Client(peer.address, _DELAY_S).ask(request)
    assert answer == Answer("ack")
    [asked] = peer.asked
    assert asked == {
        "request": "lava_send",
        "client_name": "101",
        "group_name": "g",
        "role": "server",
        "hostname": "lab",
        "messageID": "ready",
        "message": {"port": "80", "name": "größe"},
        "host": "127.0.0.1",
        "port": peer.address.port,
        "blocksize": 4096,
        "poll_delay": _DELAY_S,
    }


@pytest.mark.asyncio
async def test_an_answer_may_come_in_pieces_and_have_fields() -> None:
    reply = {"response": "ack", "message": {"7": {"ü": "ß"}}}
    async with answering(frame(reply)) as peer:
        answer = await Client(peer.address).ask(_WAIT)
    assert answer == Answer("ack", {"message": {"7": {"ü": "ß"}}})


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no length"),
        (b"00000003{,}", "it is not JSON"),
        (b"00000002[]", "not an object"),
        (frame({"response": "perhaps"}), "its 'response' is 'perhaps'"),
        (frame({"message": 1}), "its 'response' is None"),
        (b"FFFFFFFF{}", "the most"),
        (b"000007D0" + b"[" * 2_000, "it is not JSON"),
    ],
)
@pytest.mark.asyncio
async def test_what_is_no_answer_is_not_asked_for_again(reply: bytes, why: str) -> None:
    async with answering(reply) as peer:
        with pytest.raises(Misanswered, match=why):
            await Client(peer.address).poll(_WAIT)
    assert len(peer.asked) == 1


@pytest.mark.parametrize("reply", [b"", b"0000", b"00000020{"])
@pytest.mark.asyncio
async def test_a_connection_that_is_closed_before_the_answers_end_is_no_answer(
    reply: bytes,
) -> None:
    async with answering(reply) as peer:
        with pytest.raises(Unanswered, match="closed the connection") as unanswered:
            await Client(peer.address).ask(_WAIT)
    assert unanswered.value.sent


@pytest.mark.asyncio
async def test_where_nobody_listens_nothing_was_sent() -> None:
    with pytest.raises(Unanswered, match="refused") as unanswered:
        await Client(Address("127.0.0.1", free_port())).ask(_WAIT)
    assert not unanswered.value.sent


@pytest.mark.asyncio
async def test_a_host_without_an_address_is_named_so() -> None:
    with pytest.raises(Unanswered, match="its name is not known"):
        await Client(Address("nowhere.invalid")).ask(_WAIT)


# Polling


@pytest.mark.asyncio
async def test_who_is_to_wait_asks_again_after_the_poll_delay() -> None:
    async with answering(WAIT, WAIT, NACK) as peer:
        began_s = anyio.current_time()
        answer = await Client(peer.address, 0.1).poll(_WAIT)
        took_s = anyio.current_time() - began_s
    assert answer.response == "nack"
    assert len(peer.asked) == 3
    assert took_s >= 0.2


@pytest.mark.asyncio
async def test_a_request_that_was_held_back_is_made_again_at_once() -> None:
    async with answering(WAIT, ACK, held=True) as peer, anyio.create_task_group() as tasks:
        client = Client(peer.address, 2.0)
        tasks.start_soon(client.poll, _WAIT)
        await peer.arrived(1)
        await anyio.sleep(2.0)  # the coordinator holds it back for the poll delay
        released_s = anyio.current_time()
        peer.held.set()
        await peer.arrived(2)
        assert anyio.current_time() - released_s < 1.9


@pytest.mark.asyncio
async def test_polling_outlives_servers_that_close_or_are_not_there() -> None:
    notices, port = Notices(), free_port()
    client = Client(Address("127.0.0.1", port), _DELAY_S, notices)
    answers: list[Answer] = []
    answered = anyio.Event()

    async def poll() -> None:
        answers.append(await client.poll(_WAIT))
        answered.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poll)
        await notices.lost.wait()
        assert client.trouble is not None
        async with answering(b"", b"", WAIT, ACK, port=port) as peer:
            await answered.wait()
    assert len(peer.asked) == 4
    assert answers == [Answer("ack")]
    assert client.trouble is None
    assert notices.all == [("101", "connection refused"), ("101", None)]


@pytest.mark.asyncio
async def test_of_many_that_wait_only_so_many_ask_at_a_time_and_nobody_else_has_to_wait() -> None:
    async with answering(ACK, held=True) as peer, anyio.create_task_group() as tasks:
        client = Client(peer.address, _DELAY_S)
        for number in range(100):
            tasks.start_soon(client.poll, LavaWait(_ME, f"{number}"))
        await peer.arrived(16)
        tasks.start_soon(lambda: client.deliver(LavaSend(_ME, "x", {}), again=True))
        await peer.arrived(17)
        assert [each["request"] for each in peer.asked] == ["lava_wait"] * 16 + ["lava_send"]
        peer.held.set()
    assert len(peer.asked) == 101
    assert peer.most == 17


@pytest.mark.asyncio
async def test_more_ask_at_a_time_where_they_are_held_back() -> None:
    async with answering(WAIT, held=True) as peer, anyio.create_task_group() as tasks:
        client = Client(peer.address, 0.1)
        for number in range(100):
            tasks.start_soon(client.poll, LavaWait(_ME, f"{number}"))
        await peer.arrived(16)
        await anyio.sleep(0.1)  # the coordinator holds them back for the poll delay
        peer.held.set()
        peer.held = anyio.Event()
        await peer.arrived(16 + 100)
        tasks.cancel_scope.cancel()
    assert peer.most == 100


@pytest.mark.asyncio
async def test_the_pauses_grow_while_nobody_is_there_and_stay_bounded() -> None:
    client = Client(Address("127.0.0.1", 1), 1.0)
    pauses = client.pauses_s()
    assert [next(pauses) for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    slow = Client(Address("127.0.0.1", 1), 30.0).pauses_s()
    assert [next(slow) for _ in range(3)] == [30.0, 30.0, 30.0]


# Silence


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is noticed after half a second, beside the poll delay."""
    monkeypatch.setattr(client_module, "_SILENCE_S", 0.5)


@pytest.mark.asyncio
@pytest.mark.usefixtures("hasty")
async def test_a_server_that_accepts_and_says_nothing_is_noticed_once_while_it_is_waited_for() -> (
    None
):
    notices = Notices()
    async with answering(ACK, held=True) as peer, anyio.create_task_group() as tasks:
        client = Client(peer.address, _DELAY_S, notices)
        for number in range(3):
            tasks.start_soon(client.poll, LavaWait(_ME, f"{number}"))
        await notices.lost.wait()
        assert client.trouble == "connected, but nothing has come for 0.52 s"
        peer.held.set()
    assert notices.all == [("101", "connected, but nothing has come for 0.52 s"), ("101", None)]
    assert len(peer.asked) == 3


@pytest.mark.asyncio
@pytest.mark.usefixtures("hasty")
async def test_who_is_held_back_while_others_are_answered_finds_no_silence() -> None:
    notices, others = Notices(), Notices()
    async with answering(ACK, held=True) as peer, anyio.create_task_group() as tasks:
        client = Client(peer.address, _DELAY_S, notices)
        tasks.start_soon(client.poll, _WAIT)
        await peer.arrived(1)
        tasks.start_soon(Client(peer.address, _DELAY_S, others).poll, _WAIT)
        await peer.arrived(2)
        held, peer.held = peer.held, anyio.Event()
        peer.held.set()
        while not others.lost.is_set():  # who asked later and alone finds silence by then
            await client.deliver(LavaSend(_ME, "x", {}), again=True)
        held.set()
    assert notices.all == []


@pytest.mark.asyncio
@pytest.mark.usefixtures("hasty")
async def test_a_coordinator_that_holds_answers_back_for_long_is_silent_the_first_time_only() -> (
    None
):
    notices, others = Notices(), Notices()
    async with answering(WAIT, ACK, held=True) as peer, anyio.create_task_group() as tasks:
        client = Client(peer.address, _DELAY_S, notices)
        tasks.start_soon(client.poll, _WAIT)
        await notices.lost.wait()
        peer.held.set()
        peer.held = anyio.Event()
        await notices.regained.wait()
        await peer.arrived(2)
        tasks.start_soon(Client(peer.address, _DELAY_S, others).poll, _WAIT)
        await others.lost.wait()  # who asked later, and doesn't know that answers are held back
        peer.held.set()
    assert len(notices.all) == 2


# What must not be said twice


@pytest.mark.asyncio
async def test_what_may_have_arrived_is_not_said_again_unless_it_may_be() -> None:
    async with answering(b"", ACK) as peer:
        client = Client(peer.address, _DELAY_S)
        with pytest.raises(Unanswered):
            await client.deliver(ClearGroup(_ME), again=False)
        assert len(peer.asked) == 1
        peer.script[:] = [b"", ACK]
        assert await client.deliver(LavaSend(_ME, "x", {}), again=True) == Answer("ack")
    assert len(peer.asked) == 3


@pytest.mark.asyncio
async def test_what_can_not_have_arrived_is_said_again() -> None:
    notices, port = Notices(), free_port()
    client = Client(Address("127.0.0.1", port), _DELAY_S, notices)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: client.deliver(ClearGroup(_ME), again=False))
        await notices.lost.wait()
        async with answering(ACK, port=port) as peer:
            await notices.regained.wait()
    assert len(peer.asked) == 1


@pytest.mark.asyncio
async def test_a_request_can_be_read_by_a_coordinator() -> None:
    async with answering(ACK) as peer:
        await Client(peer.address, 2.0).ask(_WAIT)
    assert parse(json.dumps(peer.asked[0])) == LavaWait(
        Identity("101", "g", "server", "lab", poll_delay_s=2.0), "ready"
    )
