"""The exploration of the implemented semantics, against every order of every poll."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from random import Random
from unittest.mock import patch

import hypothesis.strategies as st
from hypothesis import given, settings
from tests.flow.groups import branching, crossed, straight
from tests.flow.orders import Nodes, Path, nodes, path, paths
from tests.flow.polls import Polls

from callboard.actors.semantics import LAVA
from callboard.flow.program import Call, Program
from callboard.flow.proof import Outcome, prove
from callboard.flow.proof.lava import _Exploration

ORDERS = st.randoms(use_true_random=False)
MOST_STATES = 2_000

EXPECTED: dict[frozenset[bool], Outcome] = {
    frozenset({True}): "completes",
    frozenset({False}): "deadlocks",
    frozenset({True, False}): "unknown",
}


def teams(programs: tuple[Program, ...]) -> Iterator[list[tuple[str, Path]]]:
    """Every node on every path."""
    each = [paths(program.items) for program in programs for _ in range(program.count)]
    roles = [program.role for program in programs for _ in range(program.count)]
    for gone in product(*each):
        yield list(zip(roles, gone, strict=True))


def compare(programs: tuple[Program, ...]) -> None:
    if not any(program.count for program in programs):
        return
    found: set[bool] = set()
    for members in teams(programs):
        outcomes = Polls(members).outcomes(MOST_STATES)
        if outcomes is None:
            return
        found |= outcomes
    proof = prove(programs, "lava")
    assert proof.outcome == EXPECTED[frozenset(found)]
    assert bool(proof.doubts) == (proof.outcome == "unknown")
    assert bool(proof.witness) == (False in found)


@settings(max_examples=settings().max_examples // 2)  # each explores all orders
@given(straight(most=3))
def test_a_group_without_choices_ends_as_all_orders_of_polls_do(
    programs: tuple[Program, ...],
) -> None:
    compare(programs)


@settings(max_examples=settings().max_examples // 4)  # each explores all orders of all paths
@given(branching(asides=True))
def test_a_group_with_choices_ends_as_all_orders_of_polls_do(
    programs: tuple[Program, ...],
) -> None:
    compare(programs)


@settings(max_examples=settings().max_examples // 4)
@given(straight(most=3))
def test_the_search_finds_the_same_without_the_orders_that_it_tries_first(
    programs: tuple[Program, ...],
) -> None:
    with patch.object(_Exploration, "_hurry", lambda *_: None):
        compare(programs)


@given(crossed())
def test_a_run_is_in_the_order_of_its_times(programs: tuple[Program, ...]) -> None:
    passages = prove(programs, "lava").run.passages
    sends: defaultdict[str, list[int]] = defaultdict(list)
    for each in passages:
        if isinstance(each.call, Call) and each.call.call == "send" and each.ended is not None:
            sends[str(each.call.id)].append(each.ended)
    for each in passages:
        assert isinstance(each.call, Call)
        assert each.ended is None or each.began <= each.ended
        for number in each.released_by:
            assert each.ended is not None
            assert passages[number].began <= each.ended
        refused = each.call.call == "wait-all" and each.call.role is None and not each.released_by
        if refused and each.ended is not None:
            assert all(each.ended < sent for sent in sends[str(each.call.id)])


@given(straight(), ORDERS)
def test_the_coordinator_never_ends_against_the_proof_where_no_sync_is_used_again(
    programs: tuple[Program, ...], order: Random
) -> None:
    for program in programs:
        syncs = [str(call.id) for call in program.calls() if call.call == "sync"]
        if len(syncs) != len(set(syncs)):
            return
    proof = prove(programs, "lava")
    members = nodes(programs, lambda each: path(each.items, order.randrange))
    ended = Nodes(members, LAVA).run(order)
    assert proof.outcome in ("unknown", "completes" if ended else "deadlocks")
