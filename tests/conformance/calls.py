"""Rules about the calls that a definition attaches to actions."""

from tests.conformance.rule import PROTOCOLS, Ends, Rule, Topic

_WHEN = f"{PROTOCOLS}, when calls are made"
_CALLS = f"{PROTOCOLS}, MultiNode calls from actions"
_DATA = f"{PROTOCOLS}, placeholders of a message"
_LIMITS = f"{PROTOCOLS}, time-outs of calls"

_AS_TEXT = "received under addr: "

WHEN = Topic(
    "When actions make calls",
    (
        Rule(
            "call-outside-tests",
            "The action that a call names makes it, outside of any test definition.",
            f"{PROTOCOLS}, MultiNode calls outside of test definitions",
            results={"reader": {"0_read/multinode-wait-addr": "pass", "0_read/address": "pass"}},
            trace=("sender: begins lava-overlay", "sender: send addr"),
        ),
        Rule(
            "call-by-named-action",
            "Each call is made by the action of its name, and by no other one of the block.",
            _WHEN,
            trace=(
                "node: begins lava-overlay",
                "node: send early",
                "node: begins lava-vland-overlay",
                "node: begins test-definition",
                "node: begins compress-overlay",
                "node: send late",
                "node: compress-overlay pass",
                "node: begins deploy-device-env",
            ),
        ),
        Rule(
            "call-before-children",
            "An action makes its calls at the start of its run, before the actions inside it.",
            _WHEN,
            trace=(
                "node: begins deployimages",
                "node: send early",
                "node: begins lava-overlay",
                "node: deployimages pass",
            ),
            today="some actions do work of their own first, such as `lava-overlay`",
        ),
        Rule(
            "call-at-the-end",
            "lava-multinode-overlay makes its calls when its work is done, at the end of its run.",
            _WHEN,
            trace=(
                "node: begins lava-multinode-overlay",
                "node: send done",
                "node: lava-multinode-overlay pass",
                "node: begins test-definition",
            ),
        ),
        Rule(
            "call-before-tests",
            "The calls of multinode-test are made before any of its definitions runs.",
            _WHEN,
            trace=(
                "other: send go",
                "node: wait go pass",
                "node: begins 0_first",
                "node: begins 1_second",
            ),
        ),
        Rule(
            "call-by-every-instance",
            "Where several actions of a block have the name, each of them makes the call.",
            _WHEN,
            trace=(
                "node: begins test-overlay",
                "node: send each",
                "node: test-overlay pass",
                "node: begins test-overlay",
                "node: send each",
                "node: test-overlay pass",
            ),
        ),
        Rule(
            "retry-calls-once",
            "A retry action makes its calls once, before its first attempt.",
            _WHEN,
            exit_code=3,
            ends={"node": Ends("incomplete", "JobError", ("brought no 'ip'",))},
            trace=(
                "node: begins boot-image-retry",
                "node: send once",
                "node: begins boot-qemu-image",
                "node: begins boot-qemu-image",
                "node: boot-image-retry fail",
            ),
        ),
        Rule(
            "retried-action-calls-again",
            "An action inside a retry action makes its calls on each attempt; a sync that "
            "everybody has called then returns at once.",
            _WHEN,
            exit_code=3,
            ends={"node": Ends("incomplete", "JobError", ("brought no 'ip'",))},
            results={
                "other": {"0_meet/multinode-send-addr": "pass", "0_meet/multinode-sync-met": "pass"}
            },
            trace=(
                "node: begins expect-shell-connection",
                "node: sync met",
                "node: sync met pass",
                "node: begins expect-shell-connection",
                "node: sync met",
                "node: sync met pass",
            ),
            today="the coordinator forgets a sync that all have collected; the second call waits",
        ),
        Rule(
            "call-of-no-action",
            "A call that names no action of the block's pipeline is never made, and the run warns.",
            _WHEN,
            warnings=("warning[CB085]: deploy block 1 has no action `umount-retry`",),
            never=("node: send never",),
            today="nothing is said",
        ),
        Rule(
            "call-of-no-action-strict",
            "With --strict a call that names no action of the pipeline is an error.",
            _WHEN,
            options=("--strict",),
            exit_code=2,
            errors=(("CB085", "has no action `umount-retry`"),),
            today="nothing is said",
        ),
    ),
)

WHAT = Topic(
    "What actions can ask",
    (
        Rule(
            "calls-as-list",
            "The calls of a block are a list, of which an action may make several.",
            _CALLS,
            trace=("node: send first", "node: send second"),
            today="no order is promised between two calls of one action",
        ),
        Rule(
            "call-as-map",
            "A single call may also be written as a map.",
            _CALLS,
            warnings=("warning[CB080]",),
            trace=("node: begins lava-overlay", "node: send single"),
            today="a map fails as a bug of LAVA, though its first examples show one",
        ),
        Rule(
            "request-send",
            "lava-send of an action gives data to the nodes of other roles.",
            f"{PROTOCOLS}, sharing data between roles",
            results={"reader": {"0_read/multinode-wait-addr": "pass", "0_read/both": "pass"}},
        ),
        Rule(
            "send-fills-nothing",
            "A send is not filled in: a value that begins with $ is sent as it is written.",
            _DATA,
            results={"reader": {"0_read/multinode-wait-addr": "pass", "0_read/literal": "pass"}},
        ),
        Rule(
            "request-wait",
            "lava-wait of an action returns when any node has sent the message.",
            _CALLS,
            trace=(
                "first: send ready",
                "waiter: wait ready pass",
                "waiter: send seen",
                "second: send ready",
            ),
        ),
        Rule(
            "request-wait-all",
            "lava-wait-all of an action returns when every node has sent the message.",
            _CALLS,
            trace=(
                "waiter: send ready",
                "other: wait ready pass",
                "other: send ready",
                "waiter: wait-all ready pass",
                "waiter: begins boot-image-retry",
            ),
            today="asked before anybody has sent, it passes at once",
        ),
        Rule(
            "request-wait-all-role",
            "lava-wait-all of an action with a role returns when every node of that role has sent.",
            _CALLS,
            trace=(
                "server-1: send ready",
                "server-2: wait first pass",
                "server-2: send ready",
                "waiter: wait-all ready pass",
            ),
            never=("waiter: send ready",),
            today="it looks at the first node of the role only",
        ),
        Rule(
            "request-sync",
            "lava-sync of an action returns when every node of the group has called it.",
            _CALLS,
            trace=(
                "test: sync met",
                "action: sync met pass",
                "action: begins boot-image-retry",
            ),
            results={"test": {"0_meet/multinode-sync-met": "pass"}},
        ),
        Rule(
            "call-without-id",
            "A call has a request and a messageID.",
            _CALLS,
            exit_code=2,
            errors=(("CB082", "has no `request`"), ("CB084", "has no `messageID`")),
            today="found when the action runs",
        ),
        Rule(
            "request-unknown",
            "Actions have a part of the MultiNode API only; there is no other request.",
            _CALLS,
            exit_code=2,
            errors=(("CB083", "no request `aggregate`"), ("CB083", "no request `lava-group`")),
            today="found when the action runs",
        ),
    ),
)

DATA = Topic(
    "Data for actions",
    (
        Rule(
            "placeholder-by-key",
            "A placeholder gets the value received under the key of its entry, whatever follows $.",
            _DATA,
            log={"reader": (f"{_AS_TEXT}ipaddr=10.0.0.1",)},
        ),
        Rule(
            "placeholder-all",
            "All placeholders of a message are filled, and its other entries stay.",
            _DATA,
            log={"reader": (f"{_AS_TEXT}ip=10.0.0.1, port=80, path=/index",)},
            today="only the first placeholder that is found is kept",
        ),
        Rule(
            "placeholder-first-sender",
            "Of several senders the first node of the group counts, with a warning.",
            _DATA,
            log={
                "reader": (
                    "1 (sender), 2 (sender) sent 'ip' under addr; that of the first is taken",
                    f"{_AS_TEXT}ip=10.0.0.1",
                )
            },
            trace=("sender-2: send addr", "sender-1: send addr", "reader: wait-all addr pass"),
            today="without a warning; a key that only a later one has sent is not found",
        ),
        Rule(
            "placeholder-of-a-later-sender",
            "A key that the first sender lacks is taken from the next one that has sent it.",
            _DATA,
            log={"reader": (f"{_AS_TEXT}ip=10.0.0.2",)},
            today="only the first sender's data is looked at",
        ),
        Rule(
            "placeholder-missing",
            "A key that was not received fails the job, and the error shows what was received.",
            _DATA,
            exit_code=3,
            ends={
                "reader": Ends(
                    "incomplete",
                    "JobError",
                    ("addr brought no 'ipaddr'", "ip=10.0.0.1 from 1 (sender)"),
                )
            },
            never=("reader: begins lava-vland-overlay",),
            today="an error only if no placeholder at all was found",
        ),
        Rule(
            "wait-without-message",
            "A wait without a message just waits.",
            _DATA,
            trace=("reader: wait ready", "reader: wait ready pass", "reader: begins lava-overlay"),
            today="before March 2026 it failed",
        ),
        Rule(
            "data-is-kept",
            "What was received stays: another action can ask for the same message again.",
            _DATA,
            log={"reader": (f"{_AS_TEXT}ip=10.0.0.1", f"{_AS_TEXT}port=80")},
            trace=(
                "sender: send addr",
                "reader: starts",
                "reader: wait addr pass",
                "reader: wait addr pass",
            ),
        ),
    ),
)

LIMITS = Topic(
    "Limits of calls from actions",
    (
        Rule(
            "call-time-out",
            "A call that is not answered within its own time-out ends the job, incomplete.",
            _LIMITS,
            exit_code=3,
            ends={
                "waiter": Ends("incomplete", "MultinodeTimeout", ("lava-wait never", "within 1 s"))
            },
            trace=("waiter: wait never fail", "waiter: begins finalize"),
            never=("waiter: begins lava-vland-overlay", "waiter: begins boot-image-retry"),
        ),
        Rule(
            "call-time-out-not-retried",
            "A call that was not answered in time is not tried again by a retry action.",
            _LIMITS,
            exit_code=3,
            ends={"waiter": Ends("incomplete", "MultinodeTimeout", ("within 1 s",))},
            trace=("waiter: begins expect-shell-connection", "waiter: wait never fail"),
        ),
        Rule(
            "action-time-out-first",
            "The action's time-out runs during a call; if it is the shorter one, it comes first.",
            _LIMITS,
            exit_code=3,
            ends={
                "waiter": Ends("incomplete", "JobError", ("lava-overlay did not end within 1 s",))
            },
            under_s=10,
        ),
        Rule(
            "call-of-the-ended",
            "A call ends at once when the nodes that it needs have ended.",
            "MultiNode, when a job of the group fails",
            exit_code=3,
            ends={
                "waiter": Ends(
                    "incomplete", "MultinodeTimeout", ("can never be satisfied: 1 (short) ended",)
                )
            },
            under_s=10,
            today="it runs into its time-out",
        ),
    ),
)
