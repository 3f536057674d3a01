"""What a seed makes of faults that are left to chance."""

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from attrs import evolve

from callboard.simulation.faults import Crash, Draw, Fault, Faults, LinkFault, Target


def settled(faults: Faults, counts: Mapping[str, int], seed: int) -> Sequence[Fault]:
    """What goes wrong with a seed: nothing is drawn any more, and `any` is a node with a number.

    Args:
        faults: The rules.
        counts: How many nodes each role has; the role "" in a job without roles.
        seed: The seed. Each rule has a generator of its own, so none changes another's draws.
    """
    found: list[Fault] = []
    for number, rule in enumerate(faults.rules):
        random = Random(f"{seed} fault {number}")
        match rule:
            case Draw():
                found += _drawn(rule, counts, random)
            case Crash():
                found.append(rule)
            case _:
                targets = tuple(_meant(rule.targets, counts, random))
                if targets:
                    found.append(_with_ends(evolve(rule, targets=targets), counts, random))
    return found


def _with_ends(fault: Fault, counts: Mapping[str, int], random: Random) -> Fault:
    if not isinstance(fault, LinkFault) or not fault.between:
        return fault
    # With nobody at the other end it happens to no link, rather than to all of them.
    between = tuple(_meant(fault.between, counts, random)) or fault.targets
    return evolve(fault, between=between)


def _drawn(rule: Draw, counts: Mapping[str, int], random: Random) -> Iterator[Fault]:
    for role, count in counts.items():
        for node in range(1, count + 1):
            fault = rule.draw(random, role, node)
            if fault is not None:
                yield fault


def _meant(
    targets: Sequence[Target], counts: Mapping[str, int], random: Random
) -> Iterator[Target]:
    for target in targets:
        if not target.any:
            yield target
        elif counts.get(target.role):
            node = 1 + random.randrange(counts[target.role])
            yield evolve(target, node=node, any=False)
