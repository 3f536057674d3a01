"""Values on their way between callboard and a node."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.wire import LONGEST_LINE_BYTES, data_lines, escape, unescape

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
KEYS = TEXT.map(lambda text: text.replace("=", "_"))
DATA = st.dictionaries(st.integers(1, 10_000), st.dictionaries(KEYS, TEXT))


@given(TEXT)
def test_what_is_escaped_comes_back(text: str) -> None:
    assert unescape(escape(text)) == text


@given(TEXT)
def test_an_escaped_text_is_one_word_that_no_terminal_acts_on(text: str) -> None:
    assert not re.search(r"[\x00-\x20\x7f>]", escape(text))


@pytest.mark.parametrize("text", ["a\\", "\\0", "\\077", "\\0400", "\\0999", "\\x41"])
def test_what_is_no_escape_stays(text: str) -> None:
    assert unescape(text) == text


def collect(lines: list[str]) -> dict[int, dict[str, str]]:
    """What a helper makes of the lines."""
    data: list[str] = []
    for line in lines:
        kind, text = line[1:-1].split(" ", 1) if " " in line else (line[1:-1], "")
        if kind == "LAVA_DATUM":
            data.append(text)
        else:
            assert kind == "LAVA_MORE"
            data[-1] += text
    received: dict[int, dict[str, str]] = {}
    for datum in data:
        job, _, pair = datum.partition(":")
        key, _, value = pair.partition("=")
        received.setdefault(int(job), {})[unescape(key)] = unescape(value)
    return received


def _joined(text: str) -> str:
    """A text in one line."""
    return re.sub(r"[\r\n]+", " ", text)


@given(DATA)
def test_neither_keys_nor_values_bring_lines_of_their_own(
    data: dict[int, dict[str, str]],
) -> None:
    for line in data_lines(data):
        assert re.fullmatch(r"<LAVA_(DATUM|MORE) [^\x00-\x20\x7f>]*>", line)


@given(DATA)
def test_data_lines_carry_everything_but_line_breaks(data: dict[int, dict[str, str]]) -> None:
    sent = {
        job: {_joined(key): _joined(value) for key, value in values.items()}
        for job, values in data.items()
        if values
    }
    assert collect(list(data_lines(data))) == sent


@given(st.text(st.sampled_from("a ü世🛰\\>\t"), min_size=800, max_size=3_000))
def test_no_line_is_longer_than_a_terminal_takes(value: str) -> None:
    lines = list(data_lines({1: {"key": value}}))
    assert all(len(f"{line}\n".encode()) <= LONGEST_LINE_BYTES for line in lines)
    assert collect(lines) == {1: {"key": value}}


@given(st.text(st.sampled_from("a \\"), min_size=1_100, max_size=2_000))
def test_no_escape_is_cut_in_two(value: str) -> None:
    for line in data_lines({1: {"key": value}}):
        assert re.fullmatch(r"(?:[^\\]|\\0[0-7]{3})*", line)


def test_long_values_fill_their_lines() -> None:
    lines = list(data_lines({1200: {"key": "x" * 10_000}}))
    assert len(lines) == 10
    assert len(lines[0]) + 1 == LONGEST_LINE_BYTES
