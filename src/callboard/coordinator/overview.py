"""Knows what goes on in a coordinator: for its log, and for whoever asks."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

import anyio
import anyio.lowlevel
from attrs import define, field

from callboard.coordinator.clients import Known
from callboard.coordinator.exchange import Exchange, Served
from callboard.coordinator.facts import Fact, Say
from callboard.coordinator.group import Group
from callboard.coordinator.requests import ClearGroup, Forget, Json, Request
from callboard.coordinator.settings import Settings
from callboard.coordinator.states import ClientState, CoordinatorState, GroupState, WaitState
from callboard.coordinator.waits import Patience, Wait, calls, waits
from callboard.coordinator.wording import seconds_text

Figures = Callable[[], Mapping[str, Json]]
"""Figures of a part of the coordinator as they are now, by name: plain JSON."""

_REVIEW_S = 5.0
_MOST_AT_ONCE = 100
"""Clients that are looked at before others get their turn."""


@define
class _Known:
    """What has been said of a group.

    Attributes:
        clients: How many of its clients.
        left: Which of them have left.
        hanging: Which of their waits will hardly end.
    """

    clients: int
    left: set[str]
    hanging: frozenset[tuple[str, str]] = frozenset()


@define(eq=False)
class Changes:
    """Which groups have changed since somebody has looked.

    Attributes:
        groups: Their names; those that have ended, too.
    """

    groups: dict[str, None] = field(factory=dict)
    _event: anyio.Event = field(factory=anyio.Event)

    def note(self, group: str) -> None:
        """A group has changed."""
        self.groups[group] = None
        self._event.set()

    async def any(self) -> None:
        """Wait until one has."""
        if not self.groups:
            self._event = anyio.Event()
            await self._event.wait()

    def take(self) -> tuple[str, ...]:
        """Those that have changed; they are looked at now."""
        taken = tuple(self.groups)
        self.groups.clear()
        return taken


class Overview:
    """Follows an exchange.

    Args:
        exchange: The groups; what is known of them already is not news.
        say: Takes what the log is to say.
        now_s: The exchange's clock, in seconds.
        settings: How the coordinator is run.
        figures: What else to show, by part: `connections`, `store`.
    """

    def __init__(
        self,
        exchange: Exchange,
        say: Say,
        now_s: Callable[[], float],
        settings: Settings,
        figures: Mapping[str, Figures],
    ) -> None:
        self._exchange = exchange
        self._say = say
        self._now_s = now_s
        self._settings = settings
        self._figures = figures
        self._patience = Patience(poll_delay_s=settings.poll_delay_s, hold=settings.hold)
        self._began_s = now_s()
        self._watching: dict[Changes, None] = {}
        self._known = {
            name: _Known(group.count, {each.name for each in group.clients if each.left})
            for name, group in exchange.groups.items()
        }

    # What happens

    def witness(self, request: Request, served: Served) -> None:
        """Take note of a request that was served; neither waits nor raises."""
        name = request.client.group
        group = self._exchange.groups.get(name)
        if group is None:
            if self._known.pop(name, None) is not None:
                self._ended(name, given_up=isinstance(request, Forget))
                self._changed(name)
            return
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = _Known(0, set())
            text = f"group {name}: made, for {_clients(group.size)}"
            self._say(Fact("group-made", text, fields={"group": name, "size": group.size}))
        client = group.client(request.client.name)
        if client is None:
            return
        if group.count > known.clients:
            known.clients = group.count
            self._joined(group, client)
        if isinstance(request, ClearGroup) and client.left and client.name not in known.left:
            known.left.add(client.name)
            self._left(group, client)
        if served.changed or served.answer.response != "wait" or client.waiting_s == group.seen_s:
            self._changed(name)

    def _joined(self, group: Group, client: Known) -> None:
        text = f"group {group.name}: {client.name} ({client.role}) has joined"
        text += f" from {client.host}" if client.host else ""
        fields = {"group": group.name, "client": client.name, "role": client.role}
        self._say(Fact("client-joined", text, fields=fields | {"host": client.host or None}))
        if group.count == group.size:
            text = f"group {group.name}: complete, with {_clients(group.size)}"
            fields = {"group": group.name}
            self._say(Fact("group-complete", text, fields=fields))

    def _left(self, group: Group, client: Known) -> None:
        text = f"group {group.name}: {client.name} ({client.role}) has left"
        fields = {"group": group.name, "client": client.name, "role": client.role}
        self._say(Fact("client-left", text, fields=fields))

    def _ended(self, name: str, *, given_up: bool) -> None:
        if given_up:
            age = seconds_text(self._settings.forget_after_s)
            text = f"group {name}: given up, for nobody has asked for {age}"
            self._say(Fact("group-forgotten", text, "warning", {"group": name}))
        else:
            self._say(Fact("group-ended", f"group {name}: ended", fields={"group": name}))

    # What does not happen

    async def review(self) -> None:
        """Look for waits that will hardly end, time and again, until cancelled."""
        while True:
            await anyio.sleep(_REVIEW_S)
            looked = 0
            for name in tuple(self._known):
                looked += self.look(name)
                if looked >= _MOST_AT_ONCE:
                    looked = 0
                    await anyio.lowlevel.checkpoint()

    def look(self, name: str) -> int:
        """Look for such waits in a group, and say once of each that it is one.

        Returns:
            How many clients were looked at.
        """
        group, known = self._exchange.groups.get(name), self._known.get(name)
        if group is None or known is None:
            return 0
        now_s = self._now_s()
        long_ago_s = now_s - self._patience.wait_s
        if not any(each.waiting and each.waiting_s <= long_ago_s for each in group.clients):
            found: tuple[Wait, ...] = ()
        else:
            found = tuple(each for each in waits(group, now_s, self._patience) if each.hangs)
        hanging = frozenset((each.call, each.clients[0].name) for each in found)
        for each in found:
            if (each.call, each.clients[0].name) not in known.hanging:
                self._hangs(group, each)
        if hanging != known.hanging:
            known.hanging = hanging
            self._changed(name)
        return group.count

    def _hangs(self, group: Group, wait: Wait) -> None:
        text = f"group {group.name}: {wait.hangs}"
        fields: dict[str, str | int | float | None] = {"group": group.name, "call": wait.call}
        fields["waiting"] = len(wait.clients)
        self._say(Fact("wait-hangs", text, "warning", fields))

    # For whoever looks

    def state(self) -> CoordinatorState:
        """The coordinator as it is now."""
        settings = self._settings
        return CoordinatorState(
            version("callboard"),
            os.getpid(),
            self._now_s() - self._began_s,
            settings.rules,
            settings.hold,
            None if settings.state is None else str(settings.state),
            len(self._exchange.groups),
            {part: figures() for part, figures in self._figures.items()},
        )

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of all groups."""
        return tuple(self._exchange.groups)

    def group(self, name: str) -> GroupState | None:
        """A group as it is now; None when it has ended."""
        group = self._exchange.groups.get(name)
        if group is None:
            return None
        now_s = self._now_s()
        found = waits(group, now_s, self._patience)
        called = calls(found)
        return GroupState(
            name,
            group.size,
            now_s - group.created_s,
            now_s - group.seen_s,
            tuple(_client_state(each, called.get(each.name), now_s) for each in group.clients),
            tuple(_wait_state(each, now_s) for each in found),
        )

    @contextmanager
    def watching(self) -> Iterator[Changes]:
        """The time in which somebody looks at what changes; all groups count as changed first."""
        changes = Changes(dict.fromkeys(self._exchange.groups))
        self._watching[changes] = None
        try:
            yield changes
        finally:
            del self._watching[changes]

    def _changed(self, group: str) -> None:
        for changes in self._watching:
            changes.note(group)


def _client_state(client: Known, waits_in: str | None, now_s: float) -> ClientState:
    seen_s = now_s - client.seen_s
    return ClientState(client.name, client.role, client.host, seen_s, waits_in, client.left)


def _wait_state(wait: Wait, now_s: float) -> WaitState:
    return WaitState(
        wait.call,
        wait.request,
        wait.id,
        wait.role,
        tuple(each.name for each in wait.clients),
        now_s - wait.since_s,
        tuple(each.name for each in wait.missing),
        wait.to_join,
        wait.ready,
        wait.hangs,
    )


def _clients(number: int) -> str:
    return "1 client" if number == 1 else f"{number:,} clients"
