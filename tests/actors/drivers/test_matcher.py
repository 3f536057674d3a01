"""What a console is waited for is found, however its bytes are divided."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.drivers.commanded.matcher import SPAN, Cleaner, Matcher, pattern

PATTERNS = (
    r"login:",
    r"root@[a-z]+:~# ",
    r"\$ $",
    r"ogi",
    r"#\b",
    r"^a.*b",
    r"(?<!o)gin",
    r"é+",
    r"[$#] ",
)
PIECES = st.lists(
    st.sampled_from(
        [b"login", b":", b"\x1b[0;31m", b"\x1b]0;title\x07", "é".encode(), b"\r\n", b"root@",
         b"board", b":~# ", b"$ ", b"a", b"b", b"\x1b", b"[", b"\xff", b"\x1b(B", b"#", b"x"]
    ),
    max_size=20,
)  # fmt: skip


def matches(data: list[bytes], written: tuple[str, ...]) -> list[tuple[int, str]]:
    """What is found one after the other in data that comes in those pieces."""
    cleaner, matcher = Cleaner(), Matcher()
    patterns = [pattern(each) for each in written]
    found: list[tuple[int, str]] = []
    for piece in data:
        matcher.feed(cleaner.feed(piece))
        while (match := matcher.find(patterns)) is not None:
            found.append((match.index, match.before))
    return found


@given(PIECES, st.lists(st.sampled_from(PATTERNS), min_size=1, unique=True), st.data())
def test_the_same_is_found_whatever_the_pieces(
    pieces: list[bytes], written: list[str], data: st.DataObject
) -> None:
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=8)))
    divided = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    bytewise = [bytes([byte]) for byte in whole]
    expected = matches(bytewise, tuple(written))
    assert matches(divided, tuple(written)) == expected
    assert matches([whole], tuple(written)) == expected


def test_the_match_that_ends_first_counts_and_of_two_the_first_pattern() -> None:
    assert matches([b"abcd"], ("abcd", "bc")) == [(1, "abc")]
    assert matches([b"abc"], ("c", "bc")) == [(0, "abc")]


def test_colours_and_cursor_movements_are_not_in_the_way() -> None:
    shown = b"\x1b[?2004h\x1b]0;root@board\x07\x1b[1;32mroot\x1b[0m@bo\x1b[6nard:~\x07# "
    assert matches([shown], (r"^root@board:~# ",)) == [(0, "root@board:~# ")]


@pytest.mark.parametrize("size", [61, 4_096, 1_000_000])
def test_a_match_is_found_behind_a_flood(size: int) -> None:
    flood = b"x" * 60_000 + b"\n" + b"[    1.0] noise\n" * 3_000 + b"board login: "
    pieces = [flood[at : at + size] for at in range(0, len(flood), size)]
    [(index, before)] = matches(pieces, (r"login: $", r"never"))
    assert index == 0
    assert before.endswith("board login: ")


def test_what_nobody_looks_at_is_bounded() -> None:
    matcher = Matcher()
    for _ in range(100):
        matcher.feed("x" * 65_536)
    matcher.feed("login:")
    found = matcher.find([pattern("login:")])
    assert found is not None
    assert len(found.before) <= 64 * SPAN
