"""What the verbs print, for people and for programs."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.commandline import CALLBOARD, SCENARIOS, callboard, document, process
from tests.flow.vlans import GOOD as VLANS

from callboard.report import schema

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["demo", "missing-sender", "single"])
def test_the_document_of_a_run_keeps_its_schema_and_report_repeats_it(
    tmp_path: Path, name: str
) -> None:
    ran = callboard(
        tmp_path, "run", SCENARIOS / f"{name}.yaml", "--no-check", "--json", "-o", "out"
    )
    first = document(ran)
    Draft202012Validator(schema("run")).validate(first)
    assert first["exit_code"] == ran.returncode
    assert first["directory"] == "out"
    again = callboard(tmp_path, "report", "out", "--json")
    assert (again.returncode, document(again)) == (0, first)


def test_every_line_of_a_real_log_keeps_its_schema(tmp_path: Path) -> None:
    callboard(tmp_path, "run", SCENARIOS / "demo.yaml", "-q", "-o", "out")
    validator = Draft202012Validator(schema("event"))
    lines = (tmp_path / "out/events.jsonl").read_text().splitlines()
    for line in lines:
        validator.validate(json.loads(line))
    assert len(lines) > 100


def test_run_without_a_terminal_prints_lines_and_the_summary(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "run", SCENARIOS / "missing-sender.yaml", "--no-check", "-o", "out")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "0_wait/multinode-send-hello: pass\n" in ran.stdout
    assert "lava-wait-all hello waits, at most 600 s\n" in ran.stdout
    assert "\x1b" not in ran.stdout
    summary = ran.stdout[ran.stdout.rindex("talker on local-1") :]
    assert "(silent) ended without it" in " ".join(summary.split())
    assert "0_wait did not reach its end" in summary
    assert "complete, exit code 1" in summary
    assert "results in out" in summary


def test_quiet_prints_the_summary_only(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "run", SCENARIOS / "demo.yaml", "-q", "-o", "out")
    assert ran.stdout.splitlines()[0].split()[:3] == ["job", "role", "device"]


def test_json_with_v_tells_its_progress_on_standard_error(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "run", SCENARIOS / "single.yaml", "--json", "-v", "-o", "out")
    assert document(ran)["status"] == "complete"
    assert "0_smoke/kernel: pass" in ran.stderr


@pytest.mark.parametrize(("color", "coloured"), [("always", True), ("never", False)])
def test_colour_is_the_users_choice(tmp_path: Path, color: str, coloured: bool) -> None:
    ran = callboard(tmp_path, "report", "none", "--color", color)
    assert ("\x1b[" in ran.stderr) == coloured


def test_describe_shows_jobs_pipelines_and_what_is_skipped(tmp_path: Path) -> None:
    path = SCENARIOS / "two-roles.yaml"
    found = document(callboard(tmp_path, "describe", path, "--json"))
    Draft202012Validator(schema("describe")).validate(found)
    assert [(job["id"], job["role"]) for job in found["jobs"]] == [
        (1, "server"),
        (2, "client"),
        (3, "client"),
    ]
    top = [(each["level"], each["name"]) for each in found["jobs"][0]["pipeline"]]
    assert top == [
        ("1", "deployimages"),
        ("2", "boot-image-retry"),
        ("3", "multinode-test"),
        ("4", "finalize"),
    ]
    text = callboard(tmp_path, "describe", path).stdout
    assert "two-roles: a MultiNode group, 3 jobs" in text
    assert "job 1, role server: qemu" in text
    assert "jobs 2-3, role client: qemu" in text
    assert "execute-qemu  skipped: the local driver starts no QEMU" in text
    assert "3 multinode-test  8 min" in text


def test_describe_names_the_vlans_of_each_job_and_what_they_ask_of_interfaces(
    tmp_path: Path,
) -> None:
    (tmp_path / "vlans.yaml").write_text(VLANS)
    found = document(callboard(tmp_path, "describe", "vlans.yaml", "--json"))
    Draft202012Validator(schema("describe")).validate(found)
    assert [job["vlans"] for job in found["jobs"]] == [
        [{"name": "one", "tags": ["RJ45", "10M"]}],
        [{"name": "one", "tags": ["RJ45"]}, {"name": "two", "tags": []}],
        [{"name": "two", "tags": []}],
    ]
    text = callboard(tmp_path, "describe", "vlans.yaml").stdout
    assert "job 1, role left: board, VLAN one (RJ45 10M), at most 30 min\n" in text
    assert "job 2, role router: board, VLANs one (RJ45), two, at most 30 min\n" in text


def test_devices_lists_what_there_is(tmp_path: Path) -> None:
    assert "no devices file" in callboard(tmp_path, "devices").stdout
    (tmp_path / "rack.yaml").write_text(
        "devices: {a: {type: qemu, driver: local, tags: [usb]}, b: {type: x15, driver: lxc}}\n"
    )
    ran = callboard(tmp_path, "devices", "--json", CALLBOARD_DEVICES="rack.yaml")
    Draft202012Validator(schema("devices")).validate(document(ran))
    assert [(each["name"], each["runs"]) for each in document(ran)["devices"]] == [
        ("a", True),
        ("b", True),
    ]
    text = callboard(tmp_path, "devices", "--devices", "rack.yaml").stdout
    assert [line.split()[:4] for line in text.splitlines()[1:]] == [
        ["a", "qemu", "local", "usb"],
        ["b", "x15", "lxc", "-"],
    ]


def test_jobs_run_on_the_devices_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "rack.yaml").write_text(
        "devices: {d1: {type: x15}, d2: {type: qemu}, d3: {type: qemu}, d4: {type: qemu}}\n"
    )
    path = SCENARIOS / "demo.yaml"
    ran = callboard(tmp_path, "run", path, "--json", "--devices", "rack.yaml", "-o", "out")
    assert sorted(job["device"] for job in document(ran)["jobs"]) == ["d2", "d3", "d4"]


def test_options_come_from_line_then_environment_then_files(tmp_path: Path) -> None:
    home = tmp_path / "config"
    (home / "callboard").mkdir(parents=True)
    (home / "callboard/callboard.toml").write_text('[run]\noutput = "user"\nfirst-id = 40\n')
    path = SCENARIOS / "single.yaml"

    def run(*options: str, **variables: str) -> tuple[str, int]:
        variables["XDG_CONFIG_HOME"] = str(home)
        found = document(callboard(tmp_path, "run", path, "--json", *options, **variables))
        return found["directory"], found["jobs"][0]["id"]

    assert run() == ("user", 40)
    (tmp_path / "callboard.toml").write_text('[run]\noutput = "here"\n')
    assert run() == ("here", 40)
    assert run(CALLBOARD_OUTPUT="variable") == ("variable", 40)
    assert run("-o", "line", "--first-id", "50", CALLBOARD_OUTPUT="other") == ("line", 50)


def test_two_runs_have_ids_of_their_own(tmp_path: Path) -> None:
    path = SCENARIOS / "two-roles.yaml"
    ids = [
        [job["id"] for job in document(callboard(tmp_path, "run", path, "--json"))["jobs"]]
        for _ in range(2)
    ]
    assert ids == [[1, 2, 3], [4, 5, 6]]
    assert len(list((tmp_path / "callboard-runs").iterdir())) == 2


def test_reports_are_derived_again_where_they_are_asked_for(tmp_path: Path) -> None:
    callboard(tmp_path, "run", SCENARIOS / "single.yaml", "-o", "out", "--junit", "mine.xml")
    assert (tmp_path / "mine.xml").exists()
    assert not (tmp_path / "out/junit.xml").exists()
    (tmp_path / "out/results.yaml").unlink()
    ran = callboard(tmp_path, "report", "out")
    assert ran.returncode == 0
    assert (tmp_path / "out/results.yaml").exists()
    assert "complete, exit code 0" in ran.stdout


def test_a_run_that_was_killed_can_be_reported(tmp_path: Path) -> None:
    callboard(tmp_path, "run", SCENARIOS / "single.yaml", "-q", "-o", "out")
    log = tmp_path / "out/events.jsonl"
    log.write_bytes(log.read_bytes()[:3_000])
    ran = callboard(tmp_path, "report", "out")
    assert ran.returncode == 0
    assert "the run was cut off" in ran.stdout


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ([], "LAVA job definition"),
        (["definition", "--json"], "LAVA job definition"),
        (["devices"], "Devices file of callboard"),
        (["model"], "Model of callboard"),
        (["faults"], "Faults file of callboard"),
        (["scenario", "--json"], "Scenario of callboard"),
    ],
)
def test_schema_prints_a_schema_with_json_and_without(
    tmp_path: Path, words: list[str], title: str
) -> None:
    ran = callboard(tmp_path, "schema", *words)
    assert (ran.returncode, ran.stderr, document(ran)["title"]) == (0, "", title)


def test_a_schema_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "schema", "device", "--json")
    assert ran.returncode == 2
    Draft202012Validator(schema("invalid")).validate(document(ran))
    assert "is not one of 'definition', 'devices'" in document(ran)["diagnostics"][0]["message"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(tmp_path: Path, shell: str) -> None:
    assert "_CALLBOARD_COMPLETE" in callboard(tmp_path, "completion", shell).stdout


def complete(folder: Path, words: Sequence[str]) -> list[str]:
    """What bash would offer for the last word: `file,` for files, else `plain,` and a word."""
    ran = callboard(
        folder,
        _CALLBOARD_COMPLETE="bash_complete",
        COMP_WORDS=" ".join(["callboard", *words]),
        COMP_CWORD=str(len(words)),
    )
    return ran.stdout.split()


def test_completion_knows_verbs_and_options(tmp_path: Path) -> None:
    assert complete(tmp_path, ["de"]) == ["plain,describe", "plain,devices"]
    assert complete(tmp_path, ["run", "--no-s"]) == ["plain,--no-sandbox"]
    assert complete(tmp_path, ["run", "--network", "g"]) == ["plain,group"]
    assert complete(tmp_path, ["schema", "de"]) == ["plain,definition", "plain,devices"]


@pytest.mark.parametrize(
    "words",
    [["check"], ["check", "a.yaml"], ["run"], ["run", "--devices"], ["describe"], ["flow"]],
)
def test_completion_leaves_files_to_the_shell(tmp_path: Path, words: list[str]) -> None:
    assert complete(tmp_path, [*words, ""]) == ["file,"]


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    path = SCENARIOS / "demo.yaml"
    script = f"{' '.join(CALLBOARD)} describe {path} | head -n 1"
    ran = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert (ran.stdout, ran.stderr) == ("demo: a MultiNode group, 3 jobs\n", "")


@pytest.mark.parametrize(("name", "code"), [("demo", 0), ("missing-sender", 1)])
def test_a_run_keeps_its_exit_code_and_reports_when_its_reader_leaves(
    tmp_path: Path, name: str, code: int
) -> None:
    command = f"{' '.join(CALLBOARD)} run {SCENARIOS / name}.yaml --no-check -o out"
    script = f"{command} | head -n 1; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert ran.stdout.splitlines()[-1] == str(code)
    assert ran.stderr == ""
    assert (tmp_path / "out/results.yaml").exists()


@pytest.mark.parametrize(
    "verb",
    [
        "run",
        "check",
        "describe",
        "flow",
        "report",
        "devices",
        "doctor",
        "schema",
        "completion",
    ],
)
def test_every_verb_has_help_and_the_common_options(tmp_path: Path, verb: str) -> None:
    text = callboard(tmp_path, verb, "--help").stdout
    for option in ("--json", "--quiet", "--verbose", "--color"):
        assert option in text


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    assert process(tmp_path, "--version").stdout == "callboard 0.1.0\n"


def test_ctrl_c_before_anything_runs_is_an_interruption(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "slow.yaml")
    process = subprocess.Popen(
        [*CALLBOARD, "run", "slow.yaml", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    # Opening the pipe for writing returns when callboard has opened it for reading.
    with (tmp_path / "slow.yaml").open("w"):
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(stdout)["status"] == "canceled"
    assert "Traceback" not in stderr


def test_describe_shows_which_action_calls_and_who_begins_later(tmp_path: Path) -> None:
    [text] = re.findall(
        r"^```yaml\n(job_name: delayed.*?)^```",
        (ROOT / "docs/multinode.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    (tmp_path / "delayed.yaml").write_text(text)
    shown = callboard(tmp_path, "describe", "delayed.yaml").stdout
    assert "3 multinode-test  30 s; lava-start client\n" in shown
    assert "role client: qemu, at most 10 min, begins after server\n" in shown
    found = document(callboard(tmp_path, "describe", "delayed.yaml", "--json"))
    assert [each["calls"] for each in found["jobs"][0]["pipeline"] if each["calls"]] == [
        ["lava-start client"]
    ]
