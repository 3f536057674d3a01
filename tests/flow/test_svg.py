"""The flow as an SVG that stands alone, and in which no text lies over another."""

import re
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve
from rich.cells import cell_len
from tests.flow.drawn import (
    HOSTILE,
    Log,
    big,
    call,
    chart,
    demo,
    demo_log,
    hostile,
    refused,
    stuck,
)

from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.layout import CELL
from callboard.flow.drawing.network import SHARED, Member, Network
from callboard.flow.drawing.svg import svg

_SVG = "{http://www.w3.org/2000/svg}"


def wired(roles: int, vlans: int, name: str = "role-") -> tuple[Network, ...]:
    """The networks of so many roles and VLANs."""
    members = [Member(f"{name}{number}", number + 1) for number in range(roles)]
    found = [Network(f"vlan_{number}", tuple(members[number % 2 :])) for number in range(vlans)]
    return Network(SHARED, tuple(members)), *found


CHARTS = [
    pytest.param(demo(), id="demo"),
    pytest.param(stuck(), id="stuck"),
    pytest.param(hostile(), id="hostile"),
    pytest.param(refused(), id="refused"),
    pytest.param(big(20, 2), id="20-roles"),
    pytest.param(big(4, 12), id="100-calls"),
    pytest.param(demo_log().chart(), id="run"),
    pytest.param(chart([("a", 1)], []), id="no-calls"),
    pytest.param(evolve(big(4, 1), networks=wired(4, 3)), id="vlans"),
    pytest.param(evolve(big(4, 1), networks=wired(4, 19)), id="20-networks"),
    pytest.param(evolve(big(4, 1), networks=wired(4, 40)), id="41-networks"),
    pytest.param(evolve(demo(), networks=wired(30, 2)), id="30-nodes"),
    pytest.param(evolve(hostile(), networks=wired(2, 2, HOSTILE)), id="hostile-networks"),
    pytest.param(Log().chart(), id="no-jobs"),
]


def parsed(found: Chart) -> ET.Element:
    return ET.fromstring(svg(found))


def shown(text: ET.Element) -> str:
    """A text without its tooltip."""
    [*tips] = text.iter(f"{_SVG}title")
    return (text.text or "") + "".join(tip.tail or "" for tip in tips)


def texts(found: Chart, style: str) -> list[str]:
    return [shown(each) for each in parsed(found).iter(f"{_SVG}text") if each.get("class") == style]


@pytest.mark.parametrize("found", CHARTS)
def test_it_holds_no_script_no_reference_and_only_shapes_and_texts(found: Chart) -> None:
    allowed = ["svg", "title", "desc", "style", "defs", "marker", "path", "rect", "circle", "text"]
    for element in parsed(found).iter():
        assert element.tag.removeprefix(_SVG) in allowed
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert "href" not in name
            assert "url(" not in value or value == "url(#flow-arrow)"
    assert "@import" not in svg(found)
    assert "url(" not in "".join(each.text or "" for each in parsed(found).iter(f"{_SVG}style"))
    assert svg(found).isascii()


@pytest.mark.parametrize("found", CHARTS)
def test_no_text_lies_over_another_or_leaves_the_picture(found: Chart) -> None:
    root = parsed(found)
    boxes = []
    for text in root.iter(f"{_SVG}text"):
        size = 18 if text.get("class") == "name" else 12
        x, y = float(text.get("x", "")), float(text.get("y", ""))
        boxes.append(
            (x, y - size * 0.75, x + cell_len(shown(text)) * CELL * size / 12, y + 3, text)
        )
    for one, other in combinations(boxes, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (shown(one[4]), shown(other[4]))
    for box in boxes:
        assert box[0] >= 0
        assert box[2] <= float(root.get("width", ""))
        assert box[3] <= float(root.get("height", ""))


def test_it_is_light_or_dark_as_the_reader_prefers() -> None:
    style = "".join(each.text or "" for each in parsed(demo()).iter(f"{_SVG}style"))
    light, dark = style.split("@media (prefers-color-scheme:dark)")
    assert re.findall(r"\.\w+(?=[{,])", light.split("}", 7)[-1])
    assert ".paper{fill:#ffffff}" in light
    assert ".paper{fill:#0d1117}" in dark


def test_it_describes_itself_to_those_who_do_not_see_it() -> None:
    root = parsed(stuck())
    assert root.get("role") == "img"
    assert root.findtext(f"{_SVG}title") == "demo"
    description = root.findtext(f"{_SVG}desc") or ""
    assert "client: lava-wait raedy (group.yaml:53) never returns" in description


def test_every_message_is_an_arrow_and_every_wait_a_bar() -> None:
    root = parsed(demo())
    arrows = [path.findtext(f"{_SVG}title") for path in root.iter(f"{_SVG}path")]
    assert [arrow for arrow in arrows if arrow] == ["ready page path", "fetched"]
    bars = [bar.findtext(f"{_SVG}title") for bar in root.iter(f"{_SVG}rect")]
    assert [bar for bar in bars if bar] == [
        "done",
        "lava-wait ready",
        "lava-wait-all fetched client",
    ]


def test_a_stuck_call_is_red_marked_and_explained() -> None:
    red = {"wait raedy", "wait-all fetched client", "✗ [1]", "✗ [2]"}
    assert set(texts(stuck(), "stuck")) == {stuck().summary, *red}
    assert texts(stuck(), "reason")[0].startswith("[1] client: lava-wait raedy (group.yaml:53)")


def test_a_long_text_is_cut_and_whole_when_it_is_pointed_at() -> None:
    found = chart([("a", 1)], [(0, call(f"send {'x' * 80}"), 0, 0, ())])
    [cut] = [each for each in parsed(found).iter(f"{_SVG}text") if each.get("class") == "call"]
    assert shown(cut).endswith("xxx…")
    assert cut.findtext(f"{_SVG}title") == f"send {'x' * 80}"


def test_the_critical_path_of_a_run_is_one_line_through_it() -> None:
    [path] = [
        each
        for each in parsed(demo_log().chart()).iter(f"{_SVG}path")
        if each.findtext(f"{_SVG}title") == "critical path"
    ]
    assert re.fullmatch(r"M[\d. ]+(V[\d.]+H[\d.]+){2}V[\d.]+", path.get("d", ""))
