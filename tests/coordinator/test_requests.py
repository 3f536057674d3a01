"""What a request is: typed values of anything that comes, or the reason why it is none."""

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from attrs import evolve
from hypothesis import example, given
from tests.coordinator.asking import requests

from callboard.coordinator.requests import (
    Aggregate,
    Client,
    Forget,
    GroupData,
    LavaSend,
    LavaSync,
    LavaWait,
    LavaWaitAll,
    NotJsonError,
    Request,
    RequestError,
    Unknown,
    fields,
    parse,
    read_again,
)

WHO = {"client_name": "1", "group_name": "g"}


def parsed(**document: Any) -> Request:
    return parse(json.dumps({**WHO, **document}))


def why_not(text: str) -> str:
    with pytest.raises(RequestError) as caught:
        parse(text)
    assert not isinstance(caught.value, NotJsonError)
    return str(caught.value)


def test_a_request_says_who_asks() -> None:
    asked = parsed(request="group_data", role="r", hostname="w", group_size=3, poll_delay=2)
    assert asked == GroupData(Client("1", "g", "r", "w", 3, 2.0))
    assert parsed(request="group_data") == GroupData(Client("1", "g"))


@pytest.mark.parametrize(
    ("size", "expected"), [(3, 3), ("3", 3), (0, None), ("0", None), (None, None)]
)
def test_a_size_may_be_a_text_and_none_is_no_size(size: object, expected: int | None) -> None:
    assert parsed(request="group_data", group_size=size).client.size == expected


@pytest.mark.parametrize(
    ("delay", "expected"),
    [(3, 3.0), (0.5, 0.5), (-1, 0.0), (10**30, 3_600.0), ("3", None), (True, None), (None, None)],
)
def test_a_poll_delay_that_is_none_is_left_out(delay: object, expected: float | None) -> None:
    assert parsed(request="group_data", poll_delay=delay).client.poll_delay_s == expected


@pytest.mark.parametrize("empty", ["role", "hostname", "messageID", "waitrole"])
def test_all_but_the_names_may_be_empty(empty: str) -> None:
    document = {"role": "r", "hostname": "w", "messageID": "m", "waitrole": "r", empty: ""}
    asked = parsed(request="lava_wait_all", **document)
    assert isinstance(asked, LavaWaitAll)
    values = (asked.client.role, asked.client.host, asked.id, asked.role)
    assert sorted(map(len, filter(None, values))) == [1, 1, 1]
    assert "" in values


CLIENT = Client("1", "g")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"request": "lava_send", "messageID": "m"}, LavaSend(CLIENT, "m", {})),
        ({"request": "lava_send", "messageID": "m", "message": None}, LavaSend(CLIENT, "m", {})),
        (
            {"request": "lava_send", "messageID": "m", "message": {"k": [1, {"a": None}]}},
            LavaSend(CLIENT, "m", {"k": [1, {"a": None}]}),
        ),
        ({"request": "lava_wait", "messageID": "m", "nodeID": 1}, LavaWait(CLIENT, "m")),
        ({"request": "lava_wait_all", "messageID": "m"}, LavaWaitAll(CLIENT, "m")),
        ({"request": "lava_sync", "messageID": "m", "message": [1]}, LavaSync(CLIENT, "m", [1])),
        (
            {"request": "aggregate", "bundle": None, "sub_id": "1.0"},
            Aggregate(CLIENT, None, "1.0"),
        ),
        ({"request": "forget"}, Unknown(CLIENT, "forget")),
        ({"request": ""}, Unknown(CLIENT, "")),
    ],
)
def test_each_request_brings_what_it_is_about(document: dict[str, Any], expected: Request) -> None:
    assert parsed(**document) == expected


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({}, "the field 'request' is missing"),
        ({"request": 1}, "the field 'request' is a number, not a text"),
        ({"request": "lava_wait"}, "the field 'messageID' is missing"),
        ({"request": "lava_wait", "messageID": None}, "the field 'messageID' is null, not a text"),
        ({"request": "lava_wait", "messageID": ["m"]}, "the field 'messageID' is a list, not a"),
        ({"request": "lava_wait", "messageID": {}}, "the field 'messageID' is an object, not a"),
        ({"request": "lava_wait", "messageID": "\ud800"}, "the field 'messageID' has half of a ch"),
        ({"request": "group_data", "client_name": ""}, "the field 'client_name' is empty"),
        ({"request": "group_data", "group_name": ""}, "the field 'group_name' is empty"),
        ({"request": "group_data", "group_name": True}, "the field 'group_name' is true or false"),
        ({"request": "group_data", "role": None}, "the field 'role' is null, not a text"),
        ({"request": "group_data", "group_size": -1}, "the field 'group_size' is a number, not a "),
        ({"request": "group_data", "group_size": 1.5}, "the field 'group_size' is a number, not"),
        ({"request": "group_data", "group_size": True}, "the field 'group_size' is true or false"),
        ({"request": "group_data", "group_size": "x"}, "the field 'group_size' is a text, not a"),
        ({"request": "group_data", "group_size": "9" * 10}, "the field 'group_size' is a text"),
        ({"request": "lava_send", "messageID": "m", "message": "k"}, "the field 'message' is a te"),
        ({"request": "lava_send", "messageID": "m", "message": 0}, "the field 'message' is a numb"),
        ({"request": "aggregate", "sub_id": "1.0"}, "the field 'bundle' is missing"),
        ({"request": "aggregate", "bundle": 1}, "the field 'sub_id' is missing"),
        ({"request": "lava_wait_all", "messageID": "m", "waitrole": None}, "the field 'waitrole' "),
    ],
)
def test_a_field_that_is_wrong_is_named(document: dict[str, Any], why: str) -> None:
    assert why_not(json.dumps({**WHO, **document})).startswith(why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "it is a list, not an object"),
        ("null", "it is null, not an object"),
        ('"request"', "it is a text, not an object"),
        ('{"a": NaN}', "it has NaN, which is not JSON"),
        ('{"a": -Infinity}', "it has -Infinity, which is not JSON"),
        ('{"a": 1e999}', "it has a number that is too large"),
        ('{"a": ' + "9" * 5_000 + "}", "it has a number that is too large"),
        ("[" * 101 + "]" * 101, "it has more than 100 lists and objects one in another"),
        ("[" * 200_000 + "]" * 200_000, "it has more than 100 lists and objects one in another"),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, "it has more than 100 lists and objects one in"),
    ],
)
def test_what_can_not_be_kept_is_refused(text: str, why: str) -> None:
    assert why_not(text).startswith(why)


@pytest.mark.parametrize("text", ["", "{", '{"a": 1', '{"a": NaN', "{'a': 1}", "{}{}", "\ufeff{}"])
def test_what_is_no_json_is_told_from_a_request_that_is_wrong(text: str) -> None:
    with pytest.raises(NotJsonError):
        parse(text)


def test_lists_may_be_in_lists_as_far_as_that_can_be_kept() -> None:
    deep = "[" * 98 + "]" * 98
    asked = parse(
        f'{{"request": "lava_send", "client_name": "1", "group_name": "g", '
        f'"messageID": "m", "message": {{"k": {deep}}}}}'
    )
    assert isinstance(asked, LavaSend)
    assert json.dumps(asked.message["k"]) == deep


def test_many_lists_beside_each_other_are_not_deep() -> None:
    asked = parsed(request="lava_sync", messageID="m", message=[[]] * 1_000)
    assert isinstance(asked, LavaSync)
    assert asked.message == [[]] * 1_000


def test_of_a_key_that_comes_twice_the_last_value_counts() -> None:
    text = '{"request": "complete", "request": "lava_wait", "client_name": "1", "group_name": "g", '
    assert parse(text + '"messageID": "m", "messageID": "n"}') == LavaWait(CLIENT, "n")


def test_values_may_have_halves_of_characters() -> None:
    asked = parsed(request="lava_send", messageID="m", message={"\ud800": "\udfff"})
    assert isinstance(asked, LavaSend)
    assert asked.message == {"\ud800": "\udfff"}


@given(request_=requests)
def test_a_request_is_what_its_fields_say(request_: Request) -> None:
    found = read_again(json.loads(json.dumps(fields(request_))))
    expected = Unknown(request_.client, "forget") if isinstance(request_, Forget) else request_
    if isinstance(expected, LavaSync | LavaSend):
        assert json.dumps(fields(found)) == json.dumps(fields(expected))
    else:
        assert found == expected


@pytest.mark.parametrize("name", ["collected", "forget"])
def test_what_only_a_coordinator_notes_no_client_can_ask_for(name: str) -> None:
    assert isinstance(parsed(request=name, messageID="m"), Unknown)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    [
        "request",
        "client_name",
        "group_name",
        "role",
        "hostname",
        "group_size",
        "poll_delay",
        "messageID",
        "message",
        "waitrole",
        "bundle",
        "sub_id",
    ]
)
NAMES = st.sampled_from(["lava_send", "lava_wait_all", "lava_sync", "aggregate", "group_data"])


@given(document=st.dictionaries(FIELDS, JSON | NAMES, max_size=12), asked=NAMES)
def test_any_document_is_a_request_or_is_refused(document: dict[str, Any], asked: str) -> None:
    try:
        found = parse(json.dumps({**WHO, "request": asked, **document}))
    except RequestError:
        return
    assert parse(json.dumps(fields(found))) == evolve(
        found, client=evolve(found.client, poll_delay_s=None)
    )


@given(text=st.text(st.sampled_from('{}[]":,\\u019aeE+-.tfn '), max_size=40) | st.text())
@example(text="\ud800")
@example(text='{"a": "\\ud8')
def test_any_text_is_a_request_or_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        parse(text)
