"""The flow as a Mermaid diagram, of a grammar so small that every version of Mermaid takes it."""

import re

import pytest
from tests.flow.drawn import big, demo, demo_log, hostile, stuck

from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.mermaid import mermaid

_TEXT = r"(?:[\w .,()/=\[\]+*?!'`…✗×-]|#\d+;)+"
_LINES = (
    r"sequenceDiagram",
    rf"accTitle: {_TEXT}",
    rf"accDescr: {_TEXT}",
    rf"participant c\d+ as {_TEXT}",
    rf"Note over c\d+(,c\d+)?: {_TEXT}(<br/>{_TEXT})*",
    rf"c\d+->>c\d+: {_TEXT}",
    r"(de)?activate c\d+",
    r"rect rgba\(220, 38, 38, 0\.25\)",
    r"end",
)

DEMO = """\
sequenceDiagram
accTitle: demo
accDescr: every call returns
participant c0 as server
participant c1 as client ×2
Note over c1: lava-wait ready
activate c1
c0->>c1: ready page path
deactivate c1
Note over c0: lava-wait-all fetched client
activate c0
c1->>c0: fetched
deactivate c0
Note over c0,c1: lava-sync done
"""


def activations_end(text: str) -> bool:
    """Whether every activation of a diagram ends, and none twice."""
    active: set[str] = set()
    for line in text.splitlines():
        match line.split(" "):
            case ["activate", who]:
                if who in active:
                    return False
                active.add(who)
            case ["deactivate", who]:
                if who not in active:
                    return False
                active.remove(who)
            case _:
                pass
    return not active


def test_messages_are_arrows_waits_activations_and_syncs_notes_over_all() -> None:
    assert mermaid(demo()) == DEMO


def test_a_stuck_call_is_a_note_with_its_reason_in_a_red_rectangle() -> None:
    lines = mermaid(stuck()).splitlines()
    at = lines.index("rect rgba(220, 38, 38, 0.25)")
    assert lines[at + 1] == (
        "Note over c1: ✗ client#58; lava-wait raedy (group.yaml#58;53) never"
        "<br/>returns#58; no role sends `raedy`"
    )
    assert lines[at + 2 : at + 4] == ["end", "deactivate c1"]


@pytest.mark.parametrize("found", [demo(), stuck(), hostile(), big(20, 3), demo_log().chart()])
def test_every_line_is_one_that_mermaid_takes(found: Chart) -> None:
    for line in mermaid(found).splitlines():
        assert any(re.fullmatch(allowed, line) for allowed in _LINES), line


@pytest.mark.parametrize("found", [demo(), stuck(), hostile(), big(20, 3), demo_log().chart()])
def test_every_activation_ends_and_none_twice(found: Chart) -> None:
    assert activations_end(mermaid(found))


def test_what_mermaid_would_act_on_is_written_as_a_number() -> None:
    text = mermaid(hostile())
    assert "participant c0 as a#59;b #35;1 #34;q#34; #60;b#62;" in text
    assert "%%" not in text
    assert "wrap:" not in text
