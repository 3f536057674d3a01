"""The flow as a JSON document."""

import json

import pytest
from jsonschema import Draft202012Validator
from tests.flow.drawn import Log, big, demo, demo_log, hostile, stuck

from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.document import document
from callboard.report import schema


@pytest.mark.parametrize(
    "found", [demo(), stuck(), hostile(), big(20, 2), demo_log().chart(), Log("a").cut_off()]
)
def test_it_keeps_its_schema(found: Chart) -> None:
    read = json.loads(json.dumps({**document(found), "diagnostics": []}))
    Draft202012Validator(schema("flow")).validate(read)


def test_it_holds_what_the_pictures_show() -> None:
    found = json.loads(json.dumps(document(stuck())))
    assert [column["title"] for column in found["columns"]] == ["server", "client ×2"]
    assert found["spans"][1] == {
        "column": 1,
        "call": "wait",
        "id": "raedy",
        "label": "lava-wait raedy",
        "keys": [],
        "begin": 0,
        "end": None,
        "held": True,
        "released_by": [],
        "last": None,
        "failure": "never returns: no role sends `raedy`",
        "vlan": False,
        "critical": False,
        "where": {"file": "group.yaml", "line": 53, "column": 13, "step": "lava-wait raedy"},
    }
    assert [each["span"] for each in found["stuck"]] == [1, 2]
    assert not any(each["returns"] for each in found["stuck"])


def test_it_names_messages_syncs_delays_and_the_critical_path_by_their_spans() -> None:
    found = json.loads(json.dumps(document(demo_log().chart())))
    labels = [span["label"] for span in found["spans"]]
    assert {(labels[each["from"]], labels[each["to"]]) for each in found["messages"]} == {
        ("lava-send ready", "lava-wait ready"),
        ("lava-send fetched", "lava-wait-all fetched client"),
    }
    assert [(each["id"], each["at"], len(each["spans"])) for each in found["syncs"]] == [
        ("done", 7, 3)
    ]
    assert found["delays"][0] == {"span": 3, "column": 2, "waited": 2.5}
    assert [leg["column"] for leg in found["critical_path"]] == [0, 2, 0]
