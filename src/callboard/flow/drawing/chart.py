"""What a drawing of a group's flow shows, whichever way it is drawn.

A chart is made of a proof (`callboard.flow.drawing.charting`) or of the log of a run
(`callboard.flow.drawing.history`), and drawn as a table, a Mermaid diagram, an SVG or a JSON
document. Its texts come from strangers' definitions; here they become one line each, without
anything on which a terminal or an XML parser would act, so that no drawing has to think of that.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Literal

from attrs import define, evolve, field, frozen

from callboard.events import CallName, Where
from callboard.flow.drawing.legible import all_legible, legible
from callboard.flow.drawing.network import Network

Unit = Literal["step", "second"]
"""What a chart's times count: calls of a proof, from 0, or seconds since a run began."""

MOST_MESSAGES = 8
"""Messages to one call that are told apart."""


def _legible_if_any(text: str | None) -> str | None:
    return None if text is None else legible(text)


def _legible_place(where: Where | None) -> Where | None:
    if where is None:
        return None
    return Where(legible(where.file), where.line, where.column, legible(where.step))


def _calls(number: int) -> str:
    return f"{number} call" if number == 1 else f"{number} calls"


@frozen
class Column:
    """Whose calls stand below each other.

    Attributes:
        role: The role's name; empty in a job without roles.
        count: How many nodes do the same.
        job: The job of a run; None in a proof.
        way: Which of several ways through its program the role goes, from 1; None for the only one.
        lane: 0 for a node's own sequence, other numbers for what it does beside that.
        taken: What decided on the way, in words.
        ended: When the job ended; None in a proof, and for a job whose end is not in the log.
        outcome: How the job ended, e.g. `complete`.
    """

    role: str = field(converter=legible)
    count: int = 1
    job: int | None = None
    way: int | None = None
    lane: int = 0
    taken: tuple[str, ...] = field(default=(), converter=all_legible)
    ended: float | None = None
    outcome: str | None = None

    @property
    def name(self) -> str:
        """The role as others speak of it, e.g. `client (way 2)`; in a run with its job's id."""
        name = self.role or "job"
        if self.job is not None:
            name = f"{self.job} {self.role}".rstrip()
        if self.way is not None:
            name += f" (way {self.way})"
        if self.lane:
            name += f" (background {self.lane})"
        return name

    @property
    def title(self) -> str:
        """The name, and for how many nodes it stands, e.g. `client ×2`."""
        return f"{self.name} ×{self.count}" if self.count != 1 else self.name


@frozen
class Span:
    """A call of a column, from its beginning to its return.

    Attributes:
        column: Index of its column in the chart.
        call: What is asked; None for what nobody can read, which might call anything.
        id: The message or sync ID.
        label: The call as one writes it, e.g. `lava-wait-all ready server`.
        began: When it is called.
        ended: When it returns or fails; None if it never does.
        where: Where it is written, as far as known.
        keys: The keys of the data that is sent.
        released_by: Indices of the spans without which it would have waited on: the first send for
            a wait, all that a wait-all, start or sync needs; a sync may count itself.
        ended_by: Index of the column whose job's end made it fail, as far as known.
        failure: Why it fails or never returns, in words; None if it returns.
        deploys: Whether `deploy_vlans` makes it: the ID is then the name of a VLAN.
    """

    column: int
    call: CallName | None
    id: str = field(converter=legible)
    label: str = field(converter=legible)
    began: float
    ended: float | None
    where: Where | None = field(default=None, converter=_legible_place)
    keys: tuple[str, ...] = field(default=(), converter=all_legible)
    released_by: tuple[int, ...] = ()
    ended_by: int | None = None
    failure: str | None = field(default=None, converter=_legible_if_any)
    deploys: bool = False

    @property
    def message(self) -> str:
        """What travels when this is a send: the ID and the keys of its data."""
        return self.label if self.deploys else " ".join((self.id, *self.keys))

    @property
    def short(self) -> str:
        """The label without what every call begins with."""
        return self.label.removeprefix("lava-")


@frozen
class Leg:
    """A part of the critical path: for that long the end of the run depended on one column.

    Attributes:
        column: Index of the column.
        began: When the run began to depend on it.
        ended: When it went on with another column, or ended.
        by: Index of the span that handed over: what the next column waited for. None where the end
            of the job was what it waited for, and for the last leg.
        to: Index of the span that waited; None for the last leg.
    """

    column: int
    began: float
    ended: float
    by: int | None = None
    to: int | None = None


@frozen
class Message:
    """A send that satisfied a call of another column: indices of the two spans."""

    sender: int
    receiver: int


@frozen
class Meeting:
    """A sync that everybody has reached: when, and the indices of the spans that it ends."""

    id: str
    at: float
    spans: tuple[int, ...]


@define(slots=False, frozen=True)
class Chart:
    """The flow of a group.

    Attributes:
        name: The name of the job.
        unit: What its times count.
        outcome: What it comes to: `completes`, `unknown`, `deadlocks`; for a run its status.
        columns: Roles, parts of roles or jobs; lanes stand beside each other.
        spans: All calls, by the time when they begin.
        path: The critical path of a run, from its beginning to its end; empty for a proof.
        notes: What else a reader must know, in words, e.g. why nothing could be proved.
        networks: Who can reach whom; empty for a group without VLANs, where all nodes can.
    """

    name: str = field(converter=legible)
    unit: Unit
    outcome: str
    columns: tuple[Column, ...]
    spans: tuple[Span, ...]
    path: tuple[Leg, ...] = ()
    notes: tuple[str, ...] = field(default=(), converter=all_legible)
    networks: tuple[Network, ...] = ()

    @cached_property
    def last(self) -> tuple[int | None, ...]:
        """For each span the one that satisfied it: of those that it needed the last to begin.

        The last caller of a sync satisfies it for all, itself included.
        """
        return tuple(self._last(index) for index in range(len(self.spans)))

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """The messages that calls of other columns needed; of many for one call only the last."""
        return tuple(
            Message(sender, receiver)
            for receiver, span in enumerate(self.spans)
            if span.call != "sync"
            for sender in self._told_senders(receiver)
            if self.spans[sender].column != span.column
        )

    @cached_property
    def meetings(self) -> tuple[Meeting, ...]:
        """Every sync that came about, in the order of time."""
        reached: dict[int, list[int]] = {}
        for index, span in enumerate(self.spans):
            last = self.last[index]
            if span.call == "sync" and last is not None and span.failure is None:
                reached.setdefault(last, []).append(index)
        return tuple(
            Meeting(self.spans[last].id, self.spans[last].began, tuple(spans))
            for last, spans in sorted(reached.items())
            if len(spans) > 1
        )

    @property
    def summary(self) -> str:
        """What it comes to, in words."""
        if self.unit == "second":
            ends = [column.ended for column in self.columns if column.ended is not None]
            text = f"{self.outcome}, {self.clock(max(ends))} s" if ends else self.outcome
            failed = len(self.reasons)
            return f"{text}, {_calls(failed)} failed" if failed else text
        if not self.spans:
            return "no node makes a synchronisation call"
        if self.outcome == "unknown":
            return "nobody can tell whether every call returns"
        if self.outcome == "completes":
            return "every call returns"
        stuck = sum(span.ended is None for span in self.spans)
        return f"gets stuck, {_calls(stuck)} never {'returns' if stuck == 1 else 'return'}"

    def held(self, index: int) -> bool:
        """Whether a span had to wait: what it needed began after it, or never comes."""
        span, last = self.spans[index], self.last[index]
        if span.ended is None:
            return True
        if last is None:
            return span.failure is not None and span.ended > span.began
        return self.spans[last].began > span.began

    def hiding(self, hide: Callable[[str], str]) -> "Chart":
        """The same chart with `hide` applied to every text that may hold a secret."""
        columns = (
            evolve(each, role=hide(each.role), taken=map(hide, each.taken)) for each in self.columns
        )
        spans = (
            evolve(
                each,
                id=hide(each.id),
                label=hide(each.label),
                keys=map(hide, each.keys),
                where=each.where and evolve(each.where, step=hide(each.where.step)),
                failure=each.failure and hide(each.failure),
            )
            for each in self.spans
        )
        return evolve(
            self,
            name=hide(self.name),
            columns=tuple(columns),
            spans=tuple(spans),
            notes=map(hide, self.notes),
            networks=tuple(each.hiding(hide) for each in self.networks),
        )

    def foremost(self, most: int) -> tuple[int, ...]:
        """The columns that tell most, in order: all of a proof, and so many of a run.

        Those on the critical path come first, then those in which a call failed, then the others.
        """
        if self.unit == "step":
            return tuple(range(len(self.columns)))
        on_path = (leg.column for leg in self.path)
        failed = (span.column for _, span in self.failures())
        ranked = dict.fromkeys((*on_path, *failed, *range(len(self.columns))))
        return tuple(sorted(list(ranked)[:most]))

    def failures(self) -> Iterator[tuple[int, Span]]:
        """The spans that fail or never return, with their indices."""
        return ((index, span) for index, span in enumerate(self.spans) if span.failure is not None)

    @cached_property
    def reasons(self) -> Mapping[int, str]:
        """Whose call fails where and why, in words, by the index of the span."""
        return {index: self._reason(index, span) for index, span in self.failures()}

    def place(self, index: int) -> str:
        """Where a span's call is written, as ` (file:line)`; empty when that is not known."""
        where = self.spans[index].where
        return f" ({where.file}:{where.line})" if where else ""

    def critical(self, index: int) -> bool:
        """Whether the critical path goes through a span: it hands over, or waits for that."""
        return index in self._on_path

    def senders(self, index: int) -> tuple[str, ...]:
        """The names of the columns whose sends or syncs a span needed, its own left out."""
        span = self.spans[index]
        columns = dict.fromkeys(self.spans[each].column for each in span.released_by)
        return tuple(self.columns[each].name for each in columns if each != span.column)

    def clock(self, time: float) -> str:
        """A time as it is printed: the number of the step from 1, or seconds."""
        if self.unit == "step":
            return str(int(time) + 1)
        return f"{time:.{self._decimals}f}"

    def _reason(self, index: int, span: Span) -> str:
        who, why = self.columns[span.column].name, span.failure or ""
        if why.startswith(span.label):
            return f"{who}{self.place(index)}: {why}"
        colon = ":" if self.unit == "second" else ""
        return f"{who}: {span.label}{self.place(index)}{colon} {why}"

    @cached_property
    def _on_path(self) -> frozenset[int]:
        ends = ((leg.by, leg.to) for leg in self.path)
        return frozenset(each for pair in ends for each in pair if each is not None)

    @cached_property
    def _decimals(self) -> int:
        times = [span.began for span in self.spans] + [each.ended or 0.0 for each in self.columns]
        longest = max(times, default=0.0)
        return 3 if longest < 10 else 2 if longest < 100 else 1

    def _told_senders(self, index: int) -> tuple[int, ...]:
        needed, last = self.spans[index].released_by, self.last[index]
        return needed if len(needed) <= MOST_MESSAGES or last is None else (last,)

    def _last(self, index: int) -> int | None:
        span = self.spans[index]
        if span.ended is None:
            return None
        last = max(span.released_by, default=None)  # spans are in the order of time
        return max(index, last or 0) if span.call == "sync" else last
