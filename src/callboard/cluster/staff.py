"""The workers of a group, from their promise to stay to their dismissal."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import anyio
from anyio.abc import TaskGroup

from callboard.cluster import entries, guard
from callboard.cluster.exchange import Exchange
from callboard.cluster.home import Home, Pen
from callboard.cluster.hosts import Contracts, Host, hosts_of
from callboard.cluster.messages import (
    CONTRACT,
    HOST,
    RECORDER,
    SOURCES,
    Dismiss,
    Employ,
    Employed,
    Engage,
    FetchPart,
)
from callboard.cluster.rebuilt import Rebuilt
from callboard.cluster.recorder import Recorder
from callboard.cluster.records import Seat
from callboard.cluster.table import stands
from callboard.definition.model import NodeJob
from callboard.events import Failure
from callboard.runtime import ActorError

_OVER = "the group is over"


class Staff:
    """Has workers do the jobs of a group, and sees when one can't, or is lost.

    Args:
        group: The group's id.
        home: The worker that leads it.
        jobs: All its jobs.
        seats: Where each runs.
        exchange: What is said to workers goes over it.
        recorder: Takes what they report.
        writer: Of the group's log.
        rebuilt: How far the log goes.
        lose: Called with a job of which nothing more is heard, and why.
    """

    def __init__(
        self,
        group: str,
        home: Home,
        jobs: Sequence[NodeJob],
        seats: Mapping[int, Seat],
        exchange: Exchange,
        recorder: Recorder,
        writer: Pen,
        rebuilt: Rebuilt,
        lose: Callable[[int, Failure], None],
    ) -> None:
        assert home.fleet is not None, "who leads sees the fleet"
        self._group = group
        self._home = home
        self._fleet = home.fleet
        self._seats = seats
        self._exchange = exchange
        self._recorder = recorder
        self._writer = writer
        self._rebuilt = rebuilt
        self._lose = lose
        self._hosts = hosts_of(jobs, seats)
        self._host = {job.id: host for host in self._hosts for job in host.jobs}
        self._engaging = anyio.CancelScope()
        self._employing = anyio.CancelScope()
        self._interruption = ""
        self._over = False

    def failure(self, job: int) -> Failure | None:
        """Why a job can't run at its worker, or not any more; None while it can."""
        return self._host[job].failure

    def interrupt(self, reason: str) -> None:
        """Wait neither for promises nor for nodes: who hasn't answered is given up."""
        self._interruption = reason
        self._engaging.cancel()
        self._employing.cancel()

    async def prepare(self, contracts: Contracts) -> None:
        """Have ready all that workers may ask for, and let them speak for their jobs."""
        for host in self._hosts:
            own = frozenset(job.id for job in host.jobs)
            self._recorder.admit(host.worker, own)
            may = partial(guard.check, host.worker, own)
            self._exchange.admit(host.worker, host.incarnation, may)
            await self._home.aside(partial(contracts.write, host))

    async def engage(self) -> bool:
        """Have every worker promise to stay; whether they do, or an interruption came first.

        It is False as soon as one is known to leave, or has left. Between the grant of its devices
        and this, nothing keeps a worker that drains. Where it leaves, nothing has begun anywhere,
        nor is held but a promise, which lapses by itself.
        """
        with self._engaging:
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(self._see_leaving, waiting.cancel_scope)
                async with anyio.create_task_group() as asking:
                    for host in self._hosts:
                        asking.start_soon(self._engage_at, host)
                if all(host.engaged for host in self._hosts):
                    waiting.cancel_scope.cancel()
            return all(host.engaged for host in self._hosts)
        return True

    async def employ(self, tasks: TaskGroup) -> None:
        """Have every worker make its nodes; one that can't, or is lost, has a failure then.

        Args:
            tasks: Where it is watched until the group is over whether they are lost.
        """
        for host in self._hosts:
            if (failure := self._rebuilt.given_up.get(host.worker)) is not None:
                host.lost = True
                self._give_up(host, failure)
                tasks.start_soon(self._send_home, host, failure.message)
            elif all(job.id in self._rebuilt.done for job in host.jobs):
                tasks.start_soon(self._send_home, host, "its jobs have ended")
            else:
                tasks.start_soon(self._watch, host)
        with self._employing:
            async with anyio.create_task_group() as asking:
                for host in self._hosts:
                    asking.start_soon(self._employ_at, host)
        for host in self._hosts:
            if not host.answered:
                self._give_up(host, Failure("Canceled", self._interruption))

    async def dismiss(self) -> None:
        """Have workers forget the group; one that doesn't answer finds out when it is back."""
        self._over = True
        async with anyio.create_task_group() as asking:
            for host in self._hosts:
                if not host.lost:  # it is told all along
                    asking.start_soon(self._dismiss, host)

    async def _engage_at(self, host: Host) -> None:
        host.engaged = await self._exchange.ref(host.worker, HOST).ask(Engage())

    async def _see_leaving(self, waiting: anyio.CancelScope) -> None:
        while stands(self._seats.values(), self._fleet.registrations):
            await self._fleet.changed()
        waiting.cancel()

    async def _employ_at(self, host: Host) -> None:
        if host.lost or host.answered:  # it was lost before this leader came, or is done
            host.answered = True
            return
        box, exchange = host.worker, self._exchange
        exchange.function_ref(CONTRACT, partial(_part, host.contract), box)
        exchange.function_ref(SOURCES, partial(_part, host.sources), box)
        exchange.function_ref(RECORDER, partial(self._recorder.relay, box), box)
        request = Employ(self._recorder.time_s, len(host.contract), len(host.sources))
        try:
            employed = await exchange.ref(box, HOST).ask(request)
        except ActorError as error:  # it may be lost, and `_watch` has said so
            employed = Employed(f"worker {box} doesn't take jobs: {error}")
        host.answered = True
        if employed.problem is not None and host.failure is None:
            host.failure = Failure("InfrastructureError", employed.problem)

    async def _watch(self, host: Host) -> None:
        """See when a worker is lost, and fail its jobs then."""
        await self._fleet.wait_lost(host.worker, host.incarnation)
        if self._over:  # it was dismissed, and may leave
            return
        self._home.say(f"group {self._group}: worker {host.worker} is lost")
        text = f"worker {host.worker} was lost: it has not been heard of for its lease, or was "
        text += "started again"
        host.lost = True
        self._give_up(host, Failure("InfrastructureError", text))
        await self._send_home(host, text)

    async def _send_home(self, host: Host, reason: str) -> None:
        """Have a worker end what it has of the group, however long it takes to hear of that."""
        host.answered = True
        self._exchange.lose(host.worker)
        with suppress(ActorError):
            await self._exchange.ref(host.worker, HOST).ask(Dismiss(reason))

    def _give_up(self, host: Host, failure: Failure) -> None:
        """Want nothing more of a worker: its jobs end with this failure.

        It is on record before the worker, which may live, can hear of it. Else the next leader
        could have it do its jobs once more, if this one ended before the ends of the jobs were
        on record.
        """
        if host.given_up:
            return
        host.given_up, host.failure = True, failure
        if host.worker not in self._rebuilt.given_up:
            self._writer.append(entries.encode(entries.GivenUp(host.worker, failure)))
        self._exchange.lose(host.worker)
        for job in host.jobs:
            self._lose(job.id, failure)

    async def _dismiss(self, host: Host) -> None:
        with suppress(ActorError):
            lease_s = self._home.cluster.lease_s
            await self._exchange.ref(host.worker, HOST).ask(Dismiss(_OVER), 2 * lease_s)


def _part(data: bytes, request: FetchPart) -> bytes:
    return data[request.offset : request.offset + request.size]
