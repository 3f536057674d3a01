"""What holds for all diagnostics of a flow: they are certain, told once, and never lie."""

import re
from collections.abc import Sequence

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.flow.builder import FILE, group, proved

from callboard.definition.source import Source
from callboard.flow.diagnosis import diagnose
from callboard.flow.extraction import Extraction

ROLES = ("server", "client", "third")
IDS = ("ready", "address", "finished", "kernel", "uplink", "mounted")

Line = tuple[str, str, str]
"""A role, a call, and its ID."""


def _text(lines: Sequence[Line]) -> str:
    return "\n".join(f"{role}: {call} {call_id}" for role, call, call_id in lines)


@st.composite
def good_groups(draw: st.DrawFn) -> list[Line]:
    """Groups that complete: each role's calls are its part of one order in which all return."""
    roles = ROLES[: draw(st.integers(2, 3))]
    lines: list[Line] = []
    for call_id in draw(st.permutations(IDS))[: draw(st.integers(1, 5))]:
        match draw(st.sampled_from(["wait", "wait-all", "wait-all-role", "sync"])):
            case "wait":
                sender, *waiters = draw(st.permutations(roles))
                lines += [(sender, "send", call_id), *((each, "wait", call_id) for each in waiters)]
            case "wait-all":
                lines += [(each, "send", call_id) for each in roles]
                lines += [(each, "wait-all", call_id) for each in roles]
            case "wait-all-role":
                sender, waiter, *_ = draw(st.permutations(roles))
                lines += [(sender, "send", call_id), (waiter, f"wait-all-{sender}", call_id)]
            case _:
                lines += [(each, "sync", call_id) for each in roles]
    return [
        (role, "wait-all", f"{call_id} {call[9:]}") if call.startswith("wait-all-") else line
        for line in lines
        for role, call, call_id in [line]
    ]


any_groups = st.lists(
    st.tuples(
        st.sampled_from(ROLES),
        st.sampled_from(["send", "send", "wait", "wait-all", "sync"]),
        st.sampled_from(["x", "y", "z"]),
    ),
    min_size=1,
    max_size=12,
)


@given(good_groups())
def test_nothing_is_said_of_a_group_with_nothing_wrong(lines: list[Line]) -> None:
    assert group(_text(lines)).said() == ""


@given(good_groups(), st.data())
def test_a_misspelt_id_is_one_error_that_names_both_spellings(
    lines: list[Line], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(lines) - 1))
    role, call, call_id = lines[number]
    meant = call_id.split()[0]
    lines[number] = (role, call, call_id.replace(meant, f"{meant}s"))
    [found] = group(_text(lines)).found()
    assert found.severity == "error"
    words = re.findall(r"\w+", f"{found.message} {found.hint}")
    assert {meant, f"{meant}s"} <= set(words)


@given(good_groups(), st.data())
def test_a_call_that_is_left_out_is_told_if_it_is_missed(
    lines: list[Line], data: st.DataObject
) -> None:
    del lines[data.draw(st.integers(0, len(lines) - 1))]
    assume(lines)
    case = group(_text(lines))
    errors = [each for each in case.found() if each.severity == "error"]
    assert len(errors) == (1 if proved(case.programs).stuck else 0)


@given(any_groups)
def test_an_error_stands_at_a_call_that_never_returns_and_only_if_there_is_one(
    lines: list[Line],
) -> None:
    case = group(_text(lines))
    stuck = proved(case.programs).stuck
    errors = [each for each in case.found() if each.severity == "error"]
    assert bool(errors) == bool(stuck)
    places = {(each.call.where.line, each.call.where.column) for each in stuck}
    assert {(each.place.line, each.place.column) for each in errors if each.place} <= places


@given(any_groups)
def test_diagnostics_are_sorted_and_none_is_told_twice(lines: list[Line]) -> None:
    found = [(each.place, each.code) for each in group(_text(lines)).found() if each.place]
    assert found == sorted(set(found))


def test_roles_that_share_a_block_are_listed_together() -> None:
    [found] = group("a, b: wait x\nc: sync y\na, b: sync y").found()
    assert "of roles `a` and `b` waits" in found.message
    assert found.role is None


def test_a_place_in_no_known_file_is_told_without_its_line_and_without_secrets() -> None:
    case = group("a: wait x-hunter22\na: sync y\nb: sync y")
    definition = evolve(case.definition, secrets={"password": "hunter22"})
    extraction = Extraction(case.programs, {})
    [found] = diagnose(definition, extraction, proved(case.programs))
    assert found.source is None
    assert str(found.place) == f"{FILE}:1:4"
    assert "hunter22" not in str(found)
    assert found.hint == "add `lava-send x-[MASKED]` to the role that should send it"


def test_a_place_behind_the_end_of_its_file_is_told_without_its_line() -> None:
    case = group("a: sync y\nb: sync y\na: wait x")
    extraction = Extraction(case.programs, {FILE: Source(FILE, "a: sync y")})
    [found] = diagnose(case.definition, extraction, proved(case.programs))
    assert (str(found.place), found.source) == (f"{FILE}:3:4", None)


def test_ids_of_any_length_keep_messages_short() -> None:
    [found] = group(f"a: wait {'x' * 5_000}\nb: sync y\na: sync y").found()
    assert len(found.message) < 300
    assert len(found.hint or "") < 300


def test_many_roles_keep_messages_short() -> None:
    names = [f"role-{number}" for number in range(500)]
    text = f"waiting: wait-all x\n{', '.join(names)}: sync y\nwaiting: send x\nwaiting: sync y"
    for each in group(text).found():
        assert len(each.message) < 700
        assert len(each.hint or "") < 700
