"""Runs the benchmarks and prints a line for each."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping

from benchmarks import (
    allocation,
    barrier,
    check,
    containers,
    coordinator,
    fleet,
    group,
    kernel,
    nats,
    networks,
    nodes,
    rehearsal,
)
from benchmarks.measurement import Measurement

BENCHMARKS: Mapping[str, Callable[[], Measurement | Iterable[Measurement]]] = {
    "ask": kernel.ask,
    "tell": kernel.tell,
    "spawn": kernel.spawn,
    "barrier": barrier.barrier,
    "sync": group.sync,
    "memory": group.memory,
    "check": check.calls,
    "check-nodes": check.nodes,
    "grants": allocation.crowded,
    "grants-large": allocation.large,
    "node": nodes.node,
    "node-as-user": nodes.node_as_user,
    "nodes": nodes.nodes,
    "nodes-as-user": nodes.nodes_as_user,
    "network": networks.networks,
    "containers": containers.containers,
    "rehearsal": rehearsal.rehearsal,
    "rehearsal-large": rehearsal.large,
    "seeds": rehearsal.seeds,
    "release": nats.release,
    "events": nats.events,
    "takeover": fleet.takeover,
    "thousand": fleet.thousand,
    "coordinator-rates": coordinator.rates,
    "coordinator-sends": coordinator.sends,
    "coordinator-meetings": coordinator.meetings,
}
ON_REQUEST = frozenset(
    {
        "containers",
        "rehearsal-large",
        "release",
        "events",
        "takeover",
        "thousand",
        "coordinator-rates",
        "coordinator-sends",
        "coordinator-meetings",
    }
)
"""Those that take long, or need root, and are run only when they are named."""


def main() -> int:
    """Run what the command line names; returns 1 with `--strict` when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--strict", action="store_true", help="exit 1 when a goal is missed")
    parser.add_argument("--large", action="store_true", help="barriers of 100,000 nodes as well")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    missed = False
    for name in options.names or [each for each in BENCHMARKS if each not in ON_REQUEST]:
        found = barrier.large() if name == "barrier" and options.large else BENCHMARKS[name]()
        for measurement in [found] if isinstance(found, Measurement) else found:
            print(measurement, flush=True)
            missed |= not measurement.met
    return 1 if missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
