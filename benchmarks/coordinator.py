"""How fast LAVA's clients are served, by callboard's coordinator and by LAVA's own.

Both serve the same client, over loopback, in turns of one run. How fast that client is at most is
measured too, against a server that answers at once without reading what it is asked.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from statistics import median

from attrs import frozen

from benchmarks.clients import Clients, request
from benchmarks.coordinators import MissingError, Running, echo, ours, theirs
from benchmarks.measurement import Measurement

_CLIENTS = (1, 100, 1_000)
_GROUPS = (10, 1_000, 10_000)
_MEETINGS = (2, 10, 100, 1_000)
_TURNS = 3
_TURN_S = 1.0
_SENDS = 300
_POLL_DELAY_S = 1.0
_MEETING_LIMIT_S = 60.0
_GOAL = 1.0
_DURABLE = ("--state", "{folder}/state")
_HELD = ("--hold",)

_Start = Callable[[], AbstractContextManager[Running]]


def rates() -> Iterator[Measurement]:
    """Requests a second, of clients that ask again as soon as they have their answer."""
    _require()
    for kind in ("poll", "send"):
        for clients in _CLIENTS:
            yield from _rates(kind, clients)


def sends() -> Iterator[Measurement]:
    """What a `lava_send` costs as its group grows, one after the other."""
    _require()
    for size in _GROUPS:
        figure, raw = (_send_s(start, size) * 1e6 for start in (ours, theirs))
        yield _less(f"a lava_send in a group of {size:,}", figure, raw, "us")


def meetings() -> Iterator[Measurement]:
    """From the last call of a `lava_sync` until all have their answer, at a poll delay of 1 s.

    What takes longer than a minute counts as that.
    """
    _require()
    for size in _MEETINGS:
        for spread_s in (0.0, 1.0):
            how = "spread over 1 s" if spread_s else "at once"
            held, polled, raw = (
                _meeting_s(start, size, spread_s) for start in (_ours_held, ours, theirs)
            )
            name = f"lava_sync of {size:,}, {how}"
            yield _less(name, polled, raw, "s")
            yield _less(f"{name}, held", held, raw, "s")


@frozen
class _Rate:
    """Requests a second, and the server's CPU seconds a request."""

    rate: float
    cpu_s: float


def _rates(kind: str, clients: int) -> Sequence[Measurement]:
    starts: dict[str, _Start] = {
        "bare": echo,
        "theirs": theirs,
        "ours": ours,
        "durable": lambda: ours(*_DURABLE),
    }
    found: dict[str, list[_Rate]] = {name: [] for name in starts}
    for _ in range(_TURNS):
        for name, start in starts.items():
            found[name].append(_rate(start, kind, clients))
    best = {name: max(each.rate for each in turns) for name, turns in found.items()}
    cpu = {name: min(each.cpu_s for each in turns) * 1e6 for name, turns in found.items()}
    what = f"{kind}s of {clients:,} clients"

    def compared(name: str, by: str, goal: float | None) -> Measurement:
        figure, raw = best[by], best["theirs"]
        return Measurement(name, figure / 1e3, raw / 1e3, "k/s", figure / raw, goal)

    return [
        compared(f"{what}, in memory", "ours", _GOAL),
        compared(f"{what}, durable", "durable", None),
        compared(f"{what}, the bare client", "bare", None),
        _less(f"{what}, CPU in memory", cpu["ours"], cpu["theirs"], "us"),
        _less(f"{what}, CPU durable", cpu["durable"], cpu["theirs"], "us"),
    ]


def _rate(start: _Start, kind: str, size: int) -> _Rate:
    with start() as running:
        clients = Clients(running.port)
        try:
            _join(clients, size)
            asked = [_question(kind, client) for client in range(size)]
            answered = 0

            def begin(client: int) -> None:
                clients.ask(asked[client], lambda reply: done(client, reply))

            def done(client: int, reply: bytes) -> None:
                nonlocal answered
                answered += bool(reply)
                begin(client)

            for client in range(size):
                begin(client)
            _until(clients, _TURN_S / 4)
            before, cpu_s, began_s = answered, running.cpu_s, time.monotonic()
            _until(clients, _TURN_S)
            count = max(answered - before, 1)
            return _Rate(count / (time.monotonic() - began_s), (running.cpu_s - cpu_s) / count)
        finally:
            clients.close()


def _question(kind: str, client: int) -> bytes:
    if kind == "poll":
        return request("group", client, "lava_wait", messageID="never", nodeID=str(client))
    return request("group", client, "lava_send", messageID="address", message={"ip": "10.0.0.1"})


def _send_s(start: _Start, size: int) -> float:
    with start() as running:
        clients = Clients(running.port)
        try:
            _join(clients, size)
            times: list[float] = []
            while len(times) < _SENDS and sum(times) < _TURN_S:
                asked = _question("send", len(times) % size)
                began_s = time.perf_counter()
                clients.all([asked])
                times.append(time.perf_counter() - began_s)
            return median(times)
        finally:
            clients.close()


def _meeting_s(start: _Start, size: int, spread_s: float) -> float:
    with start() as running:
        clients = Clients(running.port)
        try:
            _join(clients, size)
            met = 0
            called_s = 0.0

            def begin(client: int) -> None:
                nonlocal called_s
                called_s = time.monotonic()
                ask(client)

            def ask(client: int) -> None:
                asked = request("group", client, "lava_sync", messageID="meeting")
                clients.ask(asked, lambda reply: done(client, reply))

            def done(client: int, reply: bytes) -> None:
                nonlocal met
                if reply and json.loads(reply)["response"] != "wait":
                    met += 1
                else:
                    clients.later(_POLL_DELAY_S, lambda: ask(client))

            for client in range(size):
                delay_s = spread_s * client / max(size - 1, 1)
                clients.later(delay_s, partial(begin, client))
            with suppress(TimeoutError):
                clients.run(lambda: met == size, _MEETING_LIMIT_S)
            return time.monotonic() - called_s
        finally:
            clients.close()


def _join(clients: Clients, size: int) -> None:
    """Have a group of that size; nobody is held, for they join one after the other."""
    replies = clients.all(
        [request("group", client, "group_data", size, poll_delay=0) for client in range(size)]
    )
    assert all(replies), "a client could not join"


def _ours_held() -> AbstractContextManager[Running]:
    return ours(*_HELD)


def _until(clients: Clients, span_s: float) -> None:
    end_s = time.monotonic() + span_s
    clients.run(lambda: time.monotonic() >= end_s, span_s + 60)


def _less(name: str, figure: float, raw: float, unit: str) -> Measurement:
    """Of figures of which less is better."""
    return Measurement(name, figure, raw, unit, raw / figure if figure else 1.0)


def _require() -> None:
    try:
        with theirs():
            pass
    except MissingError as error:
        sys.exit(str(error))
