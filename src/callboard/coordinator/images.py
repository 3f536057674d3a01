"""All that is kept of a group, as JSON and back.

It is written an ID at a time, by hand and not by a library, for of a large group that takes long:
the thread that writes lets others have their turn between two IDs.
"""

import json
from typing import Any

from callboard.actors.memory import Memory, Sending
from callboard.coordinator.group import GroupMemory

_dump = json.JSONEncoder(separators=(",", ":")).encode


def encode(group: GroupMemory) -> str:
    """The JSON document of what is kept of a group."""
    memory = group.memory
    beginning = _dump(
        {
            "name": group.name,
            "clients": group.clients,
            "left": group.left,
            "bundles": dict(group.bundles),
            "pause": group.pause,
            "size": memory.size,
            "members": memory.members,
            "joined": dict(memory.joined),
            "sends": memory.sends,
            "called": dict(memory.called),
            "went": dict(memory.went),
            "ends": memory.ends,
        }
    )
    messages = ",".join(
        f"{_dump(id_)}:{_dump([(each.member, each.number, dict(each.values)) for each in sent])}"
        for id_, sent in memory.messages.items()
    )
    return f'{beginning[:-1]},"messages":{{{messages}}}}}'


def decode(document: dict[str, Any]) -> GroupMemory:
    """What is kept of a group; raises KeyError, TypeError or ValueError if it isn't that."""
    return GroupMemory(
        name=document["name"],
        clients=tuple((name, host) for name, host in document["clients"]),
        left=tuple(document["left"]),
        bundles=document["bundles"],
        pause=document["pause"],
        memory=Memory(
            size=document["size"],
            members=tuple((member, role) for member, role in document["members"]),
            joined={int(member): sends for member, sends in document["joined"].items()},
            sends=document["sends"],
            messages={
                id_: tuple(Sending(member, number, values) for member, number, values in sent)
                for id_, sent in document["messages"].items()
            },
            called={id_: tuple(members) for id_, members in document["called"].items()},
            went={id_: tuple(members) for id_, members in document["went"].items()},
            ends=document["ends"],
        ),
    )
