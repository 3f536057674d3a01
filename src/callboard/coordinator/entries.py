"""What the log of a coordinator says, line by line.

| entry | JSON | says |
| --- | --- | --- |
| `Change` | `{"request": …, "begins": true, "ends": true}` | a request has changed its group |
| `Image` | `{"image": …}` | all of a group, instead of whatever was said of it before |
| `End` | `{"end": …}` | a group is no more |
"""

import json
from typing import Any

from attrs import frozen

from callboard.coordinator import images
from callboard.coordinator.group import GroupMemory
from callboard.coordinator.requests import Request, RequestError, fields, read_again


@frozen
class Change:
    """A request that has changed its group.

    Attributes:
        request: The request.
        begins: Whether it has made the group.
        ends: Whether it has ended the group.
    """

    request: Request
    begins: bool = False
    ends: bool = False


@frozen
class Image:
    """All that is to be kept of a group; what was known of it doesn't count any more."""

    memory: GroupMemory


@frozen
class End:
    """A group is no more."""

    group: str


Entry = Change | Image | End


class EntryError(Exception):
    """A line that says nothing that is known here; the text says why."""


def encode(entry: Entry) -> bytes:
    """The entry as a line, with its end."""
    document: dict[str, Any]
    match entry:
        case Change(request, begins, ends):
            document = {"request": fields(request)}
            if begins:
                document["begins"] = True
            if ends:
                document["ends"] = True
        case Image(memory):
            return f'{{"image":{images.encode(memory)}}}\n'.encode("ascii")
        case End(group):
            document = {"end": group}
    return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> Entry:
    """The entry that a line has.

    Raises:
        EntryError: It has none.
    """
    try:
        return _decoded(json.loads(line))
    except RequestError as error:
        raise EntryError(str(error)) from error
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise EntryError(f"it can't be read: {error!r}") from error


def _decoded(document: Any) -> Entry:
    match document:
        case {"request": request, **flags} if flags.keys() <= {"begins", "ends"}:
            return Change(read_again(request), "begins" in flags, "ends" in flags)
        case {"image": image, **rest} if not rest:
            return Image(images.decode(image))
        case {"end": str(group), **rest} if not rest:
            return End(group)
        case _:
            raise EntryError("it is no entry of the log")
