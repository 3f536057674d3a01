"""The check of a definition: how long it takes, and that the number of nodes doesn't matter."""

import time
from statistics import median

import yaml

from benchmarks.measurement import Measurement
from callboard.definition import read_text
from callboard.flow.check import check

_ROLES = 20
_CALLS = 1_000
_ROUNDS = 7
_FEW = 2
_MANY = 1_000_000

_HEAD = """\
job_name: benchmark
visibility: public
timeouts: {{job: {{minutes: 10}}, action: {{minutes: 5}}}}
protocols:
  lava-multinode:
    roles:
{roles}
actions:
{actions}"""
_TEST = """\
- test:
    role: [r{role}]
    definitions:
    - from: inline
      name: t
      path: t.yaml
      repository:
        metadata: {{format: Lava-Test Test Definition 1.0, name: t}}
        run:
          steps:
{steps}
"""


def _definition(count: int) -> str:
    """20 roles that send, wait, sync and wait-all, 1,000 calls in all."""
    roles = "\n".join(
        f"      r{role}: {{device_type: qemu, count: {count}}}" for role in range(_ROLES)
    )
    actions = "".join(
        _TEST.format(role=role, steps="\n".join(_steps(role))) for role in range(_ROLES)
    )
    return _HEAD.format(roles=roles, actions=actions)


def _steps(role: int) -> list[str]:
    after, third = (role + 1) % _ROLES, (role + 3) % _ROLES
    steps: list[str] = []
    for number in range(_CALLS // _ROLES // 4 + 1):
        steps += [
            f"lava-send m-{role}-{number} ip=10.0.0.{role}",
            f"lava-wait m-{after}-{number}",
            f"lava-sync s-{number}",
            f"lava-wait-all m-{third}-{number} r{third}",
        ]
    return [f"          - {step}" for step in steps[: _CALLS // _ROLES]]


def _seconds(text: str) -> float:
    """Median time from the text to the verdict."""
    times: list[float] = []
    for _ in range(_ROUNDS):
        began_s = time.perf_counter()
        definition, diagnostics = read_text(text)
        assert definition is not None, diagnostics
        verdict = check(definition)
        times.append(time.perf_counter() - began_s)
        assert verdict.completes, verdict.witness
        assert sum(len(list(each.calls())) for each in verdict.extraction.programs) == _CALLS
    return median(times)


def _yaml_seconds(text: str) -> float:
    """Median time of reading the same text as plain YAML."""
    times: list[float] = []
    for _ in range(_ROUNDS):
        began_s = time.perf_counter()
        yaml.load(text, yaml.CSafeLoader)
        times.append(time.perf_counter() - began_s)
    return median(times)


def calls() -> Measurement:
    """A definition with 20 roles and 1,000 calls, beside the YAML parser alone."""
    text = _definition(_FEW)
    figure, baseline = _seconds(text) * 1000, _yaml_seconds(text) * 1000
    name = f"check of {_ROLES} roles, {_CALLS:,} calls"
    return Measurement(name, figure, baseline, "ms", baseline / figure, limit=1000)


def nodes() -> Measurement:
    """The same with a million nodes a role, beside two."""
    figure, baseline = _seconds(_definition(_MANY)) * 1000, _seconds(_definition(_FEW)) * 1000
    name = f"the same with {_MANY:,} nodes a role, raw {_FEW}"
    return Measurement(name, figure, baseline, "ms", baseline / figure, goal=0.8)
