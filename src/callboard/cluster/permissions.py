"""Who may do what in a cluster.

A subject says who speaks, and the servers' permissions make that true. There is one more way to
speak: whoever asks a server for something names the subject to which the answer goes, and no
server asks whether the asker may publish there. The answer to a heartbeat could spoil a group's
log, and an entry that is read back could arrive as the parcel of another worker. So each kind of
member has an account of its own, which takes from the leaders' account only what it needs: an
answer to a request from another account stays in the account that asked.

| account | its members | what it takes from the leaders' account |
| --- | --- | --- |
| `leaders` | workers that lead groups | (everything is here) |
| `workers` | workers that only run jobs | parcels both ways; questions, registrations |
| `users` | who submits groups | to read logs, records, the fleet; to write records, bundles |
| `system` | nobody | (the servers' own) |

Within an account each member has permissions of its own. Leaders trust each other: what decides
over a group has to be able to write for it.
"""

from collections.abc import Iterable
from typing import Literal

from attrs import frozen

from callboard.cluster import subjects

Kind = Literal["leader", "worker", "user"]
KINDS: tuple[Kind, ...] = ("leader", "worker", "user")
HOLDERS: dict[Kind, str] = {
    "leader": "a worker that leads groups",
    "worker": "a worker that leads no groups",
    "user": "somebody who submits groups",
}
"""Whom credentials of a kind are for."""

API = "$JS.API"
"""The prefix of requests to JetStream in the leaders' account."""

IMPORTED_API = "cb.api"
"""The same for members of other accounts, which have no JetStream of their own: there the server
itself answers below `API`, that there is none."""

USERS_INBOX = "_INBOX.users"
"""Below it lie the subjects at which users get what they read. The leaders' account knows no
others of users: a stream is delivered in the account where the stream is."""

_BUNDLES = f"OBJ_{subjects.BUNDLES}"
_REGISTRATIONS = f"KV_{subjects.WORKERS}"
_HEARTBEATS = f"$KV.{subjects.WORKERS}.*"
_READABLE = (
    subjects.LOG,
    *(f"KV_{bucket}" for bucket in (subjects.WORKERS, subjects.GROUPS, subjects.TABLE)),
)
"""Streams that users may read."""

STREAMS = (*_READABLE, f"KV_{subjects.LEADERS}", _BUNDLES)
"""All streams of a cluster."""


@frozen
class Permissions:
    """What a member may do; subjects with wildcards.

    Attributes:
        publish: Where it may publish.
        subscribe: What it may listen to.
        answers: Whether it may also answer whoever asked it.
    """

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    answers: bool = False


@frozen
class Offered:
    """What the leaders' account offers to others.

    Attributes:
        requests: Where they may publish, and get answers from; `local` says what they call it.
        deliveries: What they may listen to.
    """

    requests: tuple[str, ...]
    deliveries: tuple[str, ...]


def inbox(kind: Kind, name: str) -> str:
    """The prefix of the subjects at which a member gets answers."""
    return f"{USERS_INBOX}.{name}" if kind == "user" else f"_INBOX.{name}"


def api(kind: Kind) -> str:
    """The prefix of a member's requests to JetStream."""
    return API if kind == "leader" else IMPORTED_API


def local(subject: str) -> str:
    """What other accounts call a subject of the leaders' account."""
    return IMPORTED_API + subject.removeprefix(API) if subject.startswith(API) else subject


def covers(wide: str, narrow: str) -> bool:
    """Whether everything that matches one subject matches the other; both may have wildcards."""
    tokens = narrow.split(".")
    for place, token in enumerate(wide.split(".")):
        if token == ">":
            return place < len(tokens)
        if place == len(tokens) or token not in ("*", tokens[place]) or tokens[place] == ">":
            return False
    return len(tokens) == len(wide.split("."))


def permissions(kind: Kind, name: str) -> Permissions:
    """What a member of this kind and name may do, and nothing else."""
    own = f"{inbox(kind, name)}.>"
    match kind:
        case "worker":
            return Permissions(_local(_hosting(name)), (subjects.down(name, "*"), own))
        case "leader":
            heartbeats = f"$KV.{subjects.WORKERS}.*"
            parcels = (subjects.down(name, "*"), subjects.up("*", "*"))
            heard = (*parcels, subjects.ask("*"), heartbeats, own)
            return Permissions((*_hosting(name), *_leading()), heard, answers=True)
        case "user":
            return Permissions(_local(_using()), (_HEARTBEATS, own))


def offered(kind: Kind) -> Offered:
    """What members of this kind take from the leaders' account."""
    match kind:
        case "worker":
            return Offered(_hosting("*"), (subjects.down("*", "*"),))
        case "leader":
            return Offered((), ())
        case "user":
            return Offered(_using(), (_HEARTBEATS, f"{USERS_INBOX}.>"))


def _local(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(local(each) for each in names)


def _hosting(name: str) -> tuple[str, ...]:
    return (
        subjects.up(name, "*"),
        subjects.ask(name),
        f"$KV.{subjects.WORKERS}.{name}",
        f"{API}.STREAM.INFO.{_REGISTRATIONS}",
        # Its own entry: who else has the name, and whether a write arrived whose answer was lost.
        f"{API}.DIRECT.GET.{_REGISTRATIONS}.$KV.{subjects.WORKERS}.{name}",
    )


def _leading() -> tuple[str, ...]:
    written = (subjects.GROUPS, subjects.LEADERS, subjects.TABLE)
    return (
        subjects.down("*", "*"),
        subjects.log("*"),
        *(f"$KV.{bucket}.*" for bucket in written),
        f"$O.{subjects.BUNDLES}.>",
        f"{API}.INFO",
        f"{API}.STREAM.NAMES",
        "$JS.FC.>",
        *(f"{API}.STREAM.CREATE.{stream}" for stream in STREAMS),
        f"{API}.STREAM.PURGE.{_BUNDLES}",
        f"{API}.STREAM.MSG.DELETE.{_BUNDLES}",
        *(subject for stream in STREAMS for subject in reading(stream)),
    )


def _using() -> tuple[str, ...]:
    return (
        f"$KV.{subjects.GROUPS}.*",
        f"$KV.{subjects.TABLE}.next-job",
        f"$O.{subjects.BUNDLES}.>",
        f"{API}.STREAM.INFO.{_BUNDLES}",
        "$JS.FC.>",
        *(subject for stream in _READABLE for subject in reading(stream)),
    )


def reading(stream: str) -> tuple[str, ...]:
    """The subjects of those who read a stream."""
    return (
        f"{API}.STREAM.INFO.{stream}",
        f"{API}.STREAM.MSG.GET.{stream}",
        f"{API}.DIRECT.GET.{stream}",
        f"{API}.DIRECT.GET.{stream}.>",
        f"{API}.CONSUMER.CREATE.{stream}",
        f"{API}.CONSUMER.CREATE.{stream}.>",
        f"{API}.CONSUMER.INFO.{stream}.*",
        f"{API}.CONSUMER.DELETE.{stream}.*",
        f"{API}.CONSUMER.MSG.NEXT.{stream}.*",
    )
