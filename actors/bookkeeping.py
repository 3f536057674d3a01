"""What a group's coordination writes down: what was sent, and who has called what."""

from collections import Counter
from collections.abc import Mapping

from attrs import define, field

from callboard.actors.queues import Queue
from callboard.actors.sent import Sent, text_bytes, values_bytes

_ID_BYTES = 1_500
_SENDING_BYTES = 300
_CALL_BYTES = 150


@define
class Messages:
    """Everything about one message ID.

    Attributes:
        sent: What was sent.
        numbers: Each sender's last send, as a number in the order of the group's sends.
        senders: How many of each role have sent.
        waits: Who waits for any sender.
        waits_all: Who waits for all of a role, or for all.
    """

    sent: Sent = field(factory=Sent)
    numbers: dict[int, int] = field(factory=dict[int, int])
    senders: Counter[str] = field(factory=Counter[str])
    waits: Queue | None = None
    waits_all: dict[str | None, Queue] = field(factory=dict[str | None, Queue])


@define
class Meeting:
    """Everything about one sync ID.

    Attributes:
        called: The members that have called it.
        waits: Those of them that wait.
        went: Those of them that have gone on; kept where an ID can be met at again.
    """

    called: set[int]
    waits: Queue
    went: set[int] = field(factory=set[int])

    @property
    def count(self) -> int:
        """How many calls are kept, those of members that have gone on twice."""
        return len(self.called) + len(self.went)


@define
class Starts:
    """Everything about the delayed start of one role; `waits` by the role that is expected."""

    released: set[int] = field(factory=set[int])
    releasers: Counter[str] = field(factory=Counter[str])
    waits: dict[str, Queue] = field(factory=dict[str, Queue])


@define
class Kept:
    """How much is kept of a group, but for who its members are.

    Attributes:
        ids: How many message and sync IDs.
        size_bytes: The memory that all of it takes; an estimate that is rather too high.
    """

    ids: int = 0
    size_bytes: int = 0

    def adds(self, id_: str) -> None:
        """Something is kept of an ID from now on."""
        self.ids += 1
        self.size_bytes += _ID_BYTES + text_bytes(id_)

    def drops(self, id_: str) -> None:
        """Nothing is kept of an ID any more."""
        self.ids -= 1
        self.size_bytes -= _ID_BYTES + text_bytes(id_)

    def sends(self, id_: str, *, anew: bool) -> None:
        """A member has sent an ID for the first time; `anew` if nobody had."""
        if anew:
            self.adds(id_)
        self.size_bytes += _SENDING_BYTES

    def calls(self, count: int) -> None:
        """That many more calls of syncs are kept."""
        self.size_bytes += count * _CALL_BYTES


def growth_bytes(id_: str, data: Mapping[str, str]) -> int:
    """The most by which a send or a sync can make what is kept grow, in bytes."""
    return _ID_BYTES + text_bytes(id_) + _SENDING_BYTES + values_bytes(data)
