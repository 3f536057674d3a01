"""What the log of a coordinator says, line by line.

| entry | JSON | says |
| --- | --- | --- |
| `Change` | `{"request": …, "begins": DATE, "ends": true}` | a request has changed its group |
| `Image` | `{"image": …, "begun": DATE}` | all of a group, instead of what was said of it before |
| `End` | `{"end": …}` | a group is no more |

Dates are in whole seconds since 1970.
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
        begins: When it has made the group; None if that was there before.
        ends: Whether it has ended the group.
    """

    request: Request
    begins: int | None = None
    ends: bool = False


@frozen
class Image:
    """All that is to be kept of a group; what was known of it doesn't count any more.

    Attributes:
        memory: That.
        begun: When the group was made.
    """

    memory: GroupMemory
    begun: int


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
            if begins is not None:
                document["begins"] = begins
            if ends:
                document["ends"] = True
        case Image(memory, begun):
            return f'{{"image":{images.encode(memory)},"begun":{begun}}}\n'.encode("ascii")
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
        case {"request": request, "begins": int(begins), **rest} if not rest:
            return Change(read_again(request), begins)
        case {"request": request, **flags} if flags.keys() <= {"ends"}:
            return Change(read_again(request), ends="ends" in flags)
        case {"image": image, "begun": int(begun), **rest} if not rest:
            return Image(images.decode(image), begun)
        case {"end": str(group), **rest} if not rest:
            return End(group)
        case _:
            raise EntryError("it is no entry of the log")
