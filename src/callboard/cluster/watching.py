"""The entries of a bucket, as they are and as they change."""

from collections.abc import Callable

import anyio
from nats.errors import Error as NatsError

from callboard.cluster.connection import Cluster

RENEW_S = 60.0
"""Seconds after which all entries are read anew, lest a change was missed that nobody knows of."""

_PAUSE_S = 0.5


async def watch(cluster: Cluster, bucket: str, take: Callable[[str, bytes | None], None]) -> None:
    """Follow every entry of a bucket, and then each change of one, until cancelled.

    All entries come once more now and then, and when servers are back that were away. Entries that
    expire aren't told of.

    Args:
        cluster: The connection.
        bucket: The bucket's name, see `subjects`.
        take: Called with the key of an entry and what stands there, None for one that was removed.
    """
    while True:
        await cluster.wait_connected()
        with anyio.move_on_after(RENEW_S) as scope:
            forget = cluster.listen(lambda _there, scope=scope: scope.cancel())  # type: ignore[misc]
            try:
                await _follow(cluster, bucket, take)
            except (NatsError, TimeoutError):
                await anyio.sleep(_PAUSE_S)
            finally:
                forget()


async def _follow(cluster: Cluster, bucket: str, take: Callable[[str, bytes | None], None]) -> None:
    watcher = await cluster.bucket(bucket).watchall()
    try:
        async for entry in watcher:
            if entry is not None:  # none ends what there was at the beginning
                take(entry.key, entry.value or None)
    finally:
        with anyio.move_on_after(_PAUSE_S, shield=True):
            await watcher.stop()  # type: ignore[no-untyped-call] # the library has no types there
