"""Runs the benchmarks and prints a line for each."""

import argparse
import sys
from collections.abc import Callable, Mapping

from benchmarks import check, group, kernel, nodes
from benchmarks.measurement import Measurement

BENCHMARKS: Mapping[str, Callable[[], Measurement]] = {
    "ask": kernel.ask,
    "tell": kernel.tell,
    "sync": group.sync,
    "memory": group.memory,
    "check": check.calls,
    "check-nodes": check.nodes,
    "node": nodes.node,
    "node-as-user": nodes.node_as_user,
    "nodes": nodes.nodes,
    "nodes-as-user": nodes.nodes_as_user,
}


def main() -> int:
    """Run what the command line names; returns 1 with `--strict` when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--strict", action="store_true", help="exit 1 when a goal is missed")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    missed = False
    for name in options.names or BENCHMARKS:
        measurement = BENCHMARKS[name]()
        print(measurement, flush=True)
        missed |= not measurement.met
    return 1 if missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
