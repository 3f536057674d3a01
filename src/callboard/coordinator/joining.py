"""A group that is joined at a coordinator elsewhere: who is in it, and what goes wrong with it."""

import socket

from attrs import frozen

from callboard.actors.members import Member
from callboard.coordinator.answers import Answer
from callboard.coordinator.client import Address, ClientError, Misanswered
from callboard.coordinator.requests import Client as Identity
from callboard.coordinator.wording import brief

_LONGEST_ID = 18


@frozen
class Joining:
    """Which group is joined, and where.

    Attributes:
        address: Where its coordinator listens.
        group: Its name there; LAVA's `target_group`.
        size: How many nodes it has, those of others included.
        poll_delay_s: How long to wait before asking the coordinator again, in seconds.
    """

    address: Address
    group: str
    size: int
    poll_delay_s: float = 1.0

    def identity(self, member: Member) -> Identity:
        """A node of ours as the coordinator knows it.

        The size is not told with every request: a group that is lost is not to be made anew.
        """
        name, host = str(member.job), socket.gethostname()
        return Identity(name, self.group, member.role, host, poll_delay_s=self.poll_delay_s)

    def members(self, answer: Answer, own: Member) -> tuple[Member, ...]:
        """Everybody in the group, by their ids, as an answer to `group_data` has them.

        Args:
            answer: The answer.
            own: Who has asked.

        Raises:
            Misanswered: It doesn't say who is in the group.
            ValueError: The group is not what it should be; the text is for the job's reader.
        """
        if answer.response == "nack":
            text = f"{self.address} doesn't let {own} into the group {self.group}"
            raise ValueError(f"{text}; its log says why")
        roles = answer.content.get("roles")
        if answer.response != "group_data" or not isinstance(roles, dict):
            raise Misanswered(f"'{answer.response}' doesn't say who is in the group")
        where = f"the group {self.group} at {self.address}"
        found: list[Member] = []
        for name, role in roles.items():
            if not isinstance(role, str) or not is_job(name):
                text = f"{where} has a node {brief(name)}, and nodes go by the ids of their jobs"
                raise ValueError(f"{text}, which are whole numbers")
            if not role.isprintable():
                text = f"{where} has a node {name} of the role {brief(role)}"
                raise ValueError(f"{text}, which can't be printed")
            found.append(Member(int(name), role))
        if own not in found:
            text = f"in {where} {own.job} is another node, of the role {roles.get(str(own.job))}"
            raise ValueError(f"{text}; --first-id gives ours other ids")
        if len(found) != self.size:
            text = f"{where} has {len(found)} nodes, and was to have {self.size}"
            raise ValueError(f"{text}; whoever joins it has to name the same --group-size")
        return tuple(sorted(found, key=lambda each: each.job))

    def incomplete(self, limit_s: float) -> str:
        """Why the coordinator has made us wait for others in vain."""
        return (
            f"the group {self.group} was not complete within {limit_s:g} s: {self.address} has "
            f"not seen {self.size} nodes in it, or has seen more; two with the same id count as one"
        )

    def refused(self, what: str) -> str:
        """Why a call is refused, as far as that can be told."""
        return (
            f"{self.address} refuses {what}: the group {self.group} may be over there, or was lost "
            "when it was started anew; its log says more"
        )

    def in_vain(self, error: ClientError) -> str:
        """Why a request has no answer."""
        if isinstance(error, Misanswered):
            return f"{self.address} doesn't answer as a coordinator does: {error}"
        return f"{self.address} doesn't answer: {error}"


def is_job(name: str) -> bool:
    """Whether a client's name is the id of a job."""
    return name.isascii() and name.isdecimal() and name[0] != "0" and len(name) <= _LONGEST_ID
