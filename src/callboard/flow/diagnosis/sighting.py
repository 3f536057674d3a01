"""Where the nodes of a role come to, and whether they do: every way through a program."""

from collections.abc import Iterable

from attrs import define, evolve, field, frozen

from callboard.flow.program import (
    Background,
    Call,
    Choice,
    Command,
    Item,
    Leave,
    Loop,
    Program,
    Scope,
    Unseen,
)

_ON = 0
"""The exit to the next item; exit `n` leads out of `n` scopes."""

_JUST_ON = frozenset({_ON})


@frozen
class Sighting:
    """A call of a role, and how its nodes come to it.

    Attributes:
        role: The role.
        call: The call.
        certain: Whether its nodes come to it, provided that each call before it returns.
        turns: The ways that lead there, each as the number of the choice and of its way.
        repeated: Whether it stands in a loop.
        test: Whether a test makes it, and not an action.
    """

    role: str
    call: Call
    certain: bool = True
    turns: tuple[tuple[int, int], ...] = ()
    repeated: bool = False
    test: bool = False

    def excludes(self, other: "Sighting") -> bool:
        """Whether a node that comes to one of the two never comes to the other."""
        ways = dict(self.turns)
        return any(ways.get(choice, way) != way for choice, way in other.turns)


@frozen
class _Path:
    """How the walk has come to an item; it is `scopes` deep in its test."""

    certain: bool = True
    turns: tuple[tuple[int, int], ...] = ()
    repeated: bool = False
    scopes: int = 1
    test: bool = False


@define
class Walk:
    """Goes every way through a program; what no way leads to is left out.

    Attributes:
        calls: The calls, in the order written.
        unseen: What nobody can read.
        commands: Everything else that is run.
    """

    program: Program
    calls: list[Sighting] = field(factory=list[Sighting], init=False)
    unseen: list[Unseen] = field(factory=list[Unseen], init=False)
    commands: list[Command] = field(factory=list[Command], init=False)
    _choices: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._through(self.program.items, _Path())

    def _through(self, items: Iterable[Item], path: _Path) -> frozenset[int]:
        """Walk through items; returns the exits that nodes may take."""
        exits: frozenset[int] = frozenset()
        for item in items:
            taken = self._into(item, path)
            exits |= taken - _JUST_ON
            if _ON not in taken:
                return exits
            if taken != _JUST_ON:
                path = evolve(path, certain=False)
        return exits | _JUST_ON

    def _into(self, item: Item, path: _Path) -> frozenset[int]:
        match item:
            case Call():
                here = path.certain, path.turns, path.repeated, path.test
                self.calls.append(Sighting(self.program.role, item, *here))
                # A failing call ends its test, unless the script sees to it.
                return frozenset({_ON, path.scopes}) if item.refused else _JUST_ON
            case Unseen():
                self.unseen.append(item)
                goes_on = item.obscurity in ("unseen", "console")
                return _JUST_ON if goes_on else frozenset({_ON, path.scopes})
            case Command():
                self.commands.append(item)
                return _JUST_ON
            case Choice(ways=ways):
                self._choices += 1
                number = self._choices
                inside = evolve(path, certain=False)
                return frozenset().union(
                    *(
                        self._through(each, evolve(inside, turns=(*path.turns, (number, way))))
                        for way, each in enumerate(ways)
                    )
                )
            case Loop(body=body):
                return self._through(body, evolve(path, certain=False, repeated=True)) | _JUST_ON
            case Scope(items=items, test=test):
                scopes = 1 if test else path.scopes + 1
                inside = evolve(path, scopes=scopes, test=test or path.test)
                return frozenset(max(each - 1, _ON) for each in self._through(items, inside))
            case Background(items=items):
                self._through(items, path)
                return _JUST_ON
            case Leave(levels=levels):
                return frozenset({levels})
            case _:
                return _JUST_ON
