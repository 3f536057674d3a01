"""A job that runs on another worker, as its group sees it."""

from typing import Any, Protocol

from attrs import frozen

from callboard.actors.messages import (
    AwaitGuests,
    CancelJob,
    GroupMessage,
    JobDone,
    JobMessage,
    Leave,
    StartJob,
)
from callboard.actors.post import Employer
from callboard.events import Failure, Health, JobEnded
from callboard.runtime import Actor, ActorRef, Outcome, Reply

_CANCELED = "Canceled"


@frozen
class JobLost:
    """Nothing more will be heard of the job, and `failure` says why."""

    failure: Failure


@frozen
class _GuestsGone:
    """The group has answered the job's question for its guests."""

    reply: Reply[None]
    outcome: Outcome[None]


EnvoyMessage = JobMessage | GroupMessage | JobLost | _GuestsGone


class Muster(Protocol):
    """Who knows all envoys of a group."""

    def enlist(self, job: int, envoy: ActorRef[EnvoyMessage], employer: Employer) -> None:
        """An envoy is there, and may be told that its job is lost; what its group gives it."""
        ...

    def ended(self, job: int) -> JobEnded | None:
        """How the job ended by its own word, None while it has not said so."""
        ...


class Envoy(Actor[Any]):
    """Stands for a job in its group: passes on what the one tells the other.

    It understands `EnvoyMessage`. When the job is lost it says what the job can't say any more, so
    that the group goes on.

    Args:
        job: Its id.
        remote: The job itself.
        employer: What the group gives it.
        muster: Who is to know of this envoy.
    """

    def __init__(
        self, job: int, remote: ActorRef[JobMessage], employer: Employer, muster: Muster
    ) -> None:
        self._job = job
        self._remote = remote
        self._employer = employer
        self._muster = muster
        self._done = False

    async def started(self) -> None:
        """Be known to those who watch the workers."""
        self._muster.enlist(self._job, self.context.ref, self._employer)

    async def receive(self, message: EnvoyMessage) -> object:
        """Handle one message."""
        match message:
            case StartJob() | CancelJob():
                if not self._done:
                    await self._remote.tell(message)
            case JobDone():
                await self._end(message)
            case AwaitGuests():
                reply = self.context.defer(message)
                self.context.pipe(
                    self._employer.group, message, lambda outcome: _GuestsGone(reply, outcome)
                )
            case _GuestsGone(reply, outcome):
                _pass_on(reply, outcome)
            case JobLost(failure):
                await self._lost(failure)
            case _:
                raise TypeError(f"no envoy understands {message!r}")
        return None

    async def _lost(self, failure: Failure) -> None:
        if self._done:
            return
        ended = self._muster.ended(self._job)
        if ended is None:
            health: Health = "canceled" if failure.type == _CANCELED else "incomplete"
            ended = JobEnded(self._job, health, failure, duration_s=0.0)
            self._employer.journal.emit(self.context.address, ended)
        if self._employer.coordinator is not None:
            await self._employer.coordinator.tell(Leave(self._job))
        await self._end(JobDone(self._job, ended.health, failures=0, error=ended.error))

    async def _end(self, done: JobDone) -> None:
        if not self._done:
            self._done = True
            await self._employer.group.tell(done)


def _pass_on(reply: Reply[None], outcome: Outcome[None]) -> None:
    if outcome.error is None:
        reply.send(None)
    else:
        reply.fail(outcome.error)
