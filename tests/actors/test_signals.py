"""Signals are recognised whatever surrounds them, and lines whatever pieces they come in."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from callboard.actors.signals import (
    LONGEST_LINE,
    ApiCall,
    CaseEnded,
    CaseReference,
    CaseResult,
    CaseStarted,
    CommandEnded,
    FeedbackAsked,
    InstallError,
    InstallFailed,
    LineReader,
    Malformed,
    Noted,
    Raised,
    RunEnded,
    RunnerExited,
    RunStarted,
    SetStarted,
    SetStopped,
    Signal,
    signals,
)

KNOWN: list[tuple[str, Signal]] = [
    ("<LAVA_SIGNAL_STARTRUN 0_smoke 12_1.1.3.1>", RunStarted("0_smoke", "12_1.1.3.1")),
    ("<LAVA_SIGNAL_ENDRUN 0_smoke 12_1.1.3.1>", RunEnded("0_smoke", "12_1.1.3.1")),
    ("<LAVA_SIGNAL_STARTTC boot>", CaseStarted("boot")),
    ("<LAVA_SIGNAL_ENDTC boot>", CaseEnded("boot")),
    ("<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass>", CaseResult("a", "pass")),
    (
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=fail UNITS=MB/s MEASUREMENT=1.5e3>",
        CaseResult("a", "fail", 1500.0, "MB/s"),
    ),
    (
        "<LAVA_SIGNAL_TESTREFERENCE a skip http://x.example/log>",
        CaseReference("a", "skip", "http://x.example/log"),
    ),
    ("<LAVA_SIGNAL_TESTSET START io>", SetStarted("io")),
    ("<LAVA_SIGNAL_TESTSET STOP>", SetStopped()),
    ("<LAVA_SIGNAL_TESTRAISE no disk found>", Raised("no disk found")),
    ("<LAVA_SIGNAL_TESTFEEDBACK device>", FeedbackAsked("device")),
    ("<LAVA_SIGNAL_TESTEVENT half way>", Noted("half way")),
    ("<LAVA_MULTI_NODE> <LAVA_SEND ready>", ApiCall("send", "ready", data={})),
    (
        "<LAVA_MULTI_NODE> <LAVA_SEND ready port=80 text=a b=c>",
        ApiCall("send", "ready", data={"port": "80", "text": "a", "b": "c"}),
    ),
    (
        r"<LAVA_MULTI_NODE> <LAVA_SEND ready text=a\0040b=c empty= x==>",
        ApiCall("send", "ready", data={"text": "a b=c", "empty": "", "x": "="}),
    ),
    ("<LAVA_MULTI_NODE> <LAVA_WAIT ready>", ApiCall("wait", "ready")),
    ("<LAVA_MULTI_NODE> <LAVA_WAIT_ALL ready>", ApiCall("wait-all", "ready")),
    ("<LAVA_MULTI_NODE> <LAVA_WAIT_ALL ready server>", ApiCall("wait-all", "ready", "server")),
    ("<LAVA_MULTI_NODE> <LAVA_SYNC done>", ApiCall("sync", "done")),
    ("<LAVA_TEST_RUNNER EXIT>", RunnerExited()),
    ("<LAVA_TEST_RUNNER INSTALL_FAIL>", InstallFailed()),
    ("<LAVA_INSTALL_ERROR 0_x install.sh ended>", InstallError("0_x", "install.sh ended")),
    ("<LAVA_SHELL_STATUS 3 127>", CommandEnded(3, 127)),
]

ODD = [
    ("<LAVA_MULTI_NODE> <LAVA_WAIT a b>", True),
    ("<LAVA_MULTI_NODE> <LAVA_WAIT_ALL a b c>", True),
    ("<LAVA_MULTI_NODE> <LAVA_DANCE a>", False),
    ("<LAVA_SIGNAL_TESTREFERENCE a pass>", True),
    ("<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=great>", False),
    ("<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass MEASUREMENT=much>", False),
    ("<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass MEASUREMENT=nan>", False),
    ("<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass MEASUREMENT=-inf>", False),
    ("<LAVA_SIGNAL_TESTCASE a pass>", False),
    ("<LAVA_SIGNAL_TESTCASE RESULT=pass>", False),
    ("<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass fast>", False),
    ("<LAVA_SIGNAL_TESTSET>", False),
    ("<LAVA_SIGNAL_NOVELTY x>", False),
]

NOISE = st.text(st.characters(blacklist_characters="<>\n\r\x1b", blacklist_categories=["Cs"]))
COLOUR = st.sampled_from(["", "\x1b[31m", "\x1b[0;1m", "\x1b]0;title\x07", "\r", "10%\r20%\r"])


@pytest.mark.parametrize(("text", "signal"), KNOWN)
def test_each_signal_gets_its_type(text: str, signal: Signal) -> None:
    assert list(signals(text)) == [signal]


@pytest.mark.parametrize(("text", "fatal"), ODD)
def test_a_signal_out_of_form_is_malformed_and_fatal_only_where_lava_ends_the_test(
    text: str, fatal: bool
) -> None:
    [found] = signals(text)
    assert isinstance(found, Malformed)
    assert found.fatal is fatal


@given(st.sampled_from(KNOWN), NOISE, COLOUR, COLOUR, NOISE)
def test_noise_around_a_signal_changes_nothing(
    known: tuple[str, Signal], before: str, colour: str, reset: str, after: str
) -> None:
    text, signal = known
    assert list(signals(f"{before}{colour}{text}{reset}{after}")) == [signal]


@pytest.mark.parametrize("prefix", ["[   12.345678] ", "<0>", "[    0.000001][  T123] <0>"])
@pytest.mark.parametrize(("text", "signal"), KNOWN)
def test_a_signal_that_came_through_the_kernel_log_is_the_same(
    prefix: str, text: str, signal: Signal
) -> None:
    assert list(signals(prefix + text)) == [signal]


def test_several_signals_of_one_line_come_in_order() -> None:
    assert list(signals("<LAVA_SIGNAL_ENDTC a> <LAVA_SIGNAL_STARTTC b>")) == [
        CaseEnded("a"),
        CaseStarted("b"),
    ]


@given(st.lists(NOISE.map(str.strip), max_size=8), st.data())
def test_lines_are_the_same_however_the_bytes_are_cut(
    lines: list[str], data: st.DataObject
) -> None:
    output = "".join(f"{line}\r\n" for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=6)))
    reader = LineReader()
    found: list[str] = []
    for begin, end in zip([0, *cuts], [*cuts, len(output)], strict=True):
        if begin < end:
            found += reader.feed(output[begin:end])
    assert found + reader.feed(b"") == lines


@given(st.sampled_from(KNOWN), st.integers(0, LONGEST_LINE))
def test_a_signal_at_the_end_of_a_very_long_line_is_found(
    known: tuple[str, Signal], extra: int
) -> None:
    text, signal = known
    output = ("x" * (LONGEST_LINE + extra) + text + "\n").encode()
    reader = LineReader()
    found = [
        each
        for begin in range(0, len(output), 4096)
        for line in reader.feed(output[begin : begin + 4096])
        for each in signals(line)
    ]
    assert found == [signal]


def test_a_signal_without_a_line_feed_is_not_held_back() -> None:
    reader = LineReader()
    assert reader.feed(b"prompt # ") == []
    assert reader.feed(b"<LAVA_MULTI_NODE> <LAVA_SYNC a>") == [
        "prompt # <LAVA_MULTI_NODE> <LAVA_SYNC a>"
    ]


def test_binary_output_becomes_text() -> None:
    assert LineReader().feed(b"\xff\x00\xfe\n") == ["\ufffd\x00\ufffd"]


def test_a_line_that_never_ends_is_given_out_in_pieces() -> None:
    reader = LineReader()
    pieces = [b"y" * 16_384] * 64
    lines = [line for piece in [*pieces, b""] for line in reader.feed(piece)]
    assert max(map(len, lines)) <= LONGEST_LINE
    assert sum(map(len, lines)) == sum(map(len, pieces))
