"""What clients can have kept for them is bounded, and counted rather too high than too low."""

import gc
import tracemalloc
from collections.abc import Callable, Iterable, Iterator

import pytest
from attrs import evolve
from tests.coordinator.asking import state

from callboard.actors.semantics import DOCUMENTED, LAVA, Semantics
from callboard.coordinator.exchange import Exchange
from callboard.coordinator.limits import Limits
from callboard.coordinator.requests import (
    Aggregate,
    ClearGroup,
    Client,
    Collected,
    Forget,
    GroupData,
    Json,
    LavaSend,
    LavaSync,
    LavaWait,
    LavaWaitAll,
    Request,
    Unknown,
)

BOTH = pytest.mark.parametrize("semantics", [DOCUMENTED, LAVA], ids=["documented", "lava"])


def client(name: str = "1", group: str = "g", size: int = 2) -> Client:
    return Client(name, group, "role", "worker", size, 1.0)


def refused(exchange: Exchange, request: Request) -> str:
    """Why a request is refused, which changes nothing."""
    before = state(exchange)
    served = exchange.serve(request, 0.0)
    assert (served.answer.response, served.changed) == ("nack", False)
    assert state(exchange) == before
    return served.answer.reason


def acknowledged(exchange: Exchange, *requests: Request) -> None:
    for each in requests:
        assert exchange.serve(each, 0.0).answer.response == "ack"


LONG = "x" * 11
NAMED: list[tuple[Request, str]] = [
    (GroupData(client(group=LONG)), "the name of the group has 11 characters; 10 is the most"),
    (GroupData(client(LONG)), "the name of the client has 11"),
    (GroupData(evolve(client(), role=LONG)), "the role has 11"),
    (GroupData(evolve(client(), host=LONG)), "the host name has 11"),
    (LavaSend(client(), LONG, {}), "the message ID has 11"),
    (LavaWait(client(), LONG), "the message ID has 11"),
    (LavaSync(client(), LONG), "the message ID has 11"),
    (LavaWaitAll(client(), LONG), "the message ID has 11"),
    (LavaWaitAll(client(), "x", LONG), "the awaited role has 11"),
    (Aggregate(client(), None, LONG), "the sub_id has 11"),
    (Unknown(client(), LONG), "the name of the request has 11"),
]


@pytest.mark.parametrize(("request_", "why"), NAMED)
def test_names_and_ids_have_a_longest(request_: Request, why: str) -> None:
    exchange = Exchange(limits=Limits(name=10))
    assert refused(exchange, request_).startswith(why)
    assert not exchange.groups


def test_there_are_no_more_groups_than_may_be_at_a_time() -> None:
    exchange = Exchange(limits=Limits(groups=2))
    for group in "gh":
        exchange.serve(GroupData(client(group=group)), 0.0)
    assert refused(exchange, GroupData(client(group="i"))) == (
        "there are 2 groups already, which is the most"
    )
    exchange.serve(Forget(client(group="h")), 0.0)
    assert exchange.serve(GroupData(client(group="i")), 0.0).answer.response == "wait"


def test_a_group_has_no_more_clients_than_may_be() -> None:
    exchange = Exchange(limits=Limits(clients=2))
    assert refused(exchange, GroupData(client(size=3))) == "a group of 3 clients; 2 is the most"
    for name in "12":
        exchange.serve(GroupData(client(name)), 0.0)
    assert refused(exchange, GroupData(client("3"))) == (
        "the group has 2 clients, which is the most"
    )


@BOTH
def test_a_group_uses_no_more_ids_than_may_be(semantics: Semantics) -> None:
    exchange = Exchange(semantics, Limits(ids=2))
    acknowledged(exchange, LavaSend(client(), "m", {}))
    exchange.serve(LavaSync(client(), "s"), 0.0)
    why = "the group uses 2 message and sync IDs, which is the most"
    assert refused(exchange, LavaSend(client(), "n", {})) == why
    assert refused(exchange, LavaSend(client(), "s", {})) == why
    assert refused(exchange, LavaSync(client(), "m")) == why
    acknowledged(exchange, LavaSend(client(), "m", {"k": "v"}))
    for request in (LavaSync(client(), "s"), LavaWait(client(), "n")):
        assert exchange.serve(request, 0.0).answer.response == "wait"


def test_for_lava_an_id_is_free_again_once_all_have_passed_its_sync() -> None:
    exchange = Exchange(LAVA, Limits(ids=1))
    alone = client(size=1)
    for number in range(5):
        syncs = [exchange.serve(LavaSync(alone, f"s{number}"), 0.0) for _ in range(2)]
        exchange.serve(Collected(alone, f"s{number}"), 0.0)
        assert [each.answer.response for each in syncs] == ["wait", "ack"]


def test_what_is_sent_under_one_id_fits_into_an_answer() -> None:
    exchange = Exchange(limits=Limits(answer_bytes=1_000))
    acknowledged(exchange, LavaSend(client(), "m", {"k": "v" * 500}))
    too_much = LavaSend(client("2"), "m", {"k": "v" * 500})
    why = "more would have been sent under the ID than 1000 bytes, the most"
    exchange.serve(GroupData(client("2")), 0.0)
    assert refused(exchange, too_much) == why
    acknowledged(exchange, LavaSend(client("2"), "n", {"k": "v" * 500}))


def test_the_clients_of_a_group_fit_into_an_answer() -> None:
    exchange = Exchange(limits=Limits(answer_bytes=1_200))
    for name in ("1" * 400, "2" * 300):
        exchange.serve(GroupData(client(name)), 0.0)
    assert refused(exchange, GroupData(client("3" * 300))) == (
        "all names and roles of the group would have more than 1200 bytes, the most"
    )


def test_all_bundles_fit_into_an_answer() -> None:
    exchange = Exchange(limits=Limits(answer_bytes=1_000))
    acknowledged(exchange, *[Aggregate(client(), ["b" * 700], "1.1")] * 3)
    exchange.serve(GroupData(client("2")), 0.0)
    assert refused(exchange, Aggregate(client("2"), ["b" * 300], "1.2")) == (
        "all bundles would have more than 1000 bytes, which is the most"
    )


@BOTH
@pytest.mark.parametrize("limit", ["group_bytes", "bytes"])
def test_of_a_group_and_of_all_groups_is_kept_no_more_than_may_be(
    semantics: Semantics, limit: str
) -> None:
    limits = evolve(Limits(), **{limit: 50_000})
    exchange = Exchange(semantics, limits)
    requests = [LavaSend(client(), f"m{number}", {"k": "v" * 1_000}) for number in range(100)]
    answers = [exchange.serve(each, 0.0).answer for each in requests]
    count = [each.response for each in answers].index("nack")
    assert 10 < count < 40
    assert "than 50000 bytes" in answers[count].reason
    assert exchange.size_bytes <= 50_000
    others = [GroupData(client(group=f"h{number}")) for number in range(20)]
    room = {exchange.serve(each, 0.0).answer.response for each in others}
    assert room == ({"wait"} if limit == "group_bytes" else {"nack"})
    # Whoever has joined can still leave.
    acknowledged(exchange, *[ClearGroup(client())] * 2)
    assert "g" not in exchange.groups
    assert exchange.serve(requests[0], 0.0).answer.response == "ack"


def test_what_was_served_before_is_taken_up_whatever_the_limits_are_now() -> None:
    before, after = Exchange(), Exchange(limits=Limits(1, 1, 1, 1, 1, 1, 1))
    requests: list[Request] = [
        *(GroupData(client(name, group)) for group in "gh" for name in ("one", "two")),
        *(LavaSend(client("one"), f"m{number}", {"k": "v"}) for number in range(5)),
        LavaSync(client("one"), "s"),
        Aggregate(client("one"), [1], "1.1"),
    ]
    for each in requests:
        before.serve(each, 0.0)
        after.replay(each, 0.0)
    assert state(before) == state(after)
    again = Exchange(limits=Limits(1, 1, 1, 1, 1, 1, 1))
    for memory in state(before).values():
        again.recall(memory, 0.0)
    assert state(before) == state(again)


@BOTH
def test_waits_for_what_nobody_sends_leave_nothing(semantics: Semantics) -> None:
    exchange = Exchange(semantics)
    exchange.serve(GroupData(client()), 0.0)
    before = exchange.size_bytes

    def waits() -> Iterator[Request]:
        for number in range(1_000):
            yield LavaWait(client(), f"m{number}")
            yield LavaWaitAll(client(), f"m{number}", "role")

    assert grown_bytes(exchange, waits()) < 50_000
    assert exchange.size_bytes < before + 1_000


def test_a_request_that_waits_is_remembered_without_what_it_brings() -> None:
    exchange = Exchange()
    exchange.serve(GroupData(client()), 0.0)
    large: Json = [[] for _ in range(100_000)]
    for request in (LavaSync(client(), "s", large), Aggregate(client(), "x" * 100_000, "1.0")):
        exchange.serve(request, 0.0)
        (known,) = exchange.groups["g"].clients
        assert len(repr(known.waiting)) < 300


@BOTH
def test_who_waits_may_ask_again_however_much_others_have_kept_since(semantics: Semantics) -> None:
    exchange = Exchange(semantics, Limits(bytes=50_000))
    exchange.serve(GroupData(client()), 0.0)
    waits: list[Request] = [LavaWait(client(), "x"), LavaSync(client("2"), "s")]
    if semantics is LAVA:
        waits.append(LavaWaitAll(client("3"), "m", "role"))
    answers = [exchange.serve(each, 0.0).answer.response for each in waits]
    assert set(answers) == {"wait"}
    others = [client(str(number), "h", 50) for number in range(50)]
    joined = [exchange.serve(GroupData(each), 0.0).answer.response for each in others]
    assert joined[-1] == "nack"
    for number, other in enumerate(others[: joined.index("nack")]):  # they take what is left
        exchange.serve(LavaWait(other, "z" * (1_000 >> number)), 0.0)
    assert "than 50000 bytes" in refused(exchange, LavaWait(others[0], "y"))
    assert [exchange.serve(each, 0.0).answer.response for each in waits] == answers


def test_nothing_is_counted_of_waits_that_a_restart_has_ended() -> None:
    exchange = Exchange()
    for each in (GroupData(client()), LavaSync(client(), "s" * 1_000)):
        exchange.replay(each, 0.0)
    exchange.resume()
    assert exchange.size_bytes == exchange.groups["g"].size_bytes
    exchange.serve(Forget(client()), 0.0)
    assert exchange.size_bytes == 0


def grown_bytes(exchange: Exchange, requests: Iterable[Request]) -> int:
    """How much more memory is used once an exchange has served requests."""
    gc.collect()
    tracemalloc.start()
    try:
        for each in requests:
            exchange.serve(each, 0.0)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def _own(client_: Client) -> Client:
    """The same, in texts of its own, as each request brings them."""
    name, group, role = (
        bytes(each, "utf-8").decode() for each in (client_.name, client_.group, client_.role or "")
    )
    return Client(name, group, role, bytes(client_.host, "utf-8").decode(), client_.size, 1.0)


def _clients() -> Iterator[Request]:
    for number in range(2_000):
        yield GroupData(_own(client(f"client{number}", size=3_000)))


def _roles() -> Iterator[Request]:
    for number in range(2_000):
        yield GroupData(evolve(_own(client(f"{number}", size=3_000)), role=f"role{number}"))


def _groups() -> Iterator[Request]:
    for number in range(1_000):
        yield GroupData(_own(client(group=f"group{number}")))


def _messages() -> Iterator[Request]:
    for number in range(2_000):
        yield LavaSend(client(), f"message{number}", {f"key{number}": f"value{number}"})


def _senders() -> Iterator[Request]:
    for number in range(100):
        for id_ in range(20):
            yield LavaSend(_own(client(f"{number}", size=100)), f"m{id_}", {f"k{number}": number})


def _values() -> Iterator[Request]:
    for number in range(20):
        yield LavaSend(client(), f"m{number}", {f"{n}é": [{}] * 10 for n in range(200)})


def _syncs() -> Iterator[Request]:
    for number in range(100):
        for id_ in range(20):
            yield LavaSync(_own(client(f"{number}", size=101)), f"sync{id_}", f"text{number}")


def _bundles() -> Iterator[Request]:
    for number in range(100):
        yield Aggregate(
            _own(client(f"{number}", size=101)), [[] for _ in range(500)], f"{number}.1"
        )


def _waits() -> Iterator[Request]:
    for number in range(1_000):
        yield LavaWait(_own(client(f"{number}", size=1_001)), f"{number}" + "x" * 900)


@BOTH
@pytest.mark.parametrize(
    "load",
    [_clients, _roles, _groups, _messages, _senders, _values, _syncs, _bundles, _waits],
    ids=lambda load: load.__name__.strip("_"),
)
def test_what_is_kept_takes_no_more_memory_than_it_is_counted(
    semantics: Semantics, load: Callable[[], Iterator[Request]]
) -> None:
    exchange = Exchange(semantics)
    grown = grown_bytes(exchange, load())
    assert 0.1 * exchange.size_bytes < grown < exchange.size_bytes
