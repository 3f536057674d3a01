"""What of a file is shown beside a diagnostic."""

import pytest

from callboard.definition import Diagnostic, read_text
from callboard.definition.masking import hide_secrets
from callboard.definition.source import SHOWN_COLUMNS, Source, decode


def shown(text: str, offset: int) -> tuple[str, int]:
    excerpt = Source("x", text).excerpt(offset)
    assert excerpt is not None
    return excerpt.line, excerpt.caret


def test_a_short_line_is_shown_whole() -> None:
    assert shown("a: b\nc: d\r\ne: f", 8) == ("c: d", 4)


@pytest.mark.parametrize("column", [0, 5, 79, 80, 81, 500, 990, 999])
def test_a_long_line_is_cut_around_the_column(column: int) -> None:
    text = "".join(chr(ord("a") + number % 26) for number in range(1000))
    line, caret = shown(text, column)
    assert len(line) <= SHOWN_COLUMNS
    assert line[caret - 1] == text[column]
    assert line.startswith("…") == (not text.startswith(line[:3]))
    assert line.endswith("…") == (not text.endswith(line[-3:]))


def test_the_caret_stands_under_wide_characters() -> None:
    assert shown("名前: x: y", 4) == ("名前: x: y", 7)


def test_what_could_move_the_cursor_is_made_harmless() -> None:
    line, caret = shown("a\tb\u202ec\u0085d", 6)
    assert line == "a b\ufffdc\ufffdd"
    assert caret == 7


def test_the_caret_of_a_diagnostic_is_printed_under_the_place() -> None:
    text = f"job_name: {'x' * 300}: y"
    (diagnostic,) = read_text(text)[1]
    _, source, caret, _ = str(diagnostic).split("\n")
    assert source[caret.index("^")] == ":"


def test_a_diagnostic_without_a_place_is_one_line() -> None:
    assert str(Diagnostic("CB057", "error", "no such role")) == "error[CB057]: no such role"


@pytest.mark.parametrize(
    "text",
    [
        "x: [\nsecrets:\n  T: hunter2\n",
        "a: b\nsecrets: {T: hunter2, U: [}\n",
        "  secrets:\n    T: hunter2: x\n",
        "{a: b, 'secrets': {T: hunter2: x}}",
        '{\n "a": 1,\n "secrets": {"T": "hunter2",, "U": 1}\n}',
        "secrets:\n- hunter2\n  U: x\n",
        "secrets: hunter2\n",
        "secret: {T: hunter2}\n",
        "sercets: {T: hunter2}\n",
        "secrets: {T: hunter2}\nsecrets: {T: hunter2}\n",
        "a: &t hunter2\nsecrets: {T: *t}\n",
        "base: &b {secrets: {T: hunter2}}\n<<: *b\n",
        "secrets: {T: hunter2}\nvisibility: hunter2\n",
        "secrets: {T: hunter2}\nactions: [{test: {definitions: [{name: hunter2 x}]}}]\n",
        "secrets: {T: !x hunter2}",
        "? secrets\n: {T: hunter2: x}\n",
        "secrets: {T: [hunter2], U: 12}",
        "secrets:\nT: hunter2\n",
        "a: b\n&secrets:\n  T: hunter2\n",
        "a: b\n[secrets:\n  T: hunter2: x\n",
        "a: b\n   secrets:\n  T: hunter2: x\n",
        "{a: {b: c}}: d\nsecrets: {T: hunter2: x}",
        "secrets: {T: hunter2, T: hunter2}",
    ],
)
def test_a_secret_is_never_shown(text: str) -> None:
    diagnostics = read_text(text)[1]
    assert diagnostics
    for diagnostic in diagnostics:
        assert "hunter2" not in str(diagnostic)


def test_lines_around_the_secrets_are_shown() -> None:
    source = decode("a: 1\nsecrets:\n  T: hunter2\n\nb: 2\n", "x")
    assert isinstance(source, Source)
    hide_secrets(None, source)
    lines = [source.excerpt(offset) for offset in (0, 5, 14, 28)]
    assert [line.line if line else None for line in lines] == ["a: 1", None, None, "b: 2"]


def test_a_secret_is_masked_as_a_whole_even_if_it_is_cut_short_or_holds_another() -> None:
    source = Source("job.yaml", "", secrets=frozenset({"hunter2", "hunter2-and-more", "2-a"}))
    assert source.masked("`x hunter2-and-more`") == "`x [MASKED]`"
    assert source.masked("`echo hunter2-and…` and `hun…`") == "`echo [MASKED]…` and `[MASKED]…`"
    assert source.masked("`echo hu…` in hunt") == "`echo hu…` in hunt"
