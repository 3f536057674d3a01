"""What a member of a cluster may not do, in the words of who wants to.

A server that forbids something says to which subject it was said. What is wanted with that, and
whose credentials allow it, follows from what subjects are for.
"""

import re

from callboard.cluster import subjects
from callboard.cluster.access import Access
from callboard.cluster.errors import ClusterError
from callboard.cluster.permissions import (
    API,
    HOLDERS,
    KINDS,
    Kind,
    covers,
    local,
    permissions,
    reading,
)
from callboard.cluster.stores import stream_of

_VIOLATION = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]*)\"")
_NEXT_JOB = f"$KV.{subjects.TABLE}.next-job"


def _read(bucket: str) -> tuple[str, ...]:
    return reading(stream_of(bucket))


_DOINGS = {
    "submit groups": (
        f"{API}.DIRECT.GET.{stream_of(subjects.TABLE)}.{_NEXT_JOB}",
        _NEXT_JOB,
        f"$O.{subjects.BUNDLES}.>",
    ),
    "submit or cancel groups": (f"$KV.{subjects.GROUPS}.*",),
    "make a cluster": (f"{API}.STREAM.CREATE.*",),
    "read logs of groups": reading(subjects.LOG),
    "see groups": _read(subjects.GROUPS),
    "see workers": _read(subjects.WORKERS),
    "see who has which devices": _read(subjects.TABLE),
    "register a worker of this name": (f"$KV.{subjects.WORKERS}.*",),
    "run jobs under this name": (subjects.up("*", "*"), subjects.ask("*")),
    "lead groups": (
        *(f"$KV.{bucket}.*" for bucket in (subjects.TABLE, subjects.LEADERS)),
        subjects.log("*"),
        subjects.down("*", "*"),
        *_read(subjects.LEADERS),
        *reading(f"OBJ_{subjects.BUNDLES}"),
    ),
}
"""What somebody wants who publishes to a subject; the first that fits."""


def is_denial(text: str) -> bool:
    """Whether an error of the connection says that something is forbidden."""
    return _VIOLATION.search(text.lower()) is not None


def denied(text: str, access: Access, kind: Kind | None) -> ClusterError:
    """What is said where the servers' permissions forbid something.

    Args:
        text: What the server says.
        access: How it was reached.
        kind: Whose credentials these are; None for unknown ones.
    """
    found = _VIOLATION.search(text.lower())
    assert found is not None, text
    how, subject = found.groups()
    doing = f"listen to {subject}" if how == "subscription" else _doing(subject)
    if access.creds is not None and kind is not None:
        said = f"{access.creds} is for {HOLDERS[kind]}, who may not {doing}"
    else:
        said = f"the NATS server at {access.shown} does not let us {doing}"
    return ClusterError("CB279", said, _cure(how, subject))


def _doing(subject: str) -> str:
    for doing, patterns in _DOINGS.items():
        if any(_covers(pattern, subject) for pattern in patterns):
            return doing
    return f"publish to {subject}"


def _cure(how: str, subject: str) -> str:
    for kind in reversed(KINDS):  # those first who may do the least
        allowed = permissions(kind, "*")
        patterns = allowed.publish if how == "publish" else allowed.subscribe
        if any(_covers(each, subject) for each in patterns):
            return f"`callboard cluster accounts DIR --{kind} NAME` makes credentials that will do"
    return "see the permissions of our account in the server's configuration"


def _covers(pattern: str, subject: str) -> bool:
    """Whether a subject fits, by any account's name for it; servers' errors come in lower case."""
    return covers(local(pattern).lower(), local(subject.replace("$js.api", API, 1)).lower())
