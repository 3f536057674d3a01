"""An exchange: actors of other processes are reached as though they were in this one."""

import asyncio
import json
from collections.abc import Callable

import anyio
import pytest
from tests.cluster.exchanges import NEVER_S, RESEND_S, WORKER, Holding, pair, silence

from callboard.actors.messages import (
    AskBusy,
    CoordinatorMessage,
    GivenUp,
    Granted,
    Join,
    Send,
    StartJob,
    Wait,
)
from callboard.cluster.errors import ClusterError
from callboard.cluster.exchange import Exchange
from callboard.cluster.messages import HOST, LEADER, RECORDER, Dismiss, Emitted, FetchPart
from callboard.cluster.subjects import PROTOCOL
from callboard.cluster.wire import FarFailure, TooLarge, WireError
from callboard.runtime import (
    Actor,
    ActorRef,
    ActorStopped,
    ActorSystem,
    DeadLetter,
    MailboxFull,
    Reply,
)

JOB = "/group/job-1"
COORDINATOR = "/group/coordinator"


def answering(got: list[object]) -> Callable[[object], GivenUp]:
    """What keeps each message, and answers all alike."""

    def answer(message: object) -> GivenUp:
        got.append(message)
        return GivenUp()

    return answer


class Coordinator(Actor[CoordinatorMessage]):
    """Releases those who wait as soon as somebody sends."""

    def __init__(self) -> None:
        self.got: list[CoordinatorMessage] = []
        self.waiting: list[Reply[object]] = []

    async def receive(self, message: CoordinatorMessage) -> object:
        self.got.append(message)
        if isinstance(message, Wait):
            self.waiting.append(self.context.defer(message))
        elif isinstance(message, Send):
            granted = Granted({message.member: message.data})
            for each in self.waiting:
                each.send(granted)
        return None


@pytest.mark.asyncio
async def test_an_actor_of_another_process_is_told_and_asked_in_order() -> None:
    got: list[object] = []
    with pair() as there:
        there.leader.function_ref(COORDINATOR, answering(got))
        ref = there.worker.ref(LEADER, COORDINATOR)
        await ref.tell(Send(1, "a", {}))
        ref.tell_nowait(Send(1, "b", {"k": "v"}))
        assert await ref.ask(Wait((1, 3), "c")) == GivenUp()
        assert got == [Send(1, "a", {}), Send(1, "b", {"k": "v"}), Wait((1, 3), "c")]
        assert ref.address == COORDINATOR
        assert not there.letters
        assert not there.problems


@pytest.mark.asyncio
async def test_a_ref_in_a_message_leads_back_to_its_actor() -> None:
    joined: list[Join] = []
    with pair() as there:
        busy = there.worker.function_ref(f"{JOB}/multinode", lambda _message: True)
        there.worker.withdraw(busy)
        there.leader.function_ref(COORDINATOR, joined.append)
        await there.worker.ref(LEADER, COORDINATOR).tell(Join(1, busy))
        await silence(there.post)
        assert await joined[0].protocol.ask(AskBusy()) is True
        assert there.leader.place_of(joined[0].protocol) == (WORKER, f"{JOB}/multinode")


@pytest.mark.asyncio
async def test_what_many_wait_for_goes_to_a_worker_in_one_parcel_and_is_written_once() -> None:
    with pair(resend_s=NEVER_S) as there:
        async with ActorSystem() as system:
            there.leader.export(system.spawn(Coordinator, "coordinator"))
            ref = there.worker.ref(LEADER, "/coordinator")
            asked = [asyncio.ensure_future(ref.ask(Wait((n, 1), "go"))) for n in range(300)]
            await silence(there.post)
            before = len(there.post.parcels(LEADER))
            data = {"key": "a value that is long enough to be seen"}
            await ref.tell(Send(1, "go", data))
            answers = await asyncio.gather(*asked)
            assert answers == [Granted({1: data})] * 300
            assert len({id(each) for each in answers}) == 1, "and it is read once"
            [released, *_] = there.post.parcels(LEADER)[before:]
            assert released.count(b"long enough") == 1
            assert len(json.loads(released)["s"]) >= 300


@pytest.mark.asyncio
async def test_an_answer_that_is_there_at_once_costs_two_parcels() -> None:
    with pair(resend_s=NEVER_S) as there:
        there.leader.function_ref(COORDINATOR, lambda _message: GivenUp())
        await there.worker.ref(LEADER, COORDINATOR).ask(Wait((1, 1), "a"))
        assert [sender for sender, _, _ in there.post.posted] == [WORKER, LEADER]


@pytest.mark.asyncio
async def test_all_is_settled_in_the_end_and_then_nothing_is_posted() -> None:
    with pair() as there:
        there.leader.function_ref(COORDINATOR, lambda _message: GivenUp())
        there.post.cut = True
        ref = there.worker.ref(LEADER, COORDINATOR)
        asked = asyncio.ensure_future(ref.ask(Wait((1, 1), "a")))
        await asyncio.sleep(3 * RESEND_S)
        assert len(there.post.posted) > 1
        there.post.cut = False
        assert await asked == GivenUp()
        await silence(there.post)


@pytest.mark.asyncio
async def test_an_actor_that_is_not_there_has_stopped() -> None:
    with pair() as there:
        await there.leader.ref(WORKER, JOB).tell(StartJob())
        with pytest.raises(ActorStopped, match=f"{JOB} has stopped"):
            await there.leader.ref(WORKER, JOB).ask(AskBusy())
        assert there.letters == [DeadLetter(JOB, StartJob())]


@pytest.mark.asyncio
async def test_the_failure_of_an_actor_is_the_answer_there_too() -> None:
    class Failing(Actor[AskBusy]):
        async def receive(self, message: AskBusy) -> bool:
            raise KeyError(type(message).__name__)

    with pair() as there, pytest.raises(KeyError):
        async with ActorSystem() as system:
            there.worker.export(system.spawn(Failing, "job"))
            with pytest.raises(FarFailure, match=r"^/job failed: KeyError: 'AskBusy'$"):
                await there.leader.ref(WORKER, "/job").ask(AskBusy())


@pytest.mark.asyncio
async def test_a_function_answers_with_what_it_raises() -> None:
    def refuse(message: object) -> bytes:
        if message == FetchPart(0, 1):
            raise ClusterError("CB274", "the store is full", "make room")
        raise ValueError("a bug")

    with pair() as there:
        there.leader.function_ref("/bundle", refuse)
        ref = there.worker.ref(LEADER, "/bundle")
        with pytest.raises(ClusterError, match="the store is full") as refusal:
            await ref.ask(FetchPart(0, 1))
        assert refusal.value.cure == "make room"
        assert not there.problems
        with pytest.raises(FarFailure, match="/bundle failed: ValueError: a bug"):
            await ref.ask(FetchPart(1, 1))
        assert there.problems == ["/bundle failed: ValueError: a bug"]


@pytest.mark.asyncio
async def test_what_is_too_large_fails_where_it_is_sent_and_holds_up_nothing() -> None:
    with pair(limit=4096) as there:
        there.leader.function_ref("/bundle", lambda part: b"." * part.size)
        ref = there.worker.ref(LEADER, "/bundle")
        assert await ref.ask(FetchPart(0, 1000)) == b"." * 1000
        with pytest.raises(TooLarge, match=r"bytes has 6,\d+ bytes, but the cluster carries 4,096"):
            await ref.ask(FetchPart(0, 5000))
        with pytest.raises(TooLarge, match="Dismiss has"):
            await there.leader.ref(WORKER, HOST).ask(Dismiss("x" * 5000))
        assert await ref.ask(FetchPart(0, 2)) == b".."
        assert len(there.problems) == 2


@pytest.mark.asyncio
async def test_parcels_are_split_below_the_limit() -> None:
    got: list[Emitted] = []
    with pair(limit=4096, resend_s=NEVER_S) as there:
        there.leader.function_ref(RECORDER, got.append)
        ref = there.worker.ref(LEADER, RECORDER)
        sent = [Emitted(number, ("x" * 100,)) for number in range(1, 301)]
        for each in sent:
            ref.tell_nowait(each)
        there.worker.flush()
        assert got == sent
        assert max(map(len, there.post.parcels(WORKER))) <= 4096
        assert len(there.post.parcels(WORKER)) < 20


@pytest.mark.asyncio
async def test_what_can_not_be_sent_is_a_bug_that_its_sender_hears_of() -> None:
    with pair() as there:
        with pytest.raises(WireError, match="a object can't be sent"):
            await there.leader.ref(WORKER, JOB).ask(object())  # type: ignore[arg-type]
        there.worker.function_ref(JOB, lambda _message: object())
        with pytest.raises(WireError, match="a object can't be sent"):
            await there.leader.ref(WORKER, JOB).ask(AskBusy())


@pytest.mark.asyncio
async def test_who_tells_waits_while_too_much_is_on_its_way() -> None:
    with pair(window=2) as there:
        there.leader.function_ref(RECORDER, lambda _message: None)
        there.post.cut = True
        ref = there.worker.ref(LEADER, RECORDER)
        await ref.tell(Emitted(1, ()))
        ref.tell_nowait(Emitted(2, ()))
        with pytest.raises(MailboxFull):
            ref.tell_nowait(Emitted(3, ()))
        there.post.cut = False
        with anyio.fail_after(5):
            await ref.tell(Emitted(3, ()))


@pytest.mark.asyncio
async def test_a_new_leader_gets_what_its_predecessor_has_not_settled() -> None:
    with pair() as there:
        first, second = Holding(COORDINATOR), list[object]()
        there.leader.export(first)
        ref = there.worker.ref(LEADER, COORDINATOR)
        asked = asyncio.ensure_future(ref.ask(Wait((1, 1), "a")))
        await silence(there.post)
        assert first.messages == [Wait((1, 1), "a")]
        there.lead(2)
        there.leader.function_ref(COORDINATOR, answering(second))
        there.leader.admit(WORKER, "one")
        await silence(there.post)
        assert not second, "the worker has not heard of it"
        there.leader.ref(WORKER, HOST).tell_nowait(Dismiss("of the second term"))
        assert await asked == GivenUp()
        assert second == [Wait((1, 1), "a")]
        assert there.worker.term == 2


@pytest.mark.asyncio
async def test_what_a_deposed_leader_sends_is_ignored() -> None:
    with pair() as there:
        first = Holding(COORDINATOR)
        there.leader.export(first)
        asked = asyncio.ensure_future(there.worker.ref(LEADER, COORDINATOR).ask(Wait((1, 1), "a")))
        await silence(there.post)
        deposed = there.leader
        there.lead(2)
        there.leader.function_ref(COORDINATOR, lambda _message: GivenUp())
        there.leader.admit(WORKER, "one")
        there.leader.ref(WORKER, HOST).tell_nowait(Dismiss("of the second term"))
        there.leader.flush()
        first.answer(Granted())
        deposed.ref(WORKER, HOST).tell_nowait(Dismiss("of the first term"))
        deposed.flush()
        assert await asked == GivenUp()
        assert there.hosted == [Dismiss("of the second term")]


@pytest.mark.asyncio
async def test_what_a_worker_had_posted_for_a_former_leader_is_ignored_by_the_next() -> None:
    with pair() as there:
        got: list[object] = []
        there.post.cut = True
        there.worker.ref(LEADER, RECORDER).tell_nowait(Emitted(1, ()))
        there.worker.flush()
        [old] = there.post.parcels(WORKER)
        there.post.cut = False
        there.lead(2)
        there.leader.function_ref(RECORDER, got.append)
        there.leader.admit(WORKER, "one")
        there.leader.arrive(WORKER, old)
        assert not got


@pytest.mark.asyncio
async def test_a_leader_believes_the_incarnation_that_it_was_told_of() -> None:
    with pair() as there:
        got: list[object] = []
        there.leader.function_ref(RECORDER, got.append)
        job = there.leader.ref(WORKER, JOB)
        asked = asyncio.ensure_future(job.ask(AskBusy()))
        await asyncio.sleep(0)
        there.work("two")
        there.worker.function_ref(JOB, lambda _message: True)
        there.worker.ref(LEADER, RECORDER).tell_nowait(Emitted(1, ()))
        await asyncio.sleep(3 * RESEND_S)
        assert not asked.done()
        assert not got
        there.leader.admit(WORKER, "two")
        with pytest.raises(ActorStopped):
            await asked
        with pytest.raises(ActorStopped):
            await job.ask(AskBusy())
        assert await there.leader.ref(WORKER, JOB).ask(AskBusy()) is True
        await silence(there.post)
        assert got == [Emitted(1, ())]


@pytest.mark.asyncio
async def test_what_is_sent_to_a_worker_before_it_is_admitted_waits_for_that() -> None:
    with pair() as there:
        there.lead(2)
        there.worker.function_ref(JOB, lambda _message: True)
        asked = asyncio.ensure_future(there.leader.ref(WORKER, JOB).ask(AskBusy()))
        await asyncio.sleep(3 * RESEND_S)
        assert not asked.done()
        there.leader.admit(WORKER, "one")
        assert await asked is True


@pytest.mark.asyncio
async def test_of_a_lost_worker_only_the_host_can_be_reached() -> None:
    with pair() as there:
        got: list[object] = []
        there.leader.function_ref(RECORDER, got.append)
        held = Holding(JOB)
        there.worker.export(held)
        job = there.leader.ref(WORKER, JOB)
        asked = asyncio.ensure_future(job.ask(AskBusy()))
        await silence(there.post)
        there.leader.lose(WORKER)
        for ask in (asked, job.ask(AskBusy()), there.leader.ref(WORKER, JOB).ask(AskBusy())):
            with pytest.raises(ActorStopped):
                await ask
        with pytest.raises(ActorStopped):
            await there.worker.ref(LEADER, RECORDER).ask(FetchPart(0, 1))
        await there.leader.ref(WORKER, HOST).ask(Dismiss("lost"))
        held.answer(True)
        there.work("two")
        there.leader.admit(WORKER, "two")
        await there.leader.ref(WORKER, HOST).ask(Dismiss("lost"))
        with pytest.raises(ActorStopped):
            await there.leader.ref(WORKER, JOB).ask(AskBusy())
        assert not got


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\xff\x00", "is no JSON"),
        (b"[]", "[] is no parcel"),
        (b'{"v":99,"x":1}', "a parcel of protocol 99 came, but this callboard speaks"),
        (b'{"v":%d,"t":"1","i":"one"}' % PROTOCOL, "doesn't say from whom"),
        (b'{"v":%d,"t":1,"i":"one","b":3}' % PROTOCOL, "`b` of a parcel is 3, not a list"),
        (b'{"v":%d,"t":1,"i":"one","m":[[1]]}' % PROTOCOL, "no envelope"),
        (b'{"v":%d,"t":1,"i":"one","m":[[1,1,"/a",7]]}' % PROTOCOL, "no envelope"),
        (b'{"v":%d,"t":1,"i":"one","s":[[-1,0]],"b":[1]}' % PROTOCOL, "no envelope"),
        (b'{"v":%d,"t":1,"i":"one","r":[[]]}' % PROTOCOL, "no envelope"),
    ],
)
async def test_what_is_no_parcel_is_a_problem_that_is_said_once(data: bytes, problem: str) -> None:
    with pair() as there:
        there.leader.arrive(WORKER, data)
        there.leader.arrive(WORKER, data)
        [said] = there.problems
        assert problem in said
        there.leader.arrive("stranger", data)
        assert len(there.problems) == 1


@pytest.mark.asyncio
async def test_a_message_that_can_not_be_read_is_refused_and_holds_up_nothing() -> None:
    with pair() as there:
        there.leader.function_ref(RECORDER, lambda _message: None)
        head = b'{"v":%d,"t":1,"i":"one",' % PROTOCOL
        there.leader.arrive(WORKER, head + b'"m":[[1,1,"/recorder",0]],"b":[["Nonsense",{}]]}')
        there.leader.flush()
        [refusal] = there.post.parcels(LEADER)
        assert json.loads(refusal)["b"] == [["WireError", "no message is called 'Nonsense'"]]
        there.post.cut = True
        asked = asyncio.ensure_future(there.leader.ref(WORKER, JOB).ask(AskBusy()))
        await asyncio.sleep(0)
        there.leader.arrive(WORKER, head + b'"s":[[2,0]],"b":[["Nonsense",{}]]}')
        with pytest.raises(WireError, match="no message is called 'Nonsense'"):
            await asked


@pytest.mark.asyncio
async def test_a_closed_exchange_posts_what_it_had_to_say_and_then_nothing() -> None:
    got: list[object] = []
    with pair() as there:
        there.leader.function_ref(RECORDER, got.append)
        ref = there.worker.ref(LEADER, RECORDER)
        ref.tell_nowait(Emitted(1, ()))
        there.worker.close()
        assert got == [Emitted(1, ())]
        posted = len(there.post.parcels(WORKER))
        ref.tell_nowait(Emitted(2, ()))
        with pytest.raises(ActorStopped):
            await ref.ask(FetchPart(0, 1))
        assert len(there.post.parcels(WORKER)) == posted
        assert DeadLetter(RECORDER, Emitted(2, ())) in there.letters


@pytest.mark.asyncio
async def test_a_worker_speaks_with_the_leader_only() -> None:
    with pair() as there:
        with pytest.raises(LookupError, match="a worker speaks with the leader only"):
            there.worker.ref("other", JOB)
        with pytest.raises(LookupError):
            there.worker.ref(WORKER, JOB)
        with pytest.raises(ValueError, match="term counts from 1"):
            Exchange(LEADER, lambda _box, _data: None)


@pytest.mark.asyncio
async def test_an_actor_of_another_process_is_not_ended_or_watched_from_here() -> None:
    with pair() as there:
        ref: ActorRef[object] = there.leader.ref(WORKER, JOB)
        with pytest.raises(RuntimeError, match="its parent does that"):
            await ref.stop()
        with pytest.raises(RuntimeError, match="its parent does that"):
            await ref.cancel()
        with pytest.raises(RuntimeError, match="can't be failed"):
            ref.fail(OSError())
        with pytest.raises(TypeError, match="can't be watched"):
            ref.add_watcher(None)  # type: ignore[arg-type]
