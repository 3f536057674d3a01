"""What switches call VLANs: short names of letters and digits, each of one VLAN."""

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.vland.names import names_of

VLANS = st.dictionaries(
    st.from_regex("[_a-zA-Z0-9]{1,20}", fullmatch=True), st.integers(1, 10**12), max_size=12
)


def test_a_name_is_the_end_of_the_job_id_and_the_beginning_of_the_vlans_name() -> None:
    assert names_of({"vlan_one": 4212}) == {"vlan_one": "4212vlanone"}
    assert names_of({"a_very_long_name": 123456789012}) == {"a_very_long_name": "56789012averyl"}


def test_vlans_that_begin_alike_have_different_names() -> None:
    found = names_of({"vlan_one_a": 4212, "vlan_one_b": 4212, "vlanone2": 4212})
    assert [*found.values()] == ["4212vlanone", "4212vlanone2", "4212vlanone22"]


@given(VLANS)
def test_every_vlan_has_a_name_of_its_own_that_switches_take(makers: dict[str, int]) -> None:
    found = names_of(makers)
    assert found.keys() == makers.keys()
    assert len(set(found.values())) == len(makers)
    assert all(0 < len(name) <= 16 and name.isascii() and name.isalnum() for name in found.values())
