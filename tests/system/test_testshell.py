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
    error = ran.jobs("a")[0]["error"]
    assert error["type"] == "TestError"
    assert error["message"] == ("the installation for 1_bad failed: install.sh ended with status 3")
    assert "<LAVA_TEST_RUNNER INSTALL_FAIL>" in ran.console("a")
    lava = {each["case"]: each["result"] for each in ran.jobs("a")[0]["results"]}
    assert lava["stage_0"] == "fail"
    summary = callboard.start("report", str(ran.directory)).communicate(timeout=30)[0]
    assert summary.count("the installation for 1_bad failed") == 1
    assert "stage_0 failed" not in summary


def edited(text: str, **repository: object) -> str:
    """The definition with more in the repository of its first test."""
    data = yaml.safe_load(text)
    [block, *_] = [each["test"] for each in data["actions"] if "test" in each]
    block["definitions"][0]["repository"] |= repository
    return yaml.safe_dump(data)


INSTALL = {
    "keys": ["/nowhere/key"],
    "sources": ["no source"],
    "deps": ["callboard-nothing"],
    "steps": ["exit 1"],
}
"""Each part of it fails."""


def skipping(parts: list[str], install: dict[str, list[str]]) -> str:
    text = edited(
        definition({"a": [Test("t", ["lava-test-case x --result pass"])], "b": []}),
        install=install,
    )
    data = yaml.safe_load(text)
    [block] = [each["test"] for each in data["actions"] if "test" in each]
    block["definitions"][0]["skip_install"] = parts
    return yaml.safe_dump(data)


@pytest.mark.parametrize("parts", [[each] for each in INSTALL] + [["all"]])
def test_each_part_of_an_installation_can_be_skipped(
    callboard: Callboard, parts: list[str]
) -> None:
    install = INSTALL if parts == ["all"] else {parts[0]: INSTALL[parts[0]]}
    ran = callboard.run(skipping(parts, install))
    assert (ran.exit_code, ran.results("a")) == (0, {"0_t/x": "pass"})


@pytest.mark.parametrize("os_name", ["debian", "debian_installer"])
def test_packages_that_are_there_are_no_work_and_those_of_other_systems_nobodys(
    callboard: Callboard, os_name: str
) -> None:
    deps = {"deps": ["dash"], "deps-debian": ["bash"], "deps-fedora": ["callboard-nothing"]}
    text = definition({"a": [Test("t", ["cat install.sh"])], "b": []}, os_name=os_name)
    ran = callboard.run(edited(text, install=deps))
    assert ran.exit_code == 0
    assert "lava-install-packages 'dash' 'bash' || exit" in ran.console("a")


def test_the_last_of_a_parameters_values_wins_in_both_scripts(callboard: Callboard) -> None:
    show = 'echo "$0: [$A] [$B] [$C] [$D] [$EMPTY]" | sed "s,.*/,,"'
    text = definition({"a": [Test("t", [show], install=[show])], "b": []})
    values = dict.fromkeys("ABCD", "params") | {"EMPTY": None, "A": 'it\'s\n"$HOME"'}
    text = edited(text, params=values, parameters=dict.fromkeys("BCD", "parameters"))
    data = yaml.safe_load(text)
    [block] = [each["test"] for each in data["actions"] if "test" in each]
    block["definitions"][0] |= {
        "parameters": {"C": "job parameters", "D": "job parameters"},
        "params": {"D": "job params"},
    }
    ran = callboard.run(yaml.safe_dump(data))
    assert ran.exit_code == 0
    console = "\n".join(ran.console("a"))
    for script in ("install.sh", "run.sh"):
        shown = '[it\'s\n"$HOME"] [parameters] [job parameters] [job params] []'
        assert f"{script}: {shown}" in console


def test_awk_in_an_evaluated_step_reads_the_fields_of_its_lines(callboard: Callboard) -> None:
    steps = [
        'lava-test-case fields --shell "test b = \\"\\$(echo a b | awk \'{print $2}\')\\""',
        "lava-test-case name --shell grep -q 'name: t' testdef_metadata",
    ]
    ran = callboard.run(definition({"a": [Test("t", steps)], "b": []}))
    assert ran.results("a") == {"0_t/fields": "pass", "0_t/name": "pass"}


def test_an_environment_of_lists_and_maps_is_flattened(callboard: Callboard) -> None:
    text = definition({"a": [Test("t", ["env | grep ^NET"])], "b": []})
    data = yaml.safe_load(text)
    data["protocols"]["lava-multinode"]["roles"]["a"]["environment"] = {
        "NET": {"up": True, "down": False, "ports": [22, 80], "name": ""}
    }
    ran = callboard.run(yaml.safe_dump(data))
    assert ran.exit_code == 0
    shown = sorted(line for line in ran.console("a") if line.startswith("NET"))
    assert shown == ["NET_down=0", "NET_name=", "NET_ports_0=22", "NET_ports_1=80", "NET_up=1"]


def test_a_definitions_own_expected_cases_count_if_the_job_names_none(
    callboard: Callboard,
) -> None:
    text = definition({"a": [Test("t", ["lava-test-case one --result pass"])], "b": []})
    ran = callboard.run(edited(text, expected=["one", "two"]))
    assert ran.exit_code == 1
    assert ran.results("a") == {"0_t/one": "pass", "0_t/two": "fail"}


def test_a_result_outside_of_a_definition_ends_the_test(callboard: Callboard) -> None:
    early = "echo '<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=x RESULT=pass>'"
    ran = callboard.run(definition({"a": [Test("t", ["true"], install=[early])], "b": []}))
    assert ran.exit_code == 3
    assert "while no definition was running" in ran.jobs("a")[0]["error"]["message"]


@pytest.mark.parametrize("options", [[], ["--no-sandbox"]])
def test_signals_through_the_kernel_log_are_results(
    callboard: Callboard, options: list[str]
) -> None:
    text = definition({"a": [Test("t", ["lava-test-case x --shell true", "lava-sync s"])]})
    data = yaml.safe_load(text)
    [block] = [each["test"] for each in data["actions"] if "test" in each]
    block["definitions"][0]["lava-signal"] = "kmsg"
    ran = callboard.run(yaml.safe_dump(data), *options)
    assert ran.exit_code == 0
    assert ran.results("a") == {"0_t/x": "pass", "0_t/multinode-sync-s": "pass"}
    assert "<0><LAVA_SIGNAL_TESTCASE TEST_CASE_ID=x RESULT=pass>" in ran.console("a")


def spaces(*tests: tuple[str, str | None, list[str]]) -> str:
    """Two namespaces, each deployed and booted; tests by namespace and that of the connection."""
    data = yaml.safe_load(definition({"a": [Test("t", ["true"])]}))
    deploy, boot, test = data["actions"]
    actions = []
    for space in ("one", "two"):
        for block in (deploy, boot):
            [(kind, content)] = block.items()
            actions.append({kind: content | {"namespace": space}})
    for number, (space, connection, steps) in enumerate(tests):
        [source] = test["test"]["definitions"]
        repository = source["repository"] | {"run": {"steps": steps}}
        more = {"connection-namespace": connection} if connection else {}
        block = test["test"] | {"namespace": space} | more
        block["definitions"] = [source | {"name": f"t{number}", "repository": repository}]
        actions.append({"test": block})
    return yaml.safe_dump(data | {"actions": actions})


def test_each_namespace_has_an_overlay_a_shell_and_a_count_of_its_own(
    callboard: Callboard,
) -> None:
    fine = "lava-test-case x --result pass"
    text = spaces(
        ("one", None, [fine, "tty > ../../../../tty-one"]),
        ("two", None, [fine]),
        ("one", None, [fine]),
        ("two", "one", [fine, 'echo "on $(tty)"', "echo one is $(cat ../../../../tty-one)"]),
    )
    text = text.replace("../../../../tty-one", "$TMPDIR/tty-one")
    ran = callboard.run(text)
    assert ran.exit_code == 0
    suites = ("0_t0", "0_t1", "1_t2", "1_t3")
    assert ran.results("a") == {f"{suite}/x": "pass" for suite in suites}
    assert ran.suites("a") == dict.fromkeys(suites, "pass")
    console = ran.console("a")
    [own] = [line.removeprefix("on ") for line in console if line.startswith("on /")]
    assert f"one is {own}" in console


def test_what_another_namespace_prints_during_a_test_is_feedback(callboard: Callboard) -> None:
    late = "read go < $TMPDIR/go; echo from two; echo > $TMPDIR/said"
    text = spaces(
        ("two", None, ["mkfifo $TMPDIR/go $TMPDIR/said", f"(set +x; {late}) &"]),
        (
            "one",
            None,
            [
                "echo > $TMPDIR/go; read said < $TMPDIR/said",
                "lava-test-feedback --namespace two",
                "lava-test-feedback --namespace three",
                "lava-test-case x --result pass",
            ],
        ),
    )
    ran = callboard.run(text)
    assert ran.exit_code == 0
    [job] = ran.jobs("a")
    log = yaml.safe_load((ran.directory / f"jobs/{job['id']}/output.yaml").read_text())
    feedback = [(each["ns"], each["msg"]) for each in log if each["lvl"] == "feedback"]
    said = [each for each in feedback if not each[1].startswith("+")]  # the shell's trace is late
    assert said == [("two", "from two")]
    assert any("no connection in namespace 'three'" in str(each["msg"]) for each in log)


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
