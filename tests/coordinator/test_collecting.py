"""What a coordinator leaves to Python's garbage collector, and what that looks through."""

import gc

import pytest
from tests.coordinator.hosting import Host
from tests.coordinator.real import ask

from callboard.coordinator.collecting import brief_collections
from callboard.coordinator.connection import Connection
from callboard.coordinator.terms import Terms

_KEPT = 300_000


def test_what_is_kept_is_not_looked_through_again() -> None:
    """A few collections after it came into being it is out of the collector's sight."""
    with brief_collections():
        kept: list[list[int]] = [[] for _ in range(_KEPT)]
        assert len(gc.get_objects()) < _KEPT / 2
    assert len(gc.get_objects()) > len(kept)


@pytest.mark.parametrize("hold", [0.0, 1.0])
def test_a_connection_is_freed_without_the_collector(hold: float) -> None:
    client = {"client_name": "1", "group_name": "g", "role": "r", "group_size": 1}
    gc.collect()
    gc.disable()
    try:
        with Host(Terms(hold=hold)) as host:
            for request in ("group_data", "lava_sync", "lava_wait", "nonsense"):
                ask(
                    host.address,
                    {**client, "request": request, "messageID": "x", "poll_delay": 0.01},
                )
            assert ask(host.address, {"request": "nonsense"}) == {"response": "nack"}
            host.until(lambda now: now.connections == 0)
            left = sum(isinstance(each, Connection) for each in gc.get_objects())
    finally:
        gc.enable()
    assert left == 0
