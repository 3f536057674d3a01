"""What the log says of groups."""

import anyio
import pytest
from tests.coordinator.following import Followed, client, leave, send, sync, wait, wait_all

from callboard.coordinator.requests import Forget, LavaSend, Unknown


def test_the_log_tells_the_life_of_a_group_in_order() -> None:
    groups = Followed()
    groups.join("s101", "c102")
    groups.ask(send("s101", "ready"), wait("c102", "ready"), leave("s101"), leave("c102"))
    assert [fact.text for fact in groups.facts] == [
        "group g: made, for 2 clients",
        "group g: 101 (server) has joined from worker-1",
        "group g: 102 (client) has joined from worker-1",
        "group g: complete, with 2 clients",
        "group g: 101 (server) has left",
        "group g: ended",
    ]
    assert dict(groups.facts[1].fields) == {
        "group": "g",
        "client": "101",
        "role": "server",
        "host": "worker-1",
    }


def test_a_client_that_leaves_twice_is_told_once() -> None:
    groups = Followed()
    groups.join("s101", "c102", "c103")
    groups.ask(leave("s101"), leave("s101"))
    assert groups.said("client-left") == ["group g: 101 (server) has left"]


def test_a_group_that_is_given_up_is_told_as_such() -> None:
    groups = Followed()
    groups.join("s101", "c102")
    groups.serve(Forget(client("s101")))
    assert groups.said("group-ended") == []
    assert groups.said("group-forgotten") == [
        "group g: given up, for nobody has asked for 7 d",
    ]


def test_groups_that_were_there_before_are_no_news() -> None:
    groups = Followed()
    groups.join("s101", "c102")
    later = Followed()
    later.exchange.recall(groups.exchange.memory("g"), later.now_s)
    later.follow()
    later.ask(send("s101", "ready"))
    assert later.facts == []


def test_a_wait_that_hangs_is_told_once_and_again_when_it_hangs_anew() -> None:
    groups = Followed()
    groups.join("s101", "c102")
    groups.ask(leave("c102"))
    for _ in range(5):
        groups.after(30, sync("s101", "done"))
        groups.overview.look("g")
    text = "group g: lava-sync done of 101 (server) waits for 102 (client), ended without it"
    assert groups.said("wait-hangs") == [text]
    groups.after(60, sync("s101", "other"))
    groups.overview.look("g")
    assert groups.said("wait-hangs") == [text, text.replace("done", "other")]


def test_what_clients_say_to_each_other_is_not_in_the_log() -> None:
    groups = Followed()
    groups.join("s101", "c102")
    groups.serve(LavaSend(client("s101"), "ready", {"password": "hunter2"}))
    groups.ask(wait("c102", "ready"), wait_all("c102", "ready"))
    groups.serve(Unknown(client("c102"), "lava_frob"))
    groups.after(600, wait("s101", "never"))
    groups.overview.look("g")
    assert groups.said("wait-hangs")
    assert "hunter2" not in repr(groups.facts)
    assert "password" not in repr(groups.facts)
    assert "hunter2" not in repr(groups.overview.group("g"))


@pytest.mark.asyncio
async def test_whoever_watches_is_told_of_what_changes_and_not_of_mere_polls() -> None:
    groups = Followed()
    groups.join("s101", "c102")
    with groups.overview.watching() as changes:
        assert changes.take() == ("g",)
        groups.ask(wait("c102", "ready"))
        await changes.any()
        assert changes.take() == ("g",)
        groups.after(30, wait("c102", "ready"))
        assert changes.take() == ()
        groups.ask(send("s101", "ready"), wait("c102", "ready"))
        groups.join("s1", group="h", size=1)
        assert changes.take() == ("g", "h")
        groups.ask(leave("s1", "h"))
        assert changes.take() == ("h",)
        assert groups.overview.group("h") is None
        with anyio.move_on_after(0.01) as nothing:
            await changes.any()
        assert nothing.cancelled_caught
