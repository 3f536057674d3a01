"""The interfaces that VLANs take: each one of its own, whenever that is possible."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from callboard.definition.interfaces import Interface, fits, made_up, match
from callboard.definition.model import Place, VlanInterface

PLACE = Place("group.yaml", 1, 1)
TAGS = st.lists(st.sampled_from(["RJ45", "10M", "100M"]), max_size=3, unique=True).map(tuple)


def vlans(*tags: tuple[str, ...]) -> list[VlanInterface]:
    return [VlanInterface("role", f"vlan{n}", each, PLACE) for n, each in enumerate(tags)]


def interfaces(*tags: tuple[str, ...]) -> list[Interface]:
    return [Interface(f"eth{n}", each) for n, each in enumerate(tags)]


def first_fit(wanted: list[VlanInterface], have: list[Interface]) -> list[str] | None:
    """What LAVA does: each VLAN takes the first interface that fits and is left."""
    left, taken = list(have), list[str]()
    for vlan in wanted:
        found = next((each for each in left if fits(vlan, each)), None)
        if found is None:
            return None
        left.remove(found)
        taken.append(found.label)
    return taken


@given(st.lists(TAGS, max_size=4), st.lists(TAGS, max_size=5))
def test_vlans_get_interfaces_of_their_own_whenever_that_is_possible(
    wanted: list[tuple[str, ...]], have: list[tuple[str, ...]]
) -> None:
    asked, own = vlans(*wanted), interfaces(*have)
    possible = any(
        all(fits(vlan, each) for vlan, each in zip(asked, choice, strict=True))
        for choice in permutations(own, len(asked))
    )
    found = match(asked, own)
    assert (found is not None) == possible
    if found is not None:
        assert list(found) == [vlan.vlan for vlan in asked]
        assert len({each.label for each in found.values()}) == len(asked)
        assert all(fits(vlan, found[vlan.vlan]) for vlan in asked)
        assert not any(each.primary for each in found.values())


@given(st.lists(TAGS, max_size=4), st.lists(TAGS, max_size=5))
def test_where_each_can_have_the_first_that_fits_it_has_that(
    wanted: list[tuple[str, ...]], have: list[tuple[str, ...]]
) -> None:
    asked, own = vlans(*wanted), interfaces(*have)
    expected = first_fit(asked, own)
    if expected is not None:
        found = match(asked, own)
        assert found is not None
        assert [each.label for each in found.values()] == expected


def test_a_vlan_gives_way_to_one_that_can_have_no_other_interface() -> None:
    found = match(vlans((), ("100M",)), interfaces(("100M",), ("10M",)))
    assert found is not None
    assert {vlan: each.label for vlan, each in found.items()} == {"vlan0": "eth1", "vlan1": "eth0"}


@given(st.lists(TAGS, max_size=20))
def test_interfaces_that_are_made_for_vlans_serve_them_and_leave_a_primary_one(
    wanted: list[tuple[str, ...]],
) -> None:
    asked = vlans(*wanted)
    made = made_up(asked)
    assert [each.label for each in made if each.primary] == ["eth0"]
    found = match(asked, made)
    assert found is not None
    assert [each.label for each in found.values()] == [f"eth{n + 1}" for n in range(len(asked))]
