"""Groups with VLANs for tests, made by changes to one that is good."""

from callboard.definition import Definition, read_text
from callboard.definition.source import Source
from callboard.flow.check import Verdict, check

DEPLOY = """\
- deploy:
    role: [left, router, right]
    to: tmpfs
    protocols:
      lava-vland:
      - {action: lava-vland-overlay, request: deploy_vlans}
"""
GOOD = f"""\
job_name: two-vlans
visibility: public
timeouts: {{job: {{minutes: 30}}, action: {{minutes: 9}}, connection: {{minutes: 2}}}}
protocols:
  lava-multinode:
    roles:
      left: {{device_type: board, count: 1}}
      router: {{device_type: board, count: 1}}
      right: {{device_type: board, count: 1}}
  lava-vland:
    left: {{one: {{tags: [RJ45, 10M]}}}}
    router: {{one: {{tags: [RJ45]}}, two: {{tags: []}}}}
    right: {{two: {{tags: []}}}}
actions:
{DEPLOY}- test:
    role: [left, router, right]
    definitions:
    - from: inline
      name: names
      path: names.yaml
      repository:
        metadata: {{format: Lava-Test Test Definition 1.0, name: names}}
        run: {{steps: [lava-vland-names, lava-sync ready]}}
"""
FILE = "vlans.yaml"


def changed(*changes: tuple[str, str]) -> str:
    """The good group with other texts for some, each of which is there once."""
    text = GOOD
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def read(text: str) -> Definition:
    """A definition, which is valid."""
    found, diagnostics = read_text(text, FILE)
    assert found is not None, diagnostics
    return found


def checked(text: str) -> Verdict:
    """What the check says of it."""
    return check(read(text))


def said(text: str) -> str:
    """The outcome, and each finding with its hint; places are shown by what stands there."""
    verdict = checked(text)
    lines = [str(verdict.outcome)]
    source = Source(FILE, text)
    for each in verdict.diagnostics:
        assert each.place is not None
        there = text[source.offset(each.place) :].split("\n", maxsplit=1)[0][:12].strip()
        lines += [f"{each.severity} {each.code} at {there}: {each.message}", f"  {each.hint}"]
    return "\n".join(lines)
