"""What is wrong with a single place, whatever its counterpart does."""

import re
from collections.abc import Iterator, Mapping

from attrs import frozen

from callboard.definition.calls import START
from callboard.definition.reader import did_you_mean, listed, nearest
from callboard.flow.diagnosis.finding import Finding, line, quoted, spoken, stands, verb, written
from callboard.flow.diagnosis.ledger import Ledger
from callboard.flow.diagnosis.sighting import Sighting
from callboard.flow.diagnosis.wait import at_first, others, place_of
from callboard.flow.program import Call, Obscurity
from callboard.flow.shell.known import CALLS, HELPERS


@frozen
class _Blur:
    """How an obscurity is told, after its reason."""

    code: str
    text: str
    hint: str


_BLURS: Mapping[Obscurity, _Blur] = {
    "console": _Blur(
        "CB172",
        "",
        "call it in the foreground, without a pipe, a redirection, `$( )` or `timeout` around it",
    ),
    "unparsed": _Blur(
        "CB176",
        ", so its calls are not known",
        "write the calls as plain steps",
    ),
    "unseen": _Blur(
        "CB178",
        ", so its calls are not known",
        "keep synchronisation calls in inline definitions; "
        "those of git and url sources are read unless `--no-fetch` is given",
    ),
    "bound": _Blur(
        "CB180",
        ", so calls after it are not known",
        "write the calls as plain steps, outside of long loops and nested scripts",
    ),
    "endless": _Blur(
        "CB181",
        ", so nothing after it is reached",
        "leave it with `break`, or run it in the background",
    ),
}


def slips(ledger: Ledger) -> list[Finding]:
    """What is wrong with each call, or can't be told of a place."""
    if not ledger.multinode:
        return [*_blurs(ledger), *map(_alone, ledger.calls)]
    return [
        *_blurs(ledger),
        *(finding for each in ledger.calls for finding in _of_call(each)),
        *_placeholders(ledger),
        *_misspelt(ledger),
        *_again(ledger),
        *_mixed(ledger),
    ]


def _blurs(ledger: Ledger) -> Iterator[Finding]:
    for role, unseen in ledger.unseen:
        blur = _BLURS[unseen.obscurity]
        yield Finding(blur.code, unseen.where, (role,), "", unseen.reason + blur.text, blur.hint)


def _of_call(sighting: Sighting) -> Iterator[Finding]:
    call = sighting.call
    here = call.where, (sighting.role,), written(call)
    if call.refused in ("key", "id"):
        yield refusal(sighting)
    if call.surplus:
        yield _too_many(sighting)
    if call.inside is not None:
        text = f"stands inside `{call.inside}`, so its failure would not end the definition"
        yield Finding("CB171", *here, text, "write it as a step of its own")
    if call.gaps:
        what = "has an ID" if call.id.text is None else "waits for a role"
        hint = "written out, its counterpart can be found before the run"
        yield Finding("CB177", *here, f"{what} that only the run knows", hint)


def _too_many(sighting: Sighting) -> Finding:
    call = sighting.call
    words = quoted(" ".join(call.surplus))
    text = f"leaves out {words}; LAVA ends the job at a call with words too many"
    hint = "remove what stands behind the ID; data is sent with `lava-send`"
    if call.call == "wait":
        hint = f"`lava-wait-all {call.id} ROLE` waits for a role; a `lava-wait` has an ID only"
    return Finding("CB185", call.where, (sighting.role,), written(call), text, hint)


def refusal(sighting: Sighting) -> Finding:
    """A call that fails at once, for its ID or a key of its data."""
    call = sighting.call
    key = call.refused == "key"
    return Finding(
        "CB169" if key else "CB170",
        call.where,
        (sighting.role,),
        written(call),
        f"fails: {call.reason}",
        _better_key(call) if key else "an ID is one word, without white space, `>` or `=`",
        stands([sighting]),
        fails=sighting.certain,
    )


def _better_key(call: Call) -> str:
    for key, _ in call.data:
        if not key:
            return "write `KEY=VALUE` as one word, without spaces around the `=`"
        better = re.sub(r"[^A-Za-z0-9_]", "_", key)
        if better != key:
            return f"write {quoted(f'{better}=…')}; keys have letters, digits and `_`"
    return "data is words of `KEY=VALUE`, keys of letters, digits and `_`, values without `>`"


def _alone(sighting: Sighting) -> Finding:
    """A call in a job without roles, whose nodes have no helpers."""
    text = "fails: the job has no roles" if sighting.test else "does nothing: the job has no roles"
    return Finding(
        "CB183",
        sighting.call.where,
        (sighting.role,),
        written(sighting.call),
        text,
        "declare `lava-multinode` with its roles under `protocols`, or remove the call",
        stands([sighting]),
        fails=sighting.test and sighting.certain,
    )


def _placeholders(ledger: Ledger) -> Iterator[Finding]:
    """What an action wants to receive, but no sender has in its data."""
    sent = ledger.named("send")
    for each in ledger.calls:
        call = each.call
        wanted = [key for key, value in call.data if (value.text or "").startswith("$")]
        if call.call not in ("wait", "wait-all") or not wanted or call.gaps:
            continue
        supply = ledger.supply(each)
        if supply.hidden or supply.maybe or not supply.sure:
            continue
        senders = [one for one in sent[str(call.id)] if one.call.roles is None]
        keys = dict.fromkeys(key for one in senders for key, _ in one.call.data)
        unknown = [key for key in wanted if key not in keys]
        if not unknown:
            continue
        roles = tuple(dict.fromkeys(one.role for one in senders))
        at = line(senders[0].call.where, call.where)
        sends = verb(roles, "sends", "send")
        hint = f"{spoken(roles)} {sends} {listed(keys) or 'no data'} ({at})"
        near = did_you_mean(unknown[0], keys)
        yield Finding(
            "CB168",
            call.where,
            (each.role,),
            written(call),
            f"asks for {listed(unknown)}, which no sender has in its data",
            f"{near} {hint}" if near else hint,
        )


def _misspelt(ledger: Ledger) -> Iterator[Finding]:
    """Commands that were meant to be calls."""
    for role, command in ledger.commands:
        name = command.text.split(maxsplit=1)[0] if command.text.strip() else ""
        if not name.startswith("lava") or name in HELPERS:
            continue
        meant = nearest(name, HELPERS)
        if meant is not None and meant in CALLS:
            text = "is no helper of LAVA, so it makes no call"
            hint = f"did you mean {quoted(meant)}?"
            yield Finding("CB184", command.where, (role,), quoted(name), text, hint)


def _again(ledger: Ledger) -> Iterator[Finding]:
    """Syncs that a role may call twice: one finding an ID, at the first call that is too many."""
    for sync_id, found in ledger.named("sync").items():
        again: list[Sighting] = []
        before: Sighting | None = None
        for number, each in enumerate(found):
            own = (one for one in found[:number] if one.role == each.role)
            earlier = next((one for one in own if not one.excludes(each)), None)
            if each.repeated or earlier is not None:
                before = before if again else earlier
                again.append(each)
        if not again:
            continue
        first = again[0]
        where = first.call.where
        if first.repeated:
            how = "may be called more than once, for it stands in a loop"
        elif before is None or before.call.where == where:
            how = "is called more than once"
        else:
            how = f"is called again, after {line(before.call.where, where)}"
        yield Finding(
            "CB175",
            where,
            at_first(again),
            written(first.call),
            f"{how}{others(first, again)}: as documented it then returns at once, but in LAVA's "
            "coordinator all nodes have to meet again, and a fast one may pass while a slow one "
            "waits for ever",
            f"give each sync an ID of its own, e.g. {quoted(f'{sync_id}-2')}",
            suspects=stands(again),
        )


def _mixed(ledger: Ledger) -> Iterator[Finding]:
    """IDs of syncs that are IDs of messages too."""
    messages = ledger.named("send")
    for sync_id, found in ledger.named("sync").items():
        sent = [each for each in messages.get(sync_id, ()) if each.call.roles is None]
        if not sent or sync_id == START:
            continue
        first = min(found, key=place_of)
        where = first.call.where
        at = line(min(sent, key=place_of).call.where, where)
        yield Finding(
            "CB182",
            where,
            at_first([first, *found]),
            written(first.call),
            f"uses the ID of a message ({at}); LAVA keeps both in one table",
            "give the sync an ID of its own",
        )
