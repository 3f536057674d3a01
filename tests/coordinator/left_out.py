"""The requests about which we aren't compared with LAVA's coordinator, a reason each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define

from callboard.coordinator.group import Group


@define
class Step:
    """A request, and what is known before it.

    Attributes:
        request: Its fields.
        group: Its group as we have it.
        ways: Whether its ID is used for messages, syncs or both, with this request.
    """

    request: Mapping[str, Any]
    group: Group | None
    ways: set[str]

    @property
    def is_by_a_new_client(self) -> bool:
        client = self.request.get("client_name")
        return self.group is None or not isinstance(client, str) or not self.group.knows(client)

    @property
    def roles(self) -> dict[str, str]:
        """Of the clients that are known, with that of the one who asks."""
        known = {} if self.group is None else {each.name: each.role for each in self.group.clients}
        return {self.request.get("client_name", ""): self.request.get("role", ""), **known}


# What ends LAVA's coordinator


def lacks_its_group(step: Step) -> bool:
    """Any request without `group_name`."""
    return "group_name" not in step.request and step.request.keys() >= {"request", "client_name"}


def is_new_and_lacks_who_it_is(step: Step) -> bool:
    """A client's first request without `hostname` or `role`."""
    would_join = step.group is not None or bool(step.request.get("group_size"))
    lacks = not step.request.keys() >= {"hostname", "role"}
    return would_join and lacks and step.is_by_a_new_client


def awaits_a_role_that_nobody_has(step: Step) -> bool:
    """A `lava_wait_all` for a role without clients."""
    return "waitrole" in step.request and step.request["waitrole"] not in step.roles.values()


def awaits_a_role_and_has_none(step: Step) -> bool:
    """A `lava_wait_all` for a role by a client that doesn't say its own."""
    return "waitrole" in step.request and "role" not in step.request


def uses_an_id_for_both(step: Step) -> bool:
    """One ID for a sync and a message; with us they are separate."""
    return len(step.ways) > 1


# Where we mean to answer otherwise


def has_no_id(step: Step) -> bool:
    """Without `messageID`: LAVA's coordinator keeps it under null, we refuse it."""
    needs_one = ("lava_send", "lava_wait", "lava_wait_all", "lava_sync")
    return step.request.get("request") in needs_one and "messageID" not in step.request


def says_another_role(step: Step) -> bool:
    """Another role than the client joined with: with us the first one holds."""
    role = step.request.get("role")
    return role is not None and role != step.roles[step.request.get("client_name", "")]


def joins_by_what_is_refused(step: Step) -> bool:
    """A first request that is an `aggregate` without a field: with us its client isn't known."""
    lacks = not step.request.keys() >= {"bundle", "sub_id"}
    return step.request.get("request") == "aggregate" and lacks and step.is_by_a_new_client


def has_an_empty_name(step: Step) -> bool:
    """A client or a group without a name: both refuse it, but LAVA's coordinator keeps it."""
    return "" in (step.request.get("client_name"), step.request.get("group_name"))


LEFT_OUT: Sequence[Callable[[Step], bool]] = (
    lacks_its_group,
    is_new_and_lacks_who_it_is,
    awaits_a_role_that_nobody_has,
    awaits_a_role_and_has_none,
    uses_an_id_for_both,
    has_no_id,
    says_another_role,
    joins_by_what_is_refused,
    has_an_empty_name,
)
