"""The calls of nodes, as requests to a coordinator; and its answers, as those of calls."""

import json
import re
from collections.abc import Mapping
from typing import assert_never

from callboard.actors.effects import Data
from callboard.actors.messages import Release, Send, Start, Sync, Wait, WaitAll, Waiting
from callboard.coordinator.answers import Answer
from callboard.coordinator.client import Misanswered
from callboard.coordinator.joining import is_job
from callboard.coordinator.requests import (
    Client,
    Json,
    LavaSend,
    LavaSync,
    LavaWait,
    LavaWaitAll,
)
from callboard.coordinator.wording import brief
from callboard.definition.calls import START

_HALVES = re.compile("[\ud800-\udfff]")
"""Halves of characters, which JSON can have, and files and consoles can't."""


def sending(content: Send | Release, client: Client) -> LavaSend:
    """The request by which a node sends; a start can't be kept from any role that waits for it."""
    match content:
        case Send(_, id_, data):
            return LavaSend(client, id_, data)
        case Release():
            return LavaSend(client, START, {})
        case _:
            assert_never(content)


def asking(call: Waiting, client: Client) -> LavaWait | LavaWaitAll | LavaSync:
    """The request by which a node waits; a delayed start is a wait for all of a role."""
    match call:
        case Wait(_, id_):
            return LavaWait(client, id_)
        case WaitAll(_, id_, role):
            return LavaWaitAll(client, id_, role)
        case Sync(_, id_):
            return LavaSync(client, id_)
        case Start(_, role):
            return LavaWaitAll(client, START, role)
        case _:
            assert_never(call)


def received(answer: Answer) -> Data:
    """What has been sent, by the sender's id; values that aren't texts become JSON.

    Halves of characters, which no console can print, become the sign for that.

    Raises:
        Misanswered: It isn't what jobs have sent.
    """
    message = answer.content.get("message")
    if not isinstance(message, dict):
        raise Misanswered(f"its message is {brief(message)}, and not by senders")
    data: dict[int, Mapping[str, str]] = {}
    for sender, values in message.items():
        if not is_job(sender) or not isinstance(values, dict):
            raise Misanswered(
                f"its message has {brief(sender)}, which is no job that has sent data"
            )
        try:
            data[int(sender)] = {_whole(key): _text(value) for key, value in values.items()}
        except RecursionError:
            text = f"the message of {sender} has too many lists and objects one in another"
            raise Misanswered(text) from None
    return data


def _text(value: Json) -> str:
    if value is None:
        return ""
    return _whole(value) if isinstance(value, str) else json.dumps(value)


def _whole(text: str) -> str:
    return _HALVES.sub("\N{REPLACEMENT CHARACTER}", text)
