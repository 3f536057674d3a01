"""Records as they stand in buckets."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.cluster.errors import ClusterError
from callboard.cluster.records import (
    GroupRecord,
    Need,
    Offer,
    Registration,
    Seat,
    Table,
    Waiting,
    decode,
    encode,
    read_group,
    read_registration,
)
from callboard.cluster.subjects import PROTOCOL


@given(st.integers(0, 1_000))
def test_a_record_is_read_as_it_was_written_however_long_it_is(devices: int) -> None:
    offers = tuple(Offer(f"d{number}", "qemu", "local", ("usb",)) for number in range(devices))
    worker = Registration("a", "a-1", "m", PROTOCOL, "0", "host", offers)
    data = encode(worker)
    assert len(data) < 20_000
    if devices < 100:
        assert data.startswith(b"{")  # and can be read without callboard
    assert decode(data, Registration) == worker


NAMES = st.sampled_from(["a", "b-1"])
NEEDS = st.builds(
    Need,
    job=st.integers(1, 3),
    role=NAMES,
    type=st.none() | NAMES,
    tags=st.lists(NAMES, max_size=2).map(tuple),
    host_role=st.none() | NAMES,
    device=st.none() | NAMES,
    worker=st.none() | NAMES,
)
SEATS = st.builds(
    Seat, worker=NAMES, incarnation=NAMES, device=NAMES, driver=st.sampled_from(["local", "ssh"])
)


@given(
    st.lists(st.builds(Waiting, group=NAMES, needs=st.lists(NEEDS, max_size=4).map(tuple))),
    st.dictionaries(NAMES, st.dictionaries(st.integers(1, 3), SEATS)),
)
def test_a_table_is_read_as_it_was_written(
    waiting: list[Waiting], granted: dict[str, dict[int, Seat]]
) -> None:
    table = Table(tuple(waiting), granted)
    assert decode(encode(table), Table) == table


def test_thousands_of_jobs_that_need_the_same_need_little_room() -> None:
    needs = tuple(Need(job, "client", "qemu", ("usb",)) for job in range(100_000, 110_000))
    data = encode(Table((Waiting("group", needs),)))
    assert len(data) < 40_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"{",
        b"[]",
        b"\xff",
        b"x" * 99,
        zlib.compress(b"{}")[:-1],
        b'{"pid":"x"}',
        b'{"a":' * 99_999,
    ],
)
def test_what_is_no_record_is_refused_with_what_to_do(data: bytes) -> None:
    with pytest.raises(ClusterError, match="no Registration of this version") as refused:
        decode(data, Registration)
    assert refused.value.code == "CB271"
    assert refused.value.cure


def test_a_worker_registers_in_its_own_name_alone() -> None:
    data = encode(Registration("rack-1", "i", "m", PROTOCOL, "0", "host"))
    assert read_registration("rack-1", data) is not None
    assert read_registration("rack-2", data) is None


def test_an_entry_of_another_protocol_is_nobodys() -> None:
    newer = encode(Registration("rack-1", "i", "m", PROTOCOL + 1, "9", "host"))
    assert read_registration("rack-1", newer) is None
    assert read_registration("rack-1", newer[:-1] + b',"mood":"good"}') is None
    assert read_group("g", b'{"name":"group","mood":"good"}') is None


def test_an_entry_that_would_fill_the_memory_is_nobodys() -> None:
    bomb = zlib.compress(b'{"name":"' + b"x" * 2**24 + b'"}')
    assert len(bomb) < 20_000
    assert read_registration("rack-1", bomb) is None
    assert read_group("g", bomb) is None


def test_a_group_is_read_as_it_was_written() -> None:
    record = GroupRecord("name", "file.yaml", 3, 1, "2026-11-26T22:39:00+00:00")
    assert read_group("8f1c-2", encode(record)) == record
    for name in ("", "a/b", "..", "-x", "a b", "*"):
        assert read_group(name, encode(record)) is None
