"""The wire: what crosses comes out as it went in, and whatever else comes in is refused."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given

import callboard
from callboard.actors.effects import Absent, Hopeless
from callboard.actors.members import Member
from callboard.actors.messages import (
    AskBusy,
    AwaitGuests,
    CancelJob,
    Disband,
    GivenUp,
    Granted,
    JobDone,
    Join,
    Leave,
    ProtocolMessage,
    Refused,
    Release,
    RunGroup,
    Send,
    Start,
    StartJob,
    Sync,
    Wait,
    WaitAll,
    Withdraw,
)
from callboard.cluster.errors import ClusterError
from callboard.cluster.messages import (
    Contract,
    Dismiss,
    Emitted,
    Employ,
    Employed,
    Employment,
    Engage,
    FetchPart,
)
from callboard.cluster.records import Seat, Settings
from callboard.cluster.wire import (
    CROSSING,
    Codec,
    FarError,
    FarFailure,
    TooLarge,
    WireError,
)
from callboard.definition.model import Fetched
from callboard.definition.split import split
from callboard.events import Failure
from callboard.runtime import ActorFailed, ActorRef, ActorStopped, AskTimeout, MailboxFull
from callboard.runtime.remote import RemoteRef
from callboard.runtime.sender import Sender

SCENARIOS = Path(callboard.__file__).parent / "scenarios"


class Book:
    """Knows refs by box and address, and makes each once."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, str], ActorRef[Any]] = {}

    def place_of(self, ref: ActorRef[Any]) -> tuple[str, str]:
        return next(place for place, each in self.made.items() if each is ref)

    def ref(self, box: str, address: str) -> ActorRef[Any]:
        sender = Sender(lambda _envelope: None, 1.0, 1, lambda _letter: None)
        return self.made.setdefault((box, address), RemoteRef(sender, address))


BOOK = Book()
CODEC = Codec(BOOK)

texts = st.text(max_size=12)
numbers = st.integers(-(2**53), 2**53)
members = st.integers(0, 10**9)
tickets = st.tuples(members, members)
causes = st.none() | members
values = st.dictionaries(texts, texts, max_size=3)
data = st.dictionaries(members, values, max_size=3)
failures = st.builds(Failure, texts, texts, st.none() | texts)
refs: st.SearchStrategy[ActorRef[ProtocolMessage]] = st.builds(BOOK.ref, texts, texts)
KINDS: Mapping[type, st.SearchStrategy[object]] = {
    Join: st.builds(Join, members, refs),
    Leave: st.builds(Leave, members, members),
    Disband: st.builds(Disband),
    Send: st.builds(Send, members, texts, values, members),
    Release: st.builds(Release, members, st.lists(texts, max_size=3).map(tuple), members),
    Wait: st.builds(Wait, tickets, texts, causes),
    WaitAll: st.builds(WaitAll, tickets, texts, st.none() | texts, causes),
    Sync: st.builds(Sync, tickets, texts, causes),
    Start: st.builds(Start, tickets, texts, causes),
    Withdraw: st.builds(Withdraw, tickets),
    Granted: st.builds(Granted, data),
    Refused: st.builds(Refused, texts, st.booleans()),
    GivenUp: st.builds(GivenUp),
    Hopeless: st.builds(
        Hopeless,
        tickets,
        st.sampled_from(("wait", "wait-all", "sync", "start")),
        texts,
        st.none() | texts,
        st.booleans(),
        st.lists(st.builds(Absent, members, st.just("ended")), max_size=2).map(tuple),
        st.lists(members, max_size=3).map(tuple),
    ),
    AskBusy: st.builds(AskBusy),
    StartJob: st.builds(StartJob),
    CancelJob: st.builds(CancelJob, texts),
    JobDone: st.builds(
        JobDone,
        members,
        st.sampled_from(("complete", "incomplete", "canceled")),
        members,
        st.none() | failures,
    ),
    AwaitGuests: st.builds(AwaitGuests, members),
    Emitted: st.builds(Emitted, members, st.lists(texts, max_size=3).map(tuple)),
    Employ: st.builds(Employ, st.floats(0, 1e6), members, members),
    Engage: st.builds(Engage),
    Employed: st.builds(Employed, st.none() | texts),
    Dismiss: st.builds(Dismiss, texts),
    FetchPart: st.builds(FetchPart, members, members),
}
messages = st.one_of(*KINDS.values())
answers = st.one_of(
    st.none(), st.booleans(), numbers, texts, st.binary(), st.lists(members).map(tuple)
)


@given(messages | answers)
def test_what_crosses_comes_out_as_it_went_in(body: object) -> None:
    there = CODEC.decode(CODEC.encode(body))
    assert there == body
    assert type(there) is type(body)


def test_these_tests_make_every_class_that_may_cross() -> None:
    assert {*CROSSING, Join} == {*KINDS}


def contract(jobs: tuple[Employment, ...]) -> Contract:
    return Contract(
        jobs,
        (Member(1, "server"), Member(2, "client")),
        {"token": "hunter2"},
        ("hunter2",),
        Settings(deadlock_grace_s=3),
    )


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(SCENARIOS.glob("*.yaml")) if not path.stem.endswith(".scenario")],
    ids=lambda path: path.stem,
)
def test_jobs_of_every_kind_cross(path: Path) -> None:
    definition = callboard.load(path)
    jobs = split(definition, first_id=7, group="g")
    sent = contract(
        tuple(
            Employment(job, number, Seat("w", "i", "d", "local"), False, True)
            for number, job in enumerate(jobs, 1)
        )
    )
    there: Contract = CODEC.decode(CODEC.encode(sent))
    assert there == sent
    assert all(type(block.parameters) is dict for each in there.jobs for block in each.job.blocks)


def test_a_job_crosses_without_its_text_which_lists_the_whole_group() -> None:
    [job, *_] = split(callboard.load(SCENARIOS / "barrier.yaml"), first_id=1, group="g")
    assert job.text
    [there] = CODEC.decode(CODEC.encode(contract((employment(job),)))).jobs
    assert there.job.text == ""


def employment(job: Any) -> Employment:
    return Employment(job, 1, Seat("w", "i", "d", "local"), False, False)


def test_what_was_fetched_for_a_job_crosses_with_its_folders() -> None:
    [job, *_] = split(callboard.load(SCENARIOS / "barrier.yaml"), first_id=1, group="g")
    [test] = [block for block in job.blocks if block.definitions]
    [source, *_] = test.definitions
    assert source.definition is not None
    fetched = Fetched(source.definition, Path("t/1"), "c0ffee", (("lib", Path("t/2")),))
    test = attrs.evolve(test, definitions=(attrs.evolve(source, fetched=fetched),))
    job = attrs.evolve(job, blocks=(test,), text=job.text)
    [there] = CODEC.decode(CODEC.encode(contract((employment(job),)))).jobs
    assert there.job.blocks[0].definitions[0].fetched == fetched


def test_jobs_of_a_role_carry_their_blocks_once() -> None:
    definition = callboard.load(SCENARIOS / "barrier.yaml")

    def size(count: int) -> int:
        counts = {definition.roles[0].name: count}
        jobs = split(definition, first_id=1, group="g", counts=counts)
        return len(CODEC.encode(contract(tuple(map(employment, jobs)))))

    assert size(200) - size(100) < 100 * 1000


@pytest.mark.parametrize(
    ("error", "there", "text"),
    [
        (ActorStopped("/a"), ActorStopped, "/a has stopped"),
        (MailboxFull("/a"), MailboxFull, "/a has a full mailbox"),
        (AskTimeout("/a", 3), AskTimeout, "/a did not answer within 3 s"),
        (ActorFailed("/a", KeyError("k")), FarFailure, "/a failed: KeyError: 'k'"),
        (TooLarge("Send", 2000, 1000), TooLarge, str(TooLarge("Send", 2000, 1000))),
        (WireError("no"), WireError, "no"),
        (ClusterError("CB274", "full", "wait"), ClusterError, "full"),
        (OSError("disk"), FarError, "OSError: disk"),
    ],
)
def test_errors_cross_with_their_text(error: Exception, there: type[Exception], text: str) -> None:
    arrived = CODEC.decode(CODEC.encode(error))
    assert type(arrived) is there
    assert str(arrived) == text
    assert str(CODEC.decode(CODEC.encode(arrived))) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('["Send",{"member":"1","message_id":"a","data":{}}]', "is not of type int @ $.member"),
        ('["Send",{"member":true,"message_id":"a","data":{}}]', "is not of type int @ $.member"),
        ('["Send",{"member":1,"data":{}}]', "required field missing @ $.message_id"),
        ('["Send",{"member":1,"message_id":"a","data":{"k":1}}]', "1 is not of type str @ $.data"),
        ('["Leave",{"member":1,"extra":2}]', "extra"),
        ('["Wait",{"ticket":[1],"message_id":"a"}]', "@ $.ticket"),
        ('["Release",{"member":1,"roles":"ab"}]', "@ $.roles"),
        ('["Granted",{"data":{"x":{}}}]', "@ $.data"),
        ('["JobDone",{"job":1,"health":"fine","failures":0}]', "fine"),
        ('["Join",[1,2,3]]', "this is no Join"),
        ('["ints",[1.5]]', "this is no ints"),
        ('["bytes","%"]', "this is no bytes"),
        ('["Contract",[{"jobs":[{"job":{"blocks":[4]}}]},[]]]', "this is no Contract"),
        ('["RunGroup",{}]', "no message is called 'RunGroup'"),
        ('["Send"]', "no tag with its data"),
        ('{"Send":{}}', "no tag with its data"),
        ("nonsense", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(WireError) as refusal:
        CODEC.decode(text)
    assert reason in str(refusal.value)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("body", [RunGroup(), object(), ("a",), {1: 2}])
def test_what_may_not_cross_is_refused_before_it_is_sent(body: object) -> None:
    with pytest.raises(WireError, match="can't be sent to another process"):
        CODEC.encode(body)


@given(messages, st.randoms(use_true_random=False))
def test_whatever_happens_to_the_bytes_the_decoder_gives_a_message_or_refuses(
    body: object, chance: random.Random
) -> None:
    damaged = bytearray(CODEC.encode(body).encode())
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(damaged) + 1)
        match chance.randrange(3):
            case 0:
                damaged[place:place] = bytes([chance.randrange(256)])
            case 1:
                del damaged[place : place + chance.randint(1, 8)]
            case _:
                damaged[place : place + 1] = chance.choice((b"{", b"]", b'"', b"1", b"null", b","))
    try:
        there = CODEC.decode(bytes(damaged))
    except WireError:
        return
    check(there)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(messages, st.data())
def test_a_field_of_another_type_is_refused_or_is_of_the_right_one(
    body: object, draw: st.DataObject
) -> None:
    tag, fields = json.loads(CODEC.encode(body))
    if isinstance(fields, dict) and fields:
        fields[draw.draw(st.sampled_from(sorted(fields)))] = draw.draw(plain)
    try:
        there = CODEC.decode(json.dumps([tag, fields]))
    except WireError:
        return
    check(there)


def check(body: Any) -> None:
    """The values of a message are of the types that its class says, as far as they are simple."""
    if not attrs.has(type(body)):
        return
    for each in attrs.fields(type(body)):
        value = getattr(body, each.name)
        if each.type in (int, str, bool):
            assert type(value) is each.type
        if each.name == "data":
            assert isinstance(value, Mapping)
        if each.name in ("roles", "lines", "ticket", "culprits"):
            assert isinstance(value, tuple)
