"""What a worker may say in a group, at the leader's exchange."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from attrs import define, field

from callboard.actors.messages import (
    AskBusy,
    AwaitGuests,
    CoordinatorMessage,
    Disband,
    GivenUp,
    JobDone,
    Join,
    Leave,
    Send,
    Sync,
    Wait,
)
from callboard.cluster.exchange import Exchange
from callboard.cluster.guard import check
from callboard.cluster.messages import HOST, LEADER, RECORDER, Dismiss, Emitted, FetchPart
from callboard.cluster.wire import WireError
from callboard.runtime import ActorRef

COORDINATOR = "/group/coordinator"
MINE, OTHERS = 7, 8


@define(eq=False)
class Stage:
    """A leader and a hostile worker that has job `MINE`, and what the leader's actors are told."""

    heard: list[tuple[str, object]] = field(factory=list[tuple[str, object]])
    problems: list[str] = field(factory=list[str])
    leader: Exchange = field(init=False)
    worker: Exchange = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.worker = Exchange(
            "rack-1", lambda _box, data: self.leader.arrive("rack-1", data), incarnation="i"
        )
        self.leader = Exchange(
            LEADER,
            lambda _box, data: self.worker.arrive(LEADER, data),
            term=1,
            on_problem=lambda box, text: self.problems.append(f"{box}: {text}"),
        )
        self.leader.admit("rack-1", "i", partial(check, "rack-1", frozenset({MINE})))
        for address in (COORDINATOR, RECORDER, "/sources", "/sources/rack-2", "/group"):
            self.leader.function_ref(address, self._hear(address))
        for job in (MINE, OTHERS):
            address = f"/group/job-{job}"
            self.leader.function_ref(address, self._hear(address))
        self.worker.function_ref(HOST, lambda _message: None)

    def _hear(self, address: str) -> Callable[[object], object]:
        def hear(message: object) -> object:
            self.heard.append((address, message))
            return GivenUp() if isinstance(message, Wait | Sync) else None

        return hear

    async def says(self, to: str, body: Any) -> None:
        """Say something to an actor of the leader; raises what it answers."""
        await self.leader.ref("rack-1", HOST).ask(Dismiss("so that the worker knows the term"))
        await self.worker.ref(LEADER, to).ask(body)


def _send(member: int) -> Any:
    return Send(member, "ready", {"a": "b"}, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("to", "body"),
    [
        (COORDINATOR, _send(MINE)),
        (COORDINATOR, Leave(MINE)),
        (COORDINATOR, Wait((MINE, 1), "ready")),
        (COORDINATOR, Sync((MINE, 1), "ready")),
        (RECORDER, Emitted(1, ("{}",))),
        ("/sources", FetchPart(0, 10)),
        (f"/group/job-{MINE}", JobDone(MINE, "complete", 0)),
        (f"/group/job-{MINE}", AwaitGuests(MINE)),
    ],
)
async def test_a_worker_speaks_for_its_own_jobs(to: str, body: Any) -> None:
    stage = Stage()
    await stage.says(to, body)
    assert stage.heard == [(to, body)]
    assert stage.problems == []
    _close(stage)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("to", "body"),
    [
        (COORDINATOR, _send(OTHERS)),
        (COORDINATOR, Leave(OTHERS)),
        (COORDINATOR, Wait((OTHERS, 1), "ready")),
        (COORDINATOR, Sync((OTHERS, 1), "ready")),
        (COORDINATOR, Disband()),
        ("/sources/rack-2", FetchPart(0, 10)),
        (f"/group/job-{OTHERS}", JobDone(OTHERS, "complete", 0)),
        (f"/group/job-{OTHERS}", JobDone(MINE, "complete", 0)),
        (f"/group/job-{MINE}", JobDone(OTHERS, "complete", 0)),
        (f"/group/job-{MINE}", AwaitGuests(OTHERS)),
        ("/group", JobDone(MINE, "complete", 0)),
        ("/group", AskBusy()),
        (COORDINATOR, Dismiss("all")),
        ("/group/job-9", Emitted(1, ())),
    ],
)
async def test_a_worker_says_nothing_in_the_name_of_others(to: str, body: Any) -> None:
    stage = Stage()
    with pytest.raises(WireError, match="the worker rack-1 may not say"):
        await stage.says(to, body)
    assert stage.heard == []
    assert len(stage.problems) == 1
    _close(stage)


@pytest.mark.asyncio
async def test_a_worker_has_only_its_own_actors_asked() -> None:
    stage = Stage()
    own: ActorRef[Any] = stage.worker.function_ref("/group/job-7/multinode", lambda _message: True)
    await stage.says(COORDINATOR, Join(MINE, own))
    ((_, joined),) = stage.heard
    assert isinstance(joined, Join)
    assert await joined.protocol.ask(AskBusy())
    stage.heard.clear()
    messages: list[CoordinatorMessage] = [
        Join(OTHERS, own),
        Join(MINE, stage.worker.ref(LEADER, "/group")),
    ]
    for message in messages:
        with pytest.raises(WireError):
            await stage.says(COORDINATOR, message)
    assert stage.heard == []
    _close(stage)


@pytest.mark.asyncio
async def test_who_sends_junk_for_ever_is_named_a_few_times() -> None:
    stage = Stage()
    for number in range(1000):
        stage.leader.arrive("rack-1", b"junk %d" % number)
    assert len(stage.problems) == 11
    assert stage.problems[-1] == "rack-1: there are more problems, which are not shown"
    await stage.says(COORDINATOR, Leave(MINE))
    assert stage.heard == [(COORDINATOR, Leave(MINE))]
    _close(stage)


def _close(stage: Stage) -> None:
    stage.worker.close()
    stage.leader.close()
