"""Rules about jobs that start late, and about flows that can be read in the definition."""

from tests.conformance.rule import PROTOCOLS, Ends, Rule, Topic

_START = f"{PROTOCOLS}, lava-start"
_TESTS = f"{PROTOCOLS}, lava-start and test actions"
_PASSING = f"{PROTOCOLS}, passing data at start-up"
_INLINE = f"{PROTOCOLS}, managing the flow with inline definitions"

STARTS = Topic(
    "Delayed starts",
    (
        Rule(
            "start-after-all",
            "A role with lava-start begins when every node of its expect_role has sent lava_start.",
            _START,
            trace=(
                "server-1: send lava_start",
                "server-2: wait first pass",
                "server-2: send lava_start",
                "client: starts",
            ),
            today="the first node of the role is enough",
        ),
        Rule(
            "start-by-test",
            "A step of a test definition releases the delayed role with lava-send lava_start.",
            _START,
            results={
                "server": {
                    "0_serve/multinode-send-lava_start": "pass",
                    "0_serve/multinode-wait-started": "pass",
                }
            },
            trace=("server: send lava_start", "client: starts", "server: 0_serve pass"),
        ),
        Rule(
            "start-by-action",
            "An action releases the delayed role with the request lava-send of lava_start.",
            _START,
            trace=(
                "server: begins expect-shell-connection",
                "server: send lava_start",
                "client: starts",
            ),
        ),
        Rule(
            "start-when-test-completes",
            "With the request lava-start at multinode-test the roles begin when that test is over.",
            _TESTS,
            trace=(
                "server: 0_serve/ready pass",
                "server: 0_serve pass",
                "server: send lava_start",
                "client: starts",
            ),
            today="the request is unknown, and the job fails",
        ),
        Rule(
            "start-of-named-roles",
            "The request lava-start releases only the roles that it names.",
            _TESTS,
            trace=(
                "server: send lava_start",
                "early: starts",
                "early: send done",
                "server: send lava_start",
                "late: starts",
            ),
            today="the request is unknown, and the job fails",
        ),
        Rule(
            "start-not-after-failure",
            "If the action with lava-start fails nobody is released: the delayed job ends at once.",
            _TESTS,
            exit_code=3,
            ends={
                "server": Ends("incomplete", "TestError", ("no disk",)),
                "client": Ends(
                    "incomplete", "MultinodeTimeout", ("the delayed start can never be",)
                ),
            },
            trace=(
                "server: multinode-test fail",
                "client: begins finalize",
                "client: finalize pass",
            ),
            never=("client: starts", "client: begins deployimages", "server: send lava_start"),
            under_s=20,
            today="the delayed job waits until its limit",
        ),
        Rule(
            "start-after-failed-test",
            "A test action whose definition fails has completed all the same, and releases them.",
            _TESTS,
            exit_code=1,
            results={"server": {"0_serve/broken": "fail", "lava/0_serve": "fail"}},
            trace=("server: 0_serve fail", "server: send lava_start", "client: starts"),
            today="the request is unknown, and the job fails",
        ),
        Rule(
            "start-is-kept",
            "lava_start is a message that is kept: who waits for it later passes at once.",
            _START,
            results={
                "client": {
                    "0_use/multinode-wait_all-lava_start": "pass",
                    "0_use/multinode-wait-lava_start": "pass",
                }
            },
            trace=("server: send lava_start", "client: starts", "client: wait-all lava_start pass"),
        ),
        Rule(
            "start-once",
            "Sending lava_start again has no effect on a role that has started.",
            _START,
            trace=(
                "server: send lava_start",
                "client: starts",
                "client: send started",
                "server: send lava_start",
                "server: send lava_start",
                "client: ends",
            ),
        ),
        Rule(
            "start-is-logged",
            "The log of a delayed job says for whom it waits, and by how long at most.",
            _START,
            log={
                "client": (
                    "the start is delayed until every node of role server has sent lava_start",
                    "by 7 s at most",
                )
            },
        ),
        Rule(
            "start-limit",
            "Without any timeout of role or group a start is delayed by 90 seconds at most.",
            _START,
            log={"client": ("by 90 s at most",)},
        ),
        Rule(
            "start-time-out",
            "A delayed start is limited by the role's timeout; then the job ends, incomplete.",
            _START,
            exit_code=3,
            ends={
                "client": Ends(
                    "incomplete",
                    "MultinodeTimeout",
                    ("the start was not satisfied within 1 s: 1 (server) did not send lava_start",),
                )
            },
            never=("client: starts", "client: begins deployimages"),
            today="the group's timeout replaces that of the role",
        ),
        Rule(
            "start-others-at-once",
            "Roles without the declaration begin at once.",
            _START,
            trace=(
                "other: starts",
                "other: send free",
                "server: wait free pass",
                "server: send lava_start",
                "client: starts",
            ),
        ),
        Rule(
            "start-in-a-chain",
            "A role that starts late can release another one.",
            _START,
            trace=(
                "host: send lava_start",
                "second: starts",
                "second: send lava_start",
                "third: starts",
            ),
        ),
        Rule(
            "start-needs-request",
            "expect_role without the request lava-start delays nothing.",
            _START,
            trace=("client: starts", "client: send free", "server: wait free pass"),
            never=("server: send lava_start",),
        ),
        Rule(
            "start-data-at-deploy",
            "Data sent before lava_start is there when an action of the delayed job waits for it.",
            _PASSING,
            log={"client": ("received under addr: ipaddr=10.0.0.1",)},
            trace=(
                "server: send addr",
                "server: send lava_start",
                "client: starts",
                "client: begins prepare-scp-overlay",
                "client: wait addr",
                "client: wait addr pass",
                "client: prepare-scp-overlay pass",
            ),
        ),
        Rule(
            "start-data-in-test",
            "Data sent before lava_start is there for the delayed job's test definitions, too.",
            _PASSING,
            results={"client": {"0_use/multinode-wait-addr": "pass", "0_use/address": "pass"}},
            trace=(
                "server: send addr",
                "server: send lava_start",
                "client: starts",
                "client: wait addr pass",
            ),
        ),
        Rule(
            "start-of-itself",
            "A role can't wait for its own start.",
            _START,
            exit_code=2,
            errors=(("CB060", "role `client` waits for its own start"),),
        ),
        Rule(
            "start-in-a-circle",
            "Roles can't wait for each other's start.",
            _START,
            exit_code=2,
            errors=(("CB061", "`left` and `right` wait for each other's start"),),
            today="not noticed: they wait until their limits",
        ),
        Rule(
            "start-of-all",
            "Not all roles can be delayed.",
            _START,
            exit_code=2,
            errors=(("CB061", "wait for each other's start"),),
            today="not noticed: they wait until their limits",
        ),
        Rule(
            "start-without-role",
            "The request lava-start can't stand at an action without role.",
            _TESTS,
            exit_code=2,
            errors=(("CB072", "has no `role`"),),
        ),
        Rule(
            "start-of-unknown-role",
            "expect_role names a role of the group.",
            _START,
            exit_code=2,
            errors=(("CB057", "`sever`"),),
        ),
    ),
)

FLOW = Topic(
    "The flow of a group",
    (
        Rule(
            "flow-inline",
            "The calls of a group can stand in inline definitions, to be read in one place.",
            _INLINE,
            results={
                "server": {
                    "0_install/installed": "pass",
                    "1_announce/multinode-send-ready": "pass",
                    "1_announce/multinode-sync-done": "pass",
                    "2_after/alone": "pass",
                    "lava/0_install": "pass",
                    "lava/1_announce": "pass",
                    "lava/2_after": "pass",
                },
            },
            trace=(
                "server: begins 0_install",
                "server: begins 1_announce",
                "server: send ready",
                "client: wait ready pass",
                "client: 1_work/worked pass",
                "client: sync done",
                "server: sync done pass",
                "server: begins 2_after",
            ),
        ),
        Rule(
            "flow-inline-tests",
            "An inline definition with calls may also run tests.",
            _INLINE,
            results={
                "server": {
                    "0_serve/before": "pass",
                    "0_serve/multinode-sync-met": "pass",
                    "0_serve/after": "pass",
                }
            },
            trace=(
                "server: 0_serve/before pass",
                "server: sync met pass",
                "server: 0_serve/after pass",
            ),
        ),
    ),
)
