"""How messages are put together from bytes, whatever pieces they come in and whatever they are."""

import json
from itertools import pairwise
from time import process_time

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from callboard.coordinator.framing import FrameError, FrameReader, frame

LIMIT = 200

TEXTS = st.text(max_size=40)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces = [data[begin:end] for begin, end in pairwise(places)]
    return pieces or [data]


def read(pieces: list[bytes]) -> str | None:
    """What comes of the pieces of a message; the error's text if it is none."""
    reader = FrameReader(LIMIT)
    for number, piece in enumerate(pieces):
        try:
            text = reader.feed(piece)
        except FrameError:
            return "error"
        if text is not None and number == len(pieces) - 1:
            return f"text {text}"
    return None


CUTS = st.lists(st.integers(0, 400), max_size=10)


@given(document=st.dictionaries(TEXTS, TEXTS, max_size=3), cuts=CUTS)
def test_a_document_arrives_in_any_pieces(document: dict[str, str], cuts: list[int]) -> None:
    reader = FrameReader(1 << 20)
    *before, last = split(frame(document), cuts)
    assert [reader.feed(piece) for piece in before] == [None] * len(before)
    text = reader.feed(last)
    assert text is not None
    assert json.loads(text) == document


@given(text=TEXTS, cuts=CUTS)
@example(text="\r\n\r \n", cuts=[9])
@example(text="", cuts=[])
@example(text="é€😀", cuts=list(range(30)))
def test_characters_are_counted_not_bytes(text: str, cuts: list[int]) -> None:
    assert read(split(b"%08X%b" % (len(text), text.encode()), cuts)) == f"text {text}"


HEADERS = st.one_of(
    st.binary(max_size=9),
    st.integers(0, LIMIT + 5).map(lambda length: b"%08X" % length),
    st.integers(0, 20).map(lambda length: b"%08x" % length),
)


@given(header=HEADERS, body=st.binary(max_size=30) | TEXTS.map(str.encode), cuts=CUTS)
@example(header=b"00000001", body=b"a\xc3", cuts=[])
@example(header=b"00000001", body=b"\xc3", cuts=[8])
@example(header=b"000000C9", body=b"", cuts=[])
def test_any_bytes_are_a_message_or_an_error_or_not_all_yet_in_any_pieces(
    header: bytes, body: bytes, cuts: list[int]
) -> None:
    data = header + body
    whole = read([data])
    pieces = split(data, cuts)
    in_pieces = read(pieces)
    # What is too much may only be seen with the piece that comes after a whole message.
    assert in_pieces == whole


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1", r"it begins with b'GET / HT', which is no length"),
        (b"+0000010", "which is no length in hexadecimal digits"),
        (b"0x000010", "which is no length in hexadecimal digits"),
        (b" 0000010", "which is no length in hexadecimal digits"),
        (b"FFFFFFFF", f"it would have 4294967295 characters; {LIMIT} is the most"),
        (b"00000002\xff\xff", "it is not UTF-8"),
        (b"00000002\xed\xa0\x80", "it is not UTF-8"),  # half of a character
        (b"00000002{}}", "more came than the 2 characters that were announced"),
        (b"00000002{}\xc3", "more came than the 2 characters that were announced"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        FrameReader(LIMIT).feed(data)


def test_a_wrong_header_is_refused_with_its_first_byte() -> None:
    with pytest.raises(FrameError):
        FrameReader(LIMIT).feed(b"G")


def test_it_is_known_whether_anything_has_come() -> None:
    reader = FrameReader(LIMIT)
    assert not reader.begun
    reader.feed(b"")
    assert not reader.begun
    reader.feed(b"0")
    assert reader.begun


def _taken_s(count: int) -> float:
    """How long it takes to read so many characters of three bytes each, byte by byte."""
    reader = FrameReader(count)
    data = b"%08X%b" % (count, "€".encode() * count)
    begun_s = process_time()
    for place in range(len(data)):
        reader.feed(data[place : place + 1])
    return process_time() - begun_s


def test_byte_by_byte_a_message_takes_time_in_proportion_to_its_length() -> None:
    small, large = min(_taken_s(5_000) for _ in range(3)), min(_taken_s(50_000) for _ in range(3))
    assert large < 30 * small
