"""A small typed actor kernel on anyio.

It knows nothing about what its actors do. An actor is an object with a mailbox; it handles one
message at a time, owns the actors that it spawns, and is reached through its `ActorRef` alone.

    Actor, Context           what a user writes, and what it gets
    ActorRef, Reply, Timer   how actors reach each other
    ActorSystem              what the root actors live in
    Link, Transport          how actors are reached over what may lose messages
    Supervision              what becomes of an actor that fails
    Terminated, ChildFailed  what an actor is told about others
    run_virtual              runs a program in virtual time, in an order that a seed chooses
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
from callboard.runtime.link import Link
from callboard.runtime.messages import ChildFailed, DeadLetter, Outcome, Request, Terminated
from callboard.runtime.offline import RealIO
from callboard.runtime.ref import ActorRef, Reply
from callboard.runtime.supervision import Supervision
from callboard.runtime.system import ActorSystem
from callboard.runtime.transport import Deliver, Envelope, Transport
from callboard.runtime.virtual import Stalled, run_virtual

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
    "Deliver",
    "Envelope",
    "Link",
    "MailboxFull",
    "NameTaken",
    "Outcome",
    "RealIO",
    "Reply",
    "Request",
    "Stalled",
    "Supervision",
    "Terminated",
    "Timer",
    "Transport",
    "run_virtual",
]
