"""Bad input: a diagnostic within two seconds, exit code 2, nothing started, no traceback."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.commandline import Ran, callboard, process

from callboard.report import schema

JOB = """\
job_name: bad
visibility: public
timeouts: {job: {minutes: 5}}
protocols:
  lava-multinode:
    roles:
      server: {device_type: qemu, count: COUNT}
      client: {device_type: qemu, count: 1}
actions:
- deploy: {role: [ROLE], to: tmpfs}
"""


def job(count: str = "1", role: str = "server, client") -> str:
    return JOB.replace("COUNT", count).replace("ROLE", role)


def aliases() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(lines)


BAD: dict[str, tuple[str | bytes, int | None, str]] = {
    "empty": ("", None, "the file is empty"),
    "not YAML": ("a: [b\n", 2, "error[CB"),
    "binary": (bytes(range(256)), None, "error[CB"),
    "not a mapping": ("- a\n- b\n", 1, "not a map"),
    "a word": ("hello\n", 1, "not a map"),
    "unknown role": (job(role="server, clent"), 10, "role `clent` is not defined"),
    "missing count": (job().replace(", count: 1}", "}"), 7, "count"),
    "negative count": (job(count="-1"), 7, "count"),
    "count is text": (job(count="many"), 7, "count"),
    "duplicate key": (job() + "job_name: again\n", 11, "job_name"),
    "tab": (job() + "\tnotify: x\n", 11, "error[CB"),
    "alias bomb": (aliases(), 7, "1,000,000 values"),
    "50,000 levels": ("[" * 50_000, 1, "more than 64 maps and lists"),
    "50,000 levels of blocks": ("".join(f"{' ' * n}a:\n" for n in range(3_000)), None, "error[CB"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, "error[CB"),
    "short secret": (job() + "secrets: {T: abc}\n", 11, "fewer than 4 characters"),
}


def _spent_s() -> float:
    """Seconds of a processor that commands have taken so far; others' load does not count."""
    times = os.times()
    return times.children_user + times.children_system


def timed(folder: Path, *arguments: str) -> tuple["subprocess.CompletedProcess[str]", float]:
    """Run a command in a process; returns also the seconds of a processor that it took."""
    began_s = _spent_s()
    ran = process(folder, *arguments)
    return ran, _spent_s() - began_s


def refused(folder: Path, *arguments: str, **variables: str) -> Ran:
    """Run what must be refused, as text and as JSON; returns the run as text."""
    before = sorted(folder.rglob("*"))
    ran = callboard(folder, *arguments, **variables)
    assert (ran.returncode, ran.stdout) == (2, "")
    as_json = callboard(folder, *arguments, "--json", **variables)
    assert as_json.returncode == 2
    Draft202012Validator(schema("invalid")).validate(json.loads(as_json.stdout))
    assert sorted(folder.rglob("*")) == before
    return ran


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_definition_is_refused_with_its_place(tmp_path: Path, kind: str) -> None:
    content, line, message = BAD[kind]
    data = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "bad.yaml").write_bytes(data)
    ran = refused(tmp_path, "run", "bad.yaml")
    assert message in ran.stderr
    assert "error[CB" in ran.stderr
    if line is not None:
        assert f"bad.yaml:{line}:" in ran.stderr


@pytest.mark.parametrize("kind", ["alias bomb", "50,000 levels", "50,000 levels of blocks"])
def test_a_hostile_definition_is_refused_within_two_seconds(tmp_path: Path, kind: str) -> None:
    content, _, _ = BAD[kind]
    assert isinstance(content, str)
    (tmp_path / "bad.yaml").write_text(content)
    ran, took_s = timed(tmp_path, "run", "bad.yaml")
    assert ran.returncode == 2
    assert took_s < 2


def test_a_hundred_megabytes_are_refused_within_two_seconds(tmp_path: Path) -> None:
    with (tmp_path / "big.yaml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    ran, took_s = timed(tmp_path, "run", "big.yaml")
    assert ran.returncode == 2
    assert "big.yaml" in ran.stderr
    assert took_s < 2


def missing(_folder: Path) -> None:
    """Leave the file out."""


def directory(folder: Path) -> None:
    (folder / "bad.yaml").mkdir()


@pytest.mark.parametrize("make", [missing, directory])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path)
    assert "bad.yaml" in refused(tmp_path, "run", "bad.yaml").stderr


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(job(count="-1", role="clent, sever"))
    text = refused(tmp_path, "run", "bad.yaml").stderr
    assert text.count("error[") == 3
    assert "did you mean `client`?" in text
    assert "did you mean `server`?" in text


GOOD = """\
job_name: good
device_type: qemu
visibility: public
timeouts: {job: {minutes: 5}}
actions:
- test:
    definitions:
    - from: inline
      name: t
      path: t.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: t}
        run: {steps: ["true"]}
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "missing argument 'FILE'"),
        (["good.yaml", "--bogus"], "no such option '--bogus'"),
        (["good.yaml", "more.yaml"], "unexpected extra argument"),
        (["good.yaml", "--first-id", "0"], "'--first-id'"),
        (["good.yaml", "--first-id", "x"], "'--first-id'"),
        (["good.yaml", "--deadlock-grace", "-1"], "'--deadlock-grace'"),
        (["good.yaml", "--network", "moon"], "'--network'"),
        (["good.yaml", "--coordinator", "http://x"], "'http://x' doesn't begin with lava://"),
        (["good.yaml", "--coordinator", "lava://x", "--faults", "f.yaml"], "--faults can't be"),
        (["good.yaml", "--coordinator", "lava://x", "--nats", "nats://x"], "--coordinator can't"),
        (["good.yaml", "--coordinator", "lava://x", "--group", ""], "--group names no group"),
        (["good.yaml", "--coordinator", "lava://x", "--roles", ", "], "--roles names no role"),
        (["good.yaml", "--coordinator", "lava://x", "--group-size", "0"], "'--group-size'"),
        (["good.yaml", "--coordinator", "lava://x", "--poll-delay", "0"], "'--poll-delay'"),
        (["good.yaml", "--group", "g"], "--group is of use with --coordinator only"),
        (["good.yaml", "--roles", "g"], "--roles is of use with --coordinator only"),
        (["good.yaml", "--group-size", "2"], "--group-size is of use with --coordinator only"),
        (["good.yaml", "--coordinator", "lava://x"], "the definition has no roles"),
        (["good.yaml", "--nats", "http://x"], "'http://x' is no address of a NATS server"),
        (["good.yaml", "--nats", "nats://x", "--tls-ca", "no.pem"], "no.pem (certificates) can't"),
        (["good.yaml", "--nats", "nats://x", "--faults", "f.yaml"], "--faults can't be combined"),
        (["good.yaml", "--nats", "nats://x", "--devices", "d"], "--devices can't be combined"),
        (["good.yaml", "--nats", "nats://x", "--network", "group"], "--network group can't be"),
        (["good.yaml", "--devices", "none.yaml"], "none.yaml"),
        (["good.yaml", "-o", "/proc/x/y"], "/proc/x/y can't be written"),
        (["good.yaml", "-o", "good.yaml"], "good.yaml can't be written"),
    ],
)
def test_a_bad_command_line_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    assert message in refused(tmp_path, "run", *arguments).stderr


def test_an_unknown_verb_is_refused(tmp_path: Path) -> None:
    assert "no such command 'rnu'" in refused(tmp_path, "rnu").stderr


def test_a_directory_that_holds_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/events.jsonl").write_text("")
    assert "run holds a run already" in refused(tmp_path, "run", "good.yaml", "-o", "run").stderr


def test_a_damaged_counter_of_ids_is_refused(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "state").mkdir()
    (tmp_path / "state/next-job-id").write_text("many")
    state = str(tmp_path / "state")
    text = refused(tmp_path, "run", "good.yaml", "-o", "new/run", CALLBOARD_STATE=state).stderr
    assert "next-job-id holds no number" in text


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[run", "callboard.toml can't be read"),
        ("[rnu]\n", "'rnu' is no table of a command"),
        ("run = 1\n", "'run' is no table of a command"),
        ("[run]\ncolour = 'x'\n", "[run] has no option 'colour'"),
        ("[run]\nfirst-id = 'x'\n", "'first-id' of [run] can't have this value"),
        ("[run]\nfirst-id = 'x'\n", "it is a whole number"),
        ("[run]\nstrict = 'yes'\n", "'strict' of [run] can't have this value"),
        ("[run]\ndevices = true\n", "'devices' of [run] can't have this value"),
        ("[flow]\nformat = 'png'\n", "it is 'table' or 'mermaid' or 'json' or 'svg'"),
    ],
)
def test_a_bad_configuration_is_refused(tmp_path: Path, config: str, message: str) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "callboard.toml").write_text(config)
    assert message in refused(tmp_path, "run", "good.yaml").stderr


DEVICES = "devices: {d-1: {type: TYPE, driver: DRIVER}}\n"


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (
            DEVICES.replace("TYPE", "x15").replace("DRIVER", "local"),
            "no device has the type 'qemu'",
        ),
        (
            DEVICES.replace("TYPE", "qemu").replace("DRIVER", "simulated"),
            "for `callboard simulate`",
        ),
        ("devices: {}\n", "`devices` is empty"),
    ],
)
def test_devices_that_can_not_serve_are_refused(tmp_path: Path, devices: str, message: str) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "devices.yaml").write_text(devices)
    assert message in refused(tmp_path, "run", "good.yaml", "--devices", "devices.yaml").stderr


CALL = "{action: lava-overly, request: lava-sync, messageID: a}"
STRAY = job().replace("tmpfs}", f"tmpfs, protocols: {{lava-multinode: [{CALL}]}}}}")
NEVER = "bad.yaml:10:76: %s[CB085]: deploy block 1 has no action `lava-overly`"


def test_a_call_that_no_action_makes_is_refused_with_strict(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(STRAY)
    ran = refused(tmp_path, "run", "bad.yaml", "--strict", "-o", "out")
    assert NEVER % "error" in ran.stderr
    assert "it has `deployimages`" in ran.stderr
    ran = callboard(tmp_path, "run", "bad.yaml", "--strict", "--json")
    [found] = json.loads(ran.stdout)["diagnostics"]
    assert (found["code"], found["severity"]) == ("CB085", "error")


def test_a_call_that_no_action_makes_is_a_warning_without_strict(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(STRAY)
    ran = callboard(tmp_path, "describe", "bad.yaml")
    assert ran.returncode == 0
    assert NEVER % "warning" in ran.stderr


def test_other_warnings_stay_warnings_with_strict(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(f"{GOOD}colour: red\n")
    ran = callboard(tmp_path, "run", "good.yaml", "--strict", "-o", "out")
    assert (tmp_path / "out/events.jsonl").exists()
    assert "good.yaml:14:1: warning[CB025]: the job has no use for `colour`" in ran.stderr


NOT_YET = {
    "a test of kind interactive": job()
    + "- test: {role: [client], interactive: [{name: x, prompts: [b], script: [{command: c}]}]}\n",
}


@pytest.mark.parametrize("what", NOT_YET)
def test_what_is_not_supported_yet_says_so(tmp_path: Path, what: str) -> None:
    (tmp_path / "later.yaml").write_text(NOT_YET[what])
    assert f"{what} is not supported yet" in refused(tmp_path, "run", "later.yaml").stderr


@pytest.mark.parametrize("verb", ["describe", "devices", "report"])
def test_the_other_verbs_refuse_bad_input_too(tmp_path: Path, verb: str) -> None:
    (tmp_path / "bad.yaml").write_text("a: [")
    argument = {"describe": ["bad.yaml"], "devices": ["--devices", "bad.yaml"], "report": ["."]}
    assert "error[CB" in refused(tmp_path, verb, *argument[verb]).stderr
