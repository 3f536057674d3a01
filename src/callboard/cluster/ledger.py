"""What the coordinator of a group writes down, in the log of the group."""

from collections.abc import Callable, Iterator

from callboard.actors.ledger import Entry
from callboard.actors.messages import Waiting
from callboard.cluster.entries import Requested, encode
from callboard.cluster.rebuilt import Rebuilt
from callboard.cluster.wire import Codec


class LogLedger:
    """A ledger whose entries are lines of the log; satisfies `ledger.Ledger`.

    An entry is stored some time after it was appended; what follows from it must not be seen
    before.

    Args:
        append: Adds a line to the log.
        codec: Makes JSON of entries.
        seq_of: What the log calls the cause of a request, see `Recorder.seq_of`.
        rebuilt: What earlier leaders have appended.

    Raises:
        WireError: One of its requests is no entry of this version.
    """

    def __init__(
        self,
        append: Callable[[bytes], None],
        codec: Codec,
        seq_of: Callable[[int | None], int | None],
        rebuilt: Rebuilt | None = None,
    ) -> None:
        known = rebuilt or Rebuilt()
        self._append = append
        self._codec = codec
        self._seq_of = seq_of
        self._reported = known.hopeless
        self._entries: list[Entry] = [codec.load(each) for each in known.requests]

    def append(self, entry: Entry) -> None:
        """See `Ledger.append`."""
        self._append(encode(Requested(self._codec.dump(entry))))
        self._entries.append(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def reports(self, request: Waiting, certain: bool) -> bool:
        """See `Ledger.reports`; the log may end between a request and what it has led to."""
        report = (request.ticket[0], self._seq_of(request.cause), certain)
        known = report in self._reported
        self._reported.add(report)
        return not known
