"""Random small groups: half of them any calls, half made so that they complete, then damaged."""

import hypothesis.strategies as st
from tests.flow.programs import (
    background,
    either,
    join,
    leave,
    loop,
    program,
    scope,
    suite,
    unseen,
)

from callboard.flow.program import Item, Program

ROLES = ("a", "b", "c", "d")
IDS = ("x", "y", "z", "lava_start")
SYNCS = ("s", "t")

Line = str | Item


def lines(roles: tuple[str, ...]) -> st.SearchStrategy[str]:
    ids, known = st.sampled_from(IDS), st.sampled_from((*roles, "e"))
    return st.one_of(
        st.builds("send {}".format, ids),
        st.builds("send {}".format, ids),
        st.builds("wait {}".format, ids),
        st.builds("wait-all {}".format, ids),
        st.builds("wait-all {} {}".format, ids, known),
        st.builds("sync {}".format, st.sampled_from(SYNCS)),
        st.builds("start {}".format, known),
        st.builds("release {}".format, known),
    )


@st.composite
def anything(draw: st.DrawFn, roles: tuple[str, ...]) -> list[list[Line]]:
    return [list(draw(st.lists(lines(roles), max_size=6))) for _ in roles]


@st.composite
def in_order(draw: st.DrawFn, roles: tuple[str, ...]) -> list[list[Line]]:
    """Calls that return in the order in which they are drawn, but for a few that are lost."""
    found: list[list[Line]] = [[] for _ in roles]
    sent: dict[str, set[int]] = {}
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["send", "send", "wait", "wait-all", "role", "sync", "start"]))
        some = draw(st.sets(st.integers(0, len(roles) - 1), min_size=1))
        name = draw(st.sampled_from(IDS))
        senders = sent.setdefault(name, set())
        if kind == "sync":
            some, line = set(range(len(roles))), f"sync {draw(st.sampled_from(SYNCS))}"
        elif kind == "wait-all" and len(senders) == len(roles):
            line = f"wait-all {name}"
        elif kind == "role" and senders:
            line = f"wait-all {name} {roles[draw(st.sampled_from(sorted(senders)))]}"
        elif kind == "start" and sent.get("lava_start"):
            line = f"start {roles[draw(st.sampled_from(sorted(sent['lava_start'])))]}"
        elif kind == "wait" and senders:
            line = f"wait {name}"
        else:
            senders |= some
            line = f"send {name}"
        for each in some:
            found[each].append(line)
    for own in found:
        if own and draw(st.integers(0, 5)) == 0:
            own.pop(draw(st.integers(0, len(own) - 1)))
        if len(own) > 1 and draw(st.integers(0, 5)) == 0:
            own[0], own[1] = own[1], own[0]
    return found


def _programs(
    draw: st.DrawFn, roles: tuple[str, ...], own: list[list[Line]]
) -> tuple[Program, ...]:
    counts = st.sampled_from([1, 1, 1, 2, 2, 3, 0])
    return tuple(
        program(role, *calls, count=draw(counts)) for role, calls in zip(roles, own, strict=True)
    )


@st.composite
def _roles(draw: st.DrawFn, most: int) -> tuple[str, ...]:
    return ROLES[: draw(st.integers(1, most))]


def _calls(draw: st.DrawFn, roles: tuple[str, ...]) -> list[list[Line]]:
    return draw(st.one_of(anything(roles), in_order(roles), in_order(roles)))


@st.composite
def straight(draw: st.DrawFn, most: int = 4) -> tuple[Program, ...]:
    """Groups without choices."""
    roles = draw(_roles(most))
    return _programs(draw, roles, _calls(draw, roles))


@st.composite
def branching(draw: st.DrawFn, *, loops: bool = False, asides: bool = False) -> tuple[Program, ...]:
    """Groups with choices, in which some items are put into others."""
    roles = draw(_roles(3))
    own = _calls(draw, roles)
    for _ in range(draw(st.integers(1, 3))):
        calls = draw(st.sampled_from(own))
        at = draw(st.integers(0, len(calls)))
        taken = calls[at : at + draw(st.integers(0, 2))]
        other = draw(st.lists(lines(roles), max_size=2))
        kinds = ["either", "either", "leave"]
        kinds += ["loop", "loop"] if loops else []
        kinds += ["aside", "aside", "join", "suite"] if asides else []
        match draw(st.sampled_from(kinds)):
            case "either":
                new: list[Line] = [either(taken, other)]
            case "leave":
                new = [scope(*taken, either([*other, leave()], []), *calls[at + len(taken) :])]
                del calls[at + len(taken) :]
            case "loop":
                new = [scope(loop(scope(*taken, either(other, [leave(2)]))))]
            case "aside":
                new = [background(*other), *taken]
            case "suite":
                new = [suite("0_f", *taken, background(*other), join())]
            case _:
                new = [*taken, join()]
        calls[at : at + len(taken)] = new
    return _programs(draw, roles, own)


@st.composite
def vague(draw: st.DrawFn) -> tuple[Program, ...]:
    """Groups in which some words have gaps, some places can't be read, and some are choices."""
    roles = draw(_roles(3))
    own = _calls(draw, roles)
    for calls in own:
        for at, line in enumerate(calls):
            if isinstance(line, str) and draw(st.integers(0, 4)) == 0:
                calls[at] = " ".join((*line.split()[:-1], "$"))
            elif draw(st.integers(0, 9)) == 0:
                calls[at] = either([line], draw(st.lists(lines(roles), max_size=1)))
        if draw(st.integers(0, 4)) == 0:
            calls.insert(draw(st.integers(0, len(calls))), unseen())
    return _programs(draw, roles, own)


@st.composite
def crossed(draw: st.DrawFn) -> tuple[Program, ...]:
    """Groups in which every role makes the right calls, though in any order."""
    roles = draw(_roles(4))
    own = [draw(st.permutations(calls)) for calls in draw(in_order(roles))]
    return _programs(draw, roles, own)
