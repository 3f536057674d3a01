"""The requests of LAVA's coordinator protocol, as typed values.

LAVA: coordinator, requests. What each answers is said in `callboard.coordinator.group`.
"""

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from attrs import frozen

from callboard.coordinator.wording import brief

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | float | bool | None"

_SHORT, _MANY = 1_024, 4_096
"""Of how many characters, and how many of the last requests are remembered."""

_LONGEST_POLL_S = 3_600.0

_DEEPEST = 100
"""How many lists and objects a request may have one in another."""

_TOO_DEEP = f"it has more than {_DEEPEST} lists and objects one in another"
_TOO_LARGE = "a number that is too large"

_KINDS = {
    "group_data",
    "lava_send",
    "lava_wait",
    "lava_wait_all",
    "lava_sync",
    "clear_group",
    "aggregate",
    "complete",
}


class RequestError(Exception):
    """A request that can't be served; the text says why.

    Attributes:
        of: Which request of whom, as the log speaks of it; None if even that can't be told.
    """

    of: str | None = None


class NotJsonError(RequestError):
    """Not even that: it may have been cut, so that its sender has to ask again."""


@frozen
class Client:
    """Who asks: what every request says of its sender.

    Attributes:
        name: The client's name in its group; dispatchers give the job's id.
        group: The group's name.
        role: The client's role; None if not said, which is enough for one that is known.
        host: The host name of the worker; empty if not said.
        size: How many clients the group is to have; None if not said.
        poll_delay_s: How long the client waits before it asks again, in seconds; None if not said.
    """

    name: str
    group: str
    role: str | None = None
    host: str = ""
    size: int | None = None
    poll_delay_s: float | None = None


@frozen
class GroupData:
    """Is everybody there?"""

    client: Client


@frozen
class LavaSend:
    """Keep `message` under `id` for all; keys with any JSON values."""

    client: Client
    id: str
    message: Mapping[str, Json]


@frozen
class LavaWait:
    """Has anybody sent `id`?"""

    client: Client
    id: str


@frozen
class LavaWaitAll:
    """Have all, or all of `role`, sent `id`?"""

    client: Client
    id: str
    role: str | None = None


@frozen
class LavaSync:
    """Have all called sync `id`? The answer is `message`, or `id` where there is none."""

    client: Client
    id: str
    message: Json = None


@frozen
class Collected:
    """The client has the answer to a sync that all have called; no client can ask for that."""

    client: Client
    id: str


@frozen
class ClearGroup:
    """The client has ended."""

    client: Client


@frozen
class Aggregate:
    """Keep `bundle`; the client whose `sub_id` ends in .0 collects those of all."""

    client: Client
    bundle: Json
    sub_id: str


@frozen
class Complete:
    """Nothing is asked, and nothing answered."""

    client: Client


@frozen
class Forget:
    """The group is given up, for nobody has asked for long; no client can ask for that."""

    client: Client


@frozen
class Unknown:
    """A request of a name that the protocol doesn't have."""

    client: Client
    request: str


Request = (
    GroupData
    | LavaSend
    | LavaWait
    | LavaWaitAll
    | LavaSync
    | Collected
    | ClearGroup
    | Aggregate
    | Complete
    | Forget
    | Unknown
)


def parse(text: str) -> Request:
    """Read what a client has sent.

    Raises:
        NotJsonError: It is no JSON.
        RequestError: It is no object, it has what can't be kept (a number without an end, lists
            in lists without one), or a field is missing or of the wrong type.
    """
    return _lately(text) if len(text) <= _SHORT else _parse(text)


def _parse(text: str) -> Request:
    try:
        document = _decoded(text)
    except ValueError:
        raise NotJsonError("it is not JSON") from None
    except RecursionError:
        raise RequestError(_TOO_DEEP) from None
    if text.count("[") + text.count("{") > _DEEPEST and _depth(document) > _DEEPEST:
        raise RequestError(_TOO_DEEP)
    if not isinstance(document, dict):
        raise RequestError(f"it is {_kind(document)}, not an object")
    try:
        return read(document)
    except RequestError as error:
        error.of = _sender(document)
        raise


_lately = lru_cache(_MANY)(_parse)
"""Who polls says the same again and again."""


def read(document: Mapping[str, Any]) -> Request:
    """Read a request from its fields; see `parse`."""
    request = _text(document, "request")
    client = _client(document)
    match request:
        case "group_data":
            return GroupData(client)
        case "lava_send":
            return LavaSend(client, _text(document, "messageID"), _message(document))
        case "lava_wait":
            return LavaWait(client, _text(document, "messageID"))
        case "lava_wait_all":
            role = _text(document, "waitrole") if "waitrole" in document else None
            return LavaWaitAll(client, _text(document, "messageID"), role)
        case "lava_sync":
            return LavaSync(client, _text(document, "messageID"), document.get("message"))
        case "clear_group":
            return ClearGroup(client)
        case "aggregate":
            if "bundle" not in document:
                raise RequestError("the field 'bundle' is missing")
            return Aggregate(client, document["bundle"], _text(document, "sub_id"))
        case "complete":
            return Complete(client)
        case _:
            return Unknown(client, request)


def _client(document: Mapping[str, Any]) -> Client:
    return Client(
        _name(document, "client_name"),
        _name(document, "group_name"),
        _text(document, "role") if "role" in document else None,
        _text(document, "hostname") if "hostname" in document else "",
        _size(document),
        _poll_delay(document),
    )


def _name(document: Mapping[str, Any], field: str) -> str:
    """A text that is not empty."""
    value = _text(document, field)
    if not value:
        raise RequestError(f"the field '{field}' is empty")
    return value


def _text(document: Mapping[str, Any], field: str) -> str:
    if field not in document:
        raise RequestError(f"the field '{field}' is missing")
    value = document[field]
    if not isinstance(value, str):
        raise RequestError(f"the field '{field}' is {_kind(value)}, not a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RequestError(f"the field '{field}' has half of a character") from None
    return value


def _size(document: Mapping[str, Any]) -> int | None:
    value = document.get("group_size")
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise RequestError(f"the field 'group_size' is {_kind(value)}, not a number of clients")
    return value or None


def _poll_delay(document: Mapping[str, Any]) -> float | None:
    value = document.get("poll_delay")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return min(max(float(value), 0.0), _LONGEST_POLL_S)


def _message(document: Mapping[str, Any]) -> Mapping[str, Json]:
    value = document.get("message")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestError(f"the field 'message' is {_kind(value)}, not an object")
    return value


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "a number"


def _decoded(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except _Strange as strange:
        json.loads(text, parse_int=str, parse_float=str)  # what follows may be no JSON at all
        raise RequestError(f"it has {strange}") from None


class _Strange(Exception):
    """Python's reader takes it for JSON, but it can't be kept; the text says what it is."""


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # Python takes none with thousands of digits
        raise _Strange(_TOO_LARGE) from None


def _finite(text: str) -> float:
    number = float(text)
    if math.isfinite(number):
        return number
    raise _Strange(_TOO_LARGE)


def _no_constant(name: str) -> None:
    raise _Strange(f"{name}, which is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_finite, parse_constant=_no_constant)


def _depth(document: object) -> int:
    """How many lists and objects a document has one in another."""
    depth, level = 0, [document]
    while holders := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [
            inner
            for each in holders
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return depth


def described(request: Request) -> str:
    """A request as the log speaks of it: what is asked for, in the protocol's word, and by whom."""
    kind = "request" if isinstance(request, Unknown) else str(fields(request)["request"])
    return _described(kind, request.client.name, request.client.group)


def _described(kind: str, name: str, group: str) -> str:
    return f"{kind} of client {brief(name)} of group {brief(group)}"


def _sender(document: Mapping[str, Any]) -> str | None:
    """Whose request it is that can't be read, if that can be."""
    kind, name, group = (document.get(each) for each in ("request", "client_name", "group_name"))
    if isinstance(kind, str) and isinstance(name, str) and isinstance(group, str):
        return _described(kind if kind in _KINDS else "request", name, group)
    return None


def read_again(document: Mapping[str, Any]) -> Request:
    """Read what `fields` has made of a request, also of one that no client can ask for."""
    if document.get("request") == "collected":
        return Collected(_client(document), _text(document, "messageID"))
    return read(document)


def fields(request: Request) -> dict[str, Json]:
    """The fields that `read_again` makes the same request from, but for how often it polls."""
    client = request.client
    document: dict[str, Json] = {"client_name": client.name, "group_name": client.group}
    if client.role is not None:
        document["role"] = client.role
    if client.host:
        document["hostname"] = client.host
    if client.size is not None:
        document["group_size"] = client.size
    match request:
        case GroupData():
            return {"request": "group_data", **document}
        case LavaSend(_, id_, message):
            return {"request": "lava_send", **document, "messageID": id_, "message": message}
        case LavaWait(_, id_):
            return {"request": "lava_wait", **document, "messageID": id_}
        case LavaWaitAll(_, id_, None):
            return {"request": "lava_wait_all", **document, "messageID": id_}
        case LavaWaitAll(_, id_, role):
            return {"request": "lava_wait_all", **document, "messageID": id_, "waitrole": role}
        case LavaSync(_, id_, message):
            return {"request": "lava_sync", **document, "messageID": id_, "message": message}
        case Collected(_, id_):
            return {"request": "collected", **document, "messageID": id_}
        case ClearGroup():
            return {"request": "clear_group", **document}
        case Aggregate(_, bundle, sub_id):
            return {"request": "aggregate", **document, "bundle": bundle, "sub_id": sub_id}
        case Complete():
            return {"request": "complete", **document}
        case Forget():
            return {"request": "forget", **document}
        case Unknown(_, name):
            return {"request": name, **document}
