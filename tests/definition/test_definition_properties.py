"""What holds for any input."""

import copy
from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st

from callboard.definition import Definition, Diagnostic, pipeline, read_text, split
from callboard.definition.dumper import dump
from callboard.definition.model import Plain

GOOD = [path.read_text() for path in sorted((Path(__file__).parent / "good").glob("*.yaml"))]
SECRET = "hunter2-and-more"

WORDS = sorted(
    {
        word
        for text in GOOD
        for word in text.replace(":", " ").replace(",", " ").split()
        if word.isascii()
    }
)
LEAVES: st.SearchStrategy[Plain] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
)
TREES: st.SearchStrategy[Plain] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def checked(text: str | bytes) -> tuple[Definition | None, tuple[Diagnostic, ...]]:
    """Reads, and checks what must hold whatever was read."""
    definition, diagnostics = read_text(text)
    assert (definition is None) == any(d.severity == "error" for d in diagnostics)
    lines = (text if isinstance(text, str) else text.decode(errors="replace")).split("\n")
    for diagnostic in diagnostics:
        assert str(diagnostic)
        assert diagnostic.place is not None
        assert 1 <= diagnostic.place.line <= len(lines)
        assert 1 <= diagnostic.place.column <= len(lines[diagnostic.place.line - 1]) + 1
    places = [d.place.line for d in diagnostics if d.place is not None]
    assert places == sorted(places)
    if definition is not None:
        jobs = split(definition, first_id=1, group="g", counts=None)
        for job in jobs[:10]:
            assert yaml.load(job.text, yaml.CSafeLoader)
            assert pipeline(job)[-1].name == "finalize"
    return definition, diagnostics


@given(st.text() | st.binary())
def test_no_text_makes_the_reader_fail(text: str | bytes) -> None:
    checked(text)


@given(st.text(alphabet=":-{}[]&*!|>'\"%@`,?# \n\tab0", max_size=60))
def test_no_punctuation_makes_the_reader_fail(text: str) -> None:
    checked(text)


@given(TREES)
def test_no_tree_makes_the_reader_fail(tree: Plain) -> None:
    checked(dump(tree))


def branches(tree: Plain) -> list[tuple[list[Plain] | dict[str, Plain], int | str]]:
    """Each place in a tree: what holds it, and where."""
    found: list[tuple[list[Plain] | dict[str, Plain], int | str]] = []
    match tree:
        case list():
            for index, item in enumerate(tree):
                found += [(tree, index), *branches(item)]
        case dict():
            for key, item in tree.items():
                found += [(tree, key), *branches(item)]
        case _:
            pass
    return found


def changed(text: str, put: Plain, data: st.DataObject) -> str:
    """A definition with up to three places replaced by `put`, removed or renamed."""
    tree: Plain = yaml.safe_load(text)
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(branches(tree)))
        if isinstance(holder, list) and isinstance(key, int):
            holder[key] = copy.deepcopy(put)
        elif isinstance(holder, dict) and isinstance(key, str):
            action = data.draw(st.sampled_from(["replace", "remove", "rename"]))
            value = holder.pop(key)
            if action == "replace":
                holder[key] = copy.deepcopy(put)
            elif action == "rename":
                holder[data.draw(st.sampled_from(WORDS))] = value
    return dump(tree)


@given(st.sampled_from(GOOD), TREES, st.data())
def test_no_change_of_a_good_definition_makes_the_reader_fail(
    text: str, put: Plain, data: st.DataObject
) -> None:
    checked(changed(text, put, data))


@given(st.sampled_from(GOOD), st.data())
def test_a_broken_file_never_shows_its_secrets(text: str, data: st.DataObject) -> None:
    first, *lines = [line for line in text.splitlines(True) if not line.startswith("secrets:")]
    section = f"{first}secrets:\n  TOKEN: {SECRET}\n"
    text = section + "".join(lines)
    begin, end = len(first), len(section)
    place = data.draw(st.integers(0, begin) | st.integers(end, len(text)))
    length = data.draw(st.integers(0, 20)) if place >= end else 0
    put = data.draw(st.text(alphabet=":-{}[]&*!'\"%@,?# \n\tab", max_size=5))
    broken = text[:place] + put + text[place + length :]
    for diagnostic in checked(broken)[1]:
        assert SECRET not in str(diagnostic)
