"""What happens in a node's shell: test cases, failing steps, installation, parameters, secrets."""

import pytest
import yaml
from tests.system.harness import Callboard, Test, definition

FORMS = {
    "lava-test-case line --shell 'true && false || true'": ("line", "pass", None, None),
    "lava-test-case words --shell test 'a b' = 'a b'": ("words", "pass", None, None),
    "lava-test-case failing --shell false": ("failing", "fail", None, None),
    "lava-test-case passed --result pass": ("passed", "pass", None, None),
    "lava-test-case failed --result fail": ("failed", "fail", None, None),
    "lava-test-case skipped --result skip": ("skipped", "skip", None, None),
    "lava-test-case unsure --result unknown": ("unsure", "unknown", None, None),
    "lava-test-case speed --result pass --measurement 4.25 --units MB/s": (
        "speed",
        "pass",
        4.25,
        "MB/s",
    ),
    "lava-test-case count --units nodes --measurement 3 --result pass": (
        "count",
        "pass",
        3.0,
        "nodes",
    ),
    "echo from a file > out; lava-test-case file --result pass --output out": (
        "file",
        "pass",
        None,
        None,
    ),
}


@pytest.mark.parametrize("os_name", ["debian", "oe"])
def test_every_form_of_a_test_case(callboard: Callboard, os_name: str) -> None:
    ran = callboard.run(definition({"a": [Test("forms", list(FORMS))], "b": []}, os_name=os_name))
    assert ran.exit_code == 1  # two of the cases are meant to fail
    found = [
        (each["case"], each["result"], each["measurement"], each["units"])
        for each in ran.jobs("a")[0]["results"]
        if each["suite"] == "0_forms"
    ]
    assert found == list(FORMS.values())
    assert "from a file" in ran.console("a")
    assert ran.suites("a") == {"0_forms": "pass"}


def test_sets_references_and_events_are_recorded(callboard: Callboard) -> None:
    steps = [
        "lava-test-set start first",
        "lava-test-case inside --result pass",
        "lava-test-set stop",
        "lava-test-case outside --result pass",
        "lava-test-reference page --result pass --reference https://files.example/page",
        "lava-test-event half way there",
    ]
    ran = callboard.run(definition({"a": [Test("t", steps)], "b": []}))
    assert ran.exit_code == 0
    sets = {each["case"]: each["set"] for each in ran.jobs("a")[0]["results"]}
    assert (sets["inside"], sets["outside"]) == ("first", None)
    log = (ran.directory / f"jobs/{ran.jobs('a')[0]['id']}/output.yaml").read_text()
    assert '"lvl": "event", "msg": "half way there"' in log
    assert "https://files.example/page" in log


def test_a_failing_step_ends_its_definition_only(callboard: Callboard) -> None:
    tests = [
        Test("breaks", ["lava-test-case one --result pass", "false", "echo not reached"]),
        Test("goes-on", ["lava-test-case two --result pass"]),
    ]
    ran = callboard.run(definition({"a": tests, "b": []}))
    assert (ran.exit_code, ran.document["status"]) == (1, "complete")
    assert ran.results("a") == {"0_breaks/one": "pass", "1_goes-on/two": "pass"}
    assert ran.suites("a") == {"0_breaks": "fail", "1_goes-on": "pass"}
    assert "not reached" not in ran.console("a")


def test_a_raised_test_makes_its_job_incomplete_and_the_others_go_on(callboard: Callboard) -> None:
    ran = callboard.run(
        definition(
            {
                "a": [Test("t", ["lava-test-raise no board found", "echo not reached"])],
                "b": [Test("t", ["lava-test-case fine --result pass"])],
            }
        )
    )
    assert (ran.exit_code, ran.document["status"]) == (3, "incomplete")
    error = ran.jobs("a")[0]["error"]
    assert (error["type"], error["message"]) == ("TestError", "no board found")
    assert error["action"].endswith(" multinode-test")
    assert ran.jobs("b")[0]["health"] == "complete"
    assert ran.results("b") == {"0_t/fine": "pass"}


def test_install_steps_run_first_and_a_failing_one_skips_its_definition(
    callboard: Callboard,
) -> None:
    good = Test("good", ["lava-test-case installed --shell test -e mark"], ["touch mark"])
    bad = Test("bad", ["lava-test-case never --result pass"], ["exit 3"])
    after = Test("after", ["lava-test-case alive --result pass"])
    ran = callboard.run(definition({"a": [good, bad, after], "b": []}))
    assert (ran.exit_code, ran.document["status"]) == (3, "incomplete")
    assert ran.results("a") == {"0_good/installed": "pass", "2_after/alive": "pass"}
    assert ran.jobs("a")[0]["error"]["type"] == "TestError"


def test_parameters_and_environment_reach_the_steps(callboard: Callboard) -> None:
    steps = ['echo "[$GREETING] [$COLOUR]"', 'echo "id=$LAVA_JOB_ID"']
    text = definition(
        {"a": [Test("t", steps, parameters={"GREETING": 'it\'s "me" $HOME'})], "b": []}
    )
    data = yaml.safe_load(text)
    data["protocols"]["lava-multinode"]["roles"]["a"]["environment"] = {"COLOUR": "light blue"}
    ran = callboard.run(yaml.safe_dump(data), "--first-id", "70")
    assert ran.exit_code == 0
    assert '[it\'s "me" $HOME] [light blue]' in ran.console("a")
    assert "id=70" in ran.console("a")


def test_secrets_reach_the_node_and_no_log(callboard: Callboard) -> None:
    secret = "opensesame 4711"
    steps = [
        'secrets="$(dirname "$(dirname "$(command -v lava-self)")")/secrets"',
        'lava-test-case known --shell grep -q TOKEN=open "$secrets"',
        'cat "$secrets"',
        'lava-send data "key=$(cut -d= -f2 "$secrets")"',
        "lava-wait data",
    ]
    ran = callboard.run(definition({"a": [Test("t", steps)], "b": []}, secrets={"TOKEN": secret}))
    assert ran.exit_code == 0
    assert ran.results("a")["0_t/known"] == "pass"
    for path in ran.directory.rglob("*"):
        if path.is_file():
            content = path.read_text()
            assert "sesame" not in content, path
    assert "[MASKED]" in (ran.directory / "events.jsonl").read_text()


def test_two_test_blocks_of_a_role_are_two_stages_in_one_count(callboard: Callboard) -> None:
    data = yaml.safe_load(
        definition({"a": [Test("one", ["lava-test-case x --result pass"])], "b": []})
    )
    [block] = [each for each in data["actions"] if "test" in each]
    second = yaml.safe_load(yaml.safe_dump(block))
    second["test"]["definitions"][0]["name"] = "two"
    data["actions"].append(second)
    ran = callboard.run(yaml.safe_dump(data))
    assert ran.exit_code == 0
    assert ran.results("a") == {"0_one/x": "pass", "1_two/x": "pass"}


def test_what_the_node_cannot_do_is_skipped_with_a_reason(callboard: Callboard) -> None:
    ran = callboard.run(definition({"a": [Test("t", ["true"])], "b": []}))
    assert ran.exit_code == 0
    skipped = {
        each["case"]
        for each in ran.jobs("a")[0]["results"]
        if each["suite"] == "lava" and each["result"] == "skip"
    }
    assert "execute-qemu" in skipped
    strict = callboard.run(callboard.folder / "group.yaml", "--strict", "-o", "other")
    assert strict.exit_code == 2
    assert "execute-qemu would be skipped" in "".join(
        each["message"] for each in strict.document["diagnostics"]
    )


def test_expected_cases_are_reported_and_no_others(callboard: Callboard) -> None:
    steps = [f"lava-test-case {case} --result pass" for case in ("one", "extra")]
    data = yaml.safe_load(definition({"a": [Test("t", steps)], "b": []}))
    [block] = [each["test"] for each in data["actions"] if "test" in each]
    block["definitions"][0]["expected"] = ["one", "two"]
    ran = callboard.run(yaml.safe_dump(data))
    assert ran.exit_code == 1
    assert ran.results("a") == {"0_t/one": "pass", "0_t/extra": "fail", "0_t/two": "fail"}
    assert ran.suites("a") == {"0_t": "pass"}
