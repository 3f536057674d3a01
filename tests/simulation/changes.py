"""Any text, and good files of a rehearsal with something in them replaced."""

import re
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import strategies as st
from tests.definition.test_definition_properties import branches
from tests.simulation.examples import GOOD_FAULTS, GOOD_MODEL, GOOD_SCENARIO

from callboard.definition import Diagnostic
from callboard.definition.dumper import dump
from callboard.definition.model import Plain
from callboard.simulation import read_faults_text, read_model_text, read_scenario_text
from callboard.simulation.schema import SchemaName

Reader = Callable[[str], tuple[Any, tuple[Diagnostic, ...]]]
READERS: dict[SchemaName, Reader] = {
    "model": read_model_text,
    "faults": read_faults_text,
    "scenario": read_scenario_text,
}
WORDS = sorted(
    {
        *re.findall(r"[a-z_*][\w*/.-]*", f"{GOOD_MODEL} {GOOD_FAULTS} {GOOD_SCENARIO}"),
        "9..1",
    }
)
LEAVES: st.SearchStrategy[Plain] = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
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
    max_leaves=8,
)


def changed(text: str, data: st.DataObject) -> str:
    """A good file with something in it replaced, removed, renamed or repeated."""
    tree: Plain = yaml.load(text, yaml.CSafeLoader)
    for _ in range(data.draw(st.integers(1, 2))):
        places = branches(tree)
        if not places:
            break
        holder, place = data.draw(st.sampled_from(places))
        if isinstance(holder, list) and isinstance(place, int):
            holder[place] = data.draw(TREES)
        elif isinstance(holder, dict) and isinstance(place, str):
            action = data.draw(st.sampled_from(["replace", "remove", "rename", "add"]))
            value = holder[place] if action == "add" else holder.pop(place)
            if action == "replace":
                holder[place] = data.draw(TREES)
            elif action != "remove":
                holder[data.draw(st.sampled_from(WORDS))] = value
    return dump(tree)
