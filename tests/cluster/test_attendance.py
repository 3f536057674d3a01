"""Who counts as lost: only after time in which somebody looked."""

from hypothesis import given
from hypothesis import strategies as st

from callboard.cluster.attendance import Attendance

LEASE_S = 10.0
GAP_S = 6.0
WORKERS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"))


def test_who_is_missing_for_a_lease_is_lost() -> None:
    seen = Attendance(LEASE_S, GAP_S)
    seen.look(0.0, {"a": "1"})
    seen.look(5.0, {})
    assert not seen.lost("a", "1")
    seen.look(10.0, {})
    assert not seen.lost("a", "1")
    seen.look(15.0, {})
    assert seen.lost("a", "1")


def test_who_comes_back_in_time_has_never_been_away() -> None:
    seen = Attendance(LEASE_S, GAP_S)
    for now_s, present in ((0.0, {"a": "1"}), (5.0, {}), (10.0, {"a": "1"}), (15.0, {})):
        seen.look(now_s, present)
    seen.look(20.0, {})
    assert not seen.lost("a", "1")


def test_a_new_process_of_the_same_name_does_not_stand_for_the_old_one() -> None:
    seen = Attendance(LEASE_S, GAP_S)
    seen.look(0.0, {"a": "1"})
    for now_s in (5.0, 10.0, 15.0):
        seen.look(now_s, {"a": "2"})
    assert seen.lost("a", "1")
    assert not seen.lost("a", "2")


def test_time_in_which_nobody_looked_does_not_count() -> None:
    seen = Attendance(LEASE_S, GAP_S)
    seen.look(0.0, {"a": "1"})
    seen.look(1.0, {})
    seen.look(3600.0, {})  # the servers were away, or this process stood still
    assert not seen.lost("a", "1")
    seen.look(3605.0, {})
    assert not seen.lost("a", "1")
    seen.look(3610.0, {})
    assert seen.lost("a", "1")


def test_who_is_back_is_not_lost_from_that_moment_on() -> None:
    seen = Attendance(LEASE_S, GAP_S)
    for now_s, present in ((0.0, {"a": "1"}), (5.0, {}), (10.0, {}), (15.0, {}), (20.0, {})):
        seen.look(now_s, present)
    assert seen.lost("a", "1")
    seen.see("a", "1")
    assert not seen.lost("a", "1")
    seen.look(25.0, {})
    assert not seen.lost("a", "1"), "it has been missing for less than a lease"
    for now_s in (30.0, 35.0):
        seen.look(now_s, {})
    assert seen.lost("a", "1")


def test_who_takes_the_place_of_another_is_seen_to_have_done_so() -> None:
    seen = Attendance(LEASE_S, GAP_S)
    seen.look(0.0, {"a": "1"})
    seen.look(5.0, {"a": "1"})
    seen.see("a", "2")
    for now_s in (10.0, 15.0):
        seen.look(now_s, {"a": "2"})
    assert seen.lost("a", "1")
    assert not seen.lost("a", "2")


def test_who_was_never_seen_is_missing_from_the_first_question() -> None:
    seen = Attendance(LEASE_S, GAP_S)
    for now_s in (0.0, 5.0, 10.0):
        seen.look(now_s, {})
    assert not seen.lost("a", "1")
    for now_s in (15.0, 20.0):
        seen.look(now_s, {})
    assert seen.lost("a", "1")


@given(st.lists(st.tuples(st.floats(0.1, 20.0), WORKERS), max_size=30), st.data())
def test_lost_is_who_was_absent_from_looks_without_a_gap_for_a_lease(
    looks: list[tuple[float, dict[str, str]]], data: st.DataObject
) -> None:
    seen = Attendance(LEASE_S, GAP_S)
    name, incarnation = data.draw(st.sampled_from("abc")), data.draw(st.sampled_from("12"))
    now_s = 0.0
    seen.look(now_s, {name: incarnation})
    missing_s: float | None = None
    for pause_s, present in looks:
        now_s += pause_s
        seen.look(now_s, present)
        if present.get(name) == incarnation:
            missing_s = None
        elif missing_s is None:
            missing_s = 0.0
        elif pause_s <= GAP_S:
            missing_s += pause_s
        # Sums of floats in another order differ in their last places.
        if missing_s is None or abs(missing_s - LEASE_S) > 1e-6:
            assert seen.lost(name, incarnation) == (missing_s is not None and missing_s >= LEASE_S)
