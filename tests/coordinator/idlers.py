"""Connects again and again, and says nothing.

`python -m tests.coordinator.idlers PORT COUNT ADDRESS…` writes a line when so many connections have
been made, and keeps them until its standard input ends; it is a process of its own, for it needs
many descriptors.
"""

import resource
import socket
import sys
from itertools import cycle, islice


def main(port: int, count: int, sources: list[str]) -> None:
    """Be a nuisance."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle = []
    for source in islice(cycle(sources), count):
        connection = socket.socket()
        connection.bind((source, 0))
        connection.connect(("127.0.0.1", port))
        idle.append(connection)
    sys.stdout.write("there\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
