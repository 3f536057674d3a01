"""Many rehearsals: distinct outcomes, whoever makes them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulation.races import LATE, LATE_MODEL

from callboard.definition import load
from callboard.simulation import read_model_text
from callboard.simulation.crew import Crew, RehearsalBroke
from callboard.simulation.search import Outcome, Outcomes, first, search, worst
from callboard.simulation.signature import RoleEnd, Signature
from callboard.simulation.trial import Finding, Stage, Trial


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    file = tmp_path_factory.mktemp("late") / "group.yaml"
    file.write_text(LATE)
    model, _ = read_model_text(LATE_MODEL)
    assert model is not None
    return Stage(load(file), model)


def test_a_crew_finds_what_one_process_finds(late: Stage) -> None:
    alone = Outcomes()
    for seed in range(1, 31):
        alone.add(late.perform(Trial(seed)))
    with Crew(late, 3) as crew:
        assert search(crew, range(1, 31)) == alone.listed()


def test_the_first_of_several_is_found_whatever_the_size_of_the_crew(late: Stage) -> None:
    for size in (1, 3):
        with Crew(late, size) as crew:
            trials = (Trial(seed) for seed in range(1, 10_000))
            found = first(crew, trials, lambda finding: finding.signature.fails)
            assert found is not None
            assert found[0].seed == found[1].seed == 11


def test_a_crew_can_be_used_again_when_a_search_was_left(late: Stage) -> None:
    with Crew(late, 2) as crew:
        assert first(crew, map(Trial, range(1_000)), lambda _finding: True) is not None
        assert sum(each.count for each in search(crew, range(10))) == 10


def test_each_of_no_trials_is_nothing(late: Stage) -> None:
    with Crew(late, 2) as crew:
        assert search(crew, range(0)) == []


def test_what_keeps_a_trial_from_being_chosen_ends_the_search(late: Stage) -> None:
    def trials() -> Iterator[Trial]:
        yield Trial(1)
        raise LookupError("there is no other")

    with Crew(late, 2) as crew, pytest.raises(LookupError, match="there is no other"):
        list(crew.each(trials()))


def test_a_log_that_can_not_be_written_breaks_the_rehearsal_of_its_seed(late: Stage) -> None:
    missing = Path(late.definition.file) / "log"
    with Crew(late, 1) as crew, pytest.raises(RehearsalBroke, match="seed 3 broke") as error:
        list(crew.each([Trial(3, log=missing)]))
    assert error.value.seed == 3


def signatures() -> st.SearchStrategy[Signature]:
    return st.builds(
        Signature,
        st.sampled_from(["complete", "incomplete"]),
        st.sampled_from([0, 1, 3, 4]),
        st.just((RoleEnd("client", "complete", "all"),)),
        st.just(()),
    )


def findings() -> st.SearchStrategy[list[Finding]]:
    made = st.builds(
        lambda seed, signature, events: Finding(seed, signature, events, 1.0, 1.0, None),
        st.integers(0, 99),
        signatures(),
        st.integers(1, 4),
    )
    return st.lists(made, max_size=20, unique_by=lambda finding: finding.seed)


@given(findings(), st.randoms())
def test_outcomes_do_not_depend_on_the_order_of_findings(
    found: list[Finding], random: Random
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    assert _listed(found) == _listed(shuffled)


@given(findings())
def test_an_outcome_has_its_lowest_seed_and_its_shortest_rehearsal(found: list[Finding]) -> None:
    outcomes = _listed(found)
    assert sum(each.count for each in outcomes) == len(found)
    for each in outcomes:
        own = [finding for finding in found if finding.signature == each.signature]
        assert each.first_seed == min(finding.seed for finding in own)
        assert each.shortest.events == min(finding.events for finding in own)
    codes = [each.signature.exit_code for each in outcomes]
    assert worst(codes) == (codes[0] if codes else 0)


def _listed(found: Sequence[Finding]) -> Sequence[Outcome]:
    outcomes = Outcomes()
    for finding in found:
        outcomes.add(finding)
    return outcomes.listed()


def test_the_worst_exit_code_is_that_of_what_can_not_even_begin() -> None:
    assert [worst(codes) for codes in ([], [0], [0, 1], [1, 3], [3, 4], [4, 2])] == [
        0,
        0,
        1,
        3,
        4,
        2,
    ]
