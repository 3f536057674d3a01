"""What switches call the VLANs of a group."""

import re
from collections.abc import Mapping

_LONGEST = 16
_OF_JOB, _OF_VLAN = 8, 8
_FOREIGN = re.compile("[^A-Za-z0-9]+")


def names_of(makers: Mapping[str, int]) -> Mapping[str, str]:
    """Names of 16 letters and digits at most, each of another VLAN.

    They are made of the ends of a job's id and the beginnings of the VLAN's name (LAVA: VLANd
    protocol, configure); one that another VLAN has already ends with a number instead.

    Args:
        makers: By the VLAN's name in the definition, the id of the job that makes it.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for vlan, job in makers.items():
        wanted = _FOREIGN.sub("", f"{str(job)[-_OF_JOB:]}{vlan[:_OF_VLAN]}")[:_LONGEST]
        name, number = wanted, 1
        while name in taken:
            number += 1
            ending = str(number)
            name = wanted[: _LONGEST - len(ending)] + ending
        taken.add(name)
        found[vlan] = name
    return found
