"""Who sends and who awaits what: the calls of all programs, by their IDs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from attrs import define, field, frozen

from callboard.definition.calls import START
from callboard.events import CallName
from callboard.flow.diagnosis.sighting import Sighting, Walk
from callboard.flow.program import Call, Command, Program, Unseen

Key = tuple[CallName, str]


@frozen
class Supply:
    """Which roles do what a wait asks for, by the first call of each that does.

    Attributes:
        sure: Calls that do it, if their role comes to them.
        maybe: Calls that do it if an ID known only at run time happens to be the one.
        failing: Calls that would do it, but fail.
        hidden: Roles that may do it where nobody can tell, or would but for a failure.
    """

    sure: Mapping[str, Sighting]
    maybe: Mapping[str, Sighting]
    failing: Mapping[str, Sighting]
    hidden: frozenset[str]

    def missing(self, roles: Iterable[str]) -> tuple[str, ...]:
        """Those of the roles that never do it; if there are none, those that only may."""
        lacking = [each for each in roles if each not in self.sure and each not in self.hidden]
        return tuple([each for each in lacking if each not in self.maybe] or lacking)


@define
class Ledger:
    """All calls of a group.

    Attributes:
        roles: The roles with nodes, in the order of the definition.
        idle: The roles without.
        calls: The calls to which nodes may come, role by role.
        unseen: What nobody can read, each with its role.
        commands: The other commands to which nodes may come, each with its role.
        guessed: Roles of which not every call is seen.
    """

    programs: Sequence[Program]
    roles: tuple[str, ...] = field(init=False)
    idle: tuple[str, ...] = field(init=False)
    calls: tuple[Sighting, ...] = field(init=False)
    unseen: tuple[tuple[str, Unseen], ...] = field(init=False)
    commands: tuple[tuple[str, Command], ...] = field(init=False)
    guessed: frozenset[str] = field(init=False)
    _known: dict[Key, list[Sighting]] = field(init=False)
    _gaps: list[Sighting] = field(init=False)

    def __attrs_post_init__(self) -> None:
        walks = [Walk(program) for program in self.programs if program.count]
        self.roles = tuple(walk.program.role for walk in walks)
        self.idle = tuple(program.role for program in self.programs if not program.count)
        self.calls = tuple(each for walk in walks for each in walk.calls)
        self.unseen = tuple((walk.program.role, each) for walk in walks for each in walk.unseen)
        self.commands = tuple((walk.program.role, each) for walk in walks for each in walk.commands)
        # What the console does not see is heard by nobody, so it can't release anyone.
        self.guessed = frozenset(
            role for role, unseen in self.unseen if unseen.obscurity != "console"
        )
        self._known = _by_key(self.calls)
        self._gaps = [each for each in self.calls if each.call.id.text is None]

    @property
    def multinode(self) -> bool:
        """Whether there are roles, and not just the job of a single node."""
        return self.roles != ("",)

    def unreached(self, call: Call, roles: Iterable[str]) -> tuple[str, Call] | None:
        """A counterpart of a wait that one of some roles has written, but never comes to.

        Args:
            call: The wait; a sync is its own counterpart.
            roles: Those that should do it.
        """
        kind = "sync" if call.call == "sync" else "send"
        for program in self.programs:
            for each in program.unreached() if program.role in roles else ():
                if each.call == kind and each.id == call.id:
                    return program.role, each
        return None

    def named(self, call: CallName) -> dict[str, list[Sighting]]:
        """The calls of one kind whose ID is known, by ID."""
        return {key[1]: found for key, found in self._known.items() if key[0] == call}

    def unnamed(self, *calls: CallName) -> list[Sighting]:
        """The calls of some kinds whose ID is known only at run time."""
        return [each for each in self._gaps if each.call.call in calls]

    def needed(self, call: Call) -> tuple[str, ...]:
        """The roles with nodes that a wait is about; for `lava-wait`, any of them will do."""
        if call.role is None:
            return self.roles
        return tuple(role for role in self.roles if role == call.role.text)

    def supply(self, sighting: Sighting) -> Supply:
        """The roles that do what a wait, whose ID is known, asks for."""
        call = sighting.call
        does: CallName = "sync" if call.call == "sync" else "send"
        key = does, START if call.call == "start" else call.id.text or ""
        released = sighting.role if call.call == "start" else None
        exact = [each for each in self._known.get(key, ()) if _helps(each.call, released)]
        gaps = [each for each in self._gaps if each.call.call == does]
        failing = _firsts(each for each in exact if each.call.refused)
        return Supply(
            _firsts(each for each in exact if not each.call.refused),
            _firsts(each for each in gaps if each.call.id.may_be(key[1])),
            failing,
            self.guessed | failing.keys(),
        )

    def would(self, role: str, call: Call) -> bool:
        """Whether the program of a role without nodes has what a wait asks for."""
        does: CallName = "sync" if call.call == "sync" else "send"
        return any(
            each.call == does and each.id == call.id
            for program in self.programs
            if program.role == role
            for each in program.calls()
        )

    def idly_awaited(self, message_id: str) -> tuple[str, ...]:
        """The roles without nodes whose programs wait for a message."""
        return tuple(
            program.role
            for program in self.programs
            if program.role in self.idle
            and any(
                each.call in ("wait", "wait-all") and each.id.text == message_id
                for each in program.calls()
            )
        )


def _helps(call: Call, released: str | None) -> bool:
    """Whether it releases a role, or sends a message if none is to be released."""
    return call.roles is None or released in call.roles


def _by_key(sightings: Iterable[Sighting]) -> dict[Key, list[Sighting]]:
    found: defaultdict[Key, list[Sighting]] = defaultdict(list)
    for each in sightings:
        if each.call.id.text is not None:
            found[each.call.call, each.call.id.text].append(each)
    return dict(found)


def _firsts(sightings: Iterable[Sighting]) -> dict[str, Sighting]:
    first: dict[str, Sighting] = {}
    for each in sightings:
        first.setdefault(each.role, each)
    return first
