"""The page of the rules in the documentation."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.conformance.rules import RULES, TOPICS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/conformance.md"

HOLDS = "holds"
_ROW = re.compile(r"^\| \d+\.\d+ \|.*\]\([^)]*/([\w-]+)\.yaml\) \|.*\| ([^|]+) \|$", re.MULTILINE)

_INTRODUCTION = """\
# Conformance

What LAVA's documentation says of MultiNode, rule by rule, and whether callboard does it. Each rule
has a small definition that shows it; `make test` runs them all, with real nodes on this machine,
and once more in virtual time and on a cluster of three workers. The page is written by

```console
$ .venv/bin/python -m tests.conformance
```

The documentation counts, not the code: where LAVA itself is known to behave otherwise today, the
table says how. The head of each definition says where LAVA's documentation has the rule.
"""


def page(results: Mapping[str, str]) -> str:
    """The page; `results` has the result of each rule by its name."""
    return "\n".join(_lines(results)) + "\n"


def shown(text: str) -> dict[str, str]:
    """The result of each rule by its name, as a page has them."""
    return dict(_ROW.findall(text))


def _lines(results: Mapping[str, str]) -> Iterator[str]:
    yield _INTRODUCTION
    held = sum(result == HOLDS for result in results.values())
    yield f"Of {len(RULES)} tested rules {held} hold."
    for number, topic in enumerate(TOPICS, 1):
        yield f"\n## {number} {topic.title}\n"
        yield "| | rule | definition | LAVA today, where it differs | result |"
        yield "| --- | --- | --- | --- | --- |"
        for position, rule in enumerate(topic.rules, 1):
            path = rule.path.relative_to(ROOT)
            link = f"[{rule.name}](../{path})"
            cells = (f"{number}.{position}", rule.sentence, link, rule.today or "")
            yield f"| {' | '.join(cells)} | {results[rule.name]} |"
