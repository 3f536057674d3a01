"""A client of a cluster, for as long as one is needed; the client library is loaded then."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from callboard.cluster.access import Access

if TYPE_CHECKING:
    from callboard.cluster.client import Client


@contextlib.asynccontextmanager
async def visiting(access: Access, note: Callable[[str], None]) -> AsyncIterator["Client"]:
    """Be a client of a cluster while the context is open.

    Args:
        access: The cluster.
        note: Is told, in a line of text, when its servers are away, and when they are back.

    Raises:
        ClusterError: It can't be one; the client library of NATS may be missing.
    """
    # It comes first: it says what to do where the library is missing.
    from callboard.cluster.connection import connect  # isort: split
    from callboard.cluster.client import Client

    async with connect(access, name="callboard client", note=note, make=False) as cluster:
        yield Client(cluster)
