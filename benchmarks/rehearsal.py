"""Rehearsals: a large group, how it grows, and how many seeds go by in a second.

Each figure is that of a fresh process, `python -m benchmarks.rehearsal WAY NUMBER`. Time is that of
its processor: a rehearsal does nothing but compute, so it takes as long on a machine that has
nothing else to do. The raw baseline is SimPy, which goes through as many events and does nothing at
them.
"""

import functools
import importlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from statistics import mean
from typing import Any

from attrs import frozen

from benchmarks.measurement import Measurement
from callboard.definition import load, read_text
from callboard.scenarios import scenario
from callboard.simulation.simulator import Rehearsal, Trace, prepare

_GROUP = """\
job_name: large
visibility: public
timeouts: {job: {minutes: 30}, action: {minutes: 10}, connection: {minutes: 2}}
protocols:
  lava-multinode:
    roles: {node: {device_type: qemu, count: 2}}
    timeout: {minutes: 10}
actions:
- deploy: {role: [node], to: tmpfs, os: debian, images: {rootfs: {url: "http://files.example/r"}}}
- boot: {role: [node], method: qemu, prompts: ['#']}
- test:
    role: [node]
    definitions:
    - from: inline
      name: one
      path: inline/one.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: one}
        run: {steps: [lava-send up, lava-wait up]}
    - from: inline
      name: two
      path: inline/two.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: two}
        run: {steps: [lava-wait-all up, lava-sync done]}
"""
_EVENTS = 96
"""Events in the log for each node of that group."""

_SMALL = 1_000
_NODES = 10_000
_MOST = 100_000
_SEEDS = 400
_ROLES_EVENTS = 230
"""Events in the log of `two-roles`."""


@frozen
class _Run:
    """What one process has needed."""

    seconds: float
    mebibytes: float


def _group(nodes: int) -> None:
    definition, diagnostics = read_text(_GROUP)
    assert definition is not None, diagnostics
    trace = Trace()
    outcome = prepare(definition, scale={"node": nodes}).run(0, [trace])
    assert outcome.exit_code == 0, outcome
    assert trace.events == _EVENTS * nodes + 2, trace.events


def _simpy(nodes: int, events: int = _EVENTS) -> None:
    library: Any = importlib.import_module("simpy")
    environment = library.Environment()

    def node(number: int) -> Generator[Any, Any, None]:
        for _ in range(events):
            yield environment.timeout(1 + number % 7)

    for number in range(nodes):
        environment.process(node(number))
    environment.run()


def _two_roles() -> Rehearsal:
    return prepare(load(str(scenario("two-roles"))))


def _seeds(count: int) -> None:
    rehearsal = _two_roles()
    for seed in range(count):
        rehearsal.run(seed, [Trace()])


def _simpy_seeds(count: int) -> None:
    for _ in range(count):
        _simpy(3, _ROLES_EVENTS // 3)


_WAYS: Mapping[str, Callable[[int], None]] = {
    "group": _group,
    "simpy": _simpy,
    "seeds": _seeds,
    "simpy-seeds": _simpy_seeds,
}


def _start(way: str, number: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.rehearsal", way, str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _result(process: "subprocess.Popen[str]") -> _Run:
    said, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{process.args!r} ended with exit code {process.returncode}")
    return _Run(**json.loads(said))


def _measured(way: str, number: int) -> _Run:
    return _result(_start(way, number))


def _sized(nodes: int, limit_s: float, limit_mib: float) -> Sequence[Measurement]:
    small, large = _measured("group", _SMALL), _measured("group", nodes)
    raw = _measured("simpy", nodes)
    name = f"rehearsal of {nodes:,} nodes"
    small_ms, large_ms = (1000 * small.seconds / _SMALL), (1000 * large.seconds / nodes)
    return (
        Measurement(
            name, large.seconds, raw.seconds, "s", raw.seconds / large.seconds, limit=limit_s
        ),
        Measurement(
            f"{name}, peak memory",
            large.mebibytes,
            raw.mebibytes,
            "MiB",
            raw.mebibytes / large.mebibytes,
            limit=limit_mib,
        ),
        Measurement(
            f"{name}, a node, beside {_SMALL:,}",
            large_ms,
            small_ms,
            "ms",
            small_ms / large_ms,
            goal=0.6,
        ),
    )


def rehearsal() -> Sequence[Measurement]:
    """A whole group of 10,000 nodes: deploy, boot, two definitions, four calls."""
    return _sized(_NODES, limit_s=60, limit_mib=1024)


def large() -> Sequence[Measurement]:
    """The same with 100,000 nodes."""
    return _sized(_MOST, limit_s=900, limit_mib=8192)


def seeds() -> Measurement:
    """What a seed of `scenarios/two-roles.yaml` takes, while two cores are busy with them.

    10 ms are 200 seeds a second on two cores.
    """
    figure, baseline = _each_ms("seeds"), _each_ms("simpy-seeds")
    name = "a seed of two-roles, on each of two cores"
    return Measurement(name, figure, baseline, "ms", baseline / figure, limit=10)


def _each_ms(way: str) -> float:
    processes = [_start(way, _SEEDS) for _ in range(2)]
    return mean(_result(each).seconds for each in processes) * 1000 / _SEEDS


def main() -> None:
    """Do what the command line says, and print what it takes as JSON."""
    way, number = sys.argv[1], int(sys.argv[2])
    work = functools.partial(_WAYS[way], number)
    began_s = time.process_time()
    work()
    seconds = time.process_time() - began_s
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "mebibytes": peak_kib / 1024}))


if __name__ == "__main__":
    main()
