"""What processes of a group post to each other: envelopes of links, as many as fit, as JSON.

| key | holds |
| --- | --- |
| `v` | version of the protocol, see `subjects.PROTOCOL` |
| `t` | term of the leader that the parcel is from or for |
| `i` | incarnation of the worker that it is from or for |
| `r` | numbers of messages that were received |
| `c` | numbers of outcomes that are confirmed |
| `m` | messages: number, floor, address, place in `b` |
| `s` | outcomes: number, place in `b` |
| `b` | bodies, each once; see `wire` |
"""

from collections.abc import Iterator
from functools import lru_cache
from json import dumps
from typing import Any

from attrs import define, field, frozen

from callboard.cluster.schema import shown
from callboard.cluster.subjects import PROTOCOL
from callboard.cluster.wire import Codec, WireError, from_json
from callboard.runtime import Outcome
from callboard.runtime.transport import Confirmed, Envelope, Message, Received, Settled

OVERHEAD = 512
"""Bytes of a parcel besides its bodies and addresses, at most, as long as it has one envelope."""

_NUMBERS = 12
"""Bytes of a number and what stands around it, at most."""


@frozen
class Unreadable:
    """Stands for a body that nobody here takes; whoever sent it is told why."""

    error: WireError


@frozen
class Parcel:
    """A parcel of which the address is read, and nothing else yet.

    Attributes:
        term: Of the leader.
        incarnation: Of the worker.
    """

    term: int
    incarnation: str
    _data: dict[str, Any]

    def open(self, codec: Codec) -> Iterator[Envelope]:
        """The envelopes; raises WireError where something else stands in the parcel."""
        data = self._data
        bodies = [_load(codec, body) for body in _list(data, "b")]
        try:
            for number in _list(data, "r"):
                yield Received(_whole(number))
            for number in _list(data, "c"):
                yield Confirmed(_whole(number))
            for number, place in _list(data, "s"):
                yield Settled(_whole(number), _outcome(bodies[_whole(place)]))
            for number, floor, to, place in _list(data, "m"):
                yield Message(_whole(number), _whole(floor), bodies[_whole(place)], _text(to))
        except (ValueError, TypeError, IndexError) as error:
            raise WireError(f"a parcel holds something that is no envelope: {error}") from error


def read(data: bytes) -> Parcel:
    """The parcel of what came; raises WireError when it is none, or of another version."""
    parcel = from_json(data)
    if not isinstance(parcel, dict):
        raise WireError(f"{shown(parcel)} is no parcel")
    version = parcel.get("v")
    if version != PROTOCOL:
        raise WireError(
            f"a parcel of protocol {shown(version)} came, but this callboard speaks {PROTOCOL}; "
            "run the same callboard everywhere"
        )
    term, incarnation = parcel.get("t"), parcel.get("i")
    if type(term) is not int or type(incarnation) is not str:
        raise WireError("a parcel doesn't say from whom it is, and for whom")
    return Parcel(term, incarnation, parcel)


@define(eq=False)
class Outbox:
    """What is to be posted to one process.

    Acknowledgements can wait: what is settled needs none, and many go together.
    """

    received: dict[int, None] = field(factory=dict[int, None])
    confirmed: dict[int, None] = field(factory=dict[int, None])
    messages: dict[int, Message] = field(factory=dict[int, Message])
    settled: dict[int, Settled] = field(factory=dict[int, Settled])

    def put(self, envelope: Envelope) -> bool:
        """Add an envelope; whether it shouldn't have to wait."""
        match envelope:
            case Message(number):
                self.messages[number] = envelope
                return True
            case Settled(number):
                self.settled[number] = envelope
                self.received.pop(number, None)
                return True
            case Received(number):
                self.received[number] = None
            case Confirmed(number):
                self.confirmed[number] = None
        return False

    @property
    def waiting(self) -> int:
        """How many acknowledgements wait."""
        return len(self.received) + len(self.confirmed)

    def take(self) -> "Outbox":
        """What is in it, which isn't in it any more."""
        taken = Outbox(self.received, self.confirmed, self.messages, self.settled)
        self.clear()
        return taken

    def clear(self) -> None:
        """Forget what is in it."""
        self.received, self.confirmed, self.messages, self.settled = {}, {}, {}, {}


class Packer:
    """Packs envelopes into parcels of at most `limit` bytes.

    Args:
        term: Of the leader.
        incarnation: Of the worker.
        limit: In bytes; one envelope with its body has to fit, see `OVERHEAD`.
    """

    def __init__(self, term: int, incarnation: str, limit: int) -> None:
        self._head = f'{{"v":{PROTOCOL},"t":{term},"i":{dumps(incarnation)}'
        self._limit = limit - OVERHEAD // 2
        self._parts: dict[str, list[str]] = {}
        self._places: dict[str, int] = {}
        self._size = 0
        self.parcels: list[bytes] = []

    def acknowledge(self, key: str, numbers: dict[int, None]) -> None:
        """Add what was received (`r`) or is confirmed (`c`)."""
        for number in numbers:
            self._add(key, str(number), "")

    def message(self, message: Message, body: str) -> None:
        """Add a message with its encoded body."""
        self._add("m", f"[{message.number},{message.floor},{_quoted(message.to)}", body)

    def settled(self, number: int, body: str) -> None:
        """Add an outcome with its encoded body."""
        self._add("s", f"[{number}", body)

    def seal(self) -> list[bytes]:
        """All parcels."""
        if self._parts:
            lists = [f'"{key}":[{",".join(parts)}]' for key, parts in self._parts.items()]
            if self._places:
                lists.append(f'"b":[{",".join(self._places)}]')
            self.parcels.append(f"{self._head},{','.join(lists)}}}".encode())
            self._parts, self._places, self._size = {}, {}, 0
        return self.parcels

    def _add(self, key: str, envelope: str, body: str) -> None:
        size = len(envelope) + _NUMBERS + (len(body) + 1 if body not in self._places else 0)
        if self._size + size > self._limit:
            self.seal()
            size = len(envelope) + _NUMBERS + len(body) + 1
        self._size += size
        if body:
            place = self._places.setdefault(body, len(self._places))
            envelope = f"{envelope},{place}]"
        self._parts.setdefault(key, []).append(envelope)


_quoted = lru_cache(maxsize=4096)(dumps)


def _load(codec: Codec, body: Any) -> Any:
    try:
        return codec.load(body)
    except WireError as error:
        return Unreadable(error)


def _outcome(body: Any) -> Outcome[Any]:
    if isinstance(body, Unreadable):
        return Outcome(error=body.error)
    return Outcome(error=body) if isinstance(body, Exception) else Outcome(body)


def _list(data: dict[str, Any], key: str) -> list[Any]:
    found = data.get(key, [])
    if type(found) is not list:
        raise WireError(f"`{key}` of a parcel is {shown(found)}, not a list")
    return found


def _whole(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError(f"{shown(number)} is no number")
    return number


def _text(text: Any) -> str:
    if type(text) is not str:
        raise ValueError(f"{shown(text)} is no address")
    return text
