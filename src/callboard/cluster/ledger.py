"""What the coordinator of a group writes down, in the log of the group."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from callboard.actors.ledger import Entry
from callboard.cluster.entries import Requested, encode
from callboard.cluster.wire import Codec


class LogLedger:
    """A ledger whose entries are lines of the log; satisfies `ledger.Ledger`.

    An entry is stored some time after it was appended; what follows from it must not be seen
    before.

    Args:
        append: Adds a line to the log.
        codec: Makes JSON of entries.
        requests: What earlier leaders have appended, see `Rebuilt.requests`.

    Raises:
        WireError: One of `requests` is no entry of this version.
    """

    def __init__(
        self, append: Callable[[bytes], None], codec: Codec, requests: Iterable[Any] = ()
    ) -> None:
        self._append = append
        self._codec = codec
        self._entries: list[Entry] = [codec.load(each) for each in requests]

    def append(self, entry: Entry) -> None:
        """See `Ledger.append`."""
        self._append(encode(Requested(self._codec.dump(entry))))
        self._entries.append(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)
