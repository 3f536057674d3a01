"""Which of a node's processes no shell waits for, as far as it needs no processes."""

import os
from collections.abc import Mapping

import pytest

from callboard.actors.drivers.survey import Process, below, busy, processes, unwaited

INIT, SHELL, OTHER = 1, 10, 11
WAIT = (b"/bin/sh", b"-e", b"/lava-1/bin/lava-wait", b"ready")


def tree(**parents: int) -> dict[int, Process]:
    """Processes by `pN=parent`; deaf ones are called `dN`, those that are no shells `oN`."""
    return {
        int(name[1:]): Process(of, name[0] == "d", (b"cat",) if name[0] == "o" else WAIT)
        for name, of in parents.items()
    }


@pytest.mark.parametrize(
    ("found", "left"),
    [
        ({}, set[int]()),
        (tree(p10=1), set()),
        (tree(p10=1, p11=1), set()),
        (tree(p10=1, p20=10, p5=20, p30=5), set()),
        (tree(p10=1, p20=10, p11=1, p21=11, p31=21), set()),
        (tree(p10=1, p20=10, p21=10), {20, 21}),
        (tree(p10=1, p20=10, p30=20, p31=20, p40=30), {30, 31, 40}),
        (tree(p10=1, p20=1), {20}),
        (tree(p10=1, p20=1, p30=20), {20, 30}),
        (tree(p20=1), {20}),
        (tree(p10=1, d20=10), {20}),
        (tree(p10=1, d20=10, d30=20), {20, 30}),
        (tree(d10=1, d20=10, d30=20), set()),
        (tree(p10=1, p20=10, d30=20), {20, 30}),
        (tree(p10=1, d20=10, p30=20), set()),
        (tree(p10=1, o20=10), {20}),
        (tree(p10=1, p20=10, o30=20), {20, 30}),
        (tree(p10=1, o20=10, p30=20), {20, 30}),
        # What was read while it changed makes no sense, but must have an end.
        (tree(p10=20, p20=10), set()),
    ],
)
def test_a_shell_waits_for_one_process_after_the_other(
    found: Mapping[int, Process], left: set[int]
) -> None:
    assert unwaited(found, {SHELL, OTHER}) == left


@pytest.mark.parametrize(
    ("words", "is_shell", "is_call"),
    [
        (WAIT, True, True),
        ((b"bash", b"/lava-1/bin/lava-sync", b"x"), True, True),
        ((b"/bin/busybox", b"sh", b"/lava-1/bin/lava-wait-all", b"x"), True, True),
        ((b"-bash",), True, False),
        ((b"sh", b"/lava-1/bin/lava-test-runner"), True, False),
        ((b"timeout", b"9", b"lava-wait", b"x"), False, False),
        ((b"lava-wait",), False, False),
        ((b"",), False, False),
        ((), False, False),
    ],
)
def test_helpers_are_known_by_the_words_of_their_shell(
    words: tuple[bytes, ...], is_shell: bool, is_call: bool
) -> None:
    process = Process(1, deaf=False, words=words)
    assert (process.is_shell, process.is_call) == (is_shell, is_call)


def test_what_descends_from_a_process_is_below_it() -> None:
    found = tree(p10=1, p20=10, p30=20, p11=1, p21=11, p40=1)
    assert below(found, {10, 40, 99}) == {10, 20, 30, 40}


def test_processes_that_change_while_they_are_looked_at_are_looked_at_again() -> None:
    looks = iter([tree(p10=1), tree(p10=1, p20=1), tree(p10=1, p21=1), tree(p10=1, p21=1)])
    assert busy(lambda: next(looks), {SHELL})
    assert next(looks, None) is None


def test_who_changes_without_end_does_not_only_wait() -> None:
    pids = iter(range(20, 1_000))
    assert busy(lambda: tree(p10=1) | {next(pids): Process(SHELL, deaf=False)}, {SHELL})


def test_this_process_is_found_with_its_parent() -> None:
    assert processes()[os.getpid()].parent == os.getppid()
