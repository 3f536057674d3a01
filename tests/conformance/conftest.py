"""Definitions run as those of the system's tests do, and nothing may be left of them either."""

from collections.abc import Iterator

import pytest
from tests.system.boxes import clear
from tests.system.conftest import callboard
from tests.system.harness import Callboard

__all__ = ["board", "callboard"]


@pytest.fixture
def board(callboard: Callboard) -> Iterator[Callboard]:
    """The command line; containers that persist go after the test."""
    yield callboard
    clear(callboard)
