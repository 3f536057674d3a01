"""What the kernel promises about actors that fail, and about those who care."""

import anyio
import pytest
from attrs import frozen

from callboard.runtime import (
    Actor,
    ActorFailed,
    ActorRef,
    ActorStopped,
    ActorSystem,
    ChildFailed,
    Request,
    Supervision,
    Terminated,
)

pytestmark = pytest.mark.asyncio


@frozen
class Add(Request[int]):
    n: int


@frozen
class Fail(Request[None]):
    """Raises in the handler."""


@frozen
class Later(Request[int]):
    """Never answered by the actor."""


class Child(Actor[Add | Fail | Later]):
    def __init__(self, record: list[str], *, broken: str = "") -> None:
        self.record = record
        self.broken = broken

    async def started(self) -> None:
        self.record.append("started")
        if self.broken == "started":
            raise OSError("can't start")

    async def stopped(self) -> None:
        self.record.append("stopped")
        if self.broken == "stopped":
            raise OSError("can't clean up")

    async def receive(self, message: Add | Fail | Later) -> object:
        match message:
            case Add(n):
                return n + 1
            case Fail():
                raise ValueError("told to fail")
            case Later():
                return self.context.defer(message)


ChildRef = ActorRef[Add | Fail | Later]


@frozen
class Adopt(Request[ChildRef]):
    """Spawn a child with this policy."""

    supervision: Supervision
    broken: str = ""


@frozen
class Watch(Request[None]):
    ref: ChildRef


@frozen
class News(Request[tuple[Terminated | ChildFailed, ...]]):
    """Answered when so many signals have come."""

    count: int


class Parent(Actor[Adopt | News | Watch]):
    def __init__(self, record: list[str]) -> None:
        self.record = record
        self.news: list[Terminated | ChildFailed] = []
        self.came = anyio.Event()

    async def signalled(self, signal: Terminated | ChildFailed) -> None:
        self.news.append(signal)
        self.came.set()

    async def receive(self, message: Adopt | News | Watch) -> object:
        match message:
            case Adopt(supervision, broken):
                return self.context.spawn(
                    lambda: Child(self.record, broken=broken), "child", supervision=supervision
                )
            case Watch(ref):
                self.context.watch(ref)
                return None
            case News():
                return tuple(self.news)

    async def stopped(self) -> None:
        self.record.append("parent stopped")


async def news(
    parent: ActorRef[Adopt | News | Watch], count: int
) -> list[Terminated | ChildFailed]:
    """What the parent has been told, as soon as it is as much as expected."""
    while len(told := await parent.ask(News(count))) < count:
        await anyio.wait_all_tasks_blocked()
    return list(told)


async def test_stop_ends_the_child_and_tells_the_parent() -> None:
    record: list[str] = []
    async with ActorSystem() as system:
        parent = system.spawn(lambda: Parent(record), "parent")
        child = await parent.ask(Adopt(Supervision.stop()))
        with pytest.raises(ActorFailed, match="told to fail"):
            await child.ask(Fail())
        [told] = await news(parent, 1)
        assert isinstance(told, ChildFailed)
        assert (told.ref.address, str(told.error), told.restarted) == (
            "/parent/child",
            "told to fail",
            False,
        )
        with pytest.raises(ActorStopped):
            await child.ask(Add(1))
    assert record == ["started", "stopped", "parent stopped"]


async def test_restart_keeps_ref_and_mailbox_until_the_limit_is_reached() -> None:
    record: list[str] = []
    async with ActorSystem() as system:
        parent = system.spawn(lambda: Parent(record), "parent")
        child = await parent.ask(Adopt(Supervision.restart(limit=2, within_s=60)))
        for _ in range(2):
            with pytest.raises(ActorFailed):
                await child.ask(Fail())
            assert await child.ask(Add(1)) == 2
        with pytest.raises(ActorFailed):
            await child.ask(Fail())
        with pytest.raises(ActorStopped):
            await child.ask(Add(1))
        told = await news(parent, 3)
    assert [isinstance(each, ChildFailed) and each.restarted for each in told] == [
        True,
        True,
        False,
    ]
    assert record == ["started", "stopped"] * 3 + ["parent stopped"]


async def test_a_restarted_actor_handles_what_was_left_in_its_mailbox() -> None:
    record: list[str] = []
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        parent = system.spawn(lambda: Parent(record), "parent")
        child = await parent.ask(Adopt(Supervision.restart(limit=1, within_s=60)))
        await child.ask(Add(1))

        async def fail() -> None:
            with pytest.raises(ActorFailed):
                await child.ask(Fail())

        async def add() -> None:
            record.append(str(await child.ask(Add(1))))

        tasks.start_soon(fail)
        tasks.start_soon(add)
    assert record == ["started", "stopped", "started", "2", "stopped", "parent stopped"]


async def test_a_restarted_actor_is_started_though_nothing_is_left_for_it() -> None:
    record: list[str] = []
    async with ActorSystem() as system:
        parent = system.spawn(lambda: Parent(record), "parent")
        child = await parent.ask(Adopt(Supervision.restart(limit=1, within_s=60)))
        with pytest.raises(ActorFailed):
            await child.ask(Fail())
        await anyio.wait_all_tasks_blocked()
        assert record == ["started", "stopped", "started"]


async def test_restarts_outside_the_window_do_not_count() -> None:
    record: list[str] = []
    async with ActorSystem() as system:
        parent = system.spawn(lambda: Parent(record), "parent")
        child = await parent.ask(Adopt(Supervision.restart(limit=1, within_s=0.0)))
        for _ in range(5):
            with pytest.raises(ActorFailed):
                await child.ask(Fail())
        assert await child.ask(Add(1)) == 2


async def test_an_answer_owed_by_a_failed_actor_is_its_failure() -> None:
    errors: list[Exception] = []
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        parent = system.spawn(lambda: Parent([]), "parent")
        child = await parent.ask(Adopt(Supervision.restart(limit=1, within_s=60)))

        async def ask() -> None:
            try:
                await child.ask(Later())
            except ActorFailed as error:
                errors.append(error)

        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ActorFailed):
            await child.ask(Fail())
    assert [str(each) for each in errors] == ["/parent/child failed: ValueError: told to fail"]


async def test_escalate_fails_the_parent_with_the_same_error() -> None:
    record: list[str] = []
    with pytest.raises(ValueError, match="told to fail"):
        async with ActorSystem() as system:
            parent = system.spawn(lambda: Parent(record), "parent")
            child = await parent.ask(Adopt(Supervision.escalate()))
            with pytest.raises(ActorFailed):
                await child.ask(Fail())
            await anyio.sleep_forever()
    assert record == ["started", "stopped", "parent stopped"]


async def test_a_parent_that_escalation_restarts_has_fresh_children() -> None:
    record: list[str] = []
    async with ActorSystem() as system:
        parent = system.spawn(
            lambda: Parent(record), "parent", supervision=Supervision.restart(1, 60)
        )
        child = await parent.ask(Adopt(Supervision.escalate()))
        with pytest.raises(ActorFailed):
            await child.ask(Fail())
        while record[-1] != "parent stopped":
            await anyio.wait_all_tasks_blocked()
        fresh = await parent.ask(Adopt(Supervision.stop()))
        assert await fresh.ask(Add(1)) == 2
        with pytest.raises(ActorStopped):
            await child.ask(Add(1))


async def test_a_child_that_can_not_start_has_failed_and_is_cleaned_up() -> None:
    record: list[str] = []
    async with ActorSystem() as system:
        parent = system.spawn(lambda: Parent(record), "parent")
        child = await parent.ask(Adopt(Supervision.stop(), broken="started"))
        with pytest.raises(ActorStopped):
            await child.ask(Add(1))
        [told] = await news(parent, 1)
        assert isinstance(told, ChildFailed)
        assert str(told.error) == "can't start"
    assert record == ["started", "stopped", "parent stopped"]


async def test_a_failure_in_cleaning_up_reaches_the_parent() -> None:
    async with ActorSystem() as system:
        parent = system.spawn(lambda: Parent([]), "parent")
        child = await parent.ask(Adopt(Supervision.stop(), broken="stopped"))
        await child.stop()
        [told] = await news(parent, 1)
        assert isinstance(told, ChildFailed)
        assert str(told.error) == "can't clean up"


async def test_what_can_not_be_cleaned_up_is_not_restarted() -> None:
    record: list[str] = []
    async with ActorSystem() as system:
        parent = system.spawn(lambda: Parent(record), "parent")
        child = await parent.ask(Adopt(Supervision.restart(9, 60), broken="stopped"))
        with pytest.raises(ActorFailed):
            await child.ask(Fail())
        with pytest.raises(ActorStopped):
            await child.ask(Add(1))
    assert record == ["started", "stopped", "parent stopped"]


async def test_a_watcher_learns_every_end_once_even_one_long_past() -> None:
    async with ActorSystem() as system:
        parent = system.spawn(lambda: Parent([]), "parent")
        in_order = system.spawn(lambda: Child([]), "in-order")
        gone = system.spawn(lambda: Child([]), "gone")
        await gone.stop()
        for ref in (in_order, gone):
            await parent.ask(Watch(ref))
        await in_order.stop()
        told = await news(parent, 2)
        await anyio.wait_all_tasks_blocked()
        assert await parent.ask(News(2)) == tuple(told)
    assert sorted(each.ref.address for each in told) == ["/gone", "/in-order"]
    assert {type(each) for each in told} == {Terminated}


async def test_a_failed_sibling_is_terminated_to_its_watcher() -> None:
    async with ActorSystem() as system:
        parent = system.spawn(lambda: Parent([]), "parent")
        watcher = system.spawn(lambda: Parent([]), "watcher")
        child = await parent.ask(Adopt(Supervision.stop()))
        await watcher.ask(Watch(child))
        with pytest.raises(ActorFailed):
            await child.ask(Fail())
        [told] = await news(watcher, 1)
    assert isinstance(told, Terminated)
    assert told.ref.address == "/parent/child"
