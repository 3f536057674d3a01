"""What the members of a group have sent under one message ID."""

from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType

Values = Mapping[str, str]

_NOTHING: Values = MappingProxyType({})

_TEXT_BYTES = 100
"""What a text takes besides its characters, with its place in a dictionary."""


class Snapshot(Mapping[int, Values]):
    """What had been sent at one time, in the order of the first sends; it never changes.

    It looks at what `Sent` goes on with, up to the number of senders that there were: so every
    node of a large group can wait for an ID that all send, without a copy for each.

    Args:
        places: Where the values of each member are.
        values: The values; they are not changed as far as they count here.
        count: How many of them count.
        spoken: Those members that sent data, and what.

    Attributes:
        spoken: As above.
    """

    __slots__ = ("_count", "_places", "_values", "spoken")

    def __init__(
        self,
        places: Mapping[int, int],
        values: list[Values],
        count: int,
        spoken: Mapping[int, Values],
    ) -> None:
        self._places = places
        self._values = values
        self._count = count
        self.spoken = spoken

    def __getitem__(self, member: int) -> Values:
        place = self._places[member]
        if place >= self._count:
            raise KeyError(member)
        return self._values[place]

    def __iter__(self) -> Iterator[int]:
        return islice(self._places, self._count)

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"


class Sent:
    """Collects what is sent under one ID.

    Attributes:
        size_bytes: The memory that all values take, about; no less than they take as JSON.
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        self._places: dict[int, int] = {}
        self._values: list[Values] = []
        self._shared = False  # with a snapshot, for which it stays as it is
        self._snapshot: Snapshot | None = None
        self._spoken: Mapping[int, Values] | None = MappingProxyType({})

    def __contains__(self, member: object) -> bool:
        return member in self._places

    def __len__(self) -> int:
        return len(self._places)

    def put(self, member: int, data: Values, *, merge: bool) -> None:
        """Keep what a member sends, with what it has sent before or in place of that."""
        place = self._places.get(member)
        if place is None:
            self._places[member] = len(self._values)
            self._values.append(MappingProxyType(dict(data)) if data else _NOTHING)
            if data:
                self._spoken = None
                self.size_bytes += values_bytes(data)
        else:
            before = self._values[place]
            merged = {**before, **data} if merge else dict(data)
            if merged == before:
                return
            if self._shared:
                self._values = self._values.copy()
                self._shared = False
            self._values[place] = MappingProxyType(merged)
            self.size_bytes += values_bytes(merged) - values_bytes(before)
            self._spoken = None
        self._snapshot = None

    def snapshot(self) -> Snapshot:
        """What has been sent so far."""
        if self._snapshot is None:
            values = self._values
            self._shared = True
            if self._spoken is None:
                pairs = zip(self._places, values, strict=True)
                self._spoken = MappingProxyType({m: each for m, each in pairs if each})
            self._snapshot = Snapshot(self._places, values, len(values), self._spoken)
        return self._snapshot


def spoken(data: Mapping[int, Values]) -> Mapping[int, Values]:
    """The members that sent data, and what."""
    if isinstance(data, Snapshot):
        return data.spoken
    return {member: values for member, values in data.items() if values}


def text_bytes(text: str) -> int:
    """The memory that a text takes, about; no less than it takes as JSON."""
    return _TEXT_BYTES + len(text) * (1 if text.isascii() and text.isprintable() else 6)


def values_bytes(values: Values) -> int:
    """The same of all keys and values of a member, as of one text; rather more."""
    texts = "".join((*values, *values.values()))
    return (2 * len(values) - 1) * _TEXT_BYTES + text_bytes(texts) if values else 0
