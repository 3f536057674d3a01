"""Names with wildcards."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.simulation.pattern import ANY, Pattern

TEXTS = st.text(alphabet="ab[]*?\\\n .", max_size=12)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("boot", "boot", True),
        ("boot", "boot-x", False),
        ("boot*", "boot", True),
        ("*-action", "auto-login-action", True),
        ("*-action", "auto-login-actions", False),
        ("iperf3 ? *", "iperf3 s -p 1", True),
        ("iperf3 ? *", "iperf3 -s -p 1", False),
        ("[ -f * ]", "[ -f /etc/flag ]", True),
        ("[ab]", "a", False),
        ("a*", "a\nb", True),
        ("a*b*a", "aba", True),
        ("a*b*a", "aa", False),
        ("a*a", "a", False),
        ("", "", True),
    ],
)
def test_a_pattern_matches_the_whole_of_a_text(pattern: str, text: str, matches: bool) -> None:
    assert Pattern(pattern).matches(text) is matches


@given(TEXTS)
def test_every_text_matches_itself_and_any(text: str) -> None:
    assert Pattern(text).matches(text)
    assert ANY.matches(text)


@given(TEXTS, TEXTS)
def test_only_stars_and_question_marks_are_wild(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) == (
        pattern == text or fnmatchcase(text, pattern.replace("[", "[[]"))
    )


@pytest.mark.timeout(10)
def test_many_stars_take_no_more_time_than_the_text_is_long() -> None:
    assert not Pattern("*a" * 40 + "*b").matches("a" * 10_000)
