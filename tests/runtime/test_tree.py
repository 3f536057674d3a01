"""What the kernel promises about the end of trees of actors, whatever ends them."""

import asyncio

import anyio
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from callboard.runtime import Actor, ActorFailed, ActorRef, ActorSystem, Request, Supervision


@frozen
class Grow(Request[ActorRef["Understood"]]):
    """Spawn a child."""

    name: str


@frozen
class Fail(Request[None]):
    """Raises in the handler."""


@frozen
class Noop(Request[None]):
    """Does nothing."""


@frozen
class Hang(Request[None]):
    """Never returns."""

    entered: anyio.Event


Understood = Grow | Fail | Noop | Hang


class Branch(Actor[Understood]):
    """Records its life, and grows children that escalate."""

    def __init__(self, record: list[str]) -> None:
        self.record = record

    async def started(self) -> None:
        self.record.append(f"+{self.context.address}")

    async def stopped(self) -> None:
        await asyncio.sleep(0)  # a clean-up that waits isn't cut short
        self.record.append(f"-{self.context.address}")

    async def receive(self, message: Understood) -> object:
        match message:
            case Grow(name):
                return self.context.spawn(
                    lambda: Branch(self.record), name, supervision=Supervision.escalate()
                )
            case Fail():
                raise ValueError(f"{self.context.address} was told to fail")
            case Noop():
                return None
            case Hang(entered):
                entered.set()
                await anyio.sleep_forever()
                return None


async def grow(
    system: ActorSystem, record: list[str], parents: list[int]
) -> list[ActorRef[Understood]]:
    """A tree whose n-th actor is a child of number `parents[n]`, counted back."""
    tree: list[ActorRef[Understood]] = [system.spawn(lambda: Branch(record), "0")]
    for number, back in enumerate(parents, start=1):
        parent = tree[number - 1 - back % number]
        tree.append(await parent.ask(Grow(str(number))))
    for ref in tree:
        await ref.ask(Noop())  # by now it has started
    return tree


def check(record: list[str]) -> None:
    """Every actor that started has stopped once, and only after all that lay below it."""
    ended = [line[1:] for line in record if line.startswith("-")]
    assert sorted(ended) == sorted(line[1:] for line in record if line.startswith("+"))
    for position, address in enumerate(ended):
        assert not any(later.startswith(f"{address}/") for later in ended[position + 1 :])


Parents = st.lists(st.integers(0, 8), max_size=8)
Ending = st.sampled_from(["leave", "raise", "cancel", "fail", "stop one", "cancel one"])


@given(Parents, Ending, st.integers(0, 8), st.integers(-1, 8))
def test_children_end_before_their_parents_whatever_ends_them(
    parents: list[int], ending: str, victim: int, hanging: int
) -> None:
    record: list[str] = []

    async def live() -> None:
        with anyio.CancelScope() as scope:
            await inside(scope)

    async def inside(scope: anyio.CancelScope) -> None:
        async with ActorSystem() as system, anyio.create_task_group() as tasks:
            tree = await grow(system, record, parents)
            target = tree[victim % len(tree)]
            if hanging >= 0 and ending in ("raise", "cancel", "cancel one"):
                entered = anyio.Event()
                hung = target if ending == "cancel one" else tree[hanging % len(tree)]
                tasks.start_soon(ask, hung, Hang(entered))
                await entered.wait()
            match ending:
                case "raise":
                    raise KeyError("the body")
                case "cancel":
                    scope.cancel()
                    await anyio.sleep_forever()
                case "fail":
                    with pytest.raises(ActorFailed):
                        await target.ask(Fail())
                    await anyio.sleep_forever()
                case "stop one":
                    await target.stop()
                case "cancel one":
                    await target.cancel()
                case _:
                    pass

    async def ask(ref: ActorRef[Understood], request: Request[None]) -> None:
        with pytest.raises(Exception, match="has stopped"):
            await ref.ask(request)

    match ending:
        case "fail":
            with pytest.raises(ValueError, match="was told to fail"):
                asyncio.run(live())
        case "raise":
            with pytest.raises(BaseExceptionGroup) as raised:
                asyncio.run(live())
            assert raised.group_contains(KeyError)
        case _:
            asyncio.run(live())
    check(record)
    assert len(record) == 2 * (1 + len(parents))


@pytest.mark.asyncio
async def test_cancelling_from_outside_ends_every_actor_first() -> None:
    record: list[str] = []
    entered = anyio.Event()

    async def live() -> None:
        async with ActorSystem() as system:
            tree = await grow(system, record, [0, 0, 0])
            await tree[-1].ask(Hang(entered))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live)
        await entered.wait()
        tasks.cancel_scope.cancel()
    check(record)
    assert len(record) == 8


@pytest.mark.asyncio
async def test_an_asyncio_task_that_is_cancelled_ends_every_actor_first() -> None:
    record: list[str] = []
    entered = anyio.Event()

    async def live() -> None:
        async with ActorSystem() as system:
            tree = await grow(system, record, [0, 1])
            await tree[-1].ask(Hang(entered))

    task = asyncio.create_task(live())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    check(record)
    assert len(record) == 6
