"""Who can reach whom: drawn in a terminal, and told in the other forms."""

import json
from collections.abc import Mapping, Sequence

import pytest
from attrs import evolve
from jsonschema import Draft202012Validator
from rich.cells import cell_len
from tests.flow.drawn import Log, demo
from tests.flow.vlans import GOOD, changed, read

from callboard.events import CallAnswered, CallMade, PortMoved, Where
from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.charting import charting
from callboard.flow.drawing.document import document
from callboard.flow.drawing.marks import ASCII, BOXES, Marks
from callboard.flow.drawing.mermaid import mermaid
from callboard.flow.drawing.network import SHARED, Member, Network, networks
from callboard.flow.drawing.table import table
from callboard.flow.drawing.wiring import wiring
from callboard.flow.extraction import extract
from callboard.flow.proof import prove
from callboard.report import schema


def chart(text: str = GOOD) -> Chart:
    """The chart of a definition, as `callboard flow` makes it."""
    definition = read(text)
    programs = extract(definition).programs
    found = charting(definition.job_name, programs, prove(programs))
    return evolve(found, networks=networks(definition))


def wired(members: Mapping[str, Sequence[str]]) -> list[Network]:
    return [Network(name, tuple(map(Member, roles))) for name, roles in members.items()]


def counted(role: str, count: int) -> tuple[str, str]:
    """The change that gives a role another count."""
    line = f"{role}: {{device_type: board, count: 1}}"
    return line, line.replace("1", str(count))


def drawn(found: Sequence[Network], width: int = 80, marks: Marks = BOXES) -> str:
    return "\n".join(line.plain for line in wiring(found, width, marks)) + "\n"


PICTURE = """\
        group network
        │  one
        │  │  two
left    ●  ●  │
router  ●  ●  ●
right   ●     ●
"""

TABLE = f"""\
two-vlans: every call returns

   left              router                   right
   ────────────────  ───────────────────────  ─────────────────────
1  deploy_vlans one  deploy_vlans one ← left  deploy_vlans two
2  lava-sync ready   deploy_vlans two         └ ← router
3  └ ← all           lava-sync ready ← all    lava-sync ready ← all

{PICTURE}"""


def test_a_table_shows_who_is_in_which_network_and_what_deploy_vlans_asks() -> None:
    text = "\n".join(line.plain for line in table(chart(), 80)) + "\n"
    assert text == TABLE


def test_a_group_without_vlans_has_no_picture_of_what_is_plain() -> None:
    vlans = GOOD[GOOD.index("  lava-vland:") : GOOD.index("actions:")]
    text = changed((vlans, "  lava-vland: {left: {}, router: {}, right: {}}\n"))
    assert networks(read(text)) == ()


def test_the_picture_is_drawn_in_ascii_where_there_is_nothing_else() -> None:
    text = changed(counted("right", 2))
    assert drawn(networks(read(text)), marks=ASCII) == (
        "          group network\n"
        "          |  one\n"
        "          |  |  two\n"
        "left      *  *  |\n"
        "router    *  *  *\n"
        "right x2  *     *\n"
    )


def test_a_role_without_nodes_is_in_no_network() -> None:
    text = changed(counted("left", 0))
    assert list(map(str, networks(read(text)))) == [
        "group network: router, right",
        "one: router",
        "two: router, right",
    ]


def test_a_guest_is_where_its_host_is() -> None:
    guest = (
        "      guest: {connection: ssh, host_role: router, count: 2, "
        "expect_role: router, request: lava-start}\n"
    )
    text = changed(
        ("      right: {device", f"{guest}      right: {{device"),
        ("    right: {two:", "    guest: {}\n    right: {two:"),
        ("- test:", "- deploy: {role: [guest], to: ssh}\n- test:"),
    )
    assert str(networks(read(text))[1]) == "one: left, router, guest ×2"


@pytest.mark.parametrize("width", [20, 24, 30, 40, 80, 200])
@pytest.mark.parametrize("vlans", [1, 3, 8, 30])
def test_no_line_is_wider_than_the_terminal_and_every_network_is_told(
    vlans: int, width: int
) -> None:
    roles = [f"role-{number}" for number in range(4)]
    names = {f"vlan_{number}": roles[number % 3 :] for number in range(vlans)}
    text = drawn(wired({SHARED: roles, **names}), width)
    assert max(map(cell_len, text.splitlines())) <= width
    for name in list(names)[:19]:
        assert name in text
    assert ("and 11 more" in text) is (vlans == 30)


def test_a_list_takes_the_place_of_a_picture_of_too_many_nodes() -> None:
    text = drawn(wired({SHARED: [str(each) for each in range(100)], "one": ["1", "2"]}))
    assert " ".join(text.split()).endswith("22, 23 and 76 more one: 1, 2")


def test_long_names_and_wide_characters_are_cut() -> None:
    text = drawn(wired({SHARED: ["役" * 40, "b"], "v" * 50: ["b"]}), 40)
    assert max(map(cell_len, text.splitlines())) == 40
    assert "…" in text


def test_names_of_strangers_are_made_legible_and_secrets_hidden() -> None:
    found = Network("a\x1b[31m", (Member("b\n\u202ec", tags=("\x07",)),))
    assert str(found) == "a�[31m: b �c"
    assert found.members[0].tags == ("�",)
    hidden = evolve(demo(), networks=(found,)).hiding(lambda text: text.replace("b", "*"))
    assert str(hidden.networks[0]).endswith(": * �c")


def test_the_document_tells_members_and_tags_and_keeps_its_schema() -> None:
    found = json.loads(json.dumps({**document(chart()), "diagnostics": []}))
    Draft202012Validator(schema("flow")).validate(found)
    assert [each["name"] for each in found["networks"]] == [SHARED, "one", "two"]
    assert [each["vlan"] for each in found["networks"]] == [False, True, True]
    assert found["networks"][1]["members"] == [
        {"role": "left", "count": 1, "job": None, "tags": ["RJ45", "10M"]},
        {"role": "router", "count": 1, "job": None, "tags": ["RJ45"]},
    ]
    first = found["spans"][0]
    assert (first["call"], first["id"], first["label"], first["vlan"]) == (
        "send",
        "one",
        "deploy_vlans one",
        True,
    )


def test_a_mermaid_diagram_tells_the_networks_first() -> None:
    lines = mermaid(chart()).splitlines()
    assert lines[6] == (
        "Note over c0,c2: group network#58; left, router, right<br/>one#58; left, router<br/>"
        "two#58; router, right"
    )
    assert "c0->>c1: deploy_vlans one" in [line.replace("#95;", "_") for line in lines]


def test_a_run_shows_where_its_jobs_interfaces_were() -> None:
    log = Log("left", "right", "third")
    where = Where("group.yaml", 9, 3, "deploy_vlans one")
    data = {"vlan_name": "1", "vlan_tag": "7"}
    asked = log.add(1.0, CallMade(1, "send", "one", None, None, where, data=data))
    log.add(1.0, CallAnswered(1, "send", "one", "pass", 0.0), asked)
    asked = log.add(1.0, CallMade(2, "wait", "one", None, 120, where))
    log.add(1.1, CallAnswered(2, "wait", "one", "pass", 0.1), asked)
    log.add(2.0, PortMoved(2, "one", "eth1"))
    log.add(2.0, PortMoved(1, "one", "eth1"))
    found = log.chart()
    assert list(map(str, found.networks)) == [
        "group network: 1 left, 2 right, 3 third",
        "one: 1 left, 2 right",
    ]
    assert [(each.label, each.keys, each.deploys) for each in found.spans] == [
        ("deploy_vlans one", (), True),
        ("deploy_vlans one", (), True),
    ]
