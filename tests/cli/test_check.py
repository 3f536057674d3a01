"""`callboard check` and the check before a run, as a user meets them."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.commandline import CALLBOARD, SCENARIOS, callboard, document
from tests.verdicts import DEFINITIONS, expected, runnable, verdicts

from callboard.report import schema

HEAD = """\
job_name: group
visibility: public
timeouts: {job: {minutes: 10}, action: {minutes: 5}}
protocols:
  lava-multinode:
    roles:
      server: {device_type: qemu, count: 1}
      client: {device_type: qemu, count: 2}
    timeout: {seconds: 20}
actions:
- deploy: {role: [server, client], to: tmpfs, os: debian}
- boot: {role: [server, client], method: qemu, prompts: ['#']}
"""
TEST = """\
- test:
    role: [ROLE]
    definitions:
    - from: inline
      name: ROLE
      path: t.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: t}
        run:
          steps:
"""


def group(server: list[str], client: list[str]) -> str:
    """A definition in which the roles run these steps."""
    text = HEAD
    for role, steps in (("server", server), ("client", client)):
        lines = "".join(f"          - {json.dumps(step)}\n" for step in steps)
        text += TEST.replace("ROLE", role) + lines
    return text


GOOD = group(["lava-send ready", "lava-sync done"], ["lava-wait ready", "lava-sync done"])
MISSPELT = group(["lava-send ready", "lava-sync done"], ["lava-wait raedy", "lava-sync done"])
CIRCLE = group(["lava-wait a", "lava-send b"], ["lava-wait b", "lava-send a"])
UNKNOWN = group(['lava-send "$ID"'], ["lava-wait ready"])


def fetching(server: socket.socket) -> str:
    """A definition whose tests are fetched from a server."""
    url = f"http://127.0.0.1:{server.getsockname()[1]}/tests.tar"
    source = f"{{from: url, name: t, path: t.yaml, repository: '{url}'}}"
    return HEAD + f"- test: {{role: [server, client], definitions: [{source}]}}\n"


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)


def test_a_misspelt_message_id_is_told_with_its_place_and_what_was_meant(tmp_path: Path) -> None:
    write(tmp_path, group=MISSPELT)
    ran = callboard(tmp_path, "check", "group.yaml")
    assert ran.returncode == 4
    assert ran.stdout.startswith(
        "group.yaml:35:14: error[CB160]: `lava-wait raedy` of role `client` waits for a message "
        "that no role ever sends\n"
        '  35 |           - "lava-wait raedy"\n'
        "     |              ^\n"
        "  hint: did you mean `ready`?"
    )
    assert "group.yaml: deadlocks: " in ran.stdout
    assert "client waits in `lava-wait raedy` (group.yaml:35:14)" in ran.stdout
    assert "assumed: every job boots" in ran.stdout
    assert ran.stdout.count("[CB") == 1
    assert ran.stderr == ""


def test_a_group_that_finishes_is_proved_to(tmp_path: Path) -> None:
    write(tmp_path, group=GOOD)
    ran = callboard(tmp_path, "check", "group.yaml", "-q")
    assert ran.returncode == 0
    assert ran.stdout == (
        "group.yaml: completes: every call of every role returns, in whatever order the nodes "
        "come\n"
    )


def test_a_circle_names_who_waits_for_whom(tmp_path: Path) -> None:
    write(tmp_path, group=CIRCLE)
    ran = callboard(tmp_path, "check", "group.yaml")
    assert ran.returncode == 4
    assert "error[CB164]" in ran.stdout
    server, client = "`lava-wait a` (group.yaml:23:14)", "`lava-wait b` (group.yaml:35:14)"
    assert f"server waits in {server}: client would send `a` (group.yaml:36) after" in ran.stdout
    assert f"client waits in {client}: server would send `b` (group.yaml:24) after" in ran.stdout


def test_what_cannot_be_told_fails_only_if_it_must_be_proved(tmp_path: Path) -> None:
    write(tmp_path, group=UNKNOWN)
    ran = callboard(tmp_path, "check", "group.yaml")
    assert ran.returncode == 0
    assert "group.yaml: unknown: " in ran.stdout
    assert "warning[CB177]" in ran.stdout
    assert callboard(tmp_path, "check", "group.yaml", "--strict").returncode == 4


@pytest.mark.parametrize(
    ("names", "verdict", "code"),
    [
        (["good"], "completes", 0),
        (["unknown"], "unknown", 0),
        (["good", "unknown"], "unknown", 0),
        (["good", "misspelt", "unknown"], "deadlocks", 4),
        (["misspelt", "bad", "good"], "invalid", 2),
        (["missing"], "invalid", 2),
    ],
)
def test_the_document_has_the_worst_of_all_files(
    tmp_path: Path, names: list[str], verdict: str, code: int
) -> None:
    bad = GOOD.replace("role: [server, client], to", "role: [sever, client], to")
    write(tmp_path, good=GOOD, unknown=UNKNOWN, misspelt=MISSPELT, bad=bad)
    files = [f"{name}.yaml" for name in names]
    ran = callboard(tmp_path, "check", *files, "--json")
    found = document(ran)
    Draft202012Validator(schema("check")).validate(found)
    assert (ran.returncode, found["exit_code"], found["verdict"]) == (code, code, verdict)
    assert [each["file"] for each in found["files"]] == files
    assert ("diagnostics" in found) == (len(files) == 1)
    assert ("status" in found) == (verdict == "invalid")


def test_whatever_run_refuses_is_refused_with_the_same_words(tmp_path: Path) -> None:
    write(tmp_path, bad=GOOD.replace("[server, client], method", "[sever], method"))
    devices = "devices: {rack: {type: other, driver: local}}\n"
    write(tmp_path, good=GOOD, devices=devices)
    for arguments in (["bad.yaml"], ["good.yaml", "--devices", "devices.yaml"]):
        checked = callboard(tmp_path, "check", *arguments)
        ran = callboard(tmp_path, "run", *arguments)
        assert checked.returncode == ran.returncode == 2
        said = [line for line in ran.stderr.splitlines() if "error[" in line]
        assert said
        for line in said:
            assert line.removeprefix("callboard: ") in checked.stdout


def test_a_run_that_cannot_finish_is_refused_before_anything_starts(tmp_path: Path) -> None:
    write(tmp_path, group=MISSPELT)
    ran = callboard(tmp_path, "run", "group.yaml")
    assert ran.returncode == 4
    assert "error[CB160]" in ran.stderr
    assert "client waits in `lava-wait raedy` (group.yaml:35:14)" in ran.stderr
    assert "--no-check" in ran.stderr
    assert ran.stdout == ""
    assert not (tmp_path / "callboard-runs").exists()
    found = document(callboard(tmp_path, "run", "group.yaml", "--json", "-o", "out"))
    Draft202012Validator(schema("invalid")).validate(found)
    assert (found["status"], found["exit_code"]) == ("refused", 4)
    assert [each["code"] for each in found["diagnostics"]] == ["CB160"]
    assert not (tmp_path / "out").exists()


def test_no_check_runs_it_all_the_same(tmp_path: Path) -> None:
    ran = callboard(
        tmp_path, "run", SCENARIOS / "missing-sender.yaml", "--no-check", "-q", "-o", "out"
    )
    assert ran.returncode == 1
    assert (tmp_path / "out/events.jsonl").exists()


def test_a_run_that_may_finish_is_not_refused(tmp_path: Path) -> None:
    steps = ["[ -e /nowhere ] || ID=ready", 'lava-send "${ID:-}"']
    write(tmp_path, group=group(steps, ["lava-wait ready"]))
    assert callboard(tmp_path, "check", "group.yaml", "--strict").returncode == 4
    assert callboard(tmp_path, "run", "group.yaml", "-q", "-o", "out").returncode == 0


def test_semantics_of_lava_find_what_only_its_coordinator_does(tmp_path: Path) -> None:
    twice = ["lava-sync again", "lava-sync again"]
    write(tmp_path, group=group(twice, twice))
    documented = callboard(tmp_path, "check", "group.yaml")
    assert documented.returncode == 0
    assert "completes" in documented.stdout
    assert "warning[CB175]" in documented.stdout
    lava = callboard(tmp_path, "check", "group.yaml", "--semantics", "lava", "--json")
    assert document(lava)["verdict"] == "unknown"


def test_a_script_of_a_repository_is_read_unless_nothing_is_fetched(tmp_path: Path) -> None:
    repository = tmp_path / "tests.git"
    repository.mkdir()
    (repository / "smoke.yaml").write_text(
        "metadata: {format: Lava-Test Test Definition 1.0, name: smoke}\n"
        "run: {steps: ['./run-$(lava-role).sh']}\n"
    )
    (repository / "run-server.sh").write_text("#!/bin/sh\nlava-send ready\n")
    (repository / "run-client.sh").write_text("#!/bin/sh\n# waits\nlava-wait raedy\n")
    for path in repository.glob("*.sh"):
        path.chmod(0o755)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=repository, check=True, env=dict(os.environ))
    test = (
        "- test:\n    role: [server, client]\n    definitions:\n"
        "    - {from: git, name: smoke, path: smoke.yaml, repository: tests.git}\n"
    )
    write(tmp_path, group=HEAD + test)
    ran = callboard(tmp_path, "check", "group.yaml")
    assert ran.returncode == 4
    assert "tests.git/run-client.sh:3:1: error[CB160]" in ran.stdout
    assert "  3 | lava-wait raedy\n" in ran.stdout
    unseen = callboard(tmp_path, "check", "group.yaml", "--no-fetch")
    assert unseen.returncode == 0
    assert "unknown" in unseen.stdout
    assert "warning[CB178]" in unseen.stdout


def test_sarif_names_every_finding_by_its_rule_and_place(tmp_path: Path) -> None:
    write(tmp_path, group=MISSPELT)
    ran = callboard(tmp_path, "check", "group.yaml", "--format", "sarif")
    assert ran.returncode == 4
    log = document(ran)
    assert log["version"] == "2.1.0"
    [found] = log["runs"]
    [result] = found["results"]
    rule = found["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (rule["id"], result["ruleId"], result["level"]) == ("CB160", "CB160", "error")
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "group.yaml"},
                "region": {"startLine": 35, "startColumn": 14},
            }
        }
    ]


def test_annotations_of_github_escape_what_would_end_them(tmp_path: Path) -> None:
    write(tmp_path, **{"a,b%": MISSPELT})
    ran = callboard(tmp_path, "check", "a,b%.yaml", "--format", "github")
    assert ran.returncode == 4
    [line] = ran.stdout.splitlines()
    assert line.startswith("::error file=a%2Cb%25.yaml,line=35,col=14,title=CB160%3A message never")
    assert line.count("::") == 2
    assert "%0Adid you mean `ready`?" in line


def test_every_code_can_be_explained(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "check", "--explain", "cb164")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("CB164: ")
    found = document(callboard(tmp_path, "check", "--explain", "CB164", "--json"))
    Draft202012Validator(schema("explain")).validate(found)
    assert found["code"] == "CB164"
    wrong = callboard(tmp_path, "check", "--explain", "CB999")
    assert wrong.returncode == 2
    assert "there is no diagnostic CB999" in wrong.stderr


def test_a_call_that_is_sure_to_fail_fails_the_check(tmp_path: Path) -> None:
    steps = ["lava-sync done", "lava-send bye my-key=1"]
    write(tmp_path, group=group(steps, ["lava-sync done"]))
    ran = callboard(tmp_path, "check", "group.yaml")
    assert "error[CB169]" in ran.stdout
    assert "completes: every call of every role returns" in ran.stdout
    assert "but some are sure to fail\n" in ran.stdout
    assert ran.returncode == 4


def test_a_source_that_cannot_be_reached_says_nothing_about_the_definition(tmp_path: Path) -> None:
    # Nobody listens on the port of a socket that is bound, but not open.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        write(tmp_path, group=fetching(taken))
        ran = callboard(tmp_path, "check", "group.yaml", "--json")
    found = document(ran)
    Draft202012Validator(schema("check")).validate(found)
    assert (ran.returncode, found["exit_code"], found["verdict"]) == (3, 3, "unknown")
    assert "status" not in found


def test_ctrl_c_while_a_source_is_fetched_leaves_what_was_found_before(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        write(tmp_path, first=MISSPELT, second=fetching(silent))
        checking = subprocess.Popen(
            [*CALLBOARD, "check", "first.yaml", "second.yaml"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            checking.send_signal(signal.SIGINT)
            out, err = checking.communicate(timeout=30)
    assert checking.returncode == 130
    assert "first.yaml: deadlocks: " in out
    assert "interrupted" in err


def test_no_file_is_a_wrong_command_line(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "check")
    assert ran.returncode == 2
    assert "no FILE is given" in ran.stderr


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_every_scenario_gets_the_verdict_that_it_names(path: Path) -> None:
    assert verdicts()[path] == (expected(path) if runnable(path) else "invalid")
