"""LAVA's own coordinator runs here, so that others can be compared with it."""

import pytest
from tests.coordinator.real import NoReply, Real

ALONE = {"client_name": "1", "group_name": "alone", "role": "r", "hostname": "w", "group_size": 1}


def test_it_answers_as_its_protocol_says(real: Real) -> None:
    assert real.ask({"request": "lava_wait", "client_name": "1", "group_name": "none"}) == {
        "response": "nack"
    }
    requests: list[dict[str, object]] = [
        {"request": "group_data"},
        {"request": "lava_wait", "messageID": "m"},
        {"request": "lava_send", "messageID": "m", "message": {"k": "v"}},
        {"request": "lava_wait", "messageID": "m"},
        {"request": "clear_group"},
    ]
    assert [real.ask({**ALONE, **each}) for each in requests] == [
        {"response": "group_data", "roles": {"1": "r"}},
        {"response": "wait"},
        {"response": "ack"},
        {"response": "ack", "message": {"1": {"k": "v"}}},
        {"response": "ack"},
    ]


def test_what_ends_it_is_noticed_and_it_is_started_again(real: Real) -> None:
    with pytest.raises(NoReply):
        real.ask({**ALONE, "request": "complete"})
    before = real.pid
    with pytest.raises(AssertionError, match="has ended"):
        real.ask({**ALONE, "request": "lava_wait_all", "messageID": "m", "waitrole": "other"})
    assert real.pid != before
    assert real.ask({**ALONE, "request": "clear_group"}) == {"response": "ack"}
