"""How long an envelope waits before it is sent again."""

import anyio

from callboard.runtime import run_virtual
from callboard.runtime.transport import Resender


async def _sent_again(longest_s: float, heard_s: float) -> list[float]:
    """When an envelope is sent again that is heard of at last."""
    times: list[float] = []
    resender = Resender(1.0, longest_s, lambda _number: times.append(anyio.current_time()))
    resender.expect(1)
    await anyio.sleep(heard_s)
    resender.heard(1)
    await anyio.sleep(100.0)
    return times


def test_it_is_sent_again_at_equal_intervals_until_it_is_heard_of() -> None:
    assert run_virtual(lambda: _sent_again(1.0, 3.5)) == [1.0, 2.0, 3.0]


def test_each_wait_in_vain_doubles_the_next_up_to_the_longest() -> None:
    assert run_virtual(lambda: _sent_again(4.0, 14.0)) == [1.0, 3.0, 7.0, 11.0]


async def _after(took_s: float) -> list[float]:
    """When an envelope is sent again after another has taken so long to be heard of."""
    times: list[float] = []
    resender = Resender(1.0, 16.0, lambda number: times.append(anyio.current_time() * number))
    resender.expect(0)
    if took_s > 1.0:  # it was sent again, so the next one tells
        await anyio.sleep(1.5)
        resender.heard(0)
        resender.expect(0)
    await anyio.sleep(took_s)
    resender.heard(0)
    begun_s = anyio.current_time()
    resender.expect(1)
    await anyio.sleep(2.5)
    resender.heard(1)
    return [each - begun_s for each in times if each]


def test_who_is_slow_is_given_twice_the_time_that_it_takes() -> None:
    assert run_virtual(lambda: _after(0.1)) == [1.0]
    assert run_virtual(lambda: _after(1.4)) == []


async def _hastened() -> list[float]:
    times: list[float] = []
    resender = Resender(1.0, 16.0, lambda _number: times.append(anyio.current_time()))
    resender.expect(1)
    await anyio.sleep(8.0)
    resender.hasten()
    await anyio.sleep(1.5)
    resender.clear()
    return times


def test_what_waits_is_sent_at_once_when_the_way_is_free_again() -> None:
    assert run_virtual(_hastened) == [1.0, 3.0, 7.0, 8.0, 9.0]
