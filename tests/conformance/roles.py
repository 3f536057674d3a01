"""Rules about essential roles."""

from tests.conformance.rule import PROTOCOLS, Ends, Rule, Topic

_ESSENTIAL = f"{PROTOCOLS}, essential roles"

_CANCELED = Ends("canceled", "Canceled", ("job 1 of the essential role server failed",))

ESSENTIAL = Topic(
    "Essential roles",
    (
        Rule(
            "essential-job-error",
            "A JobError in a job of an essential role cancels the other jobs of the group.",
            _ESSENTIAL,
            exit_code=3,
            ends={
                "server": Ends("incomplete", "JobError", ("brought no 'ip'",)),
                "client": Ends("canceled", "Canceled", (*_CANCELED.says, "brought no 'ip'")),
            },
            under_s=20,
        ),
        Rule(
            "essential-infrastructure-error",
            "An InfrastructureError in a job of an essential role cancels the other jobs.",
            _ESSENTIAL,
            exit_code=3,
            ends={"server": Ends("incomplete", "InfrastructureError"), "client": _CANCELED},
            under_s=20,
        ),
        Rule(
            "essential-finalize",
            "A job that is canceled still runs its finalize action.",
            f"{PROTOCOLS}, essential roles, finalize",
            exit_code=3,
            ends={"server": Ends("incomplete", "JobError"), "client": _CANCELED},
            trace=(
                "server: ends",
                "client: multinode-test fail",
                "client: begins finalize",
                "client: power-off pass",
                "client: finalize pass",
                "client: ends",
            ),
            under_s=20,
        ),
        Rule(
            "essential-delayed",
            "A job whose start is still delayed is canceled, too.",
            _ESSENTIAL,
            exit_code=3,
            ends={"server": Ends("incomplete", "JobError"), "client": _CANCELED},
            trace=("server: ends", "client: finalize pass", "client: ends"),
            never=("client: starts",),
            under_s=20,
        ),
        Rule(
            "essential-test-error",
            "A TestError in a job of an essential role cancels nobody.",
            _ESSENTIAL,
            exit_code=3,
            ends={"server": Ends("incomplete", "TestError", ("no disk",))},
            results={
                "client": {
                    "0_go/multinode-sync-both": "pass",
                    "0_go/multinode-wait_all-over": "fail",
                    "0_go/alone": "pass",
                }
            },
            trace=("server: multinode-test fail", "client: 0_go/alone pass"),
            today="whatever makes the job incomplete cancels the others",
        ),
        Rule(
            "essential-call-time-out",
            "A call that was not answered in time, in a job of an essential role, cancels nobody.",
            _ESSENTIAL,
            exit_code=3,
            ends={"server": Ends("incomplete", "MultinodeTimeout", ("within 1 s",))},
            results={"client": {"0_go/multinode-wait_all-over": "fail", "0_go/alone": "pass"}},
            trace=("server: lava-overlay fail", "client: 0_go/alone pass"),
            today="whatever makes the job incomplete cancels the others",
        ),
        Rule(
            "essential-failed-definition",
            "A failed definition of an essential role cancels nobody; the next definition runs.",
            _ESSENTIAL,
            exit_code=1,
            results={
                "server": {
                    "0_first/broken": "fail",
                    "1_second/multinode-sync-both": "pass",
                    "1_second/alive": "pass",
                    "lava/0_first": "fail",
                    "lava/1_second": "pass",
                },
                "client": {"0_go/multinode-sync-both": "pass", "0_go/alone": "pass"},
            },
        ),
        Rule(
            "essential-failed-call",
            "A failed wait of an essential role acts only if and when its job ends with an error.",
            _ESSENTIAL,
            exit_code=3,
            ends={
                "server": Ends("incomplete", "JobError", ("brought no 'ip'",)),
                "client": _CANCELED,
            },
            trace=(
                "server: wait never fail",
                "server: 0_first fail",
                "server: 1_second pass",
                "server: ends",
                "client: ends",
            ),
            under_s=20,
        ),
        Rule(
            "inessential-failure",
            "A job that fails in another role cancels nobody.",
            _ESSENTIAL,
            exit_code=3,
            ends={"server": Ends("incomplete", "JobError", ("brought no 'ip'",))},
            results={
                "client": {
                    "0_go/multinode-send-addr": "pass",
                    "0_go/multinode-wait_all-over": "fail",
                    "0_go/alone": "pass",
                    "lava/0_go": "pass",
                }
            },
            trace=("server: boot-image-retry fail", "client: 0_go/alone pass"),
            today="the wait notices by its time-out",
        ),
    ),
)
