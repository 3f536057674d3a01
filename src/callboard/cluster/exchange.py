"""One process's end of one group: actors of the group's other processes, by refs.

Between the leader and each worker there is a pair of links, one a direction, that carries all
that their actors say to each other: in order, each message handed over once, with an outcome.
The envelopes of one moment go in one parcel, and what several of them hold is written in it
once: the release of a barrier is one parcel a worker.

A pair of links is between one leader's term and one incarnation of a worker. Every parcel says
both, so that one of another pair is told from this one's, and ignored. A worker goes over to the
leader with the highest term that it has heard of: it forgets what the former one sent, and sends
again what isn't settled. The leader believes only the incarnation of a worker that it was told
of, for a process that has been started again has lost its jobs.

Whoever posts parcels may lose, delay, double and reorder them.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from attrs import define, evolve, field

from callboard.cluster.function_ref import FunctionRef
from callboard.cluster.messages import HOST, LEADER
from callboard.cluster.parcel import OVERHEAD, Outbox, Packer, Parcel, Unreadable, read
from callboard.cluster.wire import Codec, TooLarge, WireError
from callboard.runtime import ActorRef, DeadLetter, Outcome
from callboard.runtime.link import RESEND_S, WINDOW
from callboard.runtime.receiver import Receiver
from callboard.runtime.remote import RemoteRef
from callboard.runtime.sender import Sender
from callboard.runtime.transport import Confirmed, Envelope, Message

PATIENCE_S = 0.02
"""Seconds that acknowledgements wait for something that they can go with."""

TURNS = 2
"""Turns of the event loop that an envelope waits for those that come of the same cause."""

_PATIENT = 16
"""How many times as long as at first it takes at most to have an envelope posted again."""

_NOBODY = ""
"""Who gets what can't be read, and says so."""

_MOST_PROBLEMS = 10
"""How many problems with one process are shown: who sends junk sends a lot of it."""

_MOST_WAITING = WINDOW // 16
"""Acknowledgements that wait together; a sender may run out of room for want of them."""


@define(eq=False)
class _Peer:
    """Another process of the group: one pair of links.

    Attributes:
        box: Its name.
        term: The leader's, 0 while it isn't known.
        incarnation: The worker's, None while it isn't known.
        put: Has an envelope posted.
        may: Raises WireError for a message that it has no business to send.
        lost: Whether the worker counts as lost.
    """

    box: str
    term: int
    incarnation: str | None
    sender: Sender
    put: Callable[[Envelope], None]
    receiver: Receiver = field(init=False)
    outbox: Outbox = field(factory=Outbox)
    may: Callable[[str, object], None] | None = None
    lost: bool = False


class BoxRef(RemoteRef[Any]):
    """The ref of an actor of another process."""

    __slots__ = ("_peer",)

    def __init__(self, peer: _Peer, address: str) -> None:
        super().__init__(peer.sender, address, address)
        self._peer = peer

    @property
    def box(self) -> str:
        """The box of its process."""
        return self._peer.box

    @property
    def gone(self) -> bool:
        """See `RemoteRef.gone`: of a lost worker, only who dismisses jobs is left."""
        return self._peer.lost and self.to != HOST


class Exchange:
    """One process's end of one group; see the module.

    Args:
        box: Of this process: `LEADER`, or the worker's name.
        post: Called with a box and a parcel for it; it may be lost. Never waits.
        term: Of a leader, from 1; a worker learns it.
        incarnation: Of a worker's process; a leader is told of each by `admit`.
        limit: Most bytes of a parcel.
        resend_s: Seconds after which an envelope that wasn't heard of is posted again; more when
            it takes longer to be heard of, see `Resender`.
        window: Messages on their way to a process at a time before senders have to wait.
        on_dead_letter: Called with each message that was told and found its actor stopped.
        on_problem: Called with a box and what is wrong with what came from it, or with what was
            to be sent to it; each text once, and no more of them than anybody would read.
    """

    def __init__(
        self,
        box: str,
        post: Callable[[str, bytes], None],
        *,
        term: int = 0,
        incarnation: str = "",
        limit: int = 1024 * 1024,
        resend_s: float = RESEND_S,
        window: int = WINDOW,
        on_dead_letter: Callable[[DeadLetter], None] = lambda _letter: None,
        on_problem: Callable[[str, str], None] = lambda _box, _text: None,
    ) -> None:
        self.box = box
        self._post = post
        self._term = term
        self._limit = limit
        self._resend_s = resend_s
        self._window = window
        self._on_dead_letter = on_dead_letter
        self._on_problem = on_problem
        self._closed = False
        self._codec = Codec(self)
        self._own: dict[tuple[str | None, str], ActorRef[Any]] = {}
        self._unreadable = FunctionRef(_NOBODY, self._refuse, lambda _error: None)
        self._peers: dict[str, _Peer] = {}
        self._full: dict[_Peer, None] = {}  # those with something in the outbox
        self._flush_soon: asyncio.Handle | None = None
        self._flush_later: asyncio.TimerHandle | None = None
        self._problems: dict[str, set[str]] = {}
        if box == LEADER:
            if term < 1:
                raise ValueError(f"a leader's term counts from 1, so it can't be {term}")
        else:
            self._add_peer(LEADER, 0, incarnation)

    @property
    def term(self) -> int:
        """Of the leader: its own, or the highest that a worker has heard of (0 for none yet)."""
        return self._term

    # Refs

    def ref(self, box: str, address: str) -> ActorRef[Any]:
        """The ref of an actor, of another process or of this one.

        It tells, asks and delivers like any; `stop` and `cancel` refuse, `add_watcher` raises
        TypeError. What is sent to a worker that wasn't admitted yet waits for that.

        Raises:
            LookupError: No actor of this process is called so; or, at a worker, the box is
                another worker's.
        """
        if box == self.box:
            return self._own[None, address]
        peer = self._peers.get(box)
        if peer is None:
            if self.box != LEADER:
                raise LookupError(f"a worker speaks with the leader only, not with {box!r}")
            peer = self._add_peer(box, self._term, None)
        return BoxRef(peer, address)

    def place_of(self, ref: ActorRef[Any]) -> tuple[str, str]:
        """Box and address of a ref; one of this process is exported by that."""
        if isinstance(ref, BoxRef):
            return ref.box, ref.address
        self.export(ref)
        return self.box, ref.address

    def export(self, ref: ActorRef[Any], box: str | None = None) -> None:
        """Let other processes reach an actor of this one by its address; or one of them alone."""
        self._own[box, ref.address] = ref

    def withdraw(self, ref: ActorRef[Any]) -> None:
        """Have what comes for the actor from now on find it stopped."""
        for place in [each for each, own in self._own.items() if own is ref]:
            del self._own[place]

    def function_ref(
        self, address: str, handler: Callable[[Any], object], box: str | None = None
    ) -> ActorRef[Any]:
        """Export a function: it is called with each message at once, and returns the answer.

        An exception of it is the answer, and a problem.
        """
        ref = FunctionRef(address, handler, lambda error: self._report(self.box, str(error)))
        self.export(ref, box)
        return ref

    # Other processes

    def admit(
        self, box: str, incarnation: str, may: Callable[[str, object], None] | None = None
    ) -> None:
        """Believe this incarnation of a worker; only a leader does that.

        What is open with another incarnation of it ends with ActorStopped, and its refs are void.

        Args:
            box: The worker.
            incarnation: Of its process.
            may: Raises WireError for what it has no business to say to an address, see `guard`;
                that is then the answer, and a problem.
        """
        peer = self._peers.get(box)
        if peer is not None and peer.incarnation == incarnation:
            peer.may = may
            return
        if peer is None or peer.incarnation is not None:
            lost = peer is not None and peer.lost
            if peer is not None:
                self._close_peer(peer)
            peer = self._add_peer(box, self._term, incarnation)
            peer.lost = lost
        else:
            peer.incarnation = incarnation
            peer.sender.renew()
        peer.may = may

    def lose(self, box: str) -> None:
        """The worker counts as lost for the group; only a leader says so, and for good.

        What is open with it ends with ActorStopped, and so does what is sent to it from now on,
        or comes from it. Only its `HOST` can be reached still, to dismiss the jobs.
        """
        peer = self._peers.get(box) or self._add_peer(box, self._term, None)
        peer.lost = True
        peer.sender.abandon()

    def arrive(self, box: str, data: bytes) -> None:
        """Take what came from a process; what is no parcel of it is a problem, and ignored."""
        peer = self._peers.get(box)
        if peer is None or self._closed:
            return
        try:
            parcel = read(data)
            if not self._is_meant(peer, parcel):
                return
            for envelope in parcel.open(self._codec):
                self._take(peer, envelope)
        except WireError as error:
            self._report(box, str(error))

    def flush(self) -> None:
        """Post now what is to be posted."""
        for handle in (self._flush_soon, self._flush_later):
            if handle is not None:
                handle.cancel()
        self._flush_soon = self._flush_later = None
        full, self._full = self._full, {}
        encoded: dict[int, tuple[object, str]] = {}
        for peer in full:
            for parcel in self._pack(peer, encoded):
                self._post(peer.box, parcel)

    def hasten(self) -> None:
        """Post again what wasn't heard of: the way to the other processes is free again."""
        for peer in self._peers.values():
            peer.sender.hasten()
            peer.receiver.hasten()

    def close(self) -> None:
        """Post what is to be posted, and nothing any more; what is open ends with ActorStopped."""
        self.flush()
        self._closed = True
        for peer in self._peers.values():
            self._close_peer(peer)

    # One pair of links

    def _add_peer(self, box: str, term: int, incarnation: str | None) -> _Peer:
        def put(envelope: Envelope) -> None:
            self._put(peer, envelope)

        sender = Sender(
            put, self._resend_s, self._window, self._on_dead_letter, self._resend_s * _PATIENT
        )
        peer = _Peer(box, term, incarnation, sender, put)
        peer.receiver = self._make_receiver(peer)
        self._peers[box] = peer
        return peer

    def _make_receiver(self, peer: _Peer) -> Receiver:
        return Receiver(
            lambda to: self._resolve(peer, to),
            peer.put,
            self._resend_s,
            survives=False,
            longest_s=self._resend_s * _PATIENT,
        )

    def _close_peer(self, peer: _Peer) -> None:
        peer.sender.close()
        peer.receiver.close()
        peer.outbox.clear()

    def _is_meant(self, peer: _Peer, parcel: Parcel) -> bool:
        """Whether a parcel is of this pair of links; a higher term makes a new one."""
        if parcel.incarnation != peer.incarnation:
            return False
        if self.box != LEADER and parcel.term > peer.term:
            self._term = peer.term = parcel.term
            peer.receiver.close()
            peer.receiver = self._make_receiver(peer)
            peer.outbox.clear()
            peer.sender.renew()
        return parcel.term == peer.term

    def _take(self, peer: _Peer, envelope: Envelope) -> None:
        match envelope:
            case Message(body=Unreadable()):
                peer.receiver.arrive(evolve(envelope, to=_NOBODY))
            case Message(body=body, to=to) if error := _trespass(peer, to, body):
                self._report(peer.box, str(error))
                peer.receiver.arrive(evolve(envelope, to=_NOBODY, body=Unreadable(error)))
            case Message() | Confirmed():
                peer.receiver.arrive(envelope)
            case _:
                peer.sender.arrive(envelope)

    def _resolve(self, peer: _Peer, to: str) -> ActorRef[Any]:
        if to == _NOBODY:
            return self._unreadable
        if peer.lost:
            raise LookupError(to)
        own = self._own.get((peer.box, to))
        return self._own[None, to] if own is None else own

    def _put(self, peer: _Peer, envelope: Envelope) -> None:
        if self._closed or not peer.term or peer.incarnation is None:
            return  # all is sent again when it is known whom the other end is
        self._full[peer] = None
        urgent = peer.outbox.put(envelope)
        if self._flush_soon is not None:
            return
        loop = asyncio.get_running_loop()
        if urgent or peer.outbox.waiting > _MOST_WAITING:
            self._flush_soon = loop.call_soon(self._count_down, TURNS)
        elif self._flush_later is None:
            self._flush_later = loop.call_later(PATIENCE_S, self.flush)

    def _count_down(self, turns: int) -> None:
        if turns:
            loop = asyncio.get_running_loop()
            self._flush_soon = loop.call_soon(self._count_down, turns - 1)
        else:
            self.flush()

    def _pack(self, peer: _Peer, encoded: dict[int, tuple[object, str]]) -> list[bytes]:
        """Parcels of what is in the outbox; `encoded` has bodies by identity."""
        outbox = peer.outbox.take()
        packer = Packer(peer.term, peer.incarnation or "", self._limit)
        for number, message in outbox.messages.items():
            try:
                body = self._encode(message.body, encoded)
            except (WireError, TooLarge) as error:
                self._report(peer.box, str(error))
                peer.sender.settle(number, Outcome(error=error))
            else:
                packer.message(message, body)
        for number, settled in outbox.settled.items():
            outcome = settled.outcome
            try:
                body = self._encode(outcome.error or outcome.value, encoded)
            except (WireError, TooLarge) as error:
                self._report(peer.box, str(error))
                body = self._encode(error, encoded)
            packer.settled(number, body)
        packer.acknowledge("r", outbox.received)
        packer.acknowledge("c", outbox.confirmed)
        return packer.seal()

    def _encode(self, body: object, encoded: dict[int, tuple[object, str]]) -> str:
        known = encoded.get(id(body))
        if known is None:
            text = self._codec.encode(body)
            if len(text) > self._limit - OVERHEAD:
                raise TooLarge(type(body).__name__, len(text), self._limit)
            known = encoded[id(body)] = (body, text)
        return known[1]

    def _refuse(self, message: object) -> None:
        raise message.error if isinstance(message, Unreadable) else WireError("this is for nobody")

    def _report(self, box: str, text: str) -> None:
        known = self._problems.setdefault(box, set())
        if text in known or len(known) > _MOST_PROBLEMS:
            return
        if len(known) == _MOST_PROBLEMS:
            text = "there are more problems, which are not shown"
        known.add(text)
        self._on_problem(box, text)


def _trespass(peer: _Peer, to: str, body: object) -> WireError | None:
    """Why a process may not say this; None when it may."""
    if peer.may is not None:
        try:
            peer.may(to, body)
        except WireError as error:
            return error
    return None
