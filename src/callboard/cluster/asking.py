"""Questions to the servers, which may be away for a while."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js.errors import APIError, KeyNotFoundError, NotFoundError

from callboard.cluster.connection import Cluster
from callboard.cluster.errors import CLUSTER_MADE, NO_CLUSTER, ClusterError
from callboard.cluster.log import NO_STREAM, ROOM, is_full
from callboard.cluster.refusals import too_large

T = TypeVar("T")

_TRIES = 3
_PAUSE_S = 0.2


async def asked(cluster: Cluster, ask: Callable[[], Awaitable[T]]) -> T:
    """The servers' answer; they are asked again when they were away meanwhile.

    Args:
        cluster: The cluster.
        ask: Asks them; it may be called several times.

    Raises:
        ClusterError: They refuse, or don't answer although they can be reached.
        nats.js.errors.KeyNotFoundError: There is no such entry.
    """
    tries = 0
    while True:
        await cluster.wait_connected()
        try:
            return await cluster.permitted(ask())
        except KeyNotFoundError:
            raise
        except (NatsError, TimeoutError) as error:
            tries += cluster.connected
            if isinstance(error, NatsError) and (said := _refused(error, cluster)) is not None:
                raise said from error
            if tries >= _TRIES:
                text = f"NATS does not answer at {cluster.access.shown}: {error}"
                raise ClusterError("CB270", text, "see the log of the NATS server") from error
            await anyio.sleep(_PAUSE_S)  # who has just come back isn't ready for all at once


def _refused(error: NatsError, cluster: Cluster) -> ClusterError | None:
    """What the servers say no to; None when they may say yes the next time."""
    match error:
        case MaxPayloadError():
            return too_large(cluster.limit_bytes + 1, cluster.limit_bytes)
        case APIError() if is_full(error):
            text = f"the servers have no room for it: {error.description}"
            return ClusterError("CB274", text, ROOM)
        case NotFoundError() if error.err_code == NO_STREAM:
            text = "the servers don't have what a cluster keeps there"
            return ClusterError(NO_CLUSTER, text, CLUSTER_MADE)
        case _:
            return None
