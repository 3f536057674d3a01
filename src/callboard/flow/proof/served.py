"""What calls add and need where LAVA's coordinator serves them.

A delayed start waits for the message `lava_start`, so that a call of `lava-start`, which sends
none, releases nobody.
"""

from collections.abc import Mapping, Sequence

from callboard.definition.calls import START
from callboard.flow.program import Call, Unseen
from callboard.flow.proof.facts import ANY, EVERY, Need, Op, Ops, Spawn
from callboard.flow.proof.ways import Fork, Gather, Step


def served(steps: Sequence[Step], numbers: Mapping[str, int]) -> Ops:
    """The steps of a way as facts; everything on it is known.

    A wait-all and a start with a role need its first node, which is for `Polling` to say.

    Args:
        steps: The steps.
        numbers: The roles that have nodes, with their numbers.
    """
    return tuple(_op(step, numbers) for step in steps)


def _op(step: Step, numbers: Mapping[str, int]) -> Op | Spawn | Gather:
    match step:
        case Fork(steps=steps, test=test):
            return Spawn(served(steps, numbers), test)
        case Gather():
            return step
        case Unseen():
            raise AssertionError("what nobody can read is not explored")
        case Call():
            return _call(step, numbers)


def _call(call: Call, numbers: Mapping[str, int]) -> Op:
    name, role = str(call.id), str(call.role) if call.role else None
    if call.refused is not None:
        absent = role if call.refused == "role" else None
        return Op(call, need=Need(None, absent=absent) if call.waits else None)
    match call.call:
        case "send":
            return Op(call) if call.roles is not None else Op(call, (("message", name),))
        case "wait":
            return Op(call, need=Need(("message", name), ANY))
        case "sync":
            return Op(call, (("sync", name),), Need(("sync", name), EVERY))
        case "wait-all" if role is None:
            return Op(call, need=Need(("message", name), EVERY))
        case "wait-all" | "start":
            assert role is not None
            number = numbers.get(role)
            if number is None:
                return Op(call, need=Need(None, absent=role))
            return Op(call, need=Need(("message", START if call.call == "start" else name), number))
