"""The state of a coordinator as it is told over its socket: typed at both ends.

Times are ages, in seconds before the moment at which they were told, so that no two clocks have
to agree.
"""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

VERSION = 1
"""Of the protocol. A change that older programs would misread has another number."""


@frozen
class ClientState:
    """A client of a group.

    Attributes:
        name: Its name; dispatchers give the job's id.
        role: Its role.
        host: The worker that it is on; empty if it didn't say.
        seen_s: How long ago it has asked.
        waits: What it waits for, as tests write it; None if it doesn't.
        left: Whether it has said that it has ended.
    """

    name: str
    role: str
    host: str
    seen_s: float
    waits: str | None
    left: bool


@frozen
class WaitState:
    """What some clients wait for.

    Attributes:
        call: The call as tests write it, such as `lava-wait-all ready server`.
        request: The request's name in LAVA's protocol.
        id: Its message ID.
        role: The role whose messages it waits for.
        clients: The names of those that wait.
        since_s: How long the first of them has been waiting.
        missing: The names of those that would have to act; any of them for a `lava_wait`.
        to_join: How many clients have yet to join for it.
        ready: Whether it has happened, and they only have to ask again.
        hangs: Why it will hardly end; None while that isn't known.
    """

    call: str
    request: str
    id: str | None
    role: str | None
    clients: tuple[str, ...]
    since_s: float
    missing: tuple[str, ...]
    to_join: int
    ready: bool
    hangs: str | None


@frozen
class GroupState:
    """A group.

    Attributes:
        name: Its name.
        size: How many clients it is to have.
        age_s: How long ago it was made, before a restart maybe.
        seen_s: How long ago one of its clients has asked.
        clients: Those that have joined, in that order.
        waits: What they wait for, the longest wait first.
    """

    name: str
    size: int
    age_s: float
    seen_s: float
    clients: tuple[ClientState, ...]
    waits: tuple[WaitState, ...]


@frozen
class CoordinatorState:
    """The coordinator itself.

    Attributes:
        version: Of callboard.
        pid: Its process.
        up_s: How long it has been running.
        semantics: How it reads the protocol: `lava` or `documented`.
        hold: For how many poll delays answers are held back; 0 for not at all.
        state: The directory where it keeps groups; None for nowhere.
        groups: How many groups there are.
        figures: Those of its parts, by part and name: plain JSON.
    """

    version: str
    pid: int
    up_s: float
    semantics: str
    hold: float
    state: str | None
    groups: int
    figures: Mapping[str, Mapping[str, Any]]
