"""The proof against the coordinator's state machine, in random orders."""

from itertools import product
from random import Random

import hypothesis.strategies as st
from attrs import evolve
from hypothesis import given, settings
from tests.flow.groups import IDS, SYNCS, branching, straight, vague
from tests.flow.orders import Nodes, Path, nodes, path, paths
from tests.flow.programs import items

from callboard.flow.program import Call, Program, Unseen, Word
from callboard.flow.proof import Outcome, prove

ORDERS = st.randoms(use_true_random=False)


def completes(programs: tuple[Program, ...], order: Random) -> bool:
    """Whether a group completes in which every node decides at random."""
    members = nodes(programs, lambda each: path(each.items, order.randrange))
    return Nodes(members).run(order)


@given(straight(), ORDERS)
def test_a_group_without_choices_ends_in_every_order_as_the_proof_says(
    programs: tuple[Program, ...], order: Random
) -> None:
    proof = prove(programs)
    assert proof.outcome == ("completes" if completes(programs, order) else "deadlocks")
    members = nodes(programs, lambda each: path(each.items, order.randrange))
    run = Nodes(members)
    run.run(order)
    assert {(stuck.role, stuck.call) for stuck in proof.stuck} == set(run.stuck())


def every_outcome(programs: tuple[Program, ...], order: Random) -> set[bool]:
    """What the group comes to, node by node on every path."""
    each = [paths(program.items) for program in programs for _ in range(program.count)]
    roles = [program.role for program in programs for _ in range(program.count)]
    found: set[bool] = set()
    for gone in product(*each):
        found.add(Nodes(list(zip(roles, gone, strict=True))).run(order))
        if len(found) == 2:
            break
    return found


EXPECTED: dict[frozenset[bool], Outcome] = {
    frozenset({True}): "completes",
    frozenset({False}): "deadlocks",
    frozenset({True, False}): "unknown",
}


@settings(max_examples=settings().max_examples // 2)  # each goes all paths
@given(branching(asides=True), ORDERS)
def test_a_group_with_choices_ends_on_all_paths_as_the_proof_says(
    programs: tuple[Program, ...], order: Random
) -> None:
    if any(program.count for program in programs):
        proof = prove(programs)
        assert proof.outcome == EXPECTED[frozenset(every_outcome(programs, order))]
        assert bool(proof.doubts) == (proof.outcome == "unknown")


@given(branching(loops=True, asides=True), ORDERS)
def test_a_group_with_loops_never_ends_against_its_proof(
    programs: tuple[Program, ...], order: Random
) -> None:
    proof = prove(programs)
    for _ in range(3):
        assert proof.outcome in (
            "unknown",
            "completes" if completes(programs, order) else "deadlocks",
        )


def resolved(steps: Path, order: Random) -> Path:
    """The steps with any text in each gap, and any calls where nobody can read."""
    found: list[Call] = []
    for step in steps:
        if isinstance(step, Unseen):
            some = [order.choice(ANY_CALLS) for _ in range(order.randrange(5))]
            found += [call for call in items(some) if isinstance(call, Call)]
        elif isinstance(step, Call):
            names = SYNCS if step.call == "sync" else IDS
            name = step.id if step.id.text else Word.of(order.choice(names))
            role = step.role
            if role is not None and role.text is None:
                role = Word.of(order.choice("abc"))
            found.append(evolve(step, id=name, role=role))
    return tuple(found)


ANY_CALLS = [
    *(f"{verb} {name}" for verb in ("send", "wait") for name in IDS),
    *(f"sync {name}" for name in SYNCS),
    "release a",
    "release b",
    "release c",
]


@given(vague(), ORDERS)
def test_what_nobody_knows_never_ends_against_the_proof(
    programs: tuple[Program, ...], order: Random
) -> None:
    proof = prove(programs)
    assert bool(proof.doubts) == (proof.outcome == "unknown")
    for _ in range(5):
        members = nodes(programs, lambda each: resolved(path(each.items, order.randrange), order))
        ended = Nodes(members).run(order)
        assert proof.outcome in ("unknown", "completes" if ended else "deadlocks")
