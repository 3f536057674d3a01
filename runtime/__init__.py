"""A small typed actor kernel on anyio.

It knows nothing about what its actors do. An actor is an object with a mailbox; it handles one
message at a time, owns the actors that it spawns, and is reached through its `ActorRef` alone.

    Actor, Context           what a user writes, and what it gets
    ActorRef, Reply, Timer   how actors reach each other
    ActorSystem              what the root actors live in
    Supervision              what becomes of an actor that fails
    Terminated, ChildFailed  what an actor is told about others
"""

from callboard.runtime.actor import Actor, Context, Timer
from callboard.runtime.errors import (
    ActorError,
    ActorFailed,
    ActorStopped,
    AskTimeout,
    MailboxFull,
    NameTaken,
)
from callboard.runtime.messages import ChildFailed, DeadLetter, Outcome, Request, Terminated
from callboard.runtime.ref import ActorRef, Reply
from callboard.runtime.supervision import Supervision
from callboard.runtime.system import ActorSystem

__all__ = [
    "Actor",
    "ActorError",
    "ActorFailed",
    "ActorRef",
    "ActorStopped",
    "ActorSystem",
    "AskTimeout",
    "ChildFailed",
    "Context",
    "DeadLetter",
    "MailboxFull",
    "NameTaken",
    "Outcome",
    "Reply",
    "Request",
    "Supervision",
    "Terminated",
    "Timer",
]
