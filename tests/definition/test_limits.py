"""Files that no reader should choke on: each gets one diagnostic, soon."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from callboard.definition import DefinitionError, Diagnostic, load, read, read_text
from callboard.definition.composer import NODE_LIMIT, WRITTEN_LIMIT
from callboard.definition.findings import FINDINGS_LIMIT
from callboard.definition.source import SIZE_LIMIT_BYTES

LIMIT_S = 5.0
"""Within this any bad file is refused, where a quadratic reader takes minutes.

Processor time, since tests run side by side, and with room for a slow machine.
"""


def laughs(levels: int, width: int) -> str:
    """A list of lists of lists, each of aliases of the one before."""
    lines = [f"l0: &l0 [{', '.join('x' * width)}]"]
    lines += [
        f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * width)}]"
        for level in range(1, levels)
    ]
    return "\n".join(lines)


def only(read_it: Callable[[], tuple[object, tuple[Diagnostic, ...]]]) -> Diagnostic:
    """The only diagnostic, which must come in time."""
    begin_s = time.process_time()
    definition, (diagnostic,) = read_it()
    assert time.process_time() - begin_s < LIMIT_S
    assert definition is None
    return diagnostic


@pytest.mark.parametrize(
    ("code", "text"),
    [
        pytest.param("CB006", "[" * 50_000, id="50,000 brackets"),
        pytest.param("CB006", "- " * 50_000, id="50,000 dashes"),
        pytest.param("CB006", "? " * 50_000, id="50,000 keys of keys"),
        pytest.param("CB006", "{a: " * 50_000, id="50,000 braces"),
        pytest.param(
            "CB006", "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a", id="deep alias"
        ),
        pytest.param("CB007", laughs(9, 9), id="a billion laughs"),
        pytest.param("CB007", laughs(2, 1500), id="a few wide laughs"),
        pytest.param(
            "CB007", "[" + "1," * (SIZE_LIMIT_BYTES // 2 - 1), id="one line of 2 million numbers"
        ),
        pytest.param("CB007", "- a: 1\n" * 500_000, id="half a million maps"),
        pytest.param("CB004", "'" + "a " * (SIZE_LIMIT_BYTES // 2 - 1), id="one line in a quote"),
        pytest.param("CB014", "a " * (SIZE_LIMIT_BYTES // 2), id="one line of words"),
        pytest.param("CB013", "1" * SIZE_LIMIT_BYTES, id="a number of 4 million digits"),
        pytest.param("CB013", "1" + ":1" * 2_000_000, id="a number of 2 million parts"),
        pytest.param("CB014", "\n" * SIZE_LIMIT_BYTES, id="4 million empty lines"),
        pytest.param("CB004", "%TAG !a! b\n" * 300_000 + "---\na", id="300,000 directives"),
        pytest.param("CB014", " " * SIZE_LIMIT_BYTES, id="4 million blanks"),
        pytest.param("CB002", "a" * (SIZE_LIMIT_BYTES + 1), id="one character too many"),
        pytest.param("CB002", "é" * SIZE_LIMIT_BYTES, id="too many bytes, not characters"),
    ],
)
def test_a_monster_is_refused_in_time(code: str, text: str) -> None:
    assert only(lambda: read_text(text)).code == code


def test_a_file_of_100_megabytes_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(100_000_000)
    diagnostic = only(lambda: read(path))
    assert diagnostic.code == "CB002"
    assert "100,000,000 bytes" in diagnostic.message


def test_an_endless_file_is_read_up_to_the_limit() -> None:
    assert only(lambda: read("/dev/zero")).code == "CB002"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.yaml", "there is no such file"),
        (".", "this is a directory"),
        ("nul\0.yaml", "this can't be the name of a file"),
        ("x" * 5000, "the file can't be read"),
    ],
)
def test_a_file_that_cant_be_read_is_a_diagnostic(tmp_path: Path, name: str, message: str) -> None:
    path = os.path.join(tmp_path, name)  # noqa: PTH118 - Path would normalise it
    diagnostic = only(lambda: read(path))
    assert diagnostic.code == "CB001"
    assert message in diagnostic.message
    assert diagnostic.place is not None
    assert diagnostic.place.file == path


def test_load_raises_what_read_returns(tmp_path: Path) -> None:
    path = tmp_path / "group.yaml"
    path.write_text("job_name: x")
    with pytest.raises(DefinitionError) as raised:
        load(path)
    assert raised.value.diagnostics == read(path)[1]
    assert str(raised.value).startswith(
        f"{path}:1:1: error[CB045]: the job has no `timeouts`\n  1 |"
    )


def test_errors_are_not_lost_in_a_flood_of_warnings() -> None:
    keys = "".join(f"k{number}: 1\n" for number in range(1000))
    definition, diagnostics = read_text(f"timeouts: {{job: {{minutes: 1}}}}\n{keys}actions: 3")
    assert definition is None
    assert len(diagnostics) == FINDINGS_LIMIT + 1
    assert diagnostics[-1].code == "CB015"
    assert "more problems are not shown" in diagnostics[-1].message
    errors = [diagnostic.code for diagnostic in diagnostics if diagnostic.severity == "error"]
    assert "CB070" in errors


def test_the_last_value_within_the_limits_is_accepted() -> None:
    written = WRITTEN_LIMIT - 3  # the map, its key and the list
    assert read_text(f"{{a: [{'1,' * written}]}}")[1][0].code != "CB007"
    assert read_text(f"{{a: [{'1,' * (written + 1)}]}}")[1][0].code == "CB007"


def test_aliases_count_as_what_they_repeat() -> None:
    part = 1000
    lines = f"a: &a [{'1,' * (part - 1)}]\n"  # the map, its key, and `part` values
    repeats = (NODE_LIMIT - part - 2 - 2) // part
    below = f"{lines}b: [{'*a,' * repeats}]"
    assert read_text(below)[1][0].code != "CB007"
    above = f"{lines}b: [{'*a,' * (repeats + 1)}]"
    assert read_text(above)[1][0].code == "CB007"


@pytest.mark.parametrize("depth", [63, 64])
def test_depth_64_is_the_last_one(depth: int) -> None:
    codes = [diagnostic.code for diagnostic in read_text(f"a: {'[' * depth}{']' * depth}")[1]]
    assert ("CB006" in codes) == (depth == 64)
