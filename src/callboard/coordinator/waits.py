"""Who in a group waits for what and for whom, and which of these waits will hardly end.

A client that works makes no request, and one that waits makes one each poll delay. So who has
said that it has ended, who waited and has stopped asking, who has been silent for very long, and
who waits in vain itself, can't be counted on.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from attrs import evolve, frozen

from callboard.coordinator.clients import Known
from callboard.coordinator.group import Group
from callboard.coordinator.requests import (
    GroupData,
    LavaSync,
    LavaWait,
    LavaWaitAll,
    Request,
)
from callboard.coordinator.wording import NAMED, names_text, seconds_text


@frozen
class Patience:
    """How long something has to last before it is remarkable, in seconds.

    Attributes:
        wait_s: A wait for clients that can't be counted on.
        gathering_s: A wait for clients to join; LAVA gives them 90 s.
        silence_s: The silence of a client that doesn't wait.
        poll_delay_s: The poll delay of clients that don't say theirs.
        polls: How many poll delays of silence, of a client that waits.
        hold: For how many poll delays the answer of a client that waits may be held back.
    """

    wait_s: float = 30.0
    gathering_s: float = 90.0
    silence_s: float = 300.0
    poll_delay_s: float = 3.0
    polls: int = 5
    hold: float = 0.0

    def unseen_s(self, client: Known) -> float:
        """After how many seconds without a request a client can't be counted on."""
        if client.waiting is None:
            return self.silence_s
        delay_s = client.waiting.client.poll_delay_s or self.poll_delay_s
        return max(15.0, (self.polls + self.hold) * delay_s)


@frozen(eq=False)
class Wait:
    """What some clients of a group wait for.

    Attributes:
        request: The request, such as `lava_wait_all`; `group_data` waits for clients to join.
        id: Its message ID, None if it has none.
        role: Whose messages it waits for, None for any.
        clients: Who waits, the first one first.
        since_s: Since when the first one does, by the exchange's clock.
        missing: Who would have to act; of those a `lava_wait` needs only one.
        to_join: How many clients have yet to join the group, if they are needed.
        ready: Whether it has happened, so that they only have to ask again.
        hangs: Why it will hardly end; None while that isn't known.
    """

    request: str
    id: str | None
    role: str | None
    clients: tuple[Known, ...]
    since_s: float
    missing: tuple[Known, ...]
    to_join: int
    ready: bool
    hangs: str | None = None

    @property
    def call(self) -> str:
        """What they have called, as tests write it."""
        words = (self.request.replace("_", "-"), self.id, self.role)
        return " ".join(word for word in words if word)


def calls(found: Iterable[Wait]) -> dict[str, str]:
    """By name of each client that waits, what it has called."""
    return {client.name: call for wait in found for call in [wait.call] for client in wait.clients}


_MOST_LOOKED_AT = 50_000
"""How many clients are looked at, once for each wait, to see whom a group's waits are for."""


def waits(group: Group, now_s: float, patience: Patience) -> tuple[Wait, ...]:
    """All that clients of a group wait for, the longest wait first.

    Where very many clients wait for very many different things, it is only of the longest waits
    that it is said for whom they are, and whether they hang.
    """
    waiting = [(_key(each.waiting), each) for each in group.clients if each.waiting is not None]
    waiting.sort(key=lambda each: (each[0], each[1].waiting_s))
    asked = [
        (key, [client for _, client in same])
        for key, same in groupby(waiting, key=lambda each: each[0])
    ]
    asked.sort(key=lambda each: each[1][0].waiting_s)
    most = max(1, _MOST_LOOKED_AT // group.count)
    found = [_wait(group, *each) for each in asked[:most]]
    found += [_unjudged(*each) for each in asked[most:]]
    return _judged(group, found, now_s, patience)


def clients_text(clients: Sequence[Known]) -> str:
    """The names and roles of clients, as many as people want to read."""
    roles = {each.name: each.role for each in clients[:NAMED]}
    return names_text([each.name for each in clients], roles)


_Key = tuple[str, str, str]


def _key(request: Request | None) -> _Key:
    match request:
        case LavaWait(_, id_):
            return ("lava_wait", id_, "")
        case LavaWaitAll(_, id_, role):
            return ("lava_wait_all", id_, role or "")
        case LavaSync(_, id_):
            return ("lava_sync", id_, "")
        case GroupData():
            return ("group_data", "", "")
        case _:
            return ("aggregate", "", "")


def _unjudged(key: _Key, clients: list[Known]) -> Wait:
    request, id_, role = key
    first = clients[0]
    return Wait(request, id_ or None, role or None, tuple(clients), first.waiting_s, (), 0, False)


def _wait(group: Group, key: _Key, clients: list[Known]) -> Wait:
    request, id_, role = key
    first = clients[0]
    missing, ready = group.missing(first), group.is_ready(first)
    needs_all = request in ("group_data", "lava_sync") or not (ready or missing)
    return Wait(
        request,
        id_ or None,
        role or None,
        tuple(clients),
        first.waiting_s,
        missing,
        max(0, group.size - group.count) if needs_all else 0,
        ready,
    )


def _judged(group: Group, found: list[Wait], now_s: float, patience: Patience) -> tuple[Wait, ...]:
    unseen = {
        each.name
        for each in group.clients
        if each.left or now_s - each.seen_s > patience.unseen_s(each)
    }
    in_vain = _in_vain(group, found, unseen)
    in_vain_in = calls(in_vain)

    def absence(client: Known) -> str | None:
        """Why a client can't be counted on; None if it can."""
        if client.left:
            return "ended without it"
        if client.name in unseen:
            return f"not seen for {seconds_text(now_s - client.seen_s)}"
        call = in_vain_in.get(client.name)
        return None if call is None else f"itself in {call}"

    def why(wait: Wait) -> str | None:
        lasts_s = now_s - wait.since_s
        if all(client.name in unseen for client in wait.clients):
            return None  # nobody waits any more
        if wait.request == "group_data":
            late = not wait.ready and lasts_s >= patience.gathering_s
            return _gathering(group, wait) if late else None
        if wait not in in_vain or lasts_s < patience.wait_s:
            return None
        return _hanging(wait, absence)

    return tuple(evolve(each, hangs=why(each)) for each in found)


def _in_vain(group: Group, found: Iterable[Wait], unseen: set[str]) -> list[Wait]:
    """The waits that end only if somebody acts who can't be counted on."""
    waiting = {client.name for wait in found for client in wait.clients}
    acting = {each.name for each in group.clients} - waiting - unseen
    left = list(found)
    while ending := {wait for wait in left if _ends(wait, acting)}:
        left = [wait for wait in left if wait not in ending]
        acting |= {client.name for wait in ending for client in wait.clients} - unseen
    return left


def _ends(wait: Wait, acting: set[str]) -> bool:
    if wait.ready or not (wait.missing or wait.to_join):
        return True
    if wait.request == "lava_wait":
        return any(client.name in acting for client in wait.missing)
    return all(client.name in acting for client in wait.missing)


def _hanging(wait: Wait, absence: Callable[[Known], str | None]) -> str:
    reasons: dict[str, list[Known]] = {}
    own = {client.name for client in wait.clients}
    for client in wait.missing:
        if client.name not in own and (reason := absence(client)) is not None:
            reasons.setdefault(reason, []).append(client)
    verb = "waits" if len(wait.clients) == 1 else "wait"
    shown = list(reasons.items())[:NAMED]
    whom = "; ".join(f"{clients_text(clients)}, {reason}" for reason, clients in shown)
    if len(reasons) > NAMED:
        whom += f"; and {sum(map(len, reasons.values())) - sum(len(c) for _, c in shown):,} more"
    return f"{wait.call} of {clients_text(wait.clients)} {verb} for {whom or 'nobody else'}"


def _gathering(group: Group, wait: Wait) -> str:
    verb = "waits" if len(wait.clients) == 1 else "wait"
    if group.count > group.size:
        why = f"it has {group.count:,} clients, but is to have {group.size:,}"
    else:
        noun = "client" if wait.to_join == 1 else "clients"
        why = f"{wait.to_join:,} {noun} of {group.size:,} to join"
        return f"{clients_text(wait.clients)} {verb} for {why}"
    return f"{clients_text(wait.clients)} {verb} for the group to be complete: {why}"
