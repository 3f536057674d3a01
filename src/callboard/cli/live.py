"""How a run is shown while it runs: a table on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Protocol

import anyio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from callboard.cli.nodes import Node, Nodes
from callboard.cli.output import Output
from callboard.events import (
    ActionEnded,
    ActionStarted,
    CallAnswered,
    CallMade,
    ConsoleOutput,
    Event,
    JobEnded,
    LinksChanged,
    Message,
    PortMoved,
    PortRestored,
    TestCaseResult,
    TestRunEnded,
    TestRunStarted,
    VlanCreated,
    VlanDeleted,
    WaitHopeless,
)
from callboard.report.links import links_text
from callboard.report.text import printable

_COORDINATOR = "/group/coordinator"
_REFRESH_S = 0.125
_NARROW = 70


class View(Protocol):
    """What shows a run: it is given every event, and runs beside the group."""

    def __call__(self, event: Event) -> None:
        """Take the next event; must not wait, and must not raise."""
        ...

    def shown(self) -> AbstractContextManager[object]:
        """The time during which the view is on the screen."""
        ...

    async def refresh(self, time_s: Callable[[], float]) -> None:
        """Keep the screen up to date until cancelled."""
        ...

    def note(self, text: str) -> None:
        """Say something about the run itself."""
        ...


def view(said: Output) -> View:
    """The view that fits the output: table, lines, or nothing."""
    if said.json or said.quiet:
        return Lines(said) if said.verbosity and not said.quiet else Nothing(said)
    console = said.console
    draws = console.is_terminal and not console.is_dumb_terminal
    return Board(console) if draws else Lines(said)


class Nothing:
    """Shows nothing but notes."""

    def __init__(self, said: Output) -> None:
        self.note = said.note

    def __call__(self, event: Event) -> None:
        """Ignore it."""

    def shown(self) -> AbstractContextManager[object]:
        """Nothing to show."""
        return nullcontext()

    async def refresh(self, time_s: Callable[[], float]) -> None:
        """Nothing to do."""


class Descriptions:
    """Describes events in a line each: when, which node, and what.

    Args:
        verbosity: 0 for what is interesting, 1 for more, 2 for what nodes print, too.
    """

    def __init__(self, verbosity: int) -> None:
        self._verbosity = verbosity
        self._roles = Nodes()

    def __call__(self, event: Event) -> str | None:
        """The line; None for an event that isn't interesting."""
        self._roles(event)
        text = _line(event, self._verbosity)
        node = self._roles.nodes.get(getattr(event.body, "job", -1))
        if text is None:
            return None
        if isinstance(event.body, LinksChanged):
            return f"{event.time_s:9.3f} network: {text}"
        if node is not None:
            return f"{event.time_s:9.3f} {node.job} {printable(node.role)}: {text}"
        return None


class Lines:
    """A line for each event that a reader wants to know; on standard error with `--json`."""

    def __init__(self, said: Output) -> None:
        self._file = sys.stderr if said.json else sys.stdout
        self._describe = Descriptions(said.verbosity - said.json)
        self.note = said.note

    def __call__(self, event: Event) -> None:
        """Print it, if it is interesting."""
        if (text := self._describe(event)) is None:
            return
        try:
            print(text, file=self._file)
            self._file.flush()
        except (OSError, ValueError):  # nobody listens, or can: the run goes on
            self._describe = Descriptions(-99)

    def shown(self) -> AbstractContextManager[object]:
        """Lines are printed as they come."""
        return nullcontext()

    async def refresh(self, time_s: Callable[[], float]) -> None:
        """Nothing to do."""


def _line(event: Event, verbosity: int) -> str | None:
    if verbosity < 0:
        return None
    text: str | None = None
    match event.body:
        case ActionStarted(level=level, name=name) if "." not in level or verbosity:
            text = f"{level} {name}"
        case ActionEnded(reason=str(reason), level=level, name=name) if verbosity:
            text = f"{level} {name} skipped: {reason}"
        case ActionEnded(error=error, level=level, name=name) if error is not None:
            text = f"{level} {name} failed: {error.message}" if "." not in level else None
        case TestRunStarted(suite=suite):
            text = f"{suite} begins"
        case TestRunEnded(suite=suite, result=result):
            text = f"{suite} ended: {result}"
        case TestCaseResult(suite=suite, case=case, result=result):
            text = f"{suite}/{case}: {result}"
        case CallMade(call="start", role=role, limit_s=limit):
            text = f"the start waits for {role}, at most {limit:g} s"
        case CallMade(call=call, id=name, limit_s=limit) if limit is not None:
            text = f"lava-{call} {name} waits, at most {limit:g} s"
        case CallAnswered(reason=str(reason)):
            text = reason
        case WaitHopeless() as wait:
            text = f"hopeless: {wait.text}"
        case LinksChanged():
            text = links_text(event.body)
        case VlanCreated() | PortMoved() | PortRestored() | VlanDeleted() as change:
            text = change.text
        case Message(level="warning" | "error" | "exception" | "event" as level, text=message):
            text = f"{level}: {message}"
        case ConsoleOutput(text=printed) if verbosity > 1:
            text = f"| {printed}"
        case JobEnded(health=health, error=error):
            text = f"{health}: {error.message}" if error is not None else health
        case _:
            pass
    return None if text is None else printable(text)


class Board:
    """A table of the nodes that is drawn anew several times a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._nodes = Nodes()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._hopeless: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Note what it changes; of hopeless waits that are alike, one is told."""
        self._nodes(event)
        if isinstance(event.body, WaitHopeless) and event.body.text not in self._hopeless:
            self._hopeless.add(event.body.text)
            self.note(f"{event.body.job}: {event.body.text}")
        elif isinstance(event.body, LinksChanged) and event.body.change != "set":
            self.note(links_text(event.body))
        elif isinstance(event.body, Message) and event.actor == _COORDINATOR:
            self.note(event.body.text)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """On the screen while the context is open; the table vanishes with it."""
        self._live.start()
        try:
            yield
        finally:
            with suppress(OSError):  # the terminal is gone, and the table with it
                self._live.stop()

    async def refresh(self, time_s: Callable[[], float]) -> None:
        """Draw until cancelled, or until the terminal is gone."""
        try:
            while True:
                self._live.update(self.table(time_s()), refresh=True)
                await anyio.sleep(_REFRESH_S)
        except OSError:
            return

    def note(self, text: str) -> None:
        """Print a line above the table, if there still is a terminal."""
        with suppress(OSError):
            self._console.print(printable(text), style="yellow", soft_wrap=True, markup=False)

    def table(self, now_s: float) -> RenderableType:
        """The nodes at `now_s` seconds of the run, as many as fit the screen."""
        width, height = self._console.size
        nodes = list(self._nodes.nodes.values())
        room = max(1, height - 3)
        shown = nodes if len(nodes) <= room else _most_telling(nodes, room - 1)
        # Room for the terminal's own ^C, which would begin a new line after a full one.
        gap = 1 if width < _NARROW else 2
        padding = (0, gap, 0, 0)
        table = Table(
            box=None, pad_edge=False, padding=padding, header_style="dim", width=width - 3
        )
        table.add_column("job", justify="right", no_wrap=True)
        table.add_column("role", no_wrap=True, max_width=10 if width < _NARROW else 20)
        table.add_column("doing", no_wrap=True, max_width=16 if width < _NARROW else 30)
        table.add_column("waits for", no_wrap=True, ratio=1)
        table.add_column("ok", justify="right", no_wrap=True)
        table.add_column("bad", justify="right", no_wrap=True)
        for node in shown:
            table.add_row(*_cells(node, now_s))
        if len(shown) == len(nodes):
            return table
        hidden = [node for node in nodes if node not in shown]
        return Group(table, Text(_count(hidden), style="dim"))


def _most_telling(nodes: list[Node], room: int) -> list[Node]:
    """Those that failed, then those that wait longest, then those that run; in their order."""

    def rank(node: Node) -> tuple[bool, float]:
        waits_since_s = node.wait[1] if node.wait else float("inf")
        if node.health is not None:
            waits_since_s = float("inf")
        return node.failed == 0 and node.health in (None, "complete"), waits_since_s

    chosen = {node.job for node in sorted(nodes, key=rank)[:room]}
    return [node for node in nodes if node.job in chosen]


def _cells(node: Node, now_s: float) -> Iterable[Text]:
    style = {"complete": "green", "incomplete": "red", "canceled": "yellow"}
    yield Text(str(node.job))
    yield Text(printable(node.role), overflow="ellipsis")
    yield Text(printable(node.doing), style=style.get(node.doing, ""), overflow="ellipsis")
    if node.wait is None:
        yield Text("")
    else:
        what, since_s = node.wait
        waited = f"{now_s - since_s:.0f} s"
        yield Text(f"{waited} {printable(what)}", style="yellow", overflow="ellipsis")
    yield Text(str(node.passed))
    yield Text(str(node.failed), style="bold red" if node.failed else "dim")


def _count(nodes: list[Node]) -> str:
    ended = sum(node.health is not None for node in nodes)
    waiting = sum(bool(node.waiting) for node in nodes)
    return f"and {len(nodes)} more: {waiting} waiting, {ended} ended"
