"""Which cluster is on the servers: made where it is missing, looked at where it is there."""

from typing import TYPE_CHECKING

from nats.js import JetStreamContext
from nats.js.errors import (
    APIError,
    NoStreamResponseError,
    NotFoundError,
    ServiceUnavailableError,
)

from callboard.cluster import subjects
from callboard.cluster.errors import CLUSTER_MADE, NO_CLUSTER, ClusterError
from callboard.cluster.refusals import no_jetstream, refused
from callboard.cluster.stores import (
    LEASE_S,
    RETENTION_S,
    protocol_of,
    retention_of,
    stores,
    stream_of,
)

if TYPE_CHECKING:
    from nats.js.api import StreamInfo

    from callboard.cluster.connection import Cluster


async def ensure(
    js: JetStreamContext,
    lease_s: float = LEASE_S,
    retention_s: float = RETENTION_S,
    replicas: int = 1,
) -> list[str]:
    """Make the stream, buckets and object store of a cluster where they are missing.

    What is there stays as it is, also where its lease is another.

    Returns:
        The names of the streams that were made.

    Raises:
        ClusterError: They can't be made, or are of another version of callboard.
    """
    made: list[str] = []
    for config in stores(lease_s, retention_s, replicas):
        name = str(config.name)
        found = await _info(js, name)
        if found is not None:
            _check_protocol(found)
            continue
        try:
            await js.add_stream(config)
        except APIError as error:
            raise refused(error, name) from error
        made.append(name)
    return made


async def look(cluster: "Cluster", *, make: bool) -> tuple[float, float]:
    """Find out which cluster is on the servers.

    Args:
        cluster: The connection.
        make: Make one where there is none.

    Returns:
        Its lease and its retention time, in seconds.

    Raises:
        ClusterError: There is none, it can't be made, or it is of another version of callboard.
    """
    stream = stream_of(subjects.WORKERS)
    found = await cluster.answered(_info(cluster.js, stream))
    if found is None:
        if not make:
            text = f"there is no callboard cluster on the NATS server at {cluster.access.shown}"
            raise ClusterError(NO_CLUSTER, text, CLUSTER_MADE)
        await cluster.answered(ensure(cluster.js))
        found = await cluster.answered(_info(cluster.js, stream))
    assert found is not None
    _check_protocol(found)
    return found.config.max_age or LEASE_S, retention_of(found.config)


async def _info(js: JetStreamContext, stream: str) -> "StreamInfo | None":
    try:
        return await js.stream_info(stream)
    except NotFoundError:
        return None
    except (ServiceUnavailableError, NoStreamResponseError) as error:
        raise no_jetstream() from error
    except APIError as error:
        raise refused(error, stream) from error


def _check_protocol(info: "StreamInfo") -> None:
    found = protocol_of(info.config)
    if found == subjects.PROTOCOL:
        return
    cure = "run the same version of callboard everywhere, or use another account of the server"
    if found is None:
        text = f"the server has a stream {info.config.name} that callboard has not made"
    else:
        text = f"the cluster speaks protocol {found}, this callboard {subjects.PROTOCOL}"
    raise ClusterError("CB271", text, cure)
