"""Makes groups what they were of what the log says."""

from callboard.coordinator.calendar import Calendar
from callboard.coordinator.entries import Change, End, Entry, EntryError, Image, decode
from callboard.coordinator.errors import StateError
from callboard.coordinator.exchange import Exchange
from callboard.coordinator.facts import Fact, Say
from callboard.coordinator.segments import Lines, Rest, Segments


def recall(segments: Segments, exchange: Exchange, calendar: Calendar, say: Say) -> dict[str, int]:
    """Make groups what they were.

    Args:
        segments: The log.
        exchange: Gets the groups; it has none yet.
        calendar: Says when groups were made that were made before.
        say: Takes what the log is to say.

    Returns:
        For each group the number of the segment from which on the log is needed for it.

    Raises:
        StateError: It can't be read, or isn't what was written.
    """
    recovery = _Recovery(exchange, calendar)
    for part in segments.read():
        if isinstance(part, Rest):
            text = f"{part.place}: {part.text}; it was never acknowledged, and doesn't count"
            say(Fact("state-unfinished", text, "warning", {"bytes": part.size}))
        else:
            recovery.take(part)
    recovery.finish()
    exchange.resume()
    return recovery.since


class _Recovery:
    """Takes up what the log says, in its order.

    A group whose beginning isn't in the log any more has to end there, or to have an image: the
    segments in which it began were removed for that reason. Until then it is passed over.

    Attributes:
        since: See `recall`.
    """

    def __init__(self, exchange: Exchange, calendar: Calendar) -> None:
        self.since: dict[str, int] = {}
        self._exchange = exchange
        self._calendar = calendar
        self._now_s = calendar.now_s()
        self._passed: dict[str, str] = {}

    def take(self, lines: Lines) -> None:
        """Take up the next lines of the log.

        Raises:
            StateError: They can't be what was written.
        """
        for line in lines.lines:
            try:
                self._take(decode(line), lines)
            except EntryError as error:
                raise StateError(
                    f"{lines.place}: {error}", "use the callboard that has written it"
                ) from error

    def finish(self) -> None:
        """There is no more. Raises StateError when what there was is not all that was written."""
        for group, place in self._passed.items():
            raise StateError(
                f"{place}: of the group '{group}' the beginning is missing",
                "get the directory from a backup",
            )

    def _take(self, entry: Entry, lines: Lines) -> None:
        match entry:
            case Change():
                self._change(entry, lines)
            case Image(memory, begun):
                self._exchange.recall(memory, self._now_s)
                self._exchange.date(memory.name, self._calendar.time_s(begun))
                self.since[memory.name] = lines.segment
                self._passed.pop(memory.name, None)
            case End(group):
                self._exchange.forget(group)
                self.since.pop(group, None)
                self._passed.pop(group, None)

    def _change(self, change: Change, lines: Lines) -> None:
        group = change.request.client.group
        if change.begins is not None:
            if group in self.since:
                raise EntryError(f"the group '{group}' begins there, and had begun before")
            self.since[group] = lines.segment
        elif group not in self.since:
            self._passed.setdefault(group, lines.place)
            if change.ends:
                del self._passed[group]
            return
        self._exchange.replay(change.request, self._now_s)
        if change.begins is not None:
            self._exchange.date(group, self._calendar.time_s(change.begins))
        if change.ends:
            del self.since[group]
        if change.ends == (group in self._exchange.groups):
            raise EntryError(f"the group '{group}' has not become what it was")
