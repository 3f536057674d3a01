"""What becomes of an actor that fails; its parent decides when it spawns it."""

from typing import Literal, Self

from attrs import frozen


@frozen
class Supervision:
    """A policy; made by `stop`, `restart` or `escalate`.

    Attributes:
        action: What to do when the actor fails.
        limit: Restarts allowed within `within_s`.
        within_s: The window in which restarts are counted, in seconds.
    """

    action: Literal["stop", "restart", "escalate"]
    limit: int = 0
    within_s: float = 0.0

    @classmethod
    def stop(cls) -> Self:
        """The actor ends; its parent is told with `ChildFailed`."""
        return cls("stop")

    @classmethod
    def restart(cls, limit: int, within_s: float) -> Self:
        """A fresh actor takes over mailbox and ref; after `limit` failures in `within_s`: stop."""
        return cls("restart", limit, within_s)

    @classmethod
    def escalate(cls) -> Self:
        """The actor ends and its parent fails with the same error."""
        return cls("escalate")
