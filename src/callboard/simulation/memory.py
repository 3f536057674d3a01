"""Memory while a large group is rehearsed."""

import contextlib
import gc
from collections.abc import Iterator

_OBJECTS = 200_000
"""Objects that may come into being before the collector looks for garbage among them."""


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Have the collector run rarely, for what a rehearsal makes lives as long as its group.

    It would look at all of it again and again; what ends is freed without it. The little that is
    not is freed at the end, lest a process that rehearses many seeds grows.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_OBJECTS, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.collect()  # while what was there before is out of its sight, so that it is quick
        gc.unfreeze()
