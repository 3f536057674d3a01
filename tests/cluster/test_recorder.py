"""Events of leader and hosts in one log, and a group as its log tells of it."""

import json
import math
from typing import Any

import hypothesis.strategies as st
import pytest
from attrs import evolve
from hypothesis import given

from callboard.actors.messages import Interrupt, JobDone
from callboard.actors.progress import Progress
from callboard.cluster import entries
from callboard.cluster.entries import Allotted, Led, Relayed, Requested, is_entry
from callboard.cluster.messages import Emitted
from callboard.cluster.numbering import HOST_SEQ_BASE, Numbering, base_of
from callboard.cluster.rebuilt import rebuild
from callboard.cluster.recorder import Recorder
from callboard.cluster.records import Seat
from callboard.events import (
    FORMAT,
    CallAnswered,
    CallMade,
    ConsoleOutput,
    Event,
    Failure,
    JobCreated,
    JobEnded,
    JobStarted,
    LogError,
    Message,
    RunEnded,
    RunStarted,
    WaitHopeless,
    decode,
    encode,
)
from callboard.journal import Journal, Mask

STARTED = RunStarted(FORMAT, "g", "name", multinode=True, jobs=4, started_at=None)
HOSTS = {"rack-1": (7, 8), "rack-2": (9, 10)}


class Time:
    """A clock that a test sets."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Host:
    """What a host has emitted, as it arrives at the leader."""

    def __init__(self, box: str, time: Time) -> None:
        self.lines: list[str] = []
        self.base = base_of(HOSTS[box])
        self.journal = Journal(time, sinks=[self._take], seq=self.base)
        self._sent = 0

    def _take(self, event: Event) -> None:
        self.lines.append(encode(event).decode())

    def emitted(self) -> Emitted:
        """What has come since the last time."""
        first, self._sent = self._sent + 1, len(self.lines)
        return Emitted(first, tuple(self.lines[first - 1 :]))


def recorder(lines: list[bytes], time: Time | None = None, **more: Any) -> Recorder:
    made = Recorder(time or Time(), lines.append, **more)
    for box, jobs in HOSTS.items():
        made.admit(box, jobs)
    return made


def events(lines: list[bytes]) -> list[Event]:
    return [decode(line) for line in lines if not is_entry(line)]


def line(body: Any, seq: int = 1, time_s: float = 0.0, **more: Any) -> str:
    actor = more.pop("actor", f"/group/job-{getattr(body, 'job', 7)}")
    return encode(Event(seq, time_s, actor, body, more.pop("cause", None))).decode()


def test_events_of_hosts_get_the_next_numbers_and_their_causes_too() -> None:
    lines: list[bytes] = []
    made = recorder(lines)
    made.emit("/", STARTED)
    first, second = Host("rack-1", Time()), Host("rack-2", Time())
    call = first.journal.emit("/group/job-7/multinode", CallMade(7, "sync", "go"))
    other = second.journal.emit("/group/job-9/multinode", CallMade(9, "sync", "go"))
    made.relay("rack-2", second.emitted())
    made.relay("rack-1", first.emitted())
    for host, own, job in ((first, call, 7), (second, other, 9)):
        body = CallAnswered(job, "sync", "go", "pass", 0.0)
        host.journal.emit(f"/group/job-{job}/multinode", body, own)
    made.relay("rack-1", first.emitted())
    made.relay("rack-2", second.emitted())
    found = events(lines)
    assert [(each.seq, each.cause, each.kind) for each in found] == [
        (1, None, "run-started"),
        (2, None, "call-made"),
        (3, None, "call-made"),
        (4, 3, "call-answered"),
        (5, 2, "call-answered"),
    ]


def test_what_the_leader_says_of_a_call_on_a_host_names_the_event_of_the_call() -> None:
    lines: list[bytes] = []
    made = recorder(lines)
    made.emit("/", STARTED)
    host = Host("rack-2", Time())
    call = host.journal.emit("/group/job-9/multinode", CallMade(9, "sync", "go"))
    made.relay("rack-2", host.emitted())
    hopeless = WaitHopeless(9, "sync", "go", None, certain=True, missing=(), culprits=())
    made.emit("/group/coordinator", hopeless, call)
    made.emit("/group/coordinator", hopeless, call + 1)
    made.emit("/group/coordinator", hopeless, base_of([55]) + 1)
    assert [each.cause for each in events(lines)] == [None, None, 2, None, None]


def test_an_event_that_comes_twice_is_recorded_once() -> None:
    lines: list[bytes] = []
    made = recorder(lines)
    host = Host("rack-1", Time())
    for job in (7, 8, 7):
        host.journal.emit(f"/group/job-{job}", JobStarted(job))
    for first, last in ((1, 2), (1, 2), (2, 3), (1, 3), (3, 3)):
        made.relay("rack-1", Emitted(first, tuple(host.lines[first - 1 : last])))
    assert [each.body for each in events(lines)] == [JobStarted(7), JobStarted(8), JobStarted(7)]
    assert [entries.decode(each) for each in lines if is_entry(each)] == [
        Relayed("rack-1", 1, 2),
        Relayed("rack-1", 3, 1),
    ]


def test_time_never_goes_back_and_never_runs_ahead_of_the_leader() -> None:
    lines: list[bytes] = []
    time = Time()
    made = recorder(lines, time)
    made.emit("/", STARTED)
    time.now_s += 5
    made.relay(
        "rack-1",
        Emitted(1, tuple(line(JobStarted(7), 1, at) for at in (4.0, 3.0, 4.5, 1e9, 0.0))),
    )
    made.emit("/", Message(7, "info", "x"))
    assert [each.time_s for each in events(lines)] == [0.0, 4.0, 4.0, 4.5, 5.0, 5.0, 5.0]


GOOD = line(JobStarted(7))
BAD = {
    "no JSON": "{",
    "nothing": "",
    "no object": "[]",
    "an entry": '{"entry":"done","job":7,"health":"complete","failures":0,"error":null}',
    "of an unknown kind": GOOD.replace("job-started", "flying-pig"),
    "of another job": line(JobStarted(9)),
    "of an actor elsewhere": line(JobStarted(7), actor="/group/job-9"),
    "of no job's actor": line(JobStarted(7), actor="/group/coordinator"),
    "of an actor like ours": line(JobStarted(7), actor="/group/job-70"),
    "of no group": line(JobStarted(7), actor="/"),
    "the leader's to say": line(RunEnded("complete", 0, 1.0), actor="/group"),
    "a beginning": line(STARTED, actor="/group"),
    "a creation": line(JobCreated(7, 0, None, "d", "local", ""), actor="/group"),
    "of no time": line(JobStarted(7), time_s=math.nan),
    "two lines": GOOD.replace(',"actor"', ',\n"entry":"done","actor"'),
    "nested too deep": GOOD.replace('"job":7', '"job":' + "[" * 100_000),
    "half a character": line(ConsoleOutput(7, "common", "@")).replace("@", "\\ud800"),
    "a name of half a character": GOOD.replace("job-started", "\\ud800"),
    "too long a number": GOOD.replace('"seq":1', '"seq":' + "1" * 10_000),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_is_no_event_of_a_hosts_jobs_is_left_out_and_an_event_says_so(bad: str) -> None:
    lines: list[bytes] = []
    made = recorder(lines)
    made.relay("rack-1", Emitted(1, (bad, GOOD)))
    refused, good = events(lines)
    assert isinstance(refused.body, Message)
    assert (refused.body.job, refused.body.level, refused.actor) == (7, "error", "/group")
    assert refused.body.text.startswith("the worker rack-1 has sent what is no event of its jobs")
    assert len(refused.body.text) < 300
    assert (good.seq, good.body) == (2, JobStarted(7))
    assert rebuild(lines).numberings["rack-1"].of(2) == 2


@given(st.lists(st.text() | st.binary().map(lambda data: data.decode("latin-1")), max_size=4))
def test_no_host_can_make_a_log_unreadable(sent: list[str]) -> None:
    lines: list[bytes] = []
    made = recorder(lines)
    made.relay("rack-1", Emitted(1, tuple(sent)))
    assert len(events(lines)) == len(sent)
    assert all(each.count(b"\n") == 1 for each in lines)
    assert rebuild(lines).seq == len(sent)


@given(st.lists(st.sampled_from(list('{}":,\\0\n\x00[aseqtimjob1-')), max_size=3), st.data())
def test_no_change_of_a_line_makes_a_log_unreadable(noise: list[str], data: st.DataObject) -> None:
    bad = GOOD
    for each in noise:
        at = data.draw(st.integers(0, len(bad)))
        bad = bad[:at] + each + bad[at + data.draw(st.integers(0, 2)) :]
    lines: list[bytes] = []
    recorder(lines).relay("rack-1", Emitted(1, (bad,)))
    assert len(events(lines)) == 1
    assert rebuild(lines).seq == 1


def test_who_was_not_admitted_is_nobody() -> None:
    with pytest.raises(LookupError):
        recorder([]).relay("rack-9", Emitted(1, (GOOD,)))


def test_secrets_of_what_the_leader_says_are_hidden() -> None:
    lines: list[bytes] = []
    made = recorder(lines, mask=Mask(["hunter22"]))
    made.emit("/group", Message(7, "info", "it is hunter22"))
    assert events(lines)[0].body == Message(7, "info", "it is [MASKED]")


SEATS = {7: Seat("rack-1", "i", "d-1", "local"), 9: Seat("rack-2", "i", "d-2", "lxc")}


@pytest.mark.parametrize(
    "entry",
    [
        Led("rack-1", "i"),
        Relayed("rack-1", 5, 3),
        Requested(["Send", [7, "ready", {"k": "v\ud800\n"}, 3]]),
        Allotted(SEATS),
        JobDone(7, "incomplete", 2, Failure("JobError", "it\nbroke", "1.2 x")),
        JobDone(7, "complete", 0),
        Interrupt("enough"),
    ],
)
def test_every_entry_comes_back_from_its_line(entry: entries.Entry) -> None:
    written = entries.encode(entry)
    assert is_entry(written)
    assert written.count(b"\n") == 1
    assert entries.decode(written) == entry


@pytest.mark.parametrize(
    "junk",
    [
        b'{"entry":"flying-pig"}\n',
        b'{"entry":"led"}\n',
        b'{"entry":"led","worker":"a","incarnation":"b","more":1}\n',
        b'{"entry":["led"]}\n',
        b'{"entry":"done","job":7,"health":"splendid","failures":0,"error":null}\n',
        b'{"entry":"led"',
        b'{"entry":' + b"[" * 100_000,
        b"",
        b"{}\n",
        b"\xff\n",
        b'{"seq":1,"kind":"x"}\n',
    ],
)
def test_junk_in_a_log_is_an_error_and_no_crash(junk: bytes) -> None:
    with pytest.raises(LogError):
        rebuild([junk])


def test_what_a_leader_has_to_know_is_in_the_log() -> None:
    lines: list[bytes] = []
    time = Time()
    made = recorder(lines, time)
    lines.append(entries.encode(Led("stage", "i")))
    assert rebuild(lines).progress is None
    lines.append(entries.encode(Allotted(SEATS)))
    made.emit("/", STARTED)
    made.emit("/group", JobCreated(7, 0, None, "d-1", "local", ""))
    host = Host("rack-1", time)
    host.journal.emit("/group/job-7", JobStarted(7))
    time.now_s += 3
    ended = JobEnded(7, "complete", None, 3.0)
    host.journal.emit("/group/job-7", ended)
    made.relay("rack-1", host.emitted())
    done = JobDone(7, "complete", 0)
    again: list[entries.Entry] = [evolve(done, failures=1), Interrupt("two"), Requested([2])]
    notes: list[entries.Entry] = [Requested([1]), done, Interrupt("one"), *again]
    lines += map(entries.encode, notes)
    found = rebuild(lines)
    assert found.leader == Led("stage", "i")
    assert (found.started, found.seq, found.time_s) == (STARTED, 4, 3.0)
    assert found.progress == Progress(frozenset({7}), (done,), "one")
    assert (found.jobs_ended, found.ended) == ({7: ended}, None)
    assert (found.requests, found.seats) == ([[1], [2]], SEATS)
    made.emit("/group", RunEnded("complete", 0, 3.0))
    assert rebuild(lines).ended == RunEnded("complete", 0, 3.0)


def test_the_next_leader_goes_on_with_numbers_and_time() -> None:
    lines: list[bytes] = []
    time = Time()
    made = recorder(lines, time)
    made.emit("/", STARTED)
    time.now_s += 2
    made.emit("/group", Message(7, "info", "x"))
    later = Time()
    later.now_s = 5_000.0
    after = recorder(lines, later, rebuilt=rebuild(lines), pause_s=10.0)
    after.emit("/group", Message(7, "info", "y"))
    later.now_s += 1
    assert after.time_s == 13.0
    after.relay("rack-1", Emitted(1, (line(JobStarted(7), time_s=12.5),)))
    found = events(lines)
    assert [each.seq for each in found] == [1, 2, 3, 4]
    assert [each.time_s for each in found] == [0.0, 2.0, 12.0, 12.5]


@given(st.data())
def test_a_log_cut_anywhere_is_gone_on_with_as_if_nothing_had_happened(data: st.DataObject) -> None:
    hosts = {box: Host(box, Time()) for box in HOSTS}
    lines: list[bytes] = []
    made = recorder(lines)
    made.emit("/", STARTED)
    unsettled: list[tuple[str, Emitted]] = []
    emitted: dict[str, list[int]] = {box: [] for box in HOSTS}
    for _ in range(data.draw(st.integers(1, 12))):
        what = data.draw(st.sampled_from([*HOSTS, "leader", "cut"]))
        if what == "leader":
            made.emit("/group", Message(7, "info", "own"))
        elif what == "cut":
            # What isn't stored has not been settled, so hosts send it again to the next leader.
            del lines[data.draw(st.integers(1, len(lines))) :]
            made = recorder(lines, rebuilt=rebuild(lines))
            for box, sent in unsettled:
                made.relay(box, sent)
        else:
            host, job = hosts[what], HOSTS[what][0]
            for _ in range(data.draw(st.integers(1, 3))):
                causes = st.sampled_from([None, *emitted[what]])
                text = str(len(emitted[what]))
                seq = host.journal.emit(
                    f"/group/job-{job}", Message(job, "info", text), data.draw(causes)
                )
                emitted[what].append(seq)
            sent = host.emitted()
            unsettled.append((what, sent))
            made.relay(what, sent)
    found = events(lines)
    assert [each.seq for each in found] == list(range(1, len(found) + 1))
    for box, host in hosts.items():
        own = [each for each in found if each.actor == f"/group/job-{HOSTS[box][0]}"]
        said = [json.loads(each) for each in host.lines]
        assert [each.body for each in own] == [decode(each.encode()).body for each in host.lines]
        seqs = [each.seq for each in own]
        places = [None if e["cause"] is None else e["cause"] - host.base - 1 for e in said]
        assert [each.cause for each in own] == [None if p is None else seqs[p] for p in places]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=20))
def test_a_numbering_knows_what_it_was_told(steps: list[tuple[int, int]]) -> None:
    numbering, known, number, seq = Numbering(), dict[int, int](), 0, 0
    for ahead, further in steps:
        number, seq = number + ahead, seq + further
        numbering.add(number, seq)
        known[number] = seq
    assert {each: numbering.of(each) for each in range(number + 3)} == {
        each: known.get(each) for each in range(number + 3)
    }
    assert numbering.next == number + 1


def test_numbers_of_hosts_are_apart() -> None:
    bases = {base_of(jobs) for jobs in ((0, 3), (1,), (2, 4))}
    assert len(bases) == 3
    assert min(bases) >= HOST_SEQ_BASE
