"""Messages between processes as bytes, and back: by schema, and only what is listed here.

A body is JSON: null, true, false, a number or a text for themselves, anything else a list of the
tag, which is the name of the class, and the data. What comes may be anything: it gives a message
that is listed, with fields of the right types, or a `WireError` whose text says what is wrong.

Errors cross as answers do. One that the other side doesn't know by its class arrives as
`FarError`; of an actor that failed the text arrives, and nothing of its exception.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import cattrs
from cattrs.v import format_exception

from callboard.actors.effects import Hopeless
from callboard.actors.messages import (
    AskBusy,
    AwaitGuests,
    CancelJob,
    Disband,
    GivenUp,
    Granted,
    JobDone,
    Join,
    Leave,
    Refused,
    Release,
    Send,
    Start,
    StartJob,
    Sync,
    Wait,
    WaitAll,
    Withdraw,
)
from callboard.cluster.errors import ClusterError
from callboard.cluster.messages import (
    Contract,
    Dismiss,
    Emitted,
    Employ,
    Employed,
    Engage,
    FetchPart,
)
from callboard.cluster.schema import make_converter, packed, shown
from callboard.definition.model import Block
from callboard.runtime import ActorFailed, ActorRef, ActorStopped, AskTimeout, MailboxFull
from callboard.runtime.errors import ActorError

CROSSING = (
    # to the coordinator, its answers, and what it writes down
    *(Leave, Disband, Send, Release, Wait, WaitAll, Sync, Start, Withdraw),
    *(Granted, Refused, GivenUp, Hopeless),
    # to a job's protocol, to a job, and to the group
    *(AskBusy, StartJob, CancelJob, JobDone, AwaitGuests),
    # between leader and hosts
    *(Emitted, Engage, Employ, Employed, Dismiss, FetchPart),
)
"""The classes that may cross as they are; `Join` and `Contract` do so in their own way."""


class WireError(Exception):
    """What came is no message of this version's protocol, or this can't be sent as one."""


class TooLarge(Exception):
    """A message, or an answer, has more bytes than may be sent at once.

    Attributes:
        what: Its class.
        size: Its size in bytes.
        limit: The most that it may have.
    """

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(
            f"{what} has {size:,} bytes, but the cluster carries {limit:,} at once; "
            "the server's max_payload sets that"
        )
        self.what = what
        self.size = size
        self.limit = limit


class FarError(Exception):
    """An error of another process; its text names the class there."""


class FarFailure(ActorFailed):
    """An actor of another process has failed; of its exception there is the text."""

    def __init__(self, address: str, text: str) -> None:
        ActorError.__init__(self, address, text)
        self.cause = FarError(text)


class Refs(Protocol):
    """Says where the actors of refs live, as all processes of a group understand it."""

    def place_of(self, ref: ActorRef[Any]) -> tuple[str, str]:
        """The box of the actor's process, and its address there."""

    def ref(self, box: str, address: str) -> ActorRef[Any]:
        """The ref of an actor."""


_converter = make_converter(explains=False)
_explaining = make_converter(explains=True)
_SCALARS = (type(None), bool, int, float, str)


class Codec:
    """Makes JSON of messages, and messages of JSON.

    Args:
        refs: For the refs that messages hold.
    """

    def __init__(self, refs: Refs) -> None:
        self._refs = refs
        self._dumps: dict[type, Callable[[Any], tuple[str, Any]]] = {
            **_DUMPS,
            Join: self._dump_join,
        }
        self._loads: dict[str, Callable[[Any], Any]] = {**_LOADS, "Join": self._load_join}

    def dump(self, body: object) -> Any:
        """A message, an answer or an error as JSON is made of it.

        Raises:
            WireError: It is none that may cross.
        """
        kind = type(body)
        dump = self._dumps.get(kind)
        if dump is not None:
            return dump(body)
        if kind in _SCALARS:
            return body
        if isinstance(body, ActorFailed):
            return "ActorFailed", [body.address, str(body)[len(body.address) + 1 :]]
        if isinstance(body, Exception):
            return "Error", f"{kind.__name__}: {body}"
        raise WireError(f"a {kind.__name__} can't be sent to another process")

    def load(self, data: Any) -> Any:
        """What `dump` was given; raises WireError when this is nothing that it makes."""
        if type(data) in _SCALARS:
            return data
        if type(data) is not list or len(data) != 2 or type(data[0]) is not str:
            raise WireError(f"{shown(data)} is no tag with its data")
        tag, fields = data
        load = self._loads.get(tag)
        if load is None:
            raise WireError(f"no message is called {shown(tag)}")
        try:
            return load(fields)
        except Exception as error:  # whatever a part of the data makes a constructor raise
            raise WireError(f"this is no {tag}: {_reason(tag, fields, error)}") from error

    def encode(self, body: object) -> str:
        """A body as text; raises WireError when it may not cross."""
        try:
            return _to_json(self.dump(body))
        except (TypeError, ValueError, RecursionError) as error:
            name = type(body).__name__
            raise WireError(f"a {name} can't be sent to another process: {error}") from error

    def decode(self, text: str | bytes) -> Any:
        """The body of such a text; raises WireError when it is none."""
        return self.load(from_json(text))

    def _dump_join(self, join: Join) -> tuple[str, Any]:
        return "Join", [join.member, *self._refs.place_of(join.protocol)]

    def _load_join(self, data: Any) -> Join:
        member, box, address = _join(data, _Placed)
        return Join(member, self._refs.ref(box, address))


def from_json(text: str | bytes) -> Any:
    """The JSON of a text; raises WireError when it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"{shown(text)} is no JSON: {error}") from error


_to_json = json.JSONEncoder(separators=(",", ":")).encode

_Placed = tuple[int, str, str]
_join = _converter.get_structure_hook(_Placed)


def _reason(tag: str, data: Any, error: Exception) -> str:
    """What is wrong with the data of a message, and where."""
    kind = _CLASSES.get(tag)
    if kind is not None:
        try:
            _explaining.structure(data, kind)
        except cattrs.BaseValidationError as explained:
            return "; ".join(cattrs.transform_error(explained, format_exception=_said)[:3])
        except Exception as other:
            return str(other)
    return str(error) or type(error).__name__


def _said(error: BaseException, kind: type | None) -> str:
    """What one part of the data lacks."""
    if isinstance(error, KeyError | cattrs.ForbiddenExtraKeysError):
        return format_exception(error, kind)
    return str(error)


def _dump_contract(contract: Contract) -> tuple[str, Any]:
    """Jobs of one role share their blocks, which are nearly all that they are."""
    data = _converter.unstructure(contract)
    numbers: dict[int, int] = {}
    blocks: list[Block] = []
    for job in data["jobs"]:
        for block in job["job"]["blocks"]:
            if id(block) not in numbers:
                numbers[id(block)] = len(blocks)
                blocks.append(block)
        job["job"]["blocks"] = [numbers[id(block)] for block in job["job"]["blocks"]]
    return "Contract", [data, _converter.unstructure(blocks)]


def _load_contract(data: Any) -> Contract:
    fields, shared = data
    blocks = _converter.structure(shared, tuple[Block, ...])
    jobs = []
    for job in fields["jobs"]:
        own = tuple(blocks[number] for number in job["job"]["blocks"])
        jobs.append({**job, "job": {**job["job"], "blocks": own}})
    return _converter.structure({**fields, "jobs": jobs}, Contract)


def _load_failure(data: Any) -> FarFailure:
    return FarFailure(*_converter.structure(data, tuple[str, str]))


def _dump_ints(numbers: tuple[Any, ...]) -> tuple[str, Any]:
    if any(type(each) is not int for each in numbers):
        raise WireError(f"{shown(numbers)} can't be sent to another process")
    return "ints", numbers


_CLASSES: Mapping[str, Any] = {kind.__name__: kind for kind in CROSSING}


def _dumper(tag: str, kind: Any) -> Callable[[Any], tuple[str, Any]]:
    unstructure = _converter.get_unstructure_hook(kind)
    return lambda body: (tag, unstructure(body))


def _loader(kind: Any) -> Callable[[Any], Any]:
    structure = _converter.get_structure_hook(kind)
    return lambda data: structure(data, kind)


_DUMPS: Mapping[type, Callable[[Any], tuple[str, Any]]] = {
    **{kind: _dumper(tag, kind) for tag, kind in _CLASSES.items()},
    Contract: _dump_contract,
    tuple: _dump_ints,
    bytes: lambda data: ("bytes", packed(data)),
    ActorStopped: lambda error: ("ActorStopped", error.address),
    MailboxFull: lambda error: ("MailboxFull", error.address),
    AskTimeout: lambda error: ("AskTimeout", [error.address, error.timeout_s]),
    WireError: lambda error: ("WireError", str(error)),
    TooLarge: lambda error: ("TooLarge", [error.what, error.size, error.limit]),
    FarError: lambda error: ("Error", str(error)),
    ClusterError: lambda error: ("ClusterError", [error.code, error.text, error.cure]),
}
_LOADS: Mapping[str, Callable[[Any], Any]] = {
    **{tag: _loader(kind) for tag, kind in _CLASSES.items()},
    "Contract": _load_contract,
    "ints": _loader(tuple[int, ...]),
    "bytes": _loader(bytes),
    "ActorStopped": lambda data: ActorStopped(_converter.structure(data, str)),
    "MailboxFull": lambda data: MailboxFull(_converter.structure(data, str)),
    "AskTimeout": lambda data: AskTimeout(*_converter.structure(data, tuple[str, float])),
    "ActorFailed": _load_failure,
    "WireError": lambda data: WireError(_converter.structure(data, str)),
    "TooLarge": lambda data: TooLarge(*_converter.structure(data, tuple[str, int, int])),
    "ClusterError": lambda data: ClusterError(
        *_converter.structure(data, tuple[str, str, str | None])
    ),
    "Error": lambda data: FarError(_converter.structure(data, str)),
}
