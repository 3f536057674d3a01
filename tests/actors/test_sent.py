"""What is sent under an ID: snapshots stay as they are, and cost nothing by the sender."""

from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.sent import Sent, spoken

Sends = list[tuple[int, dict[str, str]]]

_DATA = st.dictionaries(st.sampled_from("kl"), st.sampled_from("xy"), max_size=2)
_SENDS: st.SearchStrategy[Sends] = st.lists(st.tuples(st.integers(1, 5), _DATA), max_size=12)


@given(sends=_SENDS, merge=st.booleans())
def test_a_snapshot_is_what_had_been_sent_whatever_is_sent_afterwards(
    sends: Sends, merge: bool
) -> None:
    sent, known = Sent(), dict[int, dict[str, str]]()
    taken = [(sent.snapshot(), known.copy())]
    for member, data in sends:
        sent.put(member, data, merge=merge)
        known[member] = {**(known.get(member, {}) if merge else {}), **data}
        assert member in sent
        assert len(sent) == len(known)
        taken.append((sent.snapshot(), known.copy()))
    for snapshot, expected in taken:
        assert snapshot == expected
        assert list(snapshot) == list(expected)
        assert len(snapshot) == len(expected)
        assert [member for member in range(1, 6) if member in snapshot] == sorted(expected)
        assert spoken(snapshot) == {member: data for member, data in expected.items() if data}
        assert spoken(snapshot) == spoken(MappingProxyType(expected))


def test_members_without_data_share_all_that_a_snapshot_holds() -> None:
    sent = Sent()
    sent.put(1, {"port": "80"}, merge=True)
    first = sent.snapshot()
    sent.put(2, {}, merge=True)
    assert sent.snapshot().spoken is first.spoken
    assert len(first) == 1
