"""Wherever the machine stops, what was acknowledged is there when the coordinator starts again."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import anyio
import anyio.lowlevel
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from tests.coordinator.asking import State, requests, state
from tests.coordinator.disk import Disk, Fault, Files, Killed
from tests.coordinator.keeping import NEW_YEAR

from callboard.actors.semantics import DOCUMENTED, LAVA, Semantics
from callboard.coordinator.exchange import Exchange, Limits
from callboard.coordinator.facts import Fact
from callboard.coordinator.recovery import recall
from callboard.coordinator.requests import Client, GroupData, Request
from callboard.coordinator.segments import Segments
from callboard.coordinator.store import Store, rules

Turns = Sequence[tuple[Sequence[Request], bool]]
"""Requests that are made in one turn of the loop, and whether it is waited for the disk then."""

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where a disk needn't be waited for."""

_MOMENTS = 12
"""At how many moments of a life its crash is tried."""

turns = st.lists(st.tuples(st.lists(requests, max_size=4), st.booleans()), max_size=8)
faults = st.dictionaries(
    st.integers(0, 40), st.sampled_from(["error", "error", "kill"]), max_size=4
)


@frozen
class Life:
    """What happened from one start of a coordinator to the next.

    Attributes:
        begin: What had been done to the disk before.
        states: The groups at its start, and after each change.
    """

    begin: int
    states: list[State]


@frozen
class Lab:
    """A directory that is watched, and how it is used."""

    path: Path
    disk: Disk
    semantics: Semantics
    segment_bytes: int
    limits: Limits

    def live(self, turns: Turns, faults: Mapping[int, Fault]) -> Life:
        """Start a coordinator without a server, have it asked, and end or kill it."""
        self.disk.arm({})
        exchange = Exchange(self.semantics, self.limits)
        store = Store.open(
            self.path,
            exchange,
            NEW_YEAR,
            silent,
            segment_bytes=self.segment_bytes,
            pause_s=0.0,
            sync=os.fdatasync,  # as it is now, watched
        )
        life = Life(len(self.disk.done), [state(exchange)])
        self.disk.mark(0)
        self.disk.arm(faults)
        try:
            anyio.run(self._perform, turns, exchange, store, life.states)
        except* Killed:
            store._segments.close()
        return life

    async def _perform(
        self, turns: Turns, exchange: Exchange, store: Store, states: list[State]
    ) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.run)
            for turn, waits in turns:
                for request in turn:
                    served = exchange.serve(request, 0.0)
                    if served.change is not None:
                        store.note(served.change)
                        states.append(state(exchange))
                settled = anyio.Event()
                store.when_settled(partial(self.disk.mark, len(states) - 1))
                store.when_settled(settled.set)
                if waits:
                    await settled.wait()
                await anyio.lowlevel.checkpoint()
            await store.close()

    def recovered(self, files: Files) -> State:
        """The groups of a coordinator that finds these files."""
        with TemporaryDirectory(dir=MEMORY) as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            exchange = Exchange(self.semantics)
            segments = Segments.open(Path(folder), rules(exchange))
            try:
                recall(segments, exchange, NEW_YEAR, silent)
            finally:
                segments.close()
            return state(exchange)


def silent(_fact: Fact) -> None:
    """Nobody reads it."""


@given(
    lives=st.lists(st.tuples(turns, faults), min_size=1, max_size=4),
    semantics=st.sampled_from([LAVA, DOCUMENTED]),
    segment_bytes=st.sampled_from([1, 500, 10_000]),
    limits=st.sampled_from([Limits(), Limits(groups=3, clients=2, ids=1, answer_bytes=600)]),
    seed=st.integers(0, 9),
)
def test_after_a_crash_all_is_there_that_was_acknowledged_and_nothing_half_done(
    lives: list[tuple[Turns, dict[int, Fault]]],
    semantics: Semantics,
    segment_bytes: int,
    limits: Limits,
    seed: int,
) -> None:
    with TemporaryDirectory(dir=MEMORY) as folder:
        random, disk = Random(seed), Disk(Path(folder))
        lab = Lab(Path(folder), disk, semantics, segment_bytes, limits)
        with disk.watched():
            lived = [lab.live(turns, faults) for turns, faults in lives]
        ends = [*(each.begin for each in lived[1:]), len(disk.done) + 1]
        for life, end in zip(lived, ends, strict=True):
            moments = range(life.begin, end)
            for moment in random.sample(moments, min(len(moments), _MOMENTS)):
                possible = life.states[disk.marked(moment) :]
                assert lab.recovered(disk.left(moment, random)) in possible
        for before, after in pairwise(lived):
            assert after.states[0] in before.states


def test_what_a_killed_coordinator_has_written_is_on_the_disk_before_it_counts() -> None:
    with TemporaryDirectory(dir=MEMORY) as folder:
        disk = Disk(Path(folder))
        lab = Lab(Path(folder), disk, LAVA, 10_000, Limits())
        with disk.watched():
            lab.live([([GroupData(Client("a", "g", "left", size=2))], True)], {1: "kill"})
            again = lab.live([], {})
        assert list(again.states[0]) == ["g"]
        for seed in range(10):
            assert lab.recovered(disk.left(again.begin, Random(seed))) == again.states[0]
