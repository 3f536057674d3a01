"""What the subjects, streams and buckets of a cluster are called.

A sender's name is part of the subject that it publishes to, so that the servers' permissions
prove who speaks: a worker may publish below `cb.up.<itself>` only.

| subject | from | to | carries |
| --- | --- | --- | --- |
| `cb.up.<worker>.<group>` | a worker that has jobs of the group | the group's leader | parcels |
| `cb.down.<worker>.<group>` | the group's leader | a worker that has jobs of it | parcels |
| `cb.log.<group>` | the group's leader | stream `callboard-log` | batches of log lines |
| `cb.ask.<worker>` | a worker | any worker that may lead (queue group) | what became of a group |
"""

PROTOCOL = 1
"""Version of everything that processes of a cluster say to each other. A process takes part only
where its own is the same."""

LOG = "callboard-log"
"""The stream with the logs of all groups."""

WORKERS = "callboard-workers"
"""Bucket: a `Registration` by the worker's name; entries expire without a heartbeat."""

GROUPS = "callboard-groups"
"""Bucket: a `GroupRecord` by the group's id; kept for the retention time."""

LEADERS = "callboard-leaders"
"""Bucket: a `Lead` by the group's id; entries expire without a heartbeat."""

TABLE = "callboard-table"
"""Bucket: the `Table` of who has which device under the key `table`; the number of the next job
under the key `next-job`."""

BUNDLES = "callboard-bundles"
"""Object store: what a group is made of (definition and sources) by its id."""


def up(worker: str, group: str) -> str:
    """From a worker to the leader of a group; `*` for any worker or group."""
    return f"cb.up.{worker}.{group}"


def down(worker: str, group: str) -> str:
    """From the leader of a group to a worker; `*` for any worker or group."""
    return f"cb.down.{worker}.{group}"


def log(group: str) -> str:
    """The log of a group."""
    return f"cb.log.{group}"


OVER = b"over"
GOES_ON = b"goes on"
"""The answers to `ask`: a group has ended or nobody knows it, or neither."""


def ask(worker: str) -> str:
    """A worker's question to any that may lead: what became of the group that it names?"""
    return f"cb.ask.{worker}"


def sender(subject: str) -> tuple[str, str]:
    """Worker and group of a subject of `up` or `down`; raises ValueError for another one."""
    parts = subject.split(".")
    if len(parts) != 4 or parts[0] != "cb" or parts[1] not in ("up", "down"):
        raise ValueError(f"{subject!r} is no subject of parcels")
    return parts[2], parts[3]
