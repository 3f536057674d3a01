"""Whatever the order in which actors are served: lives are whole, and the same choices repeat."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.trees import VERBS, Step, drawn, live

from callboard.runtime import Actor, ActorSystem, Request

ROOT = Path(__file__).parents[2]

Steps = st.lists(
    st.builds(
        Step,
        verb=st.sampled_from(("grow", "grow", *VERBS)),
        actor=st.integers(0, 8),
        other=st.integers(0, 8),
        turns=st.integers(0, 3),
        tidy=st.booleans(),
    ),
    max_size=25,
)
Orders = st.one_of(st.none(), st.integers(0, 1_000_000))


@given(Steps, st.sampled_from(["leave", "raise", "cancel"]), Orders)
def test_every_life_is_whole_and_every_request_ends_in_any_order(
    steps: list[Step], ending: str, seed: int | None
) -> None:
    order = None if seed is None else random.Random(seed).randrange
    asked = sum(step.verb not in ("grow", "stop", "cancel") for step in steps)

    async def watched() -> None:
        with anyio.fail_after(5):
            course, ends = await live(steps, ending, order, patience_s=0.0005)
        await anyio.lowlevel.checkpoint()
        assert course.wrong == []
        assert course.alive == {}
        assert len(ends) == asked or any(line.startswith("left by") for line in course.lines)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(watched())


def test_the_same_choices_give_the_same_course_in_every_process() -> None:
    def course(seed: int, hash_seed: str) -> str:
        command = [sys.executable, "-m", "tests.runtime.trees", str(seed)]
        environment = os.environ | {
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        }
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        ).stdout

    courses = [course(seed, "1") for seed in range(4)]
    assert len(set(courses)) == 4
    assert [course(seed, "2") for seed in range(4)] == courses
    assert ["\n".join([*lived.lines, *ends, ""]) for lived, ends in map(drawn, range(4))] == courses


@frozen
class Say:
    text: str


@frozen
class Heard(Request[tuple[str, ...]]):
    """What has been said."""


class Listener(Actor[Say | Heard]):
    def __init__(self, heard: list[str]) -> None:
        self.heard = heard

    async def receive(self, message: Say | Heard) -> object:
        match message:
            case Say(text):
                self.heard.append(text)
                return None
            case Heard():
                return tuple(self.heard)


async def served(order: Callable[[int], int] | None) -> list[str]:
    heard: list[str] = []
    async with ActorSystem(order=order) as system:
        refs = [system.spawn(lambda: Listener(heard), name) for name in "abc"]
        for ref in refs:
            await ref.ask(Heard())
        for text in "12":
            for ref in refs:
                ref.tell_nowait(Say(f"{ref.address[1:]}{text}"))
        for ref in refs:
            await ref.ask(Heard())
    return heard


@pytest.mark.asyncio
async def test_without_an_order_who_is_ready_first_is_served_first() -> None:
    assert await served(None) == ["a1", "a2", "b1", "b2", "c1", "c2"]


@pytest.mark.asyncio
async def test_an_order_chooses_before_each_message_who_is_served() -> None:
    choices: list[int] = []

    def last(count: int) -> int:
        choices.append(count)
        return count - 1

    assert await served(last) == ["c1", "c2", "b1", "b2", "a1", "a2"]
    assert set(choices) == {2, 3}


@pytest.mark.asyncio
@pytest.mark.parametrize("choice", [99, "none"])
async def test_a_choice_that_can_not_be_made_ends_the_system(choice: int | str) -> None:
    def order(count: int) -> int:
        if isinstance(choice, int):
            return choice
        raise IndexError(f"no choice of {count} is left")

    with pytest.raises(IndexError):
        await served(order)


@given(st.integers(0, 1_000_000))
def test_messages_of_one_sender_arrive_in_order_whatever_is_chosen(seed: int) -> None:
    heard: list[str] = []

    async def talk() -> None:
        async with ActorSystem(order=random.Random(seed).randrange) as system:
            ref = system.spawn(lambda: Listener(heard), "listener", mailbox_size=3)
            others = [system.spawn(lambda: Listener([]), f"other-{number}") for number in range(3)]

            async def say(name: str) -> None:
                for number in range(10):
                    for other in others:
                        await other.tell(Say(name))
                    await ref.tell(Say(f"{name}{number}"))

            async with anyio.create_task_group() as tasks:
                for name in "xyz":
                    tasks.start_soon(say, name)
            await ref.ask(Heard())

    asyncio.run(talk())
    for name in "xyz":
        said = [text for text in heard if text.startswith(name)]
        assert said == [f"{name}{number}" for number in range(10)]
