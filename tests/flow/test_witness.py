"""The witness of a group that gets stuck: the fewest calls that explain each other."""

from itertools import combinations

from hypothesis import given
from tests.flow.groups import crossed
from tests.flow.programs import background, join, program, refused

from callboard.flow.program import Call, Program
from callboard.flow.proof import Missing, Proof, prove


def witness(*programs: Program) -> list[str]:
    return [f"{each.role}: {each.call.written}" for each in prove(programs).witness]


def missing(*programs: Program) -> list[Missing]:
    return [each for stuck in prove(programs).witness for each in stuck.missing]


def test_one_call_is_enough_when_nobody_ever_sends_what_it_waits_for() -> None:
    programs = (program("a", "wait x", "send y"), program("b", "wait y"), program("c", "wait y"))
    assert witness(*programs) == ["a: lava-wait x"]
    assert missing(*programs) == [Missing(None, "never")]
    assert len(prove(programs).stuck) == 3


def test_two_calls_that_wait_for_each_other_say_where_each_would_be_released() -> None:
    one, other = program("a", "wait x", "send y"), program("b", "wait y", "send x")
    assert witness(one, other) == ["a: lava-wait x", "b: lava-wait y"]
    (first, second) = (call.where for call in (*one.calls(), *other.calls()) if not call.waits)
    assert missing(one, other) == [Missing("b", "later", second), Missing("a", "later", first)]


def test_a_circle_of_three_is_found_among_calls_that_hang_on_it() -> None:
    circle = [
        program("a", "wait c", "send a"),
        program("b", "wait a", "send b"),
        program("c", "wait b", "send c"),
    ]
    others = [program(name, "wait a", f"send {name}") for name in ("d", "e", "f")]
    assert witness(*others, *circle) == ["a: lava-wait c", "b: lava-wait a", "c: lava-wait b"]


def test_one_call_is_enough_that_waits_for_what_only_its_own_node_would_send() -> None:
    assert witness(program("a", "wait x"), program("b", "wait x", "send x")) == ["b: lava-wait x"]


def test_a_wait_is_explained_by_all_that_would_send_and_a_sync_by_one_that_does_not_come() -> None:
    programs = (
        program("a", "wait x", "send y"),
        program("b", "wait y", "send x"),
        program("c", "wait y", "send x"),
    )
    assert len(witness(*programs)) == 3
    programs = (
        program("a", "sync s", "send y", "sync t"),
        program("b", "wait y", "sync s", "sync t"),
        program("c", "wait y", "sync s", "sync t"),
    )
    assert witness(*programs) == ["a: lava-sync s", "b: lava-wait y"]


def test_a_sync_that_a_role_never_calls_names_the_roles_that_do_not_come() -> None:
    programs = (program("a", "sync s"), program("b"), program("c", "wait x", "sync s"))
    stuck = {each.role: each for each in prove(programs).stuck}
    where = list(programs[2].calls())[1].where
    assert stuck["a"].missing == (Missing("b", "never"), Missing("c", "later", where))
    assert witness(*programs) == ["a: lava-sync s"]


def test_a_role_without_nodes_is_absent() -> None:
    programs = (program("a", "wait-all x b"), program("b", "send x", count=0))
    assert missing(*programs) == [Missing("b", "absent")]
    assert missing(program("a", "start nobody")) == [Missing("nobody", "absent")]
    assert missing(program("a", refused("wait-all x sever", "role"))) == [
        Missing("sever", "absent")
    ]


def test_what_a_join_waits_for_stands_for_it() -> None:
    waiting = program("a", background("wait x"), join(), "send y")
    programs = (waiting, program("b", "wait y", "send x"))
    assert witness(*programs) == ["a: lava-wait x", "b: lava-wait y"]


def test_a_call_in_the_background_that_nobody_joins_is_stuck_but_no_witness() -> None:
    proof = prove((program("a", background("wait x"), "send y"),))
    assert (proof.outcome, proof.witness) == ("completes", ())
    assert [each.call.written for each in proof.stuck] == ["lava-wait x"]


def test_a_smaller_circle_is_found_behind_what_is_missed_first() -> None:
    """Both `a` and `c` miss `b`, which is in a circle of three, and each other."""
    programs = (
        program("b", "wait e", "send b", "send x", "send y"),
        program("a", "send x", "wait-all x", "send y"),
        program("c", "send y", "wait-all y", "send x"),
        program("d", "send x", "send y", "wait b", "send d"),
        program("e", "send x", "send y", "wait d", "send e"),
    )
    assert witness(*programs) == ["a: lava-wait-all x", "c: lava-wait-all y"]


def test_a_large_circle_is_found_without_trying_every_set() -> None:
    """Each of forty roles waits for what the next two would send."""
    programs = tuple(
        program(f"r{n}", f"wait x{n}", f"send x{(n - 1) % 40}", f"send x{(n - 2) % 40}")
        for n in range(40)
    )
    assert len(witness(*programs)) == 40


# Against every set there is


def actions(program: Program, passed: int) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """What a role has done, and what it would do later, stuck in the call of this number."""
    calls = list(program.calls())
    done = {each for call in calls[:passed] for each in facts(call)}
    if passed < len(calls) and calls[passed].call == "sync":
        done |= facts(calls[passed])
    return done, {each for call in calls[passed + 1 :] for each in facts(call)}


def facts(call: Call) -> set[tuple[str, str]]:
    if call.call == "sync":
        return {("sync", str(call.id))}
    if call.call != "send":
        return set()
    if call.roles is not None:
        return {("release", role) for role in call.roles}
    every = {("release", role) for role in "abcd"} if str(call.id) == "lava_start" else set()
    return {("send", str(call.id)), *every}


class Sets:
    """The stuck roles of a group without choices, and which sets of them explain themselves."""

    def __init__(self, programs: tuple[Program, ...], proof: Proof) -> None:
        present = [each for each in programs if each.count]
        ended = [passage for passage in proof.run.passages if passage.ended is not None]
        self.done: dict[str, set[tuple[str, str]]] = {}
        self.later: dict[str, set[tuple[str, str]]] = {}
        for number, own in enumerate(present):
            passed = sum(passage.part == number for passage in ended)
            self.done[own.role], self.later[own.role] = actions(own, passed)
        self.calls = {each.role: each.call for each in proof.stuck}

    def explains(self, roles: set[str]) -> bool:
        return all(self.is_explained(role, self.calls[role], roles) for role in roles)

    def is_explained(self, role: str, call: Call, roles: set[str]) -> bool:
        named = str(call.role) if call.role else None
        if named is not None and named not in self.done:
            return True
        kind = {"sync": "sync", "start": "release"}.get(call.call, "send")
        fact = (kind, role if call.call == "start" else str(call.id))
        if call.call == "wait":
            return {other for other in self.later if fact in self.later[other]} <= roles
        lacking = [
            other for other in self.done if named in (None, other) and fact not in self.done[other]
        ]
        return any(fact not in self.later[other] or other in roles for other in lacking)

    def smallest(self) -> int:
        return next(
            size
            for size in range(1, len(self.calls) + 1)
            for some in combinations(self.calls, size)
            if self.explains(set(some))
        )


@given(crossed())
def test_no_smaller_set_of_stuck_calls_explains_itself(programs: tuple[Program, ...]) -> None:
    proof = prove(programs)
    if proof.outcome == "completes":
        assert proof.witness == ()
        return
    sets = Sets(programs, proof)
    roles = [each.role for each in proof.witness]
    assert sets.explains(set(roles))
    assert len(roles) == sets.smallest()


@given(crossed())
def test_what_a_stuck_call_misses_has_not_been_done(programs: tuple[Program, ...]) -> None:
    proof = prove(programs)
    sets = Sets(programs, proof)
    order = [each.role for each in programs]
    for stuck in proof.stuck:
        assert stuck.missing
        roles = [each.role for each in stuck.missing if each.role in order]
        assert roles == sorted(roles, key=order.index)
        for each in stuck.missing:
            assert (each.where is not None) == (each.reason == "later")
            assert (each.reason == "absent") == (
                each.role is not None and each.role not in sets.done
            )
