"""What each role of a group does, as far as its synchronisation is concerned: a small program.

A program is a tree of items in the order in which a node comes to them. It is extracted from a
definition (`callboard.flow.extraction`), proved (`callboard.flow.proof`), drawn, and executed by
the simulator.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from attrs import field, frozen

from callboard.definition.calls import DEPLOY_VLANS
from callboard.events import CallName, Where, as_written

INSTALLATION = "install"
STEPS = "run"
"""Titles of scopes of a test: its installation, and its steps if something leaves them early."""

SCRIPT_AND_TEST = 2
"""Levels to leave from within a script to get behind its test; more of them end the job."""

Refused = Literal["key", "id", "role"]
"""What is wrong with a call that fails at once: a key, the ID, or the role that it names."""

Obscurity = Literal["unparsed", "unseen", "console", "endless", "bound"]
"""Why nobody can tell what a place does.

`unparsed` is no shell that the grammar knows; `unseen` a script that can't be read; `console` a
call whose output or input is not the console, so that nobody hears or answers it; `endless` a
loop that is never left, so that nothing behind it is reached; `bound` more than is read.
"""


@frozen
class Word:
    """A word of a script; a part that only the run knows is None.

    Attributes:
        parts: Texts in order, None for each gap; `("node-", None)` is `node-` and something.
        filled: Whether the gaps are known to hold something.
    """

    parts: tuple[str | None, ...] = ()
    filled: bool = False

    @classmethod
    def of(cls, text: str) -> "Word":
        """A word without gaps."""
        return cls((text,))

    @property
    def text(self) -> str | None:
        """The word, None unless it is known as a whole."""
        if len(self.parts) == 1:
            return self.parts[0]
        known = [part for part in self.parts if part is not None]
        return "".join(known) if len(known) == len(self.parts) else None

    def __str__(self) -> str:
        """The word with `…` for each gap."""
        return "".join("…" if part is None else part for part in self.parts)

    def may_be(self, text: str) -> bool:
        """Whether some run can make the word this text."""
        if self.text is not None:
            return self.text == text
        first, *middle, last = self._between_gaps()
        if len(first) + len(last) > len(text):
            return False
        if not (text.startswith(first) and text.endswith(last)):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    def __add__(self, other: "Word") -> "Word":
        filled = all(word.filled or None not in word.parts for word in (self, other))
        return Word(self.parts + other.parts, filled)

    def _between_gaps(self) -> list[str]:
        """The texts around the gaps: one more than there are gaps."""
        texts = [""]
        for part in self.parts:
            if part is None:
                texts.append("")
            else:
                texts[-1] += part
        return texts


UNKNOWN = Word((None,))
"""A word of which nothing is known."""


@frozen
class Call:
    """A synchronisation call.

    Attributes:
        call: What is asked; a call of `lava-start` is a send of `lava_start` with `roles`.
        id: The message or sync ID.
        where: Where it is written.
        maker: The test (`0_serve`) or the action (`2.1 lava-overlay`) that makes it.
        role: The role waited for, of `wait-all` and `start`.
        roles: The roles that a sent `lava_start` releases, None for all.
        data: What is sent, or the placeholders of an action's wait (`{ip: $ip}`).
        limit_s: How long it may wait, in seconds; None for a call that never waits.
        inside: The helper that runs the call, e.g. `lava-test-case`; None when it stands alone.
        refused: What makes the call fail at once, whatever the others do; None if nothing does.
        reason: Why it is refused, in words.
        surplus: Words behind those that it has a use for.
        deploys: Whether `deploy_vlans` makes it: the ID is then the name of a VLAN.
        ends: Whether its failure ends the shell that makes it.
        otherwise: What is done instead of what follows up to the end of its scope, or only before
            it, where it fails; None if nothing is.
    """

    call: CallName
    id: Word
    where: Where
    maker: str
    role: Word | None = None
    roles: tuple[str, ...] | None = None
    data: tuple[tuple[str, Word], ...] = ()
    limit_s: float | None = None
    inside: str | None = None
    refused: Refused | None = None
    reason: str | None = None
    surplus: tuple[str, ...] = ()
    deploys: bool = False
    ends: bool = field(default=True, eq=False, repr=False)
    otherwise: tuple["Item", ...] | None = field(default=None, eq=False, repr=False)

    @property
    def waits(self) -> bool:
        """Whether the call may keep its node waiting."""
        return self.call != "send"

    @property
    def gaps(self) -> bool:
        """Whether the ID, or the role waited for, is known only at run time."""
        return self.id.text is None or (self.role is not None and self.role.text is None)

    @property
    def written(self) -> str:
        """The call as one writes it, e.g. `lava-wait-all ready server`."""
        role = None if self.role is None else str(self.role)
        return as_written(self.call, str(self.id), role, self.roles)

    @property
    def shown(self) -> str:
        """The call as a reader finds it: `deploy_vlans vlan_one` where that request makes it."""
        return f"{DEPLOY_VLANS} {self.id}" if self.deploys else self.written


@frozen
class Command:
    """An ordinary command, which makes no call; it is taken to succeed.

    Attributes:
        text: The command as written.
        unknown: Whether nothing is known of what it runs, so that it might call after all.
        ends: Whether its failure ends the shell that runs it.
        report: The words of a helper that reports to LAVA, its name first; empty for others.
    """

    text: str
    where: Where
    unknown: bool = False
    ends: bool = field(default=True, eq=False, repr=False)
    report: tuple[Word, ...] = field(default=(), eq=False, repr=False)


@frozen
class Unseen:
    """Something that may make any call, for nobody can read it.

    Attributes:
        reason: Why, e.g. `./run.sh is not there`.
        obscurity: The kind of reason.
    """

    reason: str
    where: Where
    obscurity: Obscurity = "unseen"


@frozen
class Choice:
    """Only the run knows which of the ways is taken; `condition` is the text that decides."""

    condition: str
    where: Where
    ways: tuple[tuple["Item", ...], ...]


@frozen
class Loop:
    """Only the run knows how often the body is run, if at all."""

    condition: str
    where: Where
    body: tuple["Item", ...]


@frozen
class Scope:
    """Items that can be left early: a test, a function, a subshell, one turn of a loop.

    Attributes:
        title: What it is, e.g. `0_serve`.
        test: Whether it is a whole test definition.
        case: The test case that tells how it ends, None if none does.
        fails: Whether it fails though nothing in it does that may succeed.
    """

    title: str
    items: tuple["Item", ...]
    test: bool = False
    case: Word | None = field(default=None, eq=False, repr=False)
    fails: bool = field(default=False, eq=False, repr=False)


@frozen
class Leave:
    """Goes on behind the `levels`-th scope around it, 1 being the innermost.

    Attributes:
        failed: Whether something has failed: the scope's end is then not what was meant.
    """

    levels: int
    where: Where
    failed: bool = False


@frozen
class Unreached:
    """Calls that are written behind a point at which a script always ends, so nobody makes them."""

    calls: tuple[Call, ...]


@frozen
class Background:
    """Items that run beside those that follow; `Join` waits for their end."""

    items: tuple["Item", ...]
    where: Where


@frozen
class Join:
    """Waits for everything in the background of the innermost test."""

    where: Where


Item = Call | Command | Unseen | Choice | Loop | Scope | Leave | Unreached | Background | Join


@frozen
class Program:
    """What every node of a role does.

    Attributes:
        role: The role's name; empty in a job without roles.
        count: How many nodes it has.
        items: What they do, in order; a delayed start is a call of its own.
    """

    role: str
    count: int
    items: tuple[Item, ...]

    def calls(self) -> Iterator[Call]:
        """Every call in the program, in the order written, whichever way leads to it."""
        return (item for item in walk(self.items) if isinstance(item, Call))

    def unreached(self) -> Iterator[Call]:
        """Every call that somebody has written where no node ever comes."""
        for item in walk(self.items):
            if isinstance(item, Unreached):
                yield from item.calls


def walk(items: Iterable[Item]) -> Iterator[Item]:
    """All items, those inside of others after them."""
    for item in items:
        yield item
        match item:
            case Choice(ways=ways):
                for way in ways:
                    yield from walk(way)
            case Loop(body=inner) | Scope(items=inner) | Background(items=inner):
                yield from walk(inner)
            case _:
                pass
