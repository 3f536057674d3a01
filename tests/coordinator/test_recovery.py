"""What the log says has to fit together, or it isn't what was written."""

from pathlib import Path

import pytest
from tests.coordinator.asking import state
from tests.coordinator.keeping import client

from callboard.coordinator.calendar import Calendar
from callboard.coordinator.entries import Change, End, Entry, Image, encode
from callboard.coordinator.errors import StateError
from callboard.coordinator.exchange import Exchange
from callboard.coordinator.recovery import recall
from callboard.coordinator.requests import ClearGroup, GroupData, LavaSend
from callboard.coordinator.segments import Segments

DATE, NOW_S = 1_764_240_000, 5.0
BEGIN = Change(GroupData(client()), begins=DATE)
SEND = Change(LavaSend(client(), "x", {"k": 1}))
CLEAR = Change(ClearGroup(client()), ends=True)


def recalled(path: Path, *entries: Entry) -> Exchange:
    """What a coordinator makes of a log with these entries."""
    return recalled_from(path, b"".join(map(encode, entries)))


def recalled_from(path: Path, lines: bytes) -> Exchange:
    segments = Segments.open(path, "lava")
    segments.begin()
    segments.append(lines)
    segments.close()
    exchange = Exchange()
    segments = Segments.open(path, "lava")
    try:
        recall(segments, exchange, Calendar(lambda: NOW_S, lambda: DATE + 100), lambda _: None)
    finally:
        segments.close()
    return exchange


def image() -> Image:
    exchange = Exchange()
    exchange.serve(GroupData(client()), 0.0)
    exchange.serve(LavaSend(client(), "x", {"k": 2}), 0.0)
    return Image(exchange.memory("g"), DATE - 100)


def test_an_image_takes_the_place_of_what_was_said_before(tmp_path: Path) -> None:
    assert state(recalled(tmp_path, BEGIN, SEND, image())) == {"g": image().memory}


@pytest.mark.parametrize("with_image", [False, True])
def test_a_group_is_as_old_as_it_was_and_has_time_to_ask_again(
    tmp_path: Path, with_image: bool
) -> None:
    entries: list[Entry] = [BEGIN, SEND, image()] if with_image else [BEGIN, SEND]
    group = recalled(tmp_path, *entries).groups["g"]
    assert NOW_S - group.created_s == (200 if with_image else 100)
    assert group.seen_s == NOW_S


def test_no_group_is_from_the_future_when_the_machines_clock_was_set_back(tmp_path: Path) -> None:
    later = Change(GroupData(client()), begins=DATE + 10_000)
    assert recalled(tmp_path, later).groups["g"].created_s == NOW_S


@pytest.mark.parametrize("end", [CLEAR, End("g")], ids=["asked for", "not asked for"])
def test_a_group_whose_beginning_was_removed_is_passed_over_until_its_end(
    tmp_path: Path, end: Entry
) -> None:
    assert state(recalled(tmp_path, SEND, end)) == {}


def test_a_group_whose_beginning_was_removed_is_passed_over_until_its_image(
    tmp_path: Path,
) -> None:
    assert state(recalled(tmp_path, SEND, image())) == {"g": image().memory}


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([SEND], "byte 87: of the group 'g' the beginning is missing"),
        ([BEGIN, BEGIN], "byte 87: the group 'g' begins there, and had begun before"),
        (
            [BEGIN, Change(GroupData(client()), ends=True)],
            "byte 87: the group 'g' has not become what it was",
        ),
    ],
)
def test_what_does_not_fit_is_an_error(tmp_path: Path, entries: list[Entry], text: str) -> None:
    with pytest.raises(StateError) as caught:
        recalled(tmp_path, *entries)
    assert caught.value.text == f"{tmp_path}/00000001.log: {text}"


def test_a_line_that_says_nothing_known_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="it is no entry of the log") as caught:
        recalled_from(tmp_path, b'{"later": 1}\n')
    assert caught.value.cure == "use the callboard that has written it"
