"""Keeps Python's garbage collector from looking through all groups again and again."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_ALL = 2
"""The collector's generation that has all that has lived for a while."""


@contextmanager
def brief_collections() -> Iterator[None]:
    """The time in which the collector looks only at what has come since it last looked at all.

    While it looks nobody is answered, and to look through all that a coordinator with very many
    clients keeps takes a long time. What groups keep is freed without it once it is not needed.
    """
    gc.callbacks.append(_collected)
    gc.freeze()
    try:
        yield
    finally:
        gc.callbacks.remove(_collected)
        gc.unfreeze()


def _collected(phase: str, info: Mapping[str, Any]) -> None:
    if phase == "stop" and info["generation"] == _ALL:
        gc.freeze()
