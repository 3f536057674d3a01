"""`callboard flow`: from a definition or the directory of a run to each of its formats."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator
from tests.commandline import callboard, process
from tests.flow.drawn import demo_log
from tests.verdicts import DEFINITIONS, expected

from callboard.report import schema

[DEMO] = [path for path in DEFINITIONS if path.stem == "demo"]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "out"
    directory.mkdir()
    (directory / "events.jsonl").write_bytes(demo_log().encoded())
    return directory


@pytest.mark.parametrize("scenario", DEFINITIONS, ids=lambda path: path.stem)
def test_every_scenario_is_drawn_before_anything_runs(scenario: Path) -> None:
    ran = callboard(scenario.parent, "flow", scenario.name, "--json")
    assert ran.returncode == 0
    found = json.loads(ran.stdout)
    Draft202012Validator(schema("flow")).validate(found)
    assert found["outcome"] == expected(scenario)
    assert bool(found["stuck"]) == (found["outcome"] != "completes")
    assert all(span["where"]["file"] == scenario.name for span in found["spans"])


def test_json_is_a_format_like_the_others(tmp_path: Path) -> None:
    drawn = callboard(tmp_path, "flow", DEMO, "--format", "json")
    assert json.loads(drawn.stdout) == json.loads(
        callboard(tmp_path, "flow", DEMO, "--json").stdout
    )


def test_a_group_that_gets_stuck_is_drawn_and_not_judged(tmp_path: Path) -> None:
    (tmp_path / "group.yaml").write_text(DEMO.read_text().replace("wait ready", "wait raedy"))
    ran = callboard(tmp_path, "flow", "group.yaml")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("demo: gets stuck, 2 calls never return\n")
    assert "[1] client: lava-wait raedy (group.yaml:53) never returns: no role sends" in ran.stdout


@pytest.mark.parametrize("form", ["table", "mermaid", "svg", "json"])
def test_no_drawing_shows_a_secret(tmp_path: Path, form: str) -> None:
    text = DEMO.read_text().replace("visibility: public", "visibility: {group: [developers]}")
    text = text.replace("lava-wait ready", "lava-wait hunter2").replace(
        "page=", "hunter2=hunter2 p="
    )
    (tmp_path / "group.yaml").write_text(f"secrets: {{KEY: hunter2}}\n{text}")
    ran = callboard(tmp_path, "flow", "group.yaml", "--format", form)
    assert ran.returncode == 0
    assert "MASKED" in ran.stdout
    assert "hunter2" not in ran.stdout + ran.stderr


def elsewhere(folder: Path) -> str:
    """The name of a group, one of whose definitions lies in a repository that is not there."""
    before, serve, after = DEMO.read_text().split("    - from: inline\n")
    rest = serve[serve.index("- test:") :]
    source = "    - {from: git, name: serve, path: serve.yaml, repository: 'file:///none'}\n"
    (folder / "group.yaml").write_text(f"{before}{source}{rest}    - from: inline\n{after}")
    return "group.yaml"


def test_a_source_that_cannot_be_had_is_refused_as_by_run(tmp_path: Path) -> None:
    group = elsewhere(tmp_path)
    drawn, ran = (callboard(tmp_path, verb, group, "-q") for verb in ("flow", "run"))
    assert (drawn.returncode, drawn.stdout) == (2, "")
    assert "group.yaml:" in drawn.stderr
    assert drawn.stderr == ran.stderr


def test_without_fetching_a_group_is_drawn_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "flow", elsewhere(tmp_path), "--no-fetch", "--json")
    assert ran.returncode == 0
    found = json.loads(ran.stdout)
    assert found["outcome"] == "unknown"
    assert None in [span["call"] for span in found["spans"]]
    assert found["notes"] != []


def test_a_run_is_drawn_from_its_log(run_dir: Path) -> None:
    ran = callboard(run_dir.parent, "flow", "out")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("demo: complete, 8.000 s\n\n       1 server")
    assert "critical path: 1 server until 3.000 s (lava-send ready) → 3 client" in ran.stdout
    assert "\x1b" not in ran.stdout


def test_each_format_of_a_run_stands_alone_on_standard_output(run_dir: Path) -> None:
    folder = run_dir.parent
    found = json.loads(callboard(folder, "flow", "out", "--json").stdout)
    Draft202012Validator(schema("flow")).validate(found)
    assert found["unit"] == "second"
    picture = ET.fromstring(callboard(folder, "flow", "out", "--format", "svg").stdout)
    assert picture.tag.endswith("svg")
    diagram = callboard(folder, "flow", "out", "--format", "mermaid").stdout
    assert diagram.startswith("sequenceDiagram\n")


def test_an_encoding_without_box_characters_gets_ascii(run_dir: Path) -> None:
    ran = process(run_dir.parent, "flow", "out", PYTHONIOENCODING="ascii")
    assert "`-" not in ran.stdout
    assert "` <- 1 server" in ran.stdout
    assert "\\u" not in ran.stdout


def test_a_table_has_colours_when_they_are_asked_for(run_dir: Path) -> None:
    assert "\x1b[" in callboard(run_dir.parent, "flow", "out", "--color", "always").stdout


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        (None, "out has no events.jsonl; name a directory that a run has written"),
        (b"nonsense\n", "out/events.jsonl:1: not an event of this version's log format"),
    ],
)
def test_a_directory_without_a_readable_log_is_refused(
    tmp_path: Path, log: bytes | None, problem: str
) -> None:
    (tmp_path / "out").mkdir()
    if log is not None:
        (tmp_path / "out/events.jsonl").write_bytes(log)
    ran = callboard(tmp_path, "flow", "out")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"callboard: error[CB107]: {problem}")


def test_a_bad_definition_is_refused_as_by_run(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("job_name: [\n")
    ran = callboard(tmp_path, "flow", "bad.yaml", "--json")
    assert ran.returncode == 2
    assert json.loads(ran.stdout)["status"] == "invalid"
    assert "bad.yaml:" in ran.stderr
