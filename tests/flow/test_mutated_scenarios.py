"""Mistakes in good scenarios: the check finds all that get a group stuck, and no others."""

import pytest
from tests.flow.mutated import Mutant, finishes, good, mutants, verdict

MUTANTS = [mutant for path in good() for mutant in mutants(path)]


def test_there_are_mistakes_of_every_kind_that_get_a_group_stuck_and_that_do_not() -> None:
    judged = {(each.kind, finishes(each.text)) for each in MUTANTS}
    assert {kind for kind, finished in judged if not finished} == {
        "dropped",
        "renamed",
        "swapped",
        "other role",
        "other count",
    }
    assert {kind for kind, finished in judged if finished} >= {
        "dropped",
        "other role",
        "other count",
    }


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda each: f"{each.scenario}-{each.kind}")
def test_the_check_says_what_the_nodes_do(mutant: Mutant) -> None:
    said = verdict(mutant.text)
    if said != "invalid":
        assert said == ("completes" if finishes(mutant.text) else "deadlocks"), mutant.what
