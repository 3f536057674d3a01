"""The rules of coordinators, links and leaders, each broken by hand; the suite must notice all.

    python -m tests.mutants [WORD]

Prints which test notices first; only for the rules with WORD, or of files with it, if it is given.
The exit code is 1 when a rule can be broken unnoticed.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from tests.actor_mutants import ANSWERS, LEDGER, TIMES
from tests.cluster_mutants import HOSTING, REIGN, STAFF
from tests.kept_mutants import DIRECTORY, KEPT, RECORDS, RECOVERY, SEGMENTS, STORE
from tests.link_mutants import RECEIVER, REMOTE, SENDER
from tests.mutation import Mutant, first_failure
from tests.served_mutants import CLIENTS, EXCHANGE, FETCHED, FRAMING, GROUP, REQUESTS
from tests.state_mutants import (
    BLAME,
    DOUBTS,
    ENDS,
    LAVA,
    MESSAGES,
    QUEUES,
    ROSTER,
    SENT,
    SYNCS_AND_STARTS,
)

_STATE, _ACTOR = "actors/coordination.py", "actors/coordinator.py"
_STATE_TESTS = (
    "tests/actors/test_coordination.py",
    "tests/actors/test_waits_in_vain.py",
    "tests/actors/test_semantics.py",
)
_SENT_TESTS = ("tests/actors/test_sent.py",)
_ACTOR_TESTS = ("tests/actors/test_coordinator.py",)
_LEDGER_TESTS = ("tests/actors/test_ledger.py",)
_LINK_TESTS = ("tests/runtime/test_link.py",)
_REIGN_TESTS = ("tests/cluster/test_reign.py", "tests/cluster/test_taking_up.py")
_HOSTING_TESTS = ("tests/cluster/test_hosting.py", *_REIGN_TESTS)
_BLAME_TESTS = ("tests/actors/test_blame.py",)
_FETCHED_TESTS = ("tests/actors/test_fetched.py",)
_SERVED_TESTS = (
    "tests/coordinator/test_documented.py",
    "tests/coordinator/test_limits.py",
    "tests/coordinator/test_surviving.py",
)
_KEPT_TESTS = (
    "tests/coordinator/test_store.py",
    "tests/coordinator/test_directory.py",
    "tests/coordinator/test_recovery.py",
    "tests/coordinator/test_records.py",
    "tests/coordinator/test_store_crashes.py",
)
AT_ONCE = 2
"""Mutants that are tried at a time."""

_READINGS = [
    (f"{name} is {value} in {reading}", f"    {name}={value},\n", f"    {name}={not value},\n")
    for reading, most in (("DOCUMENTED", True), ("LAVA", False))
    for name, value in [
        *((name, most) for name in ("merges", "waits_unsent", "whole_role", "passes_again")),
        ("notices_ends", most),
        ("counts_ends", not most),
    ]
]

_ESSENTIAL = [
    (
        "only an essential role ends its group",
        "return role.essential and failure is not None",
        "return failure is not None",
    ),
    (
        "a job that waited in vain doesn't end its group",
        "failure.type in _ENDS_THE_GROUP",
        "failure.type",
    ),
]

MUTANTS = [
    Mutant(rule, file, old, new, tests)
    for file, tests, table in [
        (_STATE, _STATE_TESTS, [*MESSAGES, *SYNCS_AND_STARTS, *ENDS, *LAVA]),
        ("actors/roster.py", _STATE_TESTS, ROSTER),
        ("actors/queues.py", _STATE_TESTS, QUEUES),
        ("actors/doubts.py", _STATE_TESTS, DOUBTS),
        ("actors/sent.py", _SENT_TESTS, SENT),
        ("actors/semantics.py", _STATE_TESTS, _READINGS),
        (_STATE, _FETCHED_TESTS, FETCHED),
        ("src/callboard/coordinator/group.py", _SERVED_TESTS, GROUP),
        ("src/callboard/coordinator/clients.py", _SERVED_TESTS, CLIENTS),
        ("src/callboard/coordinator/exchange.py", _SERVED_TESTS, EXCHANGE),
        (
            "src/callboard/coordinator/requests.py",
            ("tests/coordinator/test_requests.py",),
            REQUESTS,
        ),
        ("src/callboard/coordinator/framing.py", ("tests/coordinator/test_framing.py",), FRAMING),
        ("src/callboard/coordinator/exchange.py", _KEPT_TESTS, KEPT),
        *(
            (f"src/callboard/coordinator/{name}.py", _KEPT_TESTS, table)
            for name, table in [
                ("store", STORE),
                ("segments", SEGMENTS),
                ("records", RECORDS),
                ("directory", DIRECTORY),
                ("recovery", RECOVERY),
            ]
        ),
        (_ACTOR, _ACTOR_TESTS, [*ANSWERS, *TIMES]),
        (_ACTOR, _LEDGER_TESTS, LEDGER),
        ("runtime/sender.py", _LINK_TESTS, SENDER),
        ("runtime/remote.py", _LINK_TESTS, REMOTE),
        ("runtime/receiver.py", _LINK_TESTS, RECEIVER),
        ("actors/job.py", _ACTOR_TESTS, _ESSENTIAL),
        ("actors/blame.py", _BLAME_TESTS, BLAME),
        ("src/callboard/cluster/reign.py", _REIGN_TESTS, REIGN),
        ("src/callboard/cluster/staff.py", _REIGN_TESTS, STAFF),
        ("src/callboard/cluster/hosting.py", _HOSTING_TESTS, HOSTING),
    ]
    for rule, old, new in table
]


def _verdict(mutant: Mutant) -> tuple[bool, str]:
    try:
        test = first_failure(mutant, mutant.tests)
    except RuntimeError as error:
        return False, f"no verdict: {error}"
    return test is not None, test or "SURVIVED"


def main(word: str = "") -> int:
    """Try the mutants whose rules or files contain `word`, and say what noticed each."""
    chosen = [each for each in MUTANTS if word in each.rule or word in each.file]
    tests = tuple({test: None for each in chosen for test in each.tests})
    control = first_failure(None, tests)
    if control is not None:
        print(f"{control} fails without any mutant")
        return 1
    survivors = 0
    print(f"{'rule':80} | caught by")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, (caught, text) in zip(chosen, pool.map(_verdict, chosen), strict=True):
            survivors += not caught
            print(f"{mutant.rule:80} | {text}", flush=True)
    print(f"{len(chosen)} mutants, {survivors} not caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
