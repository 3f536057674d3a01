"""Prints the hash of the trace of each seed, for tests that compare processes.

`python -m tests.simulation.hashing FILE FIRST LAST`
"""

import sys

from callboard.definition import load
from callboard.simulation.simulator import Trace, prepare


def hashes(file: str, first: int, last: int) -> list[str]:
    """The hash of each seed's trace."""
    rehearsal = prepare(load(file))
    found = []
    for seed in range(first, last + 1):
        trace = Trace()
        rehearsal.run(seed, [trace])
        found.append(trace.sha256)
    return found


if __name__ == "__main__":
    sys.stdout.writelines(
        f"{each}\n" for each in hashes(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    )
