"""How far a group has come, so that another group actor can go on from there."""

from attrs import frozen

from callboard.actors.messages import Interrupt, JobDone

Noted = JobDone | Interrupt
"""What a group writes down before it acts on it."""


@frozen
class Progress:
    """What is known of a group whose actor is gone while its jobs go on.

    Attributes:
        created: The jobs whose creation is on record.
        done: The end of each job that has ended, in the order in which they were noted.
        interrupted: Why the group was interrupted, None where it was not.
    """

    created: frozenset[int] = frozenset()
    done: tuple[JobDone, ...] = ()
    interrupted: str | None = None
