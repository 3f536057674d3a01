"""Every example in the documentation runs, and prints what the page says."""

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pexpect
import pyte
import pytest

from callboard.definition import read_text
from callboard.definition.devices import read_devices
from callboard.simulation import read_faults_text, read_model_text

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_EXAMPLE = re.compile(
    r"^```python\n(.*?)^```\n(?:^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
_DEFINITION = re.compile(r"^```yaml\n(job_name:.*?)^```", re.MULTILINE | re.DOTALL)


def python_examples() -> list[tuple[str, str, str]]:
    """Page and line, code, and expected output of each python block."""
    found: list[tuple[str, str, str]] = []
    for page in PAGES:
        text = page.read_text()
        for match in _EXAMPLE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append((f"{page.name}:{line}", match[1], match[2] or ""))
    return found


@pytest.mark.parametrize(
    ("code", "expected"),
    [pytest.param(code, expected, id=where) for where, code, expected in python_examples()],
)
def test_a_python_example_prints_what_the_page_says(
    code: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == expected


def definition_examples() -> list[tuple[str, str, list[str]]]:
    """Page and line, and text, of each job definition, and the options that its page tells of."""
    found: list[tuple[str, str, list[str]]] = []
    for page in PAGES:
        text = page.read_text()
        found += [
            (
                f"{page.name}:{text.count(chr(10), 0, match.start()) + 1}",
                match[1],
                ["--network", "group"] if page.name == "networks.md" else [],
            )
            for match in _DEFINITION.finditer(text)
        ]
    return found


@pytest.mark.parametrize(
    ("text", "options"),
    [pytest.param(text, options, id=where) for where, text, options in definition_examples()],
)
def test_a_job_definition_runs_to_its_end(text: str, options: list[str], tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(text)
    ran = subprocess.run(
        [sys.executable, "-m", "callboard", "run", "example.yaml", "-q", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"CALLBOARD_STATE": str(tmp_path / "state")},
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


BROKEN = """\
job_name: broken
visibility: public
timeouts: {job: {minutes: 5}}
protocols:
  lava-multinode:
    roles:
      server: {device_type: qemu, count: 1}
      client: {device_type: qemu, count: 1}
actions:
- deploy: {role: [sever], to: tmpfs}
- test:
    role: [server, client]
    definitions:
    - from: inline
      name: smoke
      path: smoke.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: smoke}
        run: {steps: ["true"]}
"""


def console_examples(page: Path) -> list[tuple[str, str]]:
    """Command and output of each console block that shows an output."""
    blocks = re.findall(
        r"^```console\n\$ (.*)\n((?:(?!```|\$ ).*\n)+)```", page.read_text(), re.MULTILINE
    )
    return [(command, output) for command, output in blocks]


def of_a_cluster(command: str) -> bool:
    """Whether a command needs a cluster, or is a part of one."""
    return not {"cluster", "worker", "--nats"}.isdisjoint(command.split())


def unified(text: str) -> str:
    """`text` without what differs from run to run: times, their columns' widths, dates."""
    text = re.sub(r"\d+\.\d s", "T s", text)
    text = re.sub(r"callboard-runs/\d{8}-\d{6}", "callboard-runs/DATE", text)
    return "\n".join(re.sub(r" {2,}", "  ", line.rstrip()) for line in text.splitlines()).strip()


_HASH = re.compile(r"\b[0-9a-f]{64}\b")


def comparable(text: str) -> str:
    """`text` without hashes of logs, which versions of Python change, and ends of table rows."""
    return "\n".join(line.rstrip() for line in _HASH.sub("HASH", text).split("\n"))


def on_a_terminal(command: list[str], folder: Path) -> str:
    """What stands on a terminal of 130 columns when the command has ended."""
    screen = pyte.Screen(130, 50)
    stream = pyte.ByteStream(screen)
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    child: pexpect.spawn[bytes] = pexpect.spawn(
        command[0], command[1:], cwd=folder, env=environment, timeout=300, dimensions=(50, 130)
    )
    child.expect(pexpect.EOF)
    assert child.before is not None
    stream.feed(child.before)
    child.close()
    return "\n".join(screen.display)


def mended() -> str:
    """The definition of the readme's rehearsals with the change that it shows."""
    [(old, new)] = re.findall(
        r"^```diff\n-(.*\n)\+(.*\n)```", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    text = (ROOT / "scenarios/late.yaml").read_text()
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.mark.timeout(600)
def test_the_commands_of_the_readme_print_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    (tmp_path / "broken.yaml").write_text(BROKEN)
    (tmp_path / "mended.yaml").write_text(mended())
    [demo] = re.findall(r"^demo:.*\n\t(.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    found = console_examples(ROOT / "README.md")
    shown = [each for each in found if not of_a_cluster(each[0])]  # tests/cluster has those
    assert [command for command, _ in shown[:1]] == ["make demo"]
    for command, expected in shown:
        line = demo.replace("$(BIN)", ".venv/bin") if command == "make demo" else command
        words = line.split()
        assert words[0] == ".venv/bin/callboard"
        printed = on_a_terminal([sys.executable, "-m", "callboard", *words[1:]], tmp_path)
        if command == "make demo":
            printed = f"{line}\n{printed}"  # make says what it runs
        assert comparable(unified(printed)) == comparable(unified(expected))


def printed(folder: Path, *arguments: str) -> str:
    """What a command prints in a folder that has the scenarios."""
    if not (folder / "scenarios").exists():
        (folder / "scenarios").symlink_to(ROOT / "scenarios")
    command = [sys.executable, "-m", "callboard", *arguments]
    environment = os.environ | {"COLUMNS": "100"}
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    return ran.stdout


_FILE = re.compile(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ["checking", "devices", "flow", "scenarios", "simulating"])
def test_the_commands_of_a_page_print_what_it_says(name: str, tmp_path: Path) -> None:
    page = ROOT / f"docs/{name}.md"
    for file, text in _FILE.findall(page.read_text()):
        (tmp_path / file).write_text(f"# {file}\n{text}")
    shown = console_examples(page)
    assert shown
    for command, expected in shown:
        program, *arguments = command.split()
        assert program == "callboard"
        assert comparable(printed(tmp_path, *arguments)) == comparable(expected)


def test_the_examples_of_models_and_faults_are_read_without_a_warning() -> None:
    page = (ROOT / "docs/simulating.md").read_text()
    page += (ROOT / "docs/links.md").read_text()
    readers = {"actions": read_model_text, "faults": read_faults_text}
    for key, read in readers.items():
        examples = re.findall(rf"^```yaml\n({key}:\n.*?)^```", page, re.MULTILINE | re.DOTALL)
        assert examples
        for example in examples:
            assert read(example)[1] == ()


@pytest.mark.parametrize("name", ["consoles", "containers", "devices", "ssh"])
def test_the_devices_of_a_page_can_be_read(name: str, tmp_path: Path) -> None:
    page = (ROOT / f"docs/{name}.md").read_text()
    examples = re.findall(r"^```yaml\n(devices:\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        (tmp_path / "devices.yaml").write_text(example)
        assert read_devices(tmp_path / "devices.yaml")[1] == ()


def test_the_devices_of_the_page_on_links_can_be_read(tmp_path: Path) -> None:
    [(name, text)] = _FILE.findall((ROOT / "docs/links.md").read_text())
    (tmp_path / name).write_text(text)
    found, problems = read_devices(tmp_path / name)
    assert problems == ()
    assert found is not None
    assert len(found.network.links) == 2


@pytest.mark.parametrize("name", ["containers", "ssh"])
def test_a_definition_that_a_page_shows_in_part_has_no_mistake(name: str) -> None:
    page = (ROOT / f"docs/{name}.md").read_text()
    [part] = re.findall(r"^```yaml\n(protocols:\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    head = "job_name: shown\nvisibility: public\ntimeouts: {job: {minutes: 9}}\n"
    assert read_text(head + part, "shown.yaml")[1] == ()


def test_the_drawings_of_the_page_on_flows_are_real(tmp_path: Path) -> None:
    page = ROOT / "docs/flow.md"
    [diagram] = re.findall(r"^```mermaid\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert printed(tmp_path, "flow", "scenarios/demo.yaml", "--format", "mermaid") == diagram
    picture = (ROOT / "docs/demo.svg").read_text()
    assert printed(tmp_path, "flow", "scenarios/demo.yaml", "--format", "svg") == picture


def test_the_scenarios_and_tests_of_a_page_do_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    (tmp_path / "pytest.ini").touch()
    text = (ROOT / "docs/scenarios.md").read_text()
    files = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for name, content in files:
        (tmp_path / name).write_text(f"# {name}\n{content}")
    assert [name for name, _ in files] == [
        "lab.scenario.yaml",
        "wrong.scenario.yaml",
        "test_lab.py",
    ]
    announced = entry_points(group="pytest11", name="callboard")
    plugin = [] if announced else ["-p", "callboard.pytest_plugin"]
    codes = {}
    for name, _ in files:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", *plugin, "--tb=short", name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        codes[name] = ran.returncode
    assert codes == {"lab.scenario.yaml": 0, "wrong.scenario.yaml": 1, "test_lab.py": 0}


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
