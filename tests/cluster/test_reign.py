"""What becomes of a group when its workers leave, or count as lost, at any moment."""

from collections import Counter

import anyio
import pytest
from attrs import define
from tests.cluster.standins import LEASE_S
from tests.cluster.test_taking_up import check_log, rehearsal, undisturbed, verdict
from tests.cluster.troupe import BOXES, Troupe

from callboard.cluster import entries
from callboard.cluster.messages import job_address
from callboard.cluster.rebuilt import rebuild
from callboard.events import Failure, JobEnded, JobStarted, RunEnded, decode
from callboard.runtime import DeadLetter

SPARE = "rack-3"


def health(troupe: Troupe) -> Counter[str]:
    return Counter(each.body.health for each in troupe.events if isinstance(each.body, JobEnded))


def places(troupe: Troupe) -> set[str]:
    """The workers that the jobs have seats on."""
    seats = rebuild(troupe.log.lines).seats
    assert seats is not None
    return {seat.worker for seat in seats.values()}


@define
class Drain:
    """A worker drains at a moment."""

    box: str
    at_s: float

    async def __call__(self, troupe: Troupe) -> None:
        await anyio.sleep(self.at_s)
        if self.box in troupe.hosts:
            troupe.hosts[self.box].drain()


@pytest.mark.parametrize("box", BOXES)
def test_a_group_is_complete_whenever_one_of_its_workers_drains(box: str) -> None:
    expected, _ = undisturbed("demo", 1)
    served: Counter[str] = Counter()
    for ms in range(0, 24, 2):
        drain = Drain(box, ms / 1000)
        troupe = Troupe(rehearsal("demo"), 1, befalls=drain, boxes=(*BOXES, SPARE), loss=0.0).run()
        check_log(troupe.events)
        assert verdict(troupe.events) == expected, drain
        assert set(troupe.made.values()) == {1}
        assert box not in troupe.hosts, "it has left"
        assert not rebuild(troupe.log.lines).given_up
        served[box if box in places(troupe) else SPARE] += 1
    assert served[box] > 2, "it stays once it has promised to"
    assert served[SPARE] > 2, "the group waits anew when it hasn't"


@define
class Loss:
    """A worker that lives counts as lost for the first leader, which dies some lines later."""

    box: str
    at_s: float
    lines: int
    begun: bool = False

    async def __call__(self, troupe: Troupe) -> None:
        await anyio.sleep(self.at_s)
        self.begun = True
        troupe.roll.lose(self.box)

    def is_fatal(self, _line: bytes) -> bool:
        self.lines -= self.begun
        return self.begun and self.lines == 0


def play_loss(name: str, loss: Loss) -> Troupe:
    return Troupe(rehearsal(name), 1, loss.is_fatal, loss, loss=0.0).run()


def check_lost(troupe: Troupe, box: str) -> bool:
    """No job was done twice; those of a worker were lost if that is on record, which it returns."""
    events, rebuilt = troupe.events, rebuild(troupe.log.lines)
    assert set(troupe.made.values()) == {1}
    started = Counter(each.body.job for each in events if isinstance(each.body, JobStarted))
    assert set(started.values()) == {1}
    assert rebuilt.seats is not None
    theirs = {job for job, seat in rebuilt.seats.items() if seat.worker == box}
    lost = {
        each.body.job
        for each in events
        if isinstance(each.body, JobEnded) and each.body.error and f"{box} was" in str(each.body)
    }
    assert lost == (theirs if box in rebuilt.given_up else set())
    entry = b'{"entry":"given-up"'
    assert sum(line.startswith(entry) for line in troupe.log.lines) == len(rebuilt.given_up)
    check_log(events, lost)
    return bool(lost)


@pytest.mark.parametrize("at_s", [0.03, 3.0])
def test_no_job_is_done_twice_whenever_the_leader_dies_that_has_given_a_worker_up(
    at_s: float,
) -> None:
    verdicts = Counter(
        check_lost(play_loss("demo", Loss("rack-2", at_s, lines)), "rack-2")
        for lines in range(1, 11)
    )
    assert verdicts[True] > 5


@pytest.mark.parametrize("at_s", [0.015, 0.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 7.9])
def test_the_jobs_of_a_worker_that_counts_as_lost_end_at_once_and_the_others_go_on(
    at_s: float,
) -> None:
    troupe = play_loss("demo", Loss("rack-2", at_s, 1_000_000))
    assert rebuild(troupe.log.lines).given_up.keys() == {"rack-2"}
    if check_lost(troupe, "rack-2"):
        assert troupe.closed_s.get(2, at_s) < at_s + 0.5, "if its nodes were made at all"


def test_what_is_heard_of_a_job_when_the_group_has_ended_is_no_event() -> None:
    ended = anyio.Event()

    def is_fatal(line: bytes) -> bool:
        if not entries.is_entry(line) and isinstance(decode(line).body, RunEnded):
            ended.set()
        return False

    async def say(troupe: Troupe) -> None:
        await ended.wait()
        assert troupe.leader is not None
        assert troupe.leader.reign is not None
        troupe.leader.reign._miss(DeadLetter(job_address(1), "an answer that came too late"))

    check_log(Troupe(rehearsal("demo"), 1, is_fatal, say, loss=0.0).run().events)


def test_nobody_waits_at_the_end_for_a_worker_that_is_lost() -> None:
    async def cut_off(troupe: Troupe) -> None:
        await anyio.sleep(3.0)
        troupe.hosts["rack-2"].cut_off()
        troupe.roll.lose("rack-2")

    troupe = Troupe(rehearsal("demo"), 1, befalls=cut_off, loss=0.0).run()
    assert check_lost(troupe, "rack-2")
    assert troupe.over_s < troupe.events[-1].time_s + 1.0
    assert troupe.hosts


def test_a_worker_that_can_make_no_nodes_fails_its_jobs_and_says_why() -> None:
    async def refuse(box: str) -> None:
        if box == "rack-2":
            raise OSError("no space left")

    troupe = Troupe(rehearsal("demo"), 1, prepares=refuse, loss=0.0).run()
    check_log(troupe.events)
    [failed] = [e.body for e in troupe.events if isinstance(e.body, JobEnded) and e.body.job == 2]
    assert failed.error == Failure("InfrastructureError", "worker rack-2: no space left")


@pytest.mark.parametrize("at_s", [0.0, 0.006, 0.03, 2.0])
@pytest.mark.parametrize("deaths", [(), (0.5, 1.0, 2.5)])
def test_a_group_is_cancelled_also_while_a_worker_makes_its_nodes(
    at_s: float, deaths: tuple[float, ...]
) -> None:
    async def dawdle(box: str) -> None:
        if box == "rack-2":
            await anyio.sleep(600)

    async def cancel(troupe: Troupe) -> None:
        await anyio.sleep(at_s)
        troupe.interrupt("not needed any more")

    troupe = Troupe(rehearsal("demo"), 1, befalls=cancel, prepares=dawdle, loss=0.0).run(deaths)
    check_log(troupe.events)
    assert health(troupe) == {"canceled": 3}
    assert troupe.events[-1].time_s < at_s + 1.0
    assert not [e for e in troupe.events if isinstance(e.body, JobStarted)]
    assert verdict(troupe.events).ended == ("canceled", 130)


def test_a_group_is_cancelled_also_while_a_worker_promises_nothing() -> None:
    async def cancel(troupe: Troupe) -> None:
        troupe.hosts["rack-2"].cut_off()
        await anyio.sleep(2.0)
        troupe.interrupt("not needed any more")

    troupe = Troupe(rehearsal("demo"), 1, befalls=cancel, loss=0.0).run()
    check_log(troupe.events)
    assert health(troupe) == {"canceled": 3}
    assert troupe.over_s < 3 * LEASE_S


@pytest.mark.parametrize("entry", [b"allotted", b"led"])
def test_a_worker_keeps_its_promise_also_to_the_next_leader(entry: bytes) -> None:
    begin = b'{"entry":"' + entry
    stored = anyio.Event()

    def is_fatal(line: bytes) -> bool:
        fatal = line.startswith(begin) and not stored.is_set()
        if fatal:
            stored.set()
        return fatal

    async def drain(troupe: Troupe) -> None:
        await stored.wait()
        troupe.hosts["rack-1"].drain()

    boxes = (*BOXES, SPARE)
    troupe = Troupe(rehearsal("demo"), 1, is_fatal, drain, boxes=boxes, loss=0.0).run()
    check_log(troupe.events)
    assert health(troupe) == {"complete": 3}
    assert places(troupe) == ({"rack-1", "rack-2"} if entry == b"allotted" else {"rack-2", SPARE})
