"""Which waits are said to hang, and in which words."""

from hypothesis import given
from hypothesis import strategies as st
from tests.coordinator.following import Followed, leave, send, sync, wait, wait_all

from callboard.coordinator.requests import Request
from callboard.coordinator.settings import Settings
from callboard.coordinator.wording import seconds_text


def test_a_wait_for_clients_that_work_does_not_hang() -> None:
    groups = Followed()
    groups.join("s101", "c102", "c103")
    groups.ask(send("s101", "ready"))
    groups.after(299, wait_all("s101", "ready"))
    [found] = groups.waits()
    assert (found.call, found.clients) == ("lava-wait-all ready", ("101",))
    assert (found.missing, found.ready, found.hangs) == (("102", "103"), False, None)


def test_a_wait_for_a_client_that_is_silent_for_very_long_hangs() -> None:
    groups = Followed()
    groups.join("s101", "c102", "c103")
    groups.ask(send("s101", "ready"), send("c102", "ready"))
    groups.after(310, wait_all("s101", "ready"), wait("c102", "other"))
    assert groups.hangs()[-1] == (
        "lava-wait-all ready of 101 (server) waits for 103 (client), not seen for 5 min"
    )


def test_a_wait_for_a_client_that_has_stopped_asking_hangs() -> None:
    groups = Followed()
    groups.join("s101", "c102", "c103")
    groups.ask(send("s101", "ready"), send("c102", "ready"), wait("c103", "go"))
    groups.after(95, wait_all("s101", "ready"))
    assert groups.hangs() == [
        "lava-wait-all ready of 101 (server) waits for 103 (client), not seen for 95 s"
    ]


def test_a_client_whose_answer_may_be_held_is_waited_for_longer() -> None:
    for hold, hangs in ((0.0, 1), (10.0, 0)):
        groups = Followed(Settings(hold=hold))
        groups.join("s101", "c102", "c103")
        groups.ask(send("s101", "ready"), send("c102", "ready"), wait("c103", "go"))
        groups.after(40, wait_all("s101", "ready"))
        assert len(groups.hangs()) == hangs


def test_a_wait_for_a_client_that_has_left_hangs() -> None:
    groups = Followed()
    groups.join("s101", "c102")
    groups.ask(leave("c102"))
    groups.after(20, sync("s101", "done"))
    assert groups.hangs() == []
    groups.after(20, sync("s101", "done"))
    assert groups.hangs() == [
        "lava-sync done of 101 (server) waits for 102 (client), ended without it"
    ]


def test_a_lava_wait_hangs_only_if_nobody_can_send() -> None:
    groups = Followed()
    groups.join("s101", "c102", "c103")
    groups.ask(leave("c102"))
    groups.after(60, wait("s101", "ready"))
    assert groups.hangs() == []
    groups.ask(leave("c103"))
    [text] = groups.hangs()
    whom = "102 (client) and 103 (client), ended without it"
    assert text == f"lava-wait ready of 101 (server) waits for {whom}"


def test_all_who_wait_for_the_same_message_wait_for_nobody_else() -> None:
    groups = Followed()
    groups.join("s101", "c102")
    groups.after(60, wait("s101", "go"), wait("c102", "go"))
    assert groups.hangs() == ["lava-wait go of 101 (server) and 102 (client) wait for nobody else"]


def test_clients_that_wait_for_each_other_hang() -> None:
    groups = Followed()
    groups.join("s101", "c102")
    groups.after(60, wait_all("s101", "a", "client"), wait_all("c102", "b", "server"))
    assert groups.hangs() == [
        f"{call} of {one} waits for {other}, itself in {its}"
        for call, one, other, its in (
            ("lava-wait-all a client", "101 (server)", "102 (client)", "lava-wait-all b server"),
            ("lava-wait-all b server", "102 (client)", "101 (server)", "lava-wait-all a client"),
        )
    ]


def test_a_wait_behind_one_that_ends_does_not_hang() -> None:
    groups = Followed()
    groups.join("s101", "c102", "c103")
    polling = [sync("s101", "done"), wait("c102", "go")]
    groups.after(60, *polling)
    assert groups.hangs() == []  # 103 works, and may send
    groups.ask(send("c103", "go"), leave("c103"))
    groups.ask(*polling[:1])
    [held_up, ready] = sorted(groups.waits(), key=lambda each: each.request == "lava_wait")
    assert held_up.hangs is not None  # 103 has left without having called it
    assert (ready.ready, ready.hangs) == (True, None)


def test_a_group_that_is_never_complete_hangs() -> None:
    groups = Followed()
    for _ in range(40):
        groups.join("s101", "c102", size=4)
        groups.now_s += 3
    assert groups.hangs() == ["101 (server) and 102 (client) wait for 2 clients of 4 to join"]
    groups.join("c103", "c104", size=4)
    [found] = groups.waits()
    assert (found.ready, found.hangs) == (True, None)


def test_who_waits_and_is_gone_too_hangs_no_more() -> None:
    groups = Followed()
    groups.join("s101", "c102")
    groups.ask(leave("c102"), sync("s101", "done"))
    groups.after(600)
    assert groups.hangs() == []


def test_many_clients_are_counted_not_listed() -> None:
    groups = Followed()
    names = [f"c{number}" for number in range(2, 1_002)]
    groups.join("s1", *names)
    groups.after(1)
    for name in names:
        groups.ask(leave(name))
    groups.after(60, sync("s1", "done"))
    [text] = groups.hangs()
    assert text.endswith("2 (client), 3 (client), 4 (client) and 997 more, ended without it")


def test_of_very_many_different_waits_the_longest_are_judged() -> None:
    groups = Followed()
    names = [f"c{number}" for number in range(1, 1_001)]
    groups.join(*names)
    for name in names:
        groups.ask(wait(name, f"for {name}"))
        groups.now_s += 0.001
    groups.now_s += 40
    found = groups.waits()
    assert len(found) == 1_000
    judged = [len(each.missing) for each in found]
    assert judged == [1_000] * 50 + [0] * 950


def test_the_documented_rules_wait_for_clients_that_are_still_to_join() -> None:
    groups = Followed(Settings(rules="documented"))
    groups.join("s101", size=2)
    groups.ask(send("s101", "ready"), wait_all("s101", "ready"))
    [found] = groups.waits()
    assert (found.missing, found.to_join) == ((), 1)


NAMES = ["s1", "s2", "c3"]
IDS = ["a", "b"]
ACTS = st.one_of(
    st.builds(send, st.sampled_from(NAMES), st.sampled_from(IDS)),
    st.builds(wait, st.sampled_from(NAMES), st.sampled_from(IDS)),
    st.builds(
        wait_all, st.sampled_from(NAMES), st.sampled_from(IDS), st.sampled_from(["client", None])
    ),
    st.builds(sync, st.sampled_from(NAMES), st.sampled_from(IDS)),
    st.builds(leave, st.sampled_from(NAMES)),
)


@given(st.lists(st.tuples(ACTS, st.floats(0, 400))), st.sampled_from(["lava", "documented"]))
def test_looking_changes_no_answer_and_who_is_answered_never_hangs(
    acts: list[tuple[Request, float]], rules: str
) -> None:
    looked = Followed(Settings(rules="lava" if rules == "lava" else "documented"))
    alone = Followed(looked.settings)
    for groups in (looked, alone):
        groups.join(*NAMES)
    for request, pause_s in acts:
        answers = [groups.serve(request).answer for groups in (looked, alone)]
        assert answers[0] == answers[1]
        for groups in (looked, alone):
            groups.now_s += pause_s
        state = looked.overview.group("g")
        if state is None:
            return
        for each in state.waits:
            assert not (each.ready and each.hangs)
        if answers[0].response == "wait" and pause_s < 1:
            [own] = [each for each in state.waits if request.client.name in each.clients]
            assert not own.ready or own.clients[0] != request.client.name
        looked.overview.look("g")


def test_times_are_said_as_people_say_them() -> None:
    texts = [seconds_text(each) for each in (0.4, 119, 120, 3599, 3600, 5400, 172800, 180000)]
    assert texts == ["0 s", "119 s", "2 min", "59 min", "1 h", "1 h 30 min", "2 d", "2 d 2 h"]
