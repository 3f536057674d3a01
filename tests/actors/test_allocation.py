"""Devices for jobs: all get one, or nobody does."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.allocation import allocate, matching, serves
from callboard.definition import Device, NodeJob, Place, read_text, split

JOB = """\
job_name: x
visibility: public
timeouts: {job: {minutes: 5}}
protocols:
  lava-multinode:
    roles:
ROLES
actions:
- deploy: {role: [NAMES], to: tmpfs}
"""

PLACE = Place("devices.yaml", 1, 1)
TAGS = st.frozensets(st.sampled_from(["usb", "wifi", "hdmi"]), max_size=2)


def jobs(tags: list[frozenset[str]]) -> tuple[NodeJob, ...]:
    """One job for each set of tags."""
    roles = [
        f"      r{number}: {{device_type: qemu, count: 1, tags: [{', '.join(sorted(each))}]}}"
        for number, each in enumerate(tags)
    ]
    names = ", ".join(f"r{number}" for number in range(len(tags)))
    text = JOB.replace("ROLES", "\n".join(roles)).replace("NAMES", names)
    found, diagnostics = read_text(text)
    assert found is not None, diagnostics
    return split(found, first_id=1, group="")


def devices(tags: list[frozenset[str]]) -> list[Device]:
    return [Device(f"d{n}", "qemu", PLACE, tags=each) for n, each in enumerate(tags)]


@given(st.lists(TAGS, min_size=1, max_size=4), st.lists(TAGS, max_size=5))
def test_every_job_gets_a_fitting_device_whenever_that_is_possible(
    wanted: list[frozenset[str]], have: list[frozenset[str]]
) -> None:
    group, rack = jobs(wanted), devices(have)
    possible = any(
        all(serves(device, job) for device, job in zip(choice, group, strict=True))
        for choice in permutations(rack, len(group))
    )
    chosen = allocate(group, rack)
    assert (chosen is not None) == possible
    if chosen is not None:
        assert set(chosen) == {job.id for job in group}
        assert len({device.name for device in chosen.values()}) == len(group)
        assert all(serves(chosen[job.id], job) for job in group)


def test_a_device_of_another_type_serves_nobody() -> None:
    [job] = jobs([frozenset()])
    assert not serves(Device("d", "x15", PLACE), job)


def test_thousands_of_alike_devices_are_no_problem() -> None:
    rack = devices([frozenset()] * 1_500)
    chosen = allocate(jobs([frozenset()] * 300), rack)
    assert chosen is not None
    assert len(chosen) == 300


@given(st.lists(st.frozensets(st.integers(0, 5)), max_size=6))
def test_as_many_wants_as_possible_have_a_device(wants: list[frozenset[int]]) -> None:
    found = matching(wants, sorted)
    assert len(set(found.values())) == len(found)
    assert all(device in wants[number] for number, device in found.items())
    # as Hall and Koenig have it: so many can't be served that some have too few between them
    subsets = (
        [want for number, want in enumerate(wants) if mask >> number & 1]
        for mask in range(1 << len(wants))
    )
    lacking = max(len(each) - len(frozenset[int]().union(*each)) for each in subsets)
    assert len(found) == len(wants) - lacking


def test_a_path_through_thousands_of_devices_is_found() -> None:
    wants = [*((number, number + 1) for number in range(5_000)), (0,)]
    assert len(matching(wants, lambda want: want)) == 5_001
