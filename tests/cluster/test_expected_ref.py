"""What is said to an actor before it is there reaches it, in order."""

import pytest
from attrs import frozen

from callboard.cluster.expected_ref import ExpectedRef
from callboard.runtime import Actor, ActorSystem, AskTimeout, Request

pytestmark = pytest.mark.asyncio


@frozen
class Say(Request[int]):
    text: str


class Scribe(Actor[Say]):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def receive(self, message: Say) -> int:
        self.heard.append(message.text)
        return len(self.heard)


async def test_what_came_early_is_handled_first_and_answered() -> None:
    scribe = Scribe()
    expected = ExpectedRef("/scribe")
    await expected.tell(Say("a"))
    answer = expected.ask(Say("b"))
    async with ActorSystem() as system:
        ref = system.spawn(lambda: scribe, "scribe")
        assert ref.address == expected.address
        expected.meet(ref)
        expected.tell_nowait(Say("c"))
        assert await expected.ask(Say("d"), 10) == 4
        assert await answer == 2
    assert scribe.heard == ["a", "b", "c", "d"]


async def test_who_asks_an_actor_that_never_comes_gives_up_in_time() -> None:
    with pytest.raises(AskTimeout):
        await ExpectedRef("/nobody").ask(Say("a"), 0.01)


async def test_who_expects_an_actor_cannot_end_it() -> None:
    expected = ExpectedRef("/nobody")
    for end in (expected.stop, expected.cancel):
        with pytest.raises(RuntimeError, match="/nobody"):
            await end()
    with pytest.raises(RuntimeError, match="/nobody"):
        expected.fail(OSError())
