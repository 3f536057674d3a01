"""The suite notices when a rule of the coordinator is broken."""

import pytest
from tests.mutants import MUTANTS
from tests.mutation import ROOT, Mutant, first_failure

EACH = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)


@EACH
def test_a_mutant_breaks_what_stands_in_its_file_exactly_once(mutant: Mutant) -> None:
    compile(mutant.broken(ROOT), mutant.file, "exec")


def test_the_rules_of_the_mutants_differ() -> None:
    assert len({mutant.rule for mutant in MUTANTS}) == len(MUTANTS)


def test_a_mutant_whose_text_has_changed_is_refused() -> None:
    with pytest.raises(ValueError, match="'a rule': its old text is 0 times in "):
        Mutant("a rule", "pyproject.toml", "no such text", "", ()).broken(ROOT)


@pytest.mark.long
def test_a_copy_without_a_mutant_passes() -> None:
    assert first_failure(None, tuple({each for mutant in MUTANTS for each in mutant.tests})) is None


@pytest.mark.long
@EACH
def test_a_test_fails_when_a_rule_is_broken(mutant: Mutant) -> None:
    assert first_failure(mutant, mutant.tests), f"nothing notices that it is broken: {mutant.rule}"
