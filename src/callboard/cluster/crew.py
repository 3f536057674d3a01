"""The jobs of a group on the worker that has their devices."""

from collections.abc import Callable, Mapping

from attrs import frozen

from callboard.actors.messages import CancelJob, JobDone, JobMessage
from callboard.actors.post import Employer, Post
from callboard.events import Failure, JobEnded
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef, ChildFailed, Request, Terminated


@frozen
class Hire(Request[Mapping[int, ActorRef[JobMessage]]]):
    """Make an actor for each post, with what it is given; answered with their refs by job."""

    posts: tuple[tuple[Post, Employer], ...]


@frozen
class Wind(Request[None]):
    """Cancel the jobs that have not ended, with the reason."""

    reason: str


class Crew(Actor[Hire | Wind]):
    """Parent of a worker's jobs of one group, at the address that their group has elsewhere.

    Args:
        journal: Where it records that a job has crashed.
        ended: Whether a job has said that it has ended.
    """

    def __init__(self, journal: Journal, ended: Callable[[int], bool]) -> None:
        self._journal = journal
        self._ended = ended
        self._jobs: dict[int, ActorRef[JobMessage]] = {}
        self._employers: dict[int, Employer] = {}

    async def receive(self, message: Hire | Wind) -> object:
        """Handle one message."""
        match message:
            case Hire(posts):
                for post, employer in posts:
                    self._hire(post, employer)
                return dict(self._jobs)
            case Wind(reason):
                for job, ref in self._jobs.items():
                    if not self._ended(job):
                        await ref.tell(CancelJob(reason))
                return None

    async def signalled(self, signal: Terminated | ChildFailed) -> None:
        """A job that crashes is a bug of callboard: say what it can't say any more."""
        if not isinstance(signal, ChildFailed):
            return
        for job, ref in self._jobs.items():
            if ref.address == signal.ref.address and not self._ended(job):
                failure = Failure("Bug", f"{type(signal.error).__name__}: {signal.error}")
                address = self.context.address
                self._journal.emit(address, JobEnded(job, "incomplete", failure, duration_s=0.0))
                done = JobDone(job, "incomplete", failures=0, error=failure)
                await self._employers[job].group.tell(done)

    def _hire(self, post: Post, employer: Employer) -> None:
        job = post.job.id
        self._employers[job] = employer
        self._jobs[job] = self.context.spawn(lambda: post.hire(employer), f"job-{job}")
