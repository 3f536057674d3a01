"""What the log of a group has besides events: what its next leader needs, and no user reads.

A line of the log is an event as `events.encode` writes it, or an entry, which begins with
`{"entry":`.
"""

import json
from collections.abc import Mapping
from typing import Any

import cattrs
from attrs import field, frozen

from callboard.actors.messages import Interrupt, JobDone
from callboard.cluster.records import Seat
from callboard.events import Failure, LogError

_BEGIN = b'{"entry":'


@frozen
class Led:
    """Who leads the group from here on; the first line of its term."""

    worker: str
    incarnation: str


@frozen
class Relayed:
    """The next `count` events are a host's, of whose numbers `first` is the first's.

    It stands before them, so that a log that ends among them still says what they are.
    """

    box: str
    first: int
    count: int


@frozen
class Requested:
    """A request to the coordinator, or a wait that it gave up; as `ledger.Entry` in JSON."""

    request: Any


@frozen
class Allotted:
    """Where each job runs."""

    seats: Mapping[int, Seat] = field(factory=dict[int, Seat])


@frozen
class GivenUp:
    """Nothing more is wanted of a worker: what is left of its jobs fails, and it is told so."""

    box: str
    failure: Failure


Entry = Led | Relayed | Requested | Allotted | GivenUp | JobDone | Interrupt

_KINDS: Mapping[str, type[Entry]] = {
    "led": Led,
    "relayed": Relayed,
    "requested": Requested,
    "allotted": Allotted,
    "given-up": GivenUp,
    "done": JobDone,
    "interrupted": Interrupt,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}

_converter = cattrs.Converter(forbid_extra_keys=True)
_json = json.JSONEncoder(separators=(",", ":")).encode


def is_entry(line: bytes) -> bool:
    """Whether a line of a log is an entry, and no event."""
    return line.startswith(_BEGIN)


def encode(entry: Entry) -> bytes:
    """The entry as one line of the log, line break included."""
    match entry:  # the two that come with nearly every message are JSON as they are
        case Requested(request):
            data = {"entry": "requested", "request": request}
        case Relayed(box, first, count):
            data = {"entry": "relayed", "box": box, "first": first, "count": count}
        case _:
            data = {"entry": _NAMES[type(entry)], **_converter.unstructure(entry)}
    return f"{_json(data)}\n".encode()


def decode(line: bytes) -> Entry:
    """The entry of one line of the log.

    Raises:
        LogError: The line is no entry of this version.
    """
    try:
        data = json.loads(line)
        return _converter.structure(data, _KINDS[data.pop("entry")])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LogError("not an entry of this version's log of a group") from error
    except cattrs.BaseValidationError as error:
        raise LogError("not an entry of this version's log of a group") from error
