"""Commands of a devices file: a text and a list of its words are the same."""

import json
import shlex
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from callboard.definition.commands import Command, read_commands
from callboard.definition.composer import compose
from callboard.definition.findings import Findings
from callboard.definition.reader import Section
from callboard.definition.source import Source
from callboard.definition.tree import MapNode

_PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126)
_PROGRAM = st.text(_PRINTABLE.filter(lambda each: each != " "), min_size=1)
_COMMANDS = st.tuples(_PROGRAM, st.lists(st.text(_PRINTABLE), max_size=4)).map(
    lambda parts: (parts[0], *parts[1])
)


def read(value: object) -> tuple[Command, ...]:
    """The commands that a value of a devices file stands for."""
    source = Source("devices.yaml", f"{{power_on: {json.dumps(value)}}}")
    findings = Findings(source)
    root = compose(source, findings)
    assert isinstance(root, MapNode)
    found = read_commands(Section(root, findings, "the device"), "power_on")
    assert findings.diagnostics() == ()
    return found


@given(_COMMANDS)
def test_a_text_is_split_where_a_shell_would(command: Sequence[str]) -> None:
    assert read(shlex.join(command)) == (tuple(command),)


@given(_COMMANDS)
def test_a_list_of_words_is_one_command_as_it_is(command: Sequence[str]) -> None:
    assert read(list(command)) == (tuple(command),)


@given(st.lists(_COMMANDS, min_size=1, max_size=4))
def test_a_list_of_lists_is_several_commands_in_their_order(commands: Sequence[Command]) -> None:
    assert read([list(each) for each in commands]) == tuple(commands)
