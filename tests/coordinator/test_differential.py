"""Any requests are answered as LAVA's own coordinator answers them, but for `left_out`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tests.coordinator.hosting import Host
from tests.coordinator.left_out import LEFT_OUT, Step
from tests.coordinator.real import NoReply, Real, ask
from tests.coordinator.unwired import Unwired

from callboard.coordinator.exchange import Exchange

Document = Mapping[str, Any]

MESSAGES = ("m", "lava_start", "")
SYNCS = ("s", "t")
ROLES = ("server", "client", "guest")
CLIENTS = ("1", "2", "3", "4", "5")
GROUPS = ("g", "h")

examples = count()


# Requests

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
DATA = st.one_of(
    st.none(),
    st.just({}),
    st.dictionaries(st.sampled_from(["ip", "port"]), st.sampled_from(["1", "2", ""]), max_size=2),
    st.dictionaries(st.text(max_size=2), JSON, max_size=2),
)
IDS = st.sampled_from(MESSAGES)
SYNC_IDS = st.sampled_from(SYNCS)


def _request(name: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"request": st.just(name), **fields})


USUAL = [
    _request("group_data"),
    _request("lava_send", messageID=IDS, message=DATA),
    _request("lava_wait", messageID=IDS, nodeID=st.just("x")),
    _request("lava_wait_all", messageID=IDS),
    _request("lava_wait_all", messageID=IDS, waitrole=st.sampled_from(ROLES)),
    _request("lava_sync", messageID=SYNC_IDS, message=JSON),
    _request("lava_sync", messageID=SYNC_IDS),
]
RARE = [
    _request("clear_group"),
    _request("aggregate", bundle=JSON, sub_id=st.sampled_from(["1.0", "1.1", ""])),
    _request("lava_wait_all", messageID=IDS, waitrole=st.sampled_from(["nobody's", ""])),
    _request("lava_send", messageID=IDS),
    _request("lava_sync", messageID=IDS),
    _request("lava_wait", messageID=SYNC_IDS),
    _request("complete"),
]
WRONG = [
    _request("aggregate", sub_id=st.just("1.0")),
    _request("aggregate", bundle=JSON),
    _request("lava_wait"),
    _request("lava_what"),
    _request(""),
    st.just({}),
]
REQUESTS = st.sampled_from([*USUAL * 6, *RARE * 2, *WRONG]).flatmap(lambda each: each)
SIZES = st.sampled_from(["right"] * 8 + ["as text", 3, 0, None])
LACKING = st.sampled_from([()] * 12 + [("role",), ("hostname",), ("group_name",), ("client_name",)])


@st.composite
def sequences(draw: st.DrawFn) -> list[Document]:
    """Requests of some clients of two groups."""
    roles = dict(zip(CLIENTS, draw(st.tuples(*[st.sampled_from(ROLES)] * 5)), strict=True))
    sizes = {group: draw(st.integers(1, 4)) for group in GROUPS}

    def complete(
        own: dict[str, Any], group: str, client: str, size: Any, without: Iterable[str]
    ) -> Document:
        right = sizes.get(group, 2)
        who = {
            "client_name": client,
            "group_name": group,
            "role": roles.get(client, "guest"),
            "hostname": "worker",
            "group_size": {"right": right, "as text": str(right)}.get(size, size),
            "port": 3079,
            "poll_delay": 3,
        }
        if size is None:
            del who["group_size"]
        return {name: each for name, each in {**who, **own}.items() if name not in without}

    step = st.builds(
        complete,
        REQUESTS,
        st.sampled_from([*["g"] * 20, *["h"] * 5, ""]),
        st.sampled_from([*CLIENTS[:2] * 8, *CLIENTS[2:] * 2, ""]),
        SIZES,
        LACKING,
    )
    length = draw(st.integers(1, 80))
    return draw(st.lists(step, min_size=length, max_size=length))


Ask = Callable[[Document], Any]
"""Makes a request and returns the answer; None if there is none."""


def over_tcp(host: Host) -> Ask:
    return lambda request: _or_none(partial(ask, host.address), request)


def _or_none(asked: Ask, request: Document) -> Any:
    try:
        return asked(request)
    except NoReply:
        return None


def compare(
    real: Real,
    requests: Iterable[Document],
    exchange: Exchange | None = None,
    ours: Ask | None = None,
) -> list[Any]:
    """Make requests of both, but for those that are left out; returns the answers.

    Args:
        real: LAVA's coordinator.
        requests: The requests.
        exchange: Our groups.
        ours: How we are asked; without a connection, if it isn't given.
    """
    unwired, number = Unwired(), next(examples)
    exchange, ours = exchange or unwired.exchange, ours or unwired.ask
    ways: dict[tuple[str, str | None], set[str]] = {}
    answers = []
    for each in requests:
        group, id_ = each.get("group_name", ""), each.get("messageID")
        request = {**each, "group_name": f"{group}{number}"} if group else each
        way = "sync" if request.get("request") == "lava_sync" else "message"
        step = Step(
            request,
            exchange.groups.get(f"{group}{number}"),
            ways.get((group, id_), set()) | {way} if id_ is not None else set(),
        )
        if not any(is_left_out(step) for is_left_out in LEFT_OUT):
            ways[group, id_] = step.ways
            answer = ours(request)
            assert (request, answer) == (request, _or_none(real.ask, request))
            answers.append(answer)
    return answers


@pytest.mark.timeout(600)
@given(requests=sequences())
def test_requests_are_answered_as_by_lavas_coordinator(
    real: Real, requests: list[Document]
) -> None:
    compare(real, requests)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as running:
        yield running


@pytest.mark.timeout(600)
@given(requests=sequences())
@settings(max_examples=settings().max_examples // 4)
def test_requests_are_answered_over_tcp_as_by_lavas_coordinator(
    real: Real, host: Host, requests: list[Document]
) -> None:
    compare(real, requests, host.exchange, over_tcp(host))


def by(client: str, request: str, **fields: Any) -> Document:
    """A request of a client of a group of three; clients 1 and 2 are servers."""
    who = {"client_name": client, "group_name": "g", "hostname": "worker", "group_size": 3}
    role = "server" if client in "12" else "client"
    return {**who, "role": role, "request": request, **fields}


def sync(client: str) -> Document:
    return by(client, "lava_sync", messageID="s")


def wait_all(client: str, *role: str) -> Document:
    return by(client, "lava_wait_all", messageID="m", **dict(zip(["waitrole"], role, strict=False)))


def send(client: str, **message: str) -> Document:
    return by(client, "lava_send", messageID="m", message=message)


ALL = [by(client, "group_data") for client in "123"]
MET = [sync(client) for client in "123"]


def aggregate(client: str, sub_id: str) -> Document:
    return by(client, "aggregate", sub_id=sub_id, bundle=[client])


@pytest.mark.parametrize(
    ("requests", "last"),
    [
        pytest.param(
            [*MET, sync("1"), sync("1"), sync("2"), sync("3")],
            "ack",
            id="a sync ends once all have collected it",
        ),
        pytest.param(
            [*MET, *MET, *MET, *MET], "ack", id="a sync ID can be used again after all have passed"
        ),
        pytest.param(
            [*MET, sync("1"), sync("1"), sync("2"), sync("3"), sync("3")],
            "wait",
            id="a sync that is over begins anew",
        ),
        pytest.param(
            [*MET, sync("4"), sync("1"), sync("2"), sync("3"), sync("4")],
            "wait",
            id="a client too many passes a sync and counts from then on",
        ),
        pytest.param([*ALL, by("4", "group_data")], "wait", id="a client too many"),
        pytest.param(
            [send("1", a="1"), send("2"), by("3", "lava_wait", messageID="m")],
            "wait",
            id="what was sent before a client joined isn't for it",
        ),
        pytest.param(
            [send("1", a="1"), send("2"), wait_all("3", "server")],
            "nack",
            id="nor when its role's first has sent",
        ),
        pytest.param(
            [send("1", a="1"), send("2"), send("3"), wait_all("3")],
            "ack",
            id="but a wait for all brings all",
        ),
        pytest.param(
            [*ALL, send("1", a="1"), send("1", b="2"), by("3", "lava_wait", messageID="m")],
            "ack",
            id="a second send replaces the first",
        ),
        pytest.param([*ALL, send("1"), wait_all("3", "server")], "ack", id="the first of a role"),
        pytest.param([*ALL, send("2"), wait_all("3", "server")], "wait", id="the second of a role"),
        pytest.param(
            [*ALL, send("3"), wait_all("3", "server")], "ack", id="all of the asker's role"
        ),
        pytest.param(
            [
                *ALL,
                by("1", "clear_group"),
                by("1", "clear_group"),
                by("1", "clear_group"),
                sync("2"),
            ],
            "wait",
            id="ends are counted by requests, and the next request begins a group",
        ),
        pytest.param(
            [aggregate("2", "1.1"), aggregate("3", "1.2"), *[aggregate("1", "1.0")] * 3],
            "ack",
            id="bundles are collected two rounds after the last one",
        ),
        pytest.param(
            [aggregate("2", "1.1"), aggregate("3", "1.2"), *[aggregate("1", "1.0")] * 4],
            "wait",
            id="and again two rounds later",
        ),
    ],
)
def test_a_situation_is_answered_as_by_lavas_coordinator(
    real: Real, requests: list[Document], last: str
) -> None:
    answers = compare(real, requests)
    assert len(answers) == len(requests)
    assert answers[-1]["response"] == last
