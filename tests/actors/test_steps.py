"""Which step of a definition has made a call."""

from callboard.actors.steps import Steps
from callboard.definition.model import Place, Step
from callboard.events import CallName


def steps(*texts: str) -> Steps:
    return Steps([Step(text, Place("t.yaml", line, 5)) for line, text in enumerate(texts, 1)])


def test_the_step_that_names_the_call_is_found() -> None:
    found = steps("echo", "lava-wait one", "lava-wait-all two server", "lava-sync 'three'")
    places = [found.find(call, name) for call, name in CALLS]
    assert [place and (place.line, place.step) for place in places] == [
        (2, "lava-wait one"),
        (3, "lava-wait-all two server"),
        (4, "lava-sync 'three'"),
    ]


CALLS: tuple[tuple[CallName, str], ...] = (("wait", "one"), ("wait-all", "two"), ("sync", "three"))


def test_of_steps_that_are_alike_the_next_one_is_taken_and_a_loop_begins_anew() -> None:
    found = steps("lava-sync a", "lava-sync b", "lava-sync a")
    lines = []
    for name in ("a", "b", "a", "b"):
        where = found.find("sync", name)
        lines.append(where.line if where else None)
    assert lines == [1, 2, 3, 2]


def test_waits_for_several_roles_are_told_apart() -> None:
    found = steps("lava-send r", "lava-wait-all r a", "lava-wait-all r 'b'", "lava-wait-all r")
    for role, line in (("b", 3), ("a", 2), (None, 4), ("c", 2)):
        where = found.find("wait-all", "r", role)
        assert where is not None
        assert where.line == line
        found.reached = -1 if role != "a" else 2


def test_an_id_that_is_computed_is_found_by_its_helper() -> None:
    where = steps("lava-wait other", 'lava-wait "$ID"').find("wait", "ready")
    assert where is not None
    assert where.line == 2


def test_a_longer_id_is_another_one() -> None:
    assert steps("lava-wait ready-2").find("wait", "ready") is None
    assert steps("lava-wait-all ready").find("wait", "ready") is None
