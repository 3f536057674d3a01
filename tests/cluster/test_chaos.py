"""Whatever dies, stops or is cut off: groups end as they should, and nothing is left of them."""

import asyncio
from pathlib import Path

import pytest
from tests.cluster.chaos import FAULTS, Round, run, schedule


def _judged(seed: int, folder: Path, faults: tuple[str, ...], length_s: float) -> Round:
    found = asyncio.run(run(seed, folder, faults, length_s))
    assert found.complaints == []
    assert found.groups
    return found


@pytest.mark.timeout(300)
def test_groups_end_as_they_should_while_everything_dies_at_times(tmp_path: Path) -> None:
    found = _judged(1, tmp_path / "arena", FAULTS, 6.0)
    assert found.outcomes


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", [*FAULTS, "all"])
def test_groups_end_as_they_should_whatever_happens_for_long(tmp_path: Path, fault: str) -> None:
    faults = FAULTS if fault == "all" else (fault,)
    for seed in range(5):
        _judged(seed, tmp_path / str(seed), faults, 30.0)


def test_a_seed_says_what_befalls_whom() -> None:
    assert schedule(7, FAULTS, 60.0) == schedule(7, FAULTS, 60.0)
    assert schedule(7, FAULTS, 60.0) != schedule(8, FAULTS, 60.0)
    assert {each.kind for each in schedule(7, FAULTS, 200.0)} == set(FAULTS)
