"""Rules about the helpers that test definitions call."""

from tests.conformance.rule import API, Rule, Topic

_NOT_SENT = "lava-wait-all ready was not satisfied within 1 s"

SHELL = Topic(
    "The MultiNode API in test definitions",
    (
        Rule(
            "send-never-blocks",
            "lava-send returns at once, whether anybody waits for the message or not.",
            f"{API}, lava-send",
            results={"sender": {"0_send/multinode-send-unheard": "pass", "0_send/after": "pass"}},
            trace=(
                "sender: 0_send/after pass",
                "sender: send lava_start",
                "reader: starts",
                "reader: wait unheard pass",
            ),
        ),
        Rule(
            "send-data",
            "lava-send takes any number of key=value pairs, and a value may hold spaces.",
            f"{API}, lava-send",
            results={
                "reader": {
                    "0_read/multinode-wait-addr": "pass",
                    "0_read/two": "pass",
                    "0_read/spaces": "pass",
                }
            },
        ),
        Rule(
            "wait-for-any",
            "lava-wait returns as soon as any node of the group has sent the message.",
            f"{API}, lava-wait",
            trace=(
                "first: send ready",
                "reader: wait ready pass",
                "reader: send seen",
                "second: send ready",
            ),
        ),
        Rule(
            "wait-for-own",
            "A node's own message satisfies its lava-wait.",
            f"{API}, lava-wait",
            results={
                "node": {"0_own/multinode-send-mine": "pass", "0_own/multinode-wait-mine": "pass"}
            },
        ),
        Rule(
            "data-persists",
            "A message is kept as long as the group lives; later waits bring all data sent so far.",
            f"{API}, lava-send",
            results={
                "reader": {
                    "0_read/multinode-wait-addr": "pass",
                    "0_read/first-only": "pass",
                    "0_read/multinode-send-more": "pass",
                    "0_read/multinode-wait-sent": "pass",
                    "0_read/again": "pass",
                    "0_read/both": "pass",
                }
            },
        ),
        Rule(
            "cache-file",
            "What was received is in the cache file, one line a datum after its sender's job id, "
            "and is replaced by the next call that waits.",
            f"{API}, cache file",
            printed={"reader": ("1:ip=10.0.0.1", "1:name=the first")},
            results={
                "reader": {
                    "0_read/multinode-wait-addr": "pass",
                    "0_read/multinode-wait-empty": "pass",
                    "0_read/replaced": "pass",
                }
            },
            today="its documentation shows lines without the job id for lava-wait",
        ),
        Rule(
            "wait-all",
            "lava-wait-all returns when all nodes of the group have sent the message.",
            f"{API}, lava-wait-all",
            trace=(
                "first: send ready",
                "second: wait go pass",
                "second: send ready",
                "first: wait-all ready pass",
            ),
            results={
                "first": {
                    "0_all/multinode-send-ready": "pass",
                    "0_all/multinode-send-go": "pass",
                    "0_all/multinode-wait_all-ready": "pass",
                    "0_all/both": "pass",
                }
            },
        ),
        Rule(
            "wait-all-includes-caller",
            "lava-wait-all waits for the node itself, too: who doesn't send waits in vain.",
            f"{API}, lava-wait-all",
            exit_code=1,
            results={
                "caller": {"0_all/multinode-wait_all-ready": "fail"},
            },
            printed={"caller": (f"lava-wait-all: {_NOT_SENT}: 1 (caller) did not send it",)},
            today="the time-out ends the test action, and the node gets no answer",
        ),
        Rule(
            "wait-all-role",
            "lava-wait-all with a role returns when all nodes of that role have sent; the caller "
            "need not.",
            f"{API}, lava-wait-all",
            trace=(
                "server-1: send ready",
                "server-2: wait first pass",
                "server-2: send ready",
                "client: wait-all ready pass",
            ),
            never=("client: send ready",),
            results={"client": {"0_use/multinode-wait_all-ready": "pass", "0_use/both": "pass"}},
            today="the first node of the role is enough",
        ),
        Rule(
            "wait-all-role-data",
            "lava-wait-all with a role may bring what nodes of other roles have sent.",
            f"{API}, lava-wait-all",
            results={
                "client": {
                    "0_use/multinode-send-ready": "pass",
                    "0_use/multinode-wait_all-ready": "pass",
                    "0_use/both": "pass",
                }
            },
        ),
        Rule(
            "sync",
            "lava-sync returns when all nodes of the group have called it.",
            f"{API}, lava-sync",
            trace=(
                "first: send go",
                "second: wait go pass",
                "second: sync met",
                "first: sync met pass",
            ),
            results={
                "first": {"0_meet/multinode-send-go": "pass", "0_meet/multinode-sync-met": "pass"},
                "second": {"0_meet/multinode-wait-go": "pass", "0_meet/multinode-sync-met": "pass"},
            },
        ),
        Rule(
            "sync-again",
            "A lava-sync that the group has passed returns at once when it is called again.",
            f"{API}, lava-sync",
            results={
                "first": {
                    "0_meet/multinode-sync-met": "pass",
                    "1_again/multinode-sync-met": "pass",
                }
            },
            trace=(
                "first: sync met",
                "first: sync met pass",
                "first: sync met",
                "first: sync met pass",
            ),
            today="once all have collected it, it waits for the whole group again",
        ),
        Rule(
            "sync-fails-for-all",
            "If one node never calls a lava-sync it fails for all the others.",
            f"{API}, lava-sync",
            exit_code=1,
            results={
                "first": {"0_meet/multinode-sync-met": "fail"},
                "second": {"0_meet/multinode-sync-met": "fail"},
                "absent": {"0_go/alone": "pass"},
            },
            under_s=10,
            today="each waits until its limit",
        ),
        Rule(
            "failed-call-status",
            "A call that fails returns a status other than zero, and its case fails.",
            f"{API}, failing calls",
            exit_code=1,
            results={
                "node": {
                    "0_wait/multinode-wait-never": "fail",
                    "0_wait/status": "pass",
                    "lava/0_wait": "pass",
                }
            },
            today="the status is 0, and after a time-out the helper never returns",
        ),
        Rule(
            "failed-call-ends-definition",
            "After a call that fails the definition ends, and the next one runs.",
            f"{API}, failing calls",
            exit_code=1,
            results={
                "node": {
                    "0_wait/multinode-wait-never": "fail",
                    "1_next/alive": "pass",
                    "lava/0_wait": "fail",
                    "lava/1_next": "pass",
                }
            },
            never=("node: 0_wait/not-reached pass",),
            today="the other definitions of the block don't run",
        ),
        Rule(
            "call-limit",
            "The timeout of the group limits every call that waits.",
            f"{API}, time-outs",
            exit_code=1,
            results={"node": {"0_wait/multinode-wait-never": "fail"}},
            printed={"node": ("lava-wait: lava-wait never was not satisfied within 1 s",)},
        ),
        Rule(
            "call-limit-of-role",
            "The timeout of a role limits the calls of its nodes.",
            f"{API}, time-outs",
            exit_code=1,
            results={"node": {"0_wait/multinode-wait-never": "fail"}},
            printed={"node": ("lava-wait: lava-wait never was not satisfied within 1 s",)},
            warnings=("warning[CB064]",),
            today="a timeout of the group replaces that of the role",
        ),
        Rule(
            "case-names",
            "Each call is a test case: multinode-, the call, and the message ID in small letters.",
            f"{API}, results",
            results={
                "node": {
                    "0_all/multinode-send-ready": "pass",
                    "0_all/multinode-wait-ready": "pass",
                    "0_all/multinode-wait_all-ready": "pass",
                    "0_all/multinode-sync-met": "pass",
                }
            },
        ),
        Rule(
            "lava-self",
            "lava-self prints the id of the node's own job.",
            f"{API}, lava-self",
            results={"first": {"0_who/self": "pass"}, "second": {"0_who/self": "pass"}},
            printed={"first": ("I am 1.",), "second": ("I am 2.",)},
        ),
        Rule(
            "lava-role",
            "lava-role prints the node's own role, and with list the role of every node.",
            f"{API}, lava-role",
            results={"client": {"0_who/own": "pass", "0_who/all": "pass"}},
        ),
        Rule(
            "lava-group",
            "lava-group prints the job id and the role of every node of the group.",
            f"{API}, lava-group",
            printed={"server": ("1\tserver", "2\tclient", "3\tclient")},
        ),
        Rule(
            "lava-group-role",
            "lava-group with a role prints the job ids of that role, and fails if there are none.",
            f"{API}, lava-group",
            results={"server": {"0_who/clients": "pass", "0_who/nobody": "pass"}},
        ),
        Rule(
            "waits-in-a-circle",
            "Nodes that wait for each other's messages don't go on; the calls fail.",
            f"{API}, lava-wait",
            options=("--deadlock-grace", "0.3"),
            exit_code=1,
            results={
                "left": {"0_wait/multinode-wait-right": "fail"},
                "right": {"0_wait/multinode-wait-left": "fail"},
            },
            under_s=10,
            today="each waits until its limit",
        ),
    ),
)
