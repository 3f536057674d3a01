"""The flows that LAVA documents for MultiNode, with the results that LAVA gives."""

from importlib.resources import as_file

import pytest
from tests.system.harness import Callboard, Test, definition

from callboard.scenarios import scenario

BOOK = "${LAVA_MULTI_NODE_CACHE:-/tmp/lava_multi_node_cache.txt}"

EXPECTED: dict[str, dict[str, dict[str, str]]] = {
    "demo": {
        "server": {
            "0_serve/page": "pass",
            "0_serve/multinode-send-ready": "pass",
            "0_serve/multinode-wait_all-fetched": "pass",
            "0_serve/clients": "pass",
            "0_serve/multinode-sync-done": "pass",
        },
        "client": {
            "0_fetch/multinode-wait-ready": "pass",
            "0_fetch/greeting": "pass",
            "0_fetch/multinode-send-fetched": "pass",
            "0_fetch/multinode-sync-done": "pass",
        },
    },
    "two-roles": {
        "server": {
            "0_serve/multinode-send-ready": "pass",
            "0_serve/multinode-sync-done": "pass",
        },
        "client": {
            "0_use/multinode-wait-ready": "pass",
            "0_use/multinode-sync-done": "pass",
        },
    },
    "send-wait": {
        "first": {
            "0_send/multinode-send-address": "pass",
            "0_send/multinode-sync-sent": "pass",
        },
        "second": {
            "0_send/multinode-wait-address": "pass",
            "0_send/multinode-send-address": "pass",
            "0_send/multinode-sync-sent": "pass",
        },
        "reader": {
            "0_read/multinode-sync-sent": "pass",
            "0_read/multinode-wait-address": "pass",
            "0_read/values": "pass",
            "0_read/again": "pass",
        },
    },
    "wait-all": {
        "board": {
            "0_exchange/multinode-send-address": "pass",
            "0_exchange/multinode-wait_all-address": "pass",
            "0_exchange/senders": "pass",
        }
    },
    "wait-all-role": {
        "server": {
            "0_serve/multinode-send-ready": "pass",
            "0_serve/multinode-sync-done": "pass",
        },
        "client": {
            "0_use/multinode-wait_all-ready": "pass",
            "0_use/servers": "pass",
            "0_use/multinode-sync-done": "pass",
        },
    },
    "sync": {
        "board": {
            "0_barrier/multinode-sync-one": "pass",
            "0_barrier/multinode-sync-two": "pass",
            "0_barrier/multinode-sync-three": "pass",
            "0_barrier/no-data": "pass",
        }
    },
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_scenario_gives_the_results_that_lava_gives(callboard: Callboard, name: str) -> None:
    with as_file(scenario(name)) as path:
        ran = callboard.run(path)
    assert (ran.exit_code, ran.document["status"]) == (0, "complete")
    for job in ran.document["jobs"]:
        number = ran.jobs(job["role"]).index(job)
        assert ran.results(job["role"], number) == EXPECTED[name][job["role"]]
        assert set(ran.suites(job["role"], number).values()) == {"pass"}
        assert (job["health"], job["error"]) == ("complete", None)
    assert {job["role"] for job in ran.document["jobs"]} == set(EXPECTED[name])


def test_a_wait_all_for_a_silent_node_fails_and_the_next_definition_runs(
    callboard: Callboard,
) -> None:
    with as_file(scenario("missing-sender")) as path:
        ran = callboard.run(path)
    assert (ran.exit_code, ran.document["status"]) == (1, "complete")
    assert ran.results("talker") == {
        "0_wait/multinode-send-hello": "pass",
        "0_wait/multinode-wait_all-hello": "fail",
        "1_after/alive": "pass",
    }
    assert ran.suites("talker") == {"0_wait": "fail", "1_after": "pass"}
    silent = ran.jobs("silent")[0]["id"]
    assert f"hello can never be satisfied: {silent} (silent) ended without it" in "\n".join(
        (ran.directory / f"jobs/{ran.jobs('talker')[0]['id']}/output.yaml").read_text().splitlines()
    )


def test_a_definition_without_roles_is_a_group_of_one(callboard: Callboard) -> None:
    with as_file(scenario("single")) as path:
        ran = callboard.run(path)
    assert ran.exit_code == 0
    [job] = ran.document["jobs"]
    assert job["role"] is None
    assert [each["case"] for each in job["results"] if each["suite"] == "0_smoke"] == ["kernel"]


@pytest.mark.parametrize("nodes", [50, pytest.param(200, marks=pytest.mark.long)])
def test_many_nodes_meet_in_a_sync_and_read_each_other_in_a_wait_all(
    callboard: Callboard, nodes: int
) -> None:
    steps = [
        'lava-send hello "number=$(lava-self)"',
        "lava-wait-all hello",
        f'lava-test-case all --shell test "$(grep -c number= "{BOOK}")" = {nodes}',
        "lava-sync met",
    ]
    ran = callboard.run(definition({"node": [Test("meet", steps)]}, counts={"node": nodes}))
    assert ran.exit_code == 0
    for number in range(nodes):
        assert ran.results("node", number) == {
            "0_meet/multinode-send-hello": "pass",
            "0_meet/multinode-wait_all-hello": "pass",
            "0_meet/all": "pass",
            "0_meet/multinode-sync-met": "pass",
        }


HARD_VALUES = {
    "spaces": "two  words and   more",
    "equals": "a=b=c",
    "quotes": """it's "quoted" `so` """.strip(),
    "unicode": "Grüße, 世界 🛰",
    "time": "at 12:30 1200:ip=1",
    "empty": "",
    "backslash": r"C:\new\0101",
    "dollar": "$HOME ${x} $(echo no)",
    "long": "x" * 10_000,
}


def test_data_arrives_as_it_was_sent(callboard: Callboard) -> None:
    def quoted(value: str) -> str:
        return "'" + value.replace("'", "'\\''") + "'"

    pairs = " ".join(f"{key}={quoted(value)}" for key, value in HARD_VALUES.items())
    ran = callboard.run(
        definition(
            {
                "sender": [Test("send", [f"lava-send data {pairs}", "lava-sync end"])],
                "reader": [Test("read", ["lava-wait data", f'cat "{BOOK}"', "lava-sync end"])],
            }
        )
    )
    assert ran.exit_code == 0
    sender = ran.jobs("sender")[0]["id"]
    console = ran.console("reader")
    for key, value in HARD_VALUES.items():
        assert f"{sender}:{key}={value}" in console


def test_three_hundred_data_lines_come_through_a_terminal(callboard: Callboard) -> None:
    pairs = " ".join(f"key{number}='value {number} ü'" for number in range(100))
    steps = [f"lava-send data {pairs}", "lava-wait-all data", f'sort "{BOOK}" > all', "wc -l < all"]
    steps += [
        'lava-test-case lines --result pass --measurement "$(grep -c . all)"',
        "grep -c '^[0-9]*:key[0-9]*=value [0-9]* ü$' all > whole",
        'lava-test-case whole --shell test 300 = "$(cat whole)"',
    ]
    ran = callboard.run(definition({"node": [Test("many", steps)]}, counts={"node": 3}))
    assert ran.exit_code == 0
    for number in range(3):
        [lines] = [each for each in ran.jobs("node")[number]["results"] if each["case"] == "lines"]
        assert lines["measurement"] == 300
        assert ran.results("node", number)["0_many/whole"] == "pass"


def test_the_cache_file_is_removed_by_waits_and_kept_by_sends(callboard: Callboard) -> None:
    steps = [
        "lava-send data k=v",
        "lava-wait data",
        "lava-send other k=v",
        f'lava-test-case kept --shell test -s "{BOOK}"',
        "lava-send empty",
        "lava-wait empty",
        f'lava-test-case gone --shell test ! -e "{BOOK}"',
        "lava-wait-all data",
        f'lava-test-case back --shell grep -qx "[0-9]*:k=v" "{BOOK}"',
        "lava-sync done",
        f'lava-test-case synced --shell test ! -e "{BOOK}"',
    ]
    ran = callboard.run(definition({"a": [Test("t", steps)], "b": [Test("t", steps)]}))
    assert ran.exit_code == 0
    cases = {f"0_t/{case}": "pass" for case in ("kept", "gone", "back", "synced")}
    assert cases.items() <= ran.results("a").items()
    assert cases.items() <= ran.results("b").items()


def test_a_failing_call_ends_its_definition_with_a_message(callboard: Callboard) -> None:
    steps = ["lava-wait never || echo status=$?", "lava-wait-all x nobody", "echo not reached"]
    ran = callboard.run(definition({"a": [Test("t", steps)], "b": []}, limit_s=1))
    assert ran.exit_code == 1
    assert ran.results("a") == {
        "0_t/multinode-wait-never": "fail",
        "0_t/multinode-wait_all-x": "fail",
    }
    console = "\n".join(ran.console("a"))
    assert "status=1" in console
    assert "not reached" not in console
    assert "no node of this group has the role 'nobody'" in console


def test_helpers_know_the_group(callboard: Callboard) -> None:
    steps = [
        "echo self=$(lava-self) role=$(lava-role)",
        "lava-group",
        "lava-role list",
        "echo clients=$(lava-group client | tr '\\n' ,)",
    ]
    ran = callboard.run(
        definition(
            {"server": [Test("ask", steps)], "client": []}, counts={"server": 1, "client": 2}
        ),
        "--first-id",
        "1200",
    )
    assert ran.exit_code == 0
    console = ran.console("server")
    assert "self=1200 role=server" in console
    assert [line for line in console if line.startswith("120")] == [
        "1200\tserver",
        "1201\tclient",
        "1202\tclient",
    ]
    assert console.count("client") == 2
    assert "clients=1201,1202" in [line.rstrip(",") for line in console]


def test_calls_of_a_background_process_do_not_disturb_the_others(callboard: Callboard) -> None:
    steps = ["(for n in 1 2 3 4 5; do lava-send bg n=$n; done) &", "lava-sync a", "wait"]
    ran = callboard.run(definition({"node": [Test("t", steps)]}, counts={"node": 2}))
    assert ran.exit_code == 0
    for number in range(2):
        assert ran.suites("node", number) == {"0_t": "pass"}
        assert ran.results("node", number) == {
            "0_t/multinode-send-bg": "pass",
            "0_t/multinode-sync-a": "pass",
        }
