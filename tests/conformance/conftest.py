"""Definitions run as those of the system's tests do, and nothing may be left of them either."""

from collections.abc import Iterator

import pytest
from tests.conformance.placements import Elsewhere, Machines, open_cluster, open_coordinator
from tests.system.boxes import clear
from tests.system.conftest import callboard
from tests.system.harness import Callboard

__all__ = ["board", "callboard"]


@pytest.fixture
def board(callboard: Callboard) -> Iterator[Callboard]:
    """The command line; containers that persist go after the test."""
    yield callboard
    clear(callboard)


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A cluster for all rules, which are tried one after the other."""
    with open_cluster(tmp_path_factory.mktemp("cluster")) as url:
        yield Machines(url)


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """A coordinator for all rules, which are tried one after the other."""
    with open_coordinator(tmp_path_factory.mktemp("c")) as url:
        yield Elsewhere(url)
