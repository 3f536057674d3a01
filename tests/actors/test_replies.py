"""The lines that answer a call."""

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.messages import Call, Granted, Refused
from callboard.actors.replies import reply_lines
from callboard.actors.wire import LONGEST_LINE_BYTES

TEXT = st.text(st.characters(codec="utf-8"), max_size=2_000)
ANSWERS = st.builds(Refused, TEXT) | st.builds(
    Granted, st.dictionaries(st.integers(1, 9), st.dictionaries(st.just("key"), TEXT), max_size=3)
)


@given(TEXT, st.none() | TEXT, ANSWERS)
def test_no_line_to_a_node_is_longer_than_a_terminal_takes(
    name: str, role: str | None, answer: Granted | Refused
) -> None:
    lines = list(reply_lines(Call("wait-all", name, 1.0, role=role), answer))
    assert all(len(f"{line}\n".encode()) <= LONGEST_LINE_BYTES for line in lines)


def test_an_answer_without_data_is_one_line_that_says_whose_it_is() -> None:
    assert list(reply_lines(Call("sync", "a b", 1.0), Granted())) == [
        "<LAVA_ANSWER SYNC a\\0040b><LAVA_SYNC_COMPLETE>"
    ]


def test_an_answer_with_data_begins_with_whose_it_is() -> None:
    call = Call("wait-all", "x", 1.0, role="server")
    assert list(reply_lines(call, Granted({7: {"k": "v"}}))) == [
        "<LAVA_ANSWER WAIT_ALL x server>",
        "<LAVA_DATUM 7:k=v>",
        "<LAVA_WAIT_ALL_COMPLETE>",
    ]
