"""Servers that have something to fetch."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sources.fetching import tar
from tests.sources.servers import SMOKE, Web, git_daemon, repository, web


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A repository's folder, and the URL at which it is served."""
    repository(tmp_path / "served/repo")
    with git_daemon(tmp_path / "served") as url:
        yield tmp_path / "served/repo", f"{url}/repo"


@pytest.fixture
def site() -> Iterator[Web]:
    """A server that has an archive."""
    with web() as site:
        site.pages["/tests.tgz"] = tar({"smoke.yaml": SMOKE, "data": "here"})
        yield site
