"""Random job definitions: the programs of `tests.flow.groups`, written as a board tester would."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import hypothesis.strategies as st
import yaml
from attrs import define, field, frozen
from tests.flow.groups import branching, crossed, straight, vague

from callboard.definition import read_text
from callboard.definition.model import Definition
from callboard.flow.program import (
    Background,
    Call,
    Choice,
    Item,
    Join,
    Leave,
    Loop,
    Program,
    Scope,
    Unseen,
    Word,
)

_UNKNOWN = "${UNKNOWN}"
_PLACES = (("deploy", "deployimages"), ("boot", "expect-shell-connection"))
"""Blocks and actions of theirs that make calls."""


@frozen
class Limits:
    """The time-outs of a definition, in seconds."""

    job: int = 600
    action: int = 300
    call: int = 60
    test: int | None = None
    role: int | None = None
    retries: int = 1


@define
class _Writer:
    """Writes programs as shell scripts."""

    steps: list[str] = field(factory=list)
    tests: list[list[str]] = field(factory=list)
    _names: Iterator[int] = field(factory=count)

    def write(self, items: Sequence[Item]) -> list[list[str]]:
        """The steps of each test."""
        for item in items:
            if isinstance(item, Scope) and item.test:
                self._end()
                self.steps += self._lines(item.items)
                self._end()
            else:
                self.steps += self._lines([item])
        self._end()
        return self.tests

    def _end(self) -> None:
        if self.steps:
            self.tests.append(self.steps)
            self.steps = []

    def _lines(self, items: Sequence[Item], *, aside: bool = False) -> list[str]:
        return [line for item in items for line in self._item(item, aside=aside)]

    def _body(self, items: Sequence[Item], *, aside: bool = False) -> str:
        return "; ".join(self._lines(items, aside=aside)) or ":"

    def _item(self, item: Item, *, aside: bool) -> Iterator[str]:
        match item:
            case Call(call="start"):
                pass
            case Call() if item.roles is not None or (aside and item.waits):
                pass  # no helper releases roles, and none in the background can read an answer
            case Call():
                yield _shell(item)
            case Choice(ways=(yes, no)):
                number = next(self._names)
                yes_, no_ = self._body(yes, aside=aside), self._body(no, aside=aside)
                yield f"if probe-{number}; then {yes_}; else {no_}; fi"
            case Scope(items=(Loop(body=(Scope(items=turn),)),)):
                yield f"while probe-{next(self._names)}; do {self._body(turn, aside=aside)}; done"
            case Loop(body=body):
                yield f"while probe-{next(self._names)}; do {self._body(body, aside=aside)}; done"
            case Scope(items=inner):
                name = f"part{next(self._names)}"
                yield f"{name}() {{ {self._body(inner, aside=aside)}; }}; {name}"
            case Leave(levels=1):
                yield "return 0"
            case Leave():
                yield "break"
            case Background(items=inner):
                yield f"({self._body(inner, aside=True)}) & :"
            case Join():
                yield "wait"
            case Unseen():
                yield "./unseen.sh"
            case _:
                raise AssertionError(f"no script has {item}")


def _shell(call: Call) -> str:
    role = [_word(call.role)] if call.role is not None else []
    return " ".join([f"lava-{call.call}", _word(call.id), *role])


def _word(word: Word) -> str:
    return "".join(_UNKNOWN if part is None else part for part in word.parts)


@frozen
class Plugs:
    """VLANs of a role, and whether it asks for their deployment."""

    vlans: tuple[str, ...] = ()
    deploys: bool = True


def written(
    programs: Sequence[Program],
    early: Sequence[int],
    limits: Limits,
    plugs: Sequence[Plugs] = (),
) -> str:
    """A definition whose roles do what the programs say.

    Args:
        programs: One a role. A start is made only as the first call of a role, and a release only
            by an action; elsewhere they are left out.
        early: How many calls at the beginning of each role its actions make.
        limits: Its time-outs.
        plugs: The VLANs of each role; none for a group without.
    """
    protocol: dict[str, Any] = {"roles": {}, "timeout": {"seconds": limits.call}}
    actions: list[dict[str, Any]] = []
    for number, program in enumerate(programs):
        items = list(program.items)
        role: dict[str, Any] = {"device_type": "qemu", "count": program.count}
        if limits.role is not None:
            role["timeout"] = {"seconds": limits.role}
        match items:
            case [Call(call="start") as start, *rest] if start.role is not None:
                role |= {"request": "lava-start", "expect_role": str(start.role)}
                role |= {"host_role": str(start.role)}
                items = rest
            case _:
                pass
        protocol["roles"][program.role] = role
        calls: list[Call] = []
        while items and isinstance(items[0], Call) and len(calls) < early[number]:
            calls.append(items[0])
            del items[0]
        deploys = bool(plugs) and plugs[number].deploys
        actions += _blocks(program.role, calls, limits, deploys=deploys)
        tests = _Writer().write(items)
        if tests:
            actions.append(_test(program.role, tests, limits))
    protocols: dict[str, Any] = {"lava-multinode": protocol}
    timeouts = {"job": {"seconds": limits.job}, "action": {"seconds": limits.action}}
    if plugs:
        timeouts["connection"] = {"seconds": 120}
        protocols["lava-vland"] = {
            program.role: {vlan: {"tags": []} for vlan in own.vlans}
            for program, own in zip(programs, plugs, strict=True)
        }
    return yaml.safe_dump(
        {
            "job_name": "random",
            "visibility": "public",
            "timeouts": timeouts,
            "protocols": protocols,
            "actions": actions,
        },
        sort_keys=False,
        width=1_000,
    )


def _blocks(
    role: str, calls: Sequence[Call], limits: Limits, *, deploys: bool
) -> Iterator[dict[str, Any]]:
    requests = [each for call in calls for each in _request(call)]
    half = len(requests) // 2
    image = {"rootfs": {"url": "http://files.example/rootfs.img"}}
    more = {"failure_retry": limits.retries} if limits.retries > 1 else {}
    deploy: dict[str, Any] = {"role": [role], "to": "tmpfs", "images": image, **more}
    boot: dict[str, Any] = {"role": [role], "method": "qemu", "prompts": ["#"], **more}
    for block, (_, action), own in zip(
        (deploy, boot), _PLACES, (requests[:half], requests[half:]), strict=True
    ):
        if own:
            block["protocols"] = {"lava-multinode": [{"action": action, **each} for each in own]}
    if deploys:
        request = {"action": "lava-vland-overlay", "request": "deploy_vlans"}
        deploy.setdefault("protocols", {})["lava-vland"] = [request]
    yield {"deploy": deploy}
    yield {"boot": boot}


def _request(call: Call) -> Iterator[Mapping[str, Any]]:
    if call.call == "start" or call.gaps:
        return
    if call.roles is not None:
        yield {"request": "lava-start", "roles": list(call.roles)}
        return
    role = {"role": str(call.role)} if call.role is not None else {}
    yield {"request": f"lava-{call.call}", "messageID": str(call.id), **role}


def _test(role: str, tests: Sequence[Sequence[str]], limits: Limits) -> dict[str, Any]:
    definitions = [
        {
            "from": "inline",
            "name": f"t{number}",
            "path": f"t{number}.yaml",
            "repository": {
                "metadata": {"format": "Lava-Test Test Definition 1.0", "name": f"t{number}"},
                "run": {"steps": list(steps)},
            },
        }
        for number, steps in enumerate(tests)
    ]
    timeout = {"timeout": {"seconds": limits.test}} if limits.test is not None else {}
    return {"test": {"role": [role], "definitions": definitions, **timeout}}


KINDS: Mapping[str, st.SearchStrategy[tuple[Program, ...]]] = {
    "straight": straight(),
    "crossed": crossed(),
    "branching": branching(),
    "loops": branching(loops=True),
    "asides": branching(asides=True),
    "vague": vague(),
}


@st.composite
def texts(draw: st.DrawFn, kind: str, limits: Limits = Limits()) -> str:
    """Definitions of a kind of group."""
    programs = draw(KINDS[kind])
    early = [draw(st.sampled_from((0, 0, 0, 1, 3))) for _ in programs]
    return written(programs, early, limits)


@st.composite
def with_vlans(draw: st.DrawFn, limits: Limits = Limits()) -> str:
    """Definitions of groups with VLANs, some of which are not deployed by all of their users."""
    programs = draw(KINDS["straight"])
    vlans = st.sets(st.sampled_from(("one", "two", "three"))).map(sorted).map(tuple)
    deploys = st.sampled_from((True, True, True, False))
    plugs = [draw(st.builds(Plugs, vlans, deploys)) for _ in programs]
    early = [draw(st.sampled_from((0, 0, 0, 1, 3))) for _ in programs]
    return written(programs, early, limits, plugs)


def loaded(text: str) -> Definition | None:
    """The definition, None if it isn't valid."""
    return read_text(text, "group.yaml")[0]
