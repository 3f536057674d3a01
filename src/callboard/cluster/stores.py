"""What a cluster keeps on its NATS servers: the stream, the buckets, and how they are made."""

from collections.abc import Iterator

from nats.js.api import DiscardPolicy, StorageType, StreamConfig

from callboard.cluster import subjects

LEASE_S = 10.0
"""Seconds after which who has not been heard of counts as dead, where nothing else was chosen."""

RETENTION_S = 30 * 24 * 3600.0
"""Seconds for which groups and their logs are kept, where nothing else was chosen."""

BUNDLE_S = 7 * 24 * 3600.0
"""Seconds after which a bundle is removed that nobody has removed: a submission that was never
finished, or a group that has waited for so long."""

_PROTOCOL = "callboard-protocol"
_RETENTION = "callboard-retention-s"


def stores(lease_s: float, retention_s: float, replicas: int = 1) -> Iterator[StreamConfig]:
    """Every stream of a cluster, the one that says what cluster it is (`WORKERS`) last."""
    metadata = {_PROTOCOL: str(subjects.PROTOCOL), _RETENTION: f"{retention_s:g}"}
    made = [
        _log(retention_s),
        _bucket(subjects.GROUPS, retention_s),
        _bucket(subjects.LEADERS, lease_s),
        _bucket(subjects.TABLE, None),
        _objects(subjects.BUNDLES, BUNDLE_S),
        _bucket(subjects.WORKERS, lease_s),
    ]
    for config in made:
        yield config.evolve(metadata=metadata, num_replicas=replicas)


def stream_of(bucket: str) -> str:
    """The stream that a bucket lies in."""
    return f"KV_{bucket}"


def protocol_of(config: StreamConfig) -> int | None:
    """The protocol of who has made this stream; None for what isn't of callboard."""
    written = (config.metadata or {}).get(_PROTOCOL, "")
    return int(written) if written.isdecimal() else None


def retention_of(config: StreamConfig) -> float:
    """Seconds for which the groups of the cluster that has this stream are kept."""
    try:
        return float((config.metadata or {})[_RETENTION])
    except (KeyError, ValueError):
        return RETENTION_S


def _log(retention_s: float) -> StreamConfig:
    return StreamConfig(
        name=subjects.LOG,
        subjects=[subjects.log(">")],
        storage=StorageType.FILE,
        max_age=retention_s,
        allow_direct=True,
        discard=DiscardPolicy.NEW,  # a full log refuses, and never forgets what it has taken
        duplicate_window=min(120.0, retention_s),
    )


def _bucket(name: str, age_s: float | None) -> StreamConfig:
    """A bucket as any client of NATS knows them, with nothing but the present values.

    It allows no `Nats-Rollup`: who may write one key could remove all others with it.
    """
    return StreamConfig(
        name=stream_of(name),
        subjects=[f"$KV.{name}.>"],
        storage=StorageType.FILE,
        max_age=age_s,
        max_msgs_per_subject=1,
        allow_direct=True,
        allow_msg_ttl=True,
        deny_delete=True,
        discard=DiscardPolicy.NEW,
        duplicate_window=min(120.0, age_s or 120.0),
    )


def _objects(name: str, age_s: float) -> StreamConfig:
    return StreamConfig(
        name=f"OBJ_{name}",
        subjects=[f"$O.{name}.C.>", f"$O.{name}.M.>"],
        storage=StorageType.FILE,
        max_age=age_s,
        allow_direct=True,
        allow_rollup_hdrs=True,
        discard=DiscardPolicy.NEW,
    )
