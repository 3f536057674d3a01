"""Waits that nobody could satisfy any more: where they stand, who is to blame, who suffers."""

from collections.abc import Iterator

from attrs import define, field, frozen

from callboard.events import Absentee, CallAnswered, CallMade, Event, WaitHopeless, Where


@frozen
class HopelessWait:
    """A call that waited in vain.

    Attributes:
        job: The job that waited.
        role: Its role.
        call: What it asked, as it is written, e.g. `lava-wait-all ready server`.
        where: Where the call is written, as far as known.
        certain: Whether nobody could satisfy it for certain, or presumably.
        missing: The nodes that would have had to act; for a `lava-wait`, any of them.
        culprits: The jobs that are to blame.
    """

    job: int
    role: str | None
    call: str
    where: Where | None
    certain: bool
    missing: tuple[Absentee, ...]
    culprits: tuple[int, ...]

    @property
    def is_victim(self) -> bool:
        """Whether others are to blame."""
        return self.job not in self.culprits


@define
class HopelessWaits:
    """Collects them from the events of a run.

    One that was satisfied after all is none, nor is one that the test itself gave up.
    """

    _wheres: dict[int, Where | None] = field(factory=dict[int, Where | None])
    _found: dict[int, HopelessWait] = field(factory=dict[int, HopelessWait])

    def add(self, event: Event, role: str | None) -> HopelessWait | None:
        """Take the next event of a job; returns the wait that it fails, if it fails one."""
        cause = event.cause or 0
        match event.body:
            case CallMade(where=where, limit_s=limit_s) if limit_s is not None:
                self._wheres[event.seq] = where
            case WaitHopeless() as body:
                self._found[cause] = HopelessWait(
                    body.job,
                    role,
                    body.written,
                    self._wheres.get(cause),
                    body.certain,
                    body.missing,
                    body.culprits,
                )
            case CallAnswered(result="fail"):
                self._wheres.pop(cause, None)
                return self._found.get(cause)
            case CallAnswered():
                self._wheres.pop(cause, None)
                self._found.pop(cause, None)
            case _:
                pass
        return None

    def __iter__(self) -> Iterator[HopelessWait]:
        return iter(self._found.values())
