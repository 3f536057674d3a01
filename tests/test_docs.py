"""Every example in the documentation runs, and prints what the page says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_EXAMPLE = re.compile(
    r"^```python\n(.*?)^```\n(?:^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL
)


def python_examples() -> list[tuple[str, str, str]]:
    """Page and line, code, and expected output of each python block."""
    found: list[tuple[str, str, str]] = []
    for page in PAGES:
        text = page.read_text()
        for match in _EXAMPLE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append((f"{page.name}:{line}", match[1], match[2] or ""))
    return found


@pytest.mark.parametrize(
    ("code", "expected"),
    [pytest.param(code, expected, id=where) for where, code, expected in python_examples()],
)
def test_a_python_example_prints_what_the_page_says(
    code: str, expected: str, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == expected


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
