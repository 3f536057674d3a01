"""How YAML becomes a located tree."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from callboard.definition import composer, read_text
from callboard.definition.composer import compose
from callboard.definition.dumper import dump
from callboard.definition.findings import Findings
from callboard.definition.model import Place, Plain
from callboard.definition.source import Source
from callboard.definition.tree import ListNode, MapNode, Node, ScalarNode, plain

GOOD = sorted((Path(__file__).parent / "good").glob("*.yaml"))


def tree(text: str) -> Node:
    source = Source("x.yaml", text)
    findings = Findings(source)
    root = compose(source, findings)
    assert findings.diagnostics() == ()
    assert root is not None
    return root


@pytest.mark.parametrize(
    "text",
    [
        "- a\n- 'b'\n- \"c\\n\"\n- |\n  d\n- >\n  e\n",
        "[1, 0x1f, 0o7, 010, 1_000, 1:30, -2]",
        "[1.5, .5, 1e3, 1.0e+3, .inf, 190:20:30.15]",
        "[true, yes, on, Off, NO, y, null, ~, '', '1']",
        "{a: &x [1, 2], b: *x, c: {d: *x}}",
        "base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3, z: 4}",
        "a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b], z: 3}",
        "a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {z: 3, <<: *b}",
        "!!str 12: !!int '3'\nx: !!float 1\ny: !!map {a: !!seq [!!null '']}",
        "? a\n: b\n? c\n",
        "%YAML 1.1\n---\na: b\n...\n",
        "a: 'it''s'\nb: \"\\u00e9\\x41\"\nc: multi\n  line\n",
        "\ufeffa: b",
    ],
)
def test_values_are_those_of_pyyaml(text: str) -> None:
    assert plain(tree(text.removeprefix("\ufeff"))) == yaml.safe_load(text)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_whole_definitions_are_those_of_pyyaml(path: Path) -> None:
    assert plain(tree(path.read_text())) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_without_libyaml_the_tree_is_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def places(node: Node) -> list[tuple[int, int]]:
        inner: list[Node] = []
        match node:
            case MapNode():
                inner = [child for pair in node.pairs for child in pair]
            case ListNode():
                inner = list(node.items)
            case ScalarNode():
                pass
        return [(node.offset, node.end), *(place for child in inner for place in places(child))]

    fast = tree(path.read_text())
    monkeypatch.setattr(composer, "_EVENTS", yaml.SafeLoader)
    slow = tree(path.read_text())
    assert plain(slow) == plain(fast)
    assert places(slow) == places(fast)


@pytest.mark.parametrize(
    "text", ["a: 'b", "a: [b\n", "a:\n\tb: c", "a: b: c", "a: @b", "- a\nb: c", "%"]
)
def test_without_libyaml_a_broken_file_gets_a_diagnostic_too(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composer, "_EVENTS", yaml.SafeLoader)
    definition, (diagnostic,) = read_text(text)
    assert definition is None
    assert diagnostic.code in {"CB004", "CB005"}


def test_dates_stay_as_they_are_written() -> None:
    assert plain(tree("[2024-01-02, 2024-01-02 10:00:00]")) == ["2024-01-02", "2024-01-02 10:00:00"]


def test_keys_become_text() -> None:
    assert plain(tree("{1: a, on: b, ~: c, 1.5: d}")) == {"1": "a", "on": "b", "~": "c", "1.5": "d"}


def test_an_alias_shares_the_tree_of_its_anchor() -> None:
    root = tree("a: &x [1]\nb: *x")
    assert isinstance(root, MapNode)
    assert root.pairs[0][1] is root.pairs[1][1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k: v", (1, 4)),
        ("k: &a !!str v", (1, 13)),
        ("# c\r\nk:\r\n  v", (3, 3)),
        ("'日本': v", (1, 7)),
        ("\n\n  k:   'v'", (3, 8)),
        ("k: |\n  v", (1, 4)),
    ],
)
def test_a_value_knows_its_line_and_column(text: str, expected: tuple[int, int]) -> None:
    root = tree(text)
    assert isinstance(root, MapNode)
    node = root.pairs[0][1]
    assert isinstance(node, ScalarNode)
    assert Source("x.yaml", text).place(node.offset) == Place("x.yaml", *expected)


TREES: st.SearchStrategy[Plain] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(TREES)
def test_what_is_dumped_is_read_back(data: Plain) -> None:
    assert plain(tree(dump([data]))) == [data]


def test_a_dump_has_no_aliases_and_keeps_long_lines_and_the_order_of_keys() -> None:
    same: Plain = ["x"]
    data: Plain = {"z": same, "a": same, "long": "word " * 100 + "end"}
    assert dump(data) == f"z:\n- x\na:\n- x\nlong: {'word ' * 100}end\n"
