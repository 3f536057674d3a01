"""VLANs that the devices of a file can't be in are refused before anything starts."""

from pathlib import Path

import pytest

from callboard.actors.movers import Site, movers, unmoved
from callboard.actors.support import problems
from callboard.definition import load, split
from callboard.definition.devices import DevicesFile, read_devices
from callboard.definition.model import Definition

GROUP = """\
job_name: vlans
visibility: public
timeouts: {job: {minutes: 5}, connection: {minutes: 2}}
protocols:
  lava-multinode:
    roles:
      a: {device_type: bbb, count: 1}
      b: {device_type: bbb, count: 1}
  lava-vland:
    a: {one: {tags: [RJ45]}}
    b: {one: {tags: [RJ45]}, two: {tags: [10M]}}
actions:
- deploy: {role: [a, b], to: tmpfs}
"""
ONE = "{tags: [RJ45], switch: s, port: %d, mac: '02:00:00:00:00:0%d', sysfs: /sys/net/}"
TWO = ONE.replace("RJ45", "10M")
WIRED = [
    f"{{e1: {ONE % (1, 1)}, e2: {TWO % (2, 2)}}}",
    f"{{e1: {ONE % (3, 3)}, e2: {TWO % (4, 4)}}}",
]


def group(tmp_path: Path) -> Definition:
    (tmp_path / "group.yaml").write_text(GROUP)
    return load(tmp_path / "group.yaml")


def devices(tmp_path: Path, *interfaces: str, more: str = "", driver: str = "local") -> DevicesFile:
    own = "".join(
        f"  d{number}: {{type: bbb, driver: {driver}{f', interfaces: {each}' if each else ''}}}\n"
        for number, each in enumerate(interfaces, 1)
    )
    path = tmp_path / "devices.yaml"
    path.write_text(f"{more}devices:\n{own}")
    found, diagnostics = read_devices(path)
    assert found is not None, diagnostics
    return found


def test_devices_on_switches_are_moved_by_the_daemon(tmp_path: Path) -> None:
    definition = group(tmp_path)
    file = devices(tmp_path, *WIRED, more="vland: {}\n")
    assert problems(definition, file) == ()
    jobs = split(definition, first_id=1, group="")
    sites = [Site(job, each.name, each) for job, each in zip(jobs, file.devices, strict=True)]
    assert movers(site.wiring for site in sites) == {"one": "vland", "two": "vland"}
    assert str(sites[1].wiring.ports["two"]) == "e2 of d2, port 4 of s"


def test_devices_without_switches_are_moved_by_bridges(tmp_path: Path) -> None:
    definition = group(tmp_path)
    file = devices(tmp_path, "", "{up: {}, e1: {tags: [RJ45]}, e2: {tags: [10M]}}")
    assert problems(definition, file) == ()
    jobs = split(definition, first_id=1, group="")
    sites = [Site(job, each.name, each) for job, each in zip(jobs, file.devices, strict=True)]
    assert movers(site.wiring for site in sites) == {"one": "bridge", "two": "bridge"}
    assert [*unmoved(sites, daemon=False)] == []
    assert [each.label for each in sites[0].wiring.interfaces] == ["eth0", "eth1"]
    assert [each.label for each in sites[1].wiring.interfaces] == ["up", "e1", "e2"]


@pytest.mark.parametrize(
    ("interfaces", "more", "expected"),
    [
        (
            ["{e1: {tags: [100M]}}", "{e1: {tags: [100M]}}"],
            "",
            [
                ("CB245", 10, "no interface of d1, d2 has the tags RJ45", "are: 100M"),
                ("CB245", 11, "no interface of d1, d2 has the tags RJ45", "are: 100M"),
            ],
        ),
        (
            ["{e1: {tags: [RJ45, 10M]}}", "{e1: {tags: [RJ45, 10M]}}"],
            "",
            [("CB245", 11, "d1, d2 can't give each VLAN of `b` an interface of its own", "")],
        ),
        (
            ["{e1: {tags: [RJ45]}}", "{e1: {tags: [RJ45]}, e2: {}}"],
            "",
            [("CB245", 11, "no interface of d1, d2 has the tags 10M", "are: RJ45")],
        ),
        (
            WIRED,
            "",
            [
                ("CB247", 10, "nobody moves e1 of d1, port 1 of s into the VLAN `one`", "vland"),
                ("CB247", 11, "nobody moves e2 of d2, port 4 of s into the VLAN `two`", "vland"),
            ],
        ),
        (
            ["{e1: {tags: [RJ45]}}", WIRED[1]],
            "vland: {}\n",
            [("CB248", 10, "nothing connects e1 of d2, port 3 of s with e1 of d1", "or to none")],
        ),
    ],
    ids=["tags", "number", "one-tag", "daemon", "divided"],
)
def test_what_can_not_be_wired_is_refused_where_it_is_asked_for(
    tmp_path: Path, interfaces: list[str], more: str, expected: list[tuple[str, int, str, str]]
) -> None:
    found = problems(group(tmp_path), devices(tmp_path, *interfaces, more=more))
    assert [(each.code, each.place.line if each.place else 0) for each in found] == [
        (code, line) for code, line, _, _ in expected
    ]
    for each, (_, _, message, hint) in zip(found, expected, strict=True):
        assert message in each.message
        assert hint in (each.hint or "")


def test_machines_that_are_there_have_the_interfaces_that_the_file_lists(tmp_path: Path) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(
        "devices:\n"
        "  d1: {type: bbb, driver: ssh, address: host.example}\n"
        "  d2: {type: bbb, driver: ssh, address: guest.example}\n"
    )
    file, diagnostics = read_devices(path)
    assert file is not None, diagnostics
    found = problems(group(tmp_path), file)
    assert [each.code for each in found] == ["CB245", "CB245"]
    assert found[0].hint == "the tags of their interfaces are: none"
