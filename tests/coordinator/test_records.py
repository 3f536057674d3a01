"""A record is what it was, or is damaged; only the last can be unfinished."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.coordinator import records
from callboard.coordinator.records import DamageError

bodies = st.lists(st.text('{}":,a1 ', min_size=1, max_size=900), min_size=1, max_size=3).map(
    lambda lines: "".join(f"{line}\n" for line in lines).encode()
)


def log(*bodies: bytes) -> bytes:
    return b"".join(records.encode(number, body) for number, body in enumerate(bodies, 7))


@given(bodies, bodies)
def test_records_are_read_as_they_were_written(first: bytes, second: bytes) -> None:
    data = log(first, second)
    one = records.read(data, 0, 7)
    two = records.read(data, one.end, None)
    assert (one.body, two.body, two.number, two.end) == (first, second, 8, len(data))


@given(bodies, st.data())
def test_a_record_of_which_the_end_was_never_written_is_unfinished(
    body: bytes, data: st.DataObject
) -> None:
    whole = log(body)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DamageError) as caught:
        records.read(whole[:cut], 0, 7)
    assert caught.value.unfinished


@given(bodies, st.data())
def test_a_changed_byte_is_damage_even_in_the_last_record(body: bytes, data: st.DataObject) -> None:
    whole = bytearray(log(body))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamageError) as caught:
        records.read(bytes(whole), 0, 7)
    lone = place % 512 == 0 and place == len(whole) - 1  # a sector of which one byte is known
    assert not caught.value.unfinished or lone


@given(bodies, st.data())
def test_the_last_record_is_unfinished_where_it_lacks_a_sector(
    body: bytes, data: st.DataObject
) -> None:
    whole = log(body)
    sector = data.draw(st.integers(0, (len(whole) - 1) // 512)) * 512
    blank = bytes(min(512, len(whole) - sector))
    lacking = whole[:sector] + blank + whole[sector + 512 :]
    more = bytes(data.draw(st.sampled_from([0, 1, 1000])))
    with pytest.raises(DamageError) as caught:
        records.read(lacking + more, 0, 7)
    assert caught.value.unfinished
    with pytest.raises(DamageError) as caught:
        records.read(lacking + records.encode(8, body), 0, 7)
    assert not caught.value.unfinished


def test_zeros_after_the_last_record_are_what_was_never_written() -> None:
    whole = log(b"x\n")
    with pytest.raises(DamageError) as caught:
        records.read(whole + bytes(5000), len(whole), 8)
    assert caught.value.unfinished


def test_another_record_than_expected_is_damage() -> None:
    with pytest.raises(DamageError, match="record 8 was expected, and record 7 is there") as caught:
        records.read(log(b"x\n"), 0, 8)
    assert not caught.value.unfinished
