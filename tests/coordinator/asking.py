"""Random requests, for tests of what has to survive."""

from hypothesis import strategies as st

from callboard.coordinator.exchange import Exchange
from callboard.coordinator.group import GroupMemory
from callboard.coordinator.requests import (
    Aggregate,
    ClearGroup,
    Client,
    Collected,
    Complete,
    Forget,
    GroupData,
    Json,
    LavaSend,
    LavaSync,
    LavaWait,
    LavaWaitAll,
    Request,
    Unknown,
)

_names = st.sampled_from(["one", "one", "zwei ß", 'three "quoted"\n\0'])
_ids = st.sampled_from(["x", "y"])
json_values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
_messages = st.dictionaries(st.text(max_size=3), json_values, max_size=2)
clients = st.builds(
    Client,
    name=st.sampled_from("abc"),
    group=_names,
    role=st.sampled_from(["left", "right"]),
    host=st.sampled_from(["", "worker1"]),
    size=st.sampled_from([2, 2, 3, None]),
    poll_delay_s=st.just(None),
)
requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(GroupData, clients),
    st.builds(LavaSend, clients, _ids, _messages),
    st.builds(LavaSync, clients, _ids, json_values),
    st.builds(LavaSync, clients, _ids),
    st.builds(LavaWait, clients, _ids),
    st.builds(LavaWaitAll, clients, _ids, st.sampled_from([None, "left", "nobody"])),
    st.builds(Collected, clients, _ids),
    st.builds(ClearGroup, clients),
    st.builds(Aggregate, clients, json_values, st.sampled_from(["a.0", "a.1"])),
    st.builds(Complete, clients),
    st.builds(Forget, clients),
    st.builds(Unknown, clients, st.sampled_from(["nonsense", "forget"])),
)
"""Requests of a few groups and clients, so that they have to do with each other."""

State = dict[str, GroupMemory]


def state(exchange: Exchange) -> State:
    """All that has to survive."""
    return {name: exchange.memory(name) for name in exchange.groups}
