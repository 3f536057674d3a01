"""What a proof shows: a run, the calls that are stuck in it, and the places of doubt."""

from typing import Literal

from attrs import frozen

from callboard.events import Where
from callboard.flow.program import Call, Choice, Unseen

Outcome = Literal["completes", "unknown", "deadlocks"]
Semantics = Literal["documented", "lava"]

_ACTS = {"sync": "calls", "start": "releases"}


@frozen
class Part:
    """The nodes of a role that go the same way: they do the same, so one of them stands for all.

    Under the implemented semantics, where they can come to different ends, each node that is
    explored is a part of its own; the first of a role is the first that has registered.

    Attributes:
        role: The role's name.
        way: Which of the role's ways they go, from 0.
        taken: The choices on this way, each with the number of the way that was taken.
    """

    role: str
    way: int = 0
    taken: tuple[tuple[Choice, int], ...] = ()


@frozen
class Passage:
    """One call of the proof's run, in logical time: a step is the time that a call takes.

    Attributes:
        part: Index of the part in `Run.parts`.
        thread: 0 for the part's own sequence, other numbers for what it runs in the background.
        call: The call; what nobody can read stands here as it is.
        began: The step in which the part comes to it.
        ended: The step in which it returns; None if it never does.
        released_by: Indices in `Run.passages` of the sends or syncs without which it would have
            waited on: all that a wait-all or sync needed, the first send for a wait.
    """

    part: int
    thread: int
    call: Call | Unseen
    began: int
    ended: int | None
    released_by: tuple[int, ...] = ()


@frozen
class Run:
    """The group's run when every part goes one certain way."""

    parts: tuple[Part, ...]
    passages: tuple[Passage, ...]


@frozen
class Missing:
    """What a stuck call still needs, and why it does not come.

    Attributes:
        role: The role that would have to do it; None when no role of the group ever does.
        reason: `never` its nodes do it on no way from here on; `later` they would after the call
            in which they are stuck themselves; `absent` there is no such role, or it has no nodes.
        where: The call that would satisfy it, for `later`.
    """

    role: str | None
    reason: Literal["never", "later", "absent"]
    where: Where | None = None


@frozen
class Stuck:
    """A call that never returns: who waits where for what."""

    role: str
    call: Call
    missing: tuple[Missing, ...]

    @property
    def reason(self) -> str:
        """Why the call never returns, in words."""
        lacks = "; ".join(map(self._lack, self.missing))
        return lacks or self.call.reason or "nothing releases it"

    def _lack(self, missing: Missing) -> str:
        does = _ACTS.get(self.call.call, "sends")
        what = "it" if self.call.call == "start" else f"`{self.call.id}`"
        match missing.reason:
            case "absent":
                return f"no node has the role `{missing.role}`"
            case "never" if missing.role is None:
                return f"no role {does} {what}"
            case "never":
                return f"{missing.role} never {does} {what}"
            case "later":
                act = does.removesuffix("s")
                at = f" ({missing.where.file}:{missing.where.line})" if missing.where else ""
                return f"{missing.role} would {act} {what}{at} after the call in which it is stuck"


@frozen
class Doubt:
    """A place because of which nothing can be proved.

    Attributes:
        role: The role that comes to it.
        reason: What makes the outcome unknown there, in words.
        where: The place.
        bound: Whether it could be told, but is more than the proof goes through.
    """

    role: str
    reason: str
    where: Where
    bound: bool = False

    @property
    def text(self) -> str:
        """The whole of it, with its place."""
        return f"{self.role or 'the job'}: {self.reason} ({self.where.file}:{self.where.line})"


@frozen
class Proof:
    """What is known of a group before it runs.

    Attributes:
        outcome: `completes`: every call returns, in every order. `deadlocks`: in every order
            some never do. `unknown`: neither can be shown.
        run: One run, for pictures: one that certainly gets stuck if any is known, else the first.
            What nobody knows is taken to go well in it.
        witness: The fewest stuck calls that explain each other; empty unless `run` gets stuck.
        stuck: Every call that never returns in `run`; one in the background that nobody joins
            may stand here although the group completes.
        doubts: What makes the outcome unknown.
    """

    outcome: Outcome
    run: Run
    witness: tuple[Stuck, ...] = ()
    stuck: tuple[Stuck, ...] = ()
    doubts: tuple[Doubt, ...] = ()
