"""How the state of a coordinator is shown to people."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress

import anyio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from callboard.cli.listing import Listing
from callboard.cli.output import Output
from callboard.coordinator.inquiry import Picture
from callboard.coordinator.states import ClientState, CoordinatorState, GroupState, WaitState
from callboard.coordinator.wording import names_text, one_line, seconds_text

_REDRAWN_S = 0.5
_UNSEEN_S = 30.0
"""Who waits and hasn't asked for so long has gone."""


def head(picture: Picture) -> Iterator[Text]:
    """Lines about the coordinator itself."""
    coordinator, groups = picture.coordinator, picture.groups.values()
    yield Text(one_line(", ".join(_facts(coordinator))))
    clients = sum(len(group.clients) for group in groups)
    waiting = sum(len(wait.clients) for group in groups for wait in group.waits)
    numbers = f"{_count(len(groups), 'group')}, {_count(clients, 'client')}"
    line = Text(f"{numbers}, waiting: {waiting:,}")
    if hanging := sum(_hangs(group) for group in groups):
        verb = "hangs" if hanging == 1 else "hang"
        line.append(f"; {_count(hanging, 'group')} {verb}", style="bold red")
    yield line
    for part, figures in coordinator.figures.items():
        shown = [
            _figure(name, value)
            for name, value in figures.items()
            if name not in ("listening", part) and value is not None
        ]
        own = f" {figures[part]:,}" if part in figures else ""
        yield Text(one_line(f"{part}{own}: {', '.join(shown)}"), style="dim")


def listings(picture: Picture, groups: Sequence[GroupState], *, clients: bool) -> Iterator[Listing]:
    """What groups wait for; with `clients` what each of their clients does, too."""
    shown = [picture.now(group) for group in groups]
    if shown:
        yield _waits(shown)
    if shown and clients:
        yield _clients(shown)


def ranked(groups: Iterable[GroupState]) -> list[GroupState]:
    """Those with waits that will hardly end, then those that wait longest, then the others."""

    def rank(group: GroupState) -> tuple[bool, float]:
        longest_s = max((wait.since_s for wait in group.waits if not wait.ready), default=-1.0)
        return not _hangs(group), -longest_s

    return sorted(groups, key=rank)


class Screen:
    """Draws the state of a coordinator anew, as much of it as fits; on a terminal or a dumb pipe.

    Args:
        said: Where.
        named: The groups to be shown; all if there are none.
    """

    def __init__(self, said: Output, named: Collection[str]) -> None:
        self._console: Console = said.console
        self._named = named
        self._draws = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live = Live(console=self._console, auto_refresh=False)
        self._picture: Picture | None = None

    def __enter__(self) -> "Screen":
        if self._draws:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._draws:
            with suppress(OSError):  # the terminal is gone
                self._live.stop()

    def show(self, picture: Picture) -> None:
        """The state has changed."""
        self._picture = picture
        if not self._draws:
            self._console.print(self.drawn(picture, None), soft_wrap=True)
            self._console.print()

    async def refresh(self) -> None:
        """Draw until cancelled."""
        while self._draws:
            if self._picture is not None:
                drawn = self.drawn(self._picture, self._console.height)
                self._live.update(drawn, refresh=True)
            await anyio.sleep(_REDRAWN_S)

    def drawn(self, picture: Picture, height: int | None) -> RenderableType:
        """The state in so many lines; None for as many as it takes."""
        groups = ranked(
            group
            for group in picture.groups.values()
            if not self._named or group.name in self._named
        )
        lines = [] if self._named else list(head(picture))
        if height is None:
            return Group(*lines, *listings(picture, groups, clients=bool(self._named)))
        for line in lines:
            line.truncate(self._console.width, overflow="ellipsis")
        room = max(1, height - len(lines) - 2)
        count = min(len(groups), room)
        while (shown := self._listings(picture, groups[:count]))[1] > room and count > 1:
            count = max(1, min(count - 1, count * room // shown[1]))
        drawn: list[RenderableType] = [*lines, *shown[0]]
        if count < len(groups):
            drawn.append(Text(f"and {_count(len(groups) - count, 'group')} more", style="dim"))
        return Group(*drawn)

    def _listings(
        self, picture: Picture, groups: Sequence[GroupState]
    ) -> tuple[Sequence[Listing], int]:
        """Groups as rows, and how many lines these have."""
        made = tuple(listings(picture, groups, clients=bool(self._named)))
        return made, sum(len(self._console.render_lines(each)) for each in made)


def _facts(coordinator: CoordinatorState) -> Iterator[str]:
    listening = coordinator.figures.get("connections", {}).get("listening")
    if isinstance(listening, list):
        yield ", ".join(map(str, listening))
    yield f"{coordinator.semantics} semantics"
    if coordinator.hold:
        yield f"hold {coordinator.hold:g}"
    yield f"up {seconds_text(coordinator.up_s)}"
    yield f"groups in {coordinator.state}" if coordinator.state else "groups in memory only"


def _waits(groups: Iterable[GroupState]) -> Listing:
    listing = Listing("group", "clients", "age", "waits", folds=("group", "waits"))
    for group in groups:
        first = (group.name, _joined(group), seconds_text(group.age_s))
        for wait in group.waits:
            style = "red" if wait.hangs else "dim" if wait.ready else ""
            cells = (Text(one_line(cell)) for cell in first)
            listing.add_styled(*cells, Text(one_line(_wait(group, wait)), style=style))
            first = ("", "", "")
        if not group.waits:
            listing.add_styled(*(Text(one_line(cell)) for cell in first), Text("-", style="dim"))
    return listing


def _clients(groups: Iterable[GroupState]) -> Listing:
    columns = ("group", "client", "role", "worker", "seen", "waits in")
    listing = Listing(*columns, folds=("group", "client", "role", "worker", "waits in"))
    for group in groups:
        name = group.name
        for client in group.clients:
            cells = (name, client.name, client.role, client.host or "-", _seen(client))
            doing = "has left" if client.left else client.waits or "-"
            style = "dim" if client.left else ""
            listing.add_styled(*(Text(one_line(cell), style=style) for cell in (*cells, doing)))
            name = ""
    return listing


def _wait(group: GroupState, wait: WaitState) -> str:
    since = seconds_text(wait.since_s)
    if wait.hangs:
        return f"{since}: {wait.hangs}"
    roles = {client.name: client.role for client in group.clients}
    who = names_text(wait.clients, roles)
    text = f"{since}: {who}" if wait.request == "group_data" else f"{since}: {wait.call} of {who}"
    unseen_s = min(each.seen_s for each in group.clients if each.name in wait.clients)
    if unseen_s > _UNSEEN_S:
        return f"{text}, not seen for {seconds_text(unseen_s)}"
    if wait.ready:
        return f"{text}, answered at the next poll"
    missing = [each for each in wait.missing if each not in wait.clients]
    needed = [names_text(missing, roles)] if missing else []
    if wait.request == "lava_wait" and len(missing) > 1:
        needed = [f"any of {needed[0]}"]
    if wait.to_join:
        needed.append(f"{_count(wait.to_join, 'client')} to join")
    return f"{text}, for {' and '.join(needed)}" if needed else text


def _joined(group: GroupState) -> str:
    return f"{len(group.clients):,} of {group.size:,}"


def _seen(client: ClientState) -> str:
    return f"{seconds_text(client.seen_s)} ago"


def _hangs(group: GroupState) -> bool:
    return any(wait.hangs for wait in group.waits)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _figure(name: str, value: object) -> str:
    match name, value:
        case "segments", int():
            return _count(value, "file")
        case "newest_bytes", int():
            return f"{_count(value, 'byte')} in the newest"
        case "behind_bytes", int():
            return f"{_count(value, 'byte')} to be written"
        case _, int():
            return f"{value:,} {name.replace('_', ' ')}"
        case _:
            return f"{name.replace('_', ' ')}: {value}"
