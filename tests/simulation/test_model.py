"""What a model says of the parts of a group."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.simulation import Model, read_model_text
from callboard.simulation.distribution import Fixed
from callboard.simulation.model import Behaviour, Ways

RULES = """\
actions:
- {action: "*", takes: 1, fails: 0.1}
- {action: boot*, takes: 2}
- {action: boot*, role: client, fails: 0}
steps:
- {step: "*", takes: 1}
- {step: "ping *", test: 0_a, role: client, takes: 3}
conditions:
- {condition: x, ways: [1, 3]}
- {condition: "*", test: 1_b, way: 2}
loops:
- {loop: "*", turns: 2}
- {loop: x, role: client, turns: 3}
"""


def rules() -> Model:
    model, diagnostics = read_model_text(RULES)
    assert model is not None, diagnostics
    return model


@pytest.mark.parametrize(
    ("role", "name", "known"),
    [
        ("server", "deploy", Behaviour(Fixed(1), 0.1)),
        ("server", "boot-x", Behaviour(Fixed(2), 0.1)),
        ("client", "boot-x", Behaviour(Fixed(2), 0)),
    ],
)
def test_later_rules_win_for_time_and_failure_each_on_its_own(
    role: str, name: str, known: Behaviour
) -> None:
    model = rules()
    assert [model.action(role, name) for _ in range(2)] == [known, known]


def test_a_rule_holds_for_its_role_and_test_only() -> None:
    model = rules()
    for _ in range(2):
        assert model.step("client", "0_a", "ping x").takes == Fixed(3)
        assert model.step("client", "1_b", "ping x").takes == Fixed(1)
        assert model.step("server", "0_a", "ping x").takes == Fixed(1)
        assert model.ways("client", "0_a", "x") == Ways((1, 3))
        assert model.ways("client", "1_b", "x") == Ways((0, 1))
        assert model.ways("client", "0_a", "y") is None
        assert model.turns("client", "0_a", "x") == Fixed(3)
        assert model.turns("server", "0_a", "x") == Fixed(2)


def test_a_model_without_rules_knows_nothing() -> None:
    model = Model()
    assert model.action("a", "b") == model.step("a", "b", "c") == Behaviour(None, None)
    assert model.ways("a", "b", "c") is None
    assert model.turns("a", "b", "c") is None
    assert model.latency == Fixed(0)


def test_what_was_asked_does_not_make_models_different() -> None:
    asked, other = rules(), rules()
    asked.action("client", "boot")
    assert asked == other
    assert hash(asked) == hash(other)


def test_a_way_is_as_likely_as_its_weight() -> None:
    random = Random(1)
    drawn = Counter(Ways((0, 1, 3)).draw(random, 4) for _ in range(10_000))
    assert set(drawn) == {1, 2}
    assert drawn[2] / drawn[1] == pytest.approx(3, rel=0.1)


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=5).filter(any),
    st.integers(1, 6),
    st.integers(0, 2**63),
)
def test_a_way_without_weight_is_never_taken(weights: list[float], count: int, seed: int) -> None:
    way = Ways(tuple(weights)).draw(Random(seed), count)
    assert 0 <= way < count
    possible = weights[:count]
    assert not any(possible) or possible[way] > 0
