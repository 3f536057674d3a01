"""Any text is read: without an exception, in time, and every position is inside of it."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.flow.shells import COUNTS
from tests.flow.snippets import ALL

from callboard.definition.source import Source
from callboard.flow.program import Scope, Unreached, walk
from callboard.flow.shell import Files, Surroundings, TestText, test_scope
from callboard.flow.shell.script import Script

_DOUBLING = "".join(f"f{n}() {{ f{n - 1}; f{n - 1}; }}\n" for n in range(1, 40))
_LONGEST_S = 1.0
_PIECES = [*"\n;|&(){}<>`'\"$#!=\\ ", "$(", "$((", "))", "<<E\n", "\nE\n", "&&", "||", ";;", "${"]
_PIECES += ["if ", "then ", "else ", "fi", "while ", "do ", "done", "case x in ", "esac", "f() {"]
_PIECES += ["lava-send a", "lava-wait $1", "set -e", "exit", "return", "break 2", "trap f EXIT"]
_FOLDERS = ("/usr/bin", "/usr/sbin", "/etc", "/usr/lib/git-core", "/usr/share")
_MOST_SCRIPTS = 150


def _read(text: str) -> None:
    script = Script.of_file(Source("fuzz.sh", text))
    test = TestText("0_fuzz", None, script, {}, Files())
    begin = time.process_time()
    scope = test_scope(test, Surroundings("server", COUNTS))
    assert time.process_time() - begin < _LONGEST_S
    lines = text.split("\n")
    for item in walk(scope.items):
        if not isinstance(item, Scope | Unreached):
            assert item.where.file == "fuzz.sh"
            assert 1 <= item.where.line <= len(lines)
            assert 1 <= item.where.column <= len(lines[item.where.line - 1]) + 1


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_read(text: str) -> None:
    _read(text)


@given(st.lists(st.sampled_from([*_PIECES, *ALL]), max_size=12).map("".join))
def test_pieces_of_scripts_in_any_order_are_read(text: str) -> None:
    _read(text)


@given(st.sampled_from(list(ALL)), st.data())
def test_a_script_with_something_changed_is_read(script: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(script)))
    until = data.draw(st.integers(at, min(at + 5, len(script))))
    _read(script[:at] + data.draw(st.sampled_from(["", *_PIECES])) + script[until:])


@pytest.mark.parametrize("script", ALL)
def test_a_script_that_is_cut_anywhere_is_read(script: str) -> None:
    for at in range(len(script)):
        _read(script[:at])


@pytest.mark.parametrize(
    "text",
    [
        "(" * 3_000,
        "$(" * 3_000 + ")" * 3_000,
        "{ " * 500 + "lava-send a; " + "}; " * 500,
        "if true; then " * 400 + "lava-send a; " + "fi; " * 400,
        "echo " + '"$(echo ' * 300 + "a" + ')"' * 300,
        "lava-send ${a:-" * 2_000 + "}" * 2_000,
        "X=a\n" + "X=$X$X\n" * 60,
        "X=a$U\n" + "X=$X$X\n" * 60,
        'set -- a b\nset -- "$@" "$@"\n' * 60,
        "f() { f; f; }; f",
        "f() { for i in $U; do f; g; done; }; g() { while foo; do f; done; }; f",
        "f0() { lava-send a; }\n" + _DOUBLING + "f39",
        "for a in 1 2 3 4 5 6 7 8; do " * 8 + "lava-send a; " + "done; " * 8,
        "while foo; do " * 30 + "lava-send a; " + "done; " * 30,
        "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done",
        "for i in $(seq 999999999); do lava-send $i; done",
        "a && " * 3_000 + "b",
        "a | " * 3_000 + "b",
        "if foo; then lava-send a; fi\n" * 2_000,
        "case a in " + "b) ;; " * 3_000 + "esac",
        "lava-send " + "a" * 200_000,
        "cd " + "a/" * 5_000 + "; ./b; . " + "a" * 300,
        "trap 'trap f EXIT; f' EXIT; f() { trap f EXIT; f; }",
        "exit 99999999999999999999; shift 99999999999; break 99999999999",
    ],
)
def test_a_script_that_is_made_to_take_long_is_read_in_time(text: str) -> None:
    _read(text)


def _scripts() -> Iterator[Path]:
    """Shell scripts that this machine has."""
    for folder in _FOLDERS:
        for path in sorted(Path(folder).rglob("*")):
            try:
                if path.is_file() and path.stat().st_size < 20_000 and not path.is_symlink():
                    with path.open("rb") as stream:
                        first = stream.readline(80)
                    if first.startswith(b"#!") and b"sh" in first.replace(b"python", b""):
                        yield path
            except OSError:
                continue


def test_the_scripts_of_this_machine_are_read() -> None:
    for path in islice(_scripts(), _MOST_SCRIPTS):
        _read(path.read_text(errors="replace"))
