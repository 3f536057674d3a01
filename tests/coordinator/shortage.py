"""A server in a process that has no descriptors left; prints what its log said, and ends well.

A process of its own, for limits are a process's: `python -m tests.coordinator.shortage`.
"""

import json
import os
import resource
import sys

from tests.coordinator.hosting import Host, document, rest

from callboard.coordinator.framing import frame

_DESCRIPTORS = 200


class Hoard:
    """Descriptors that nobody else can have."""

    def __init__(self) -> None:
        self._taken: list[int] = []

    def take_all(self) -> None:
        """Leave none."""
        while True:
            try:
                self._taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                return

    def give(self, count: int) -> None:
        """Give some back."""
        for _ in range(count):
            os.close(self._taken.pop())


def _who_has_not_asked_gives_way(host: Host, hoard: Hoard) -> None:
    idle = host.connect()
    host.until(lambda now: now.reading == 1)
    hoard.take_all()
    hoard.give(1)
    with host.connect() as client:
        client.sendall(frame(document("group_data")))
        assert json.loads(client.recv(100)[8:]) == {"response": "wait"}
    assert rest(idle) == b""


def _others_are_turned_away_until_there_are_some(host: Host, hoard: Hoard) -> None:
    host.until(lambda now: now.connections == 0)
    hoard.take_all()
    for _ in range(3):
        hoard.give(1)
        with host.connect() as client:
            assert client.recv(1) == b""
        hoard.take_all()
    hoard.give(2)
    assert host.ask("group_data") == {"response": "wait"}


def main() -> None:
    """Do all that, one after the other."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
    hoard = Hoard()
    with Host() as host:
        _who_has_not_asked_gives_way(host, hoard)
        _others_are_turned_away_until_there_are_some(host, hoard)
        while not host.facts.empty():
            sys.stdout.write(f"{host.facts.get().text}\n")


if __name__ == "__main__":
    main()
