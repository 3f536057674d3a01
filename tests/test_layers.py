"""Dependencies point one way, and what is installed is one package."""

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "callboard.runtime": ROOT / "runtime",
    "callboard.actors": ROOT / "actors",
    "callboard.scenarios": ROOT / "scenarios",
    "callboard.definition": ROOT / "src/callboard/definition",
    "callboard.sources": ROOT / "src/callboard/sources",
    "callboard.flow": ROOT / "src/callboard/flow",
    "callboard.report": ROOT / "src/callboard/report",
    "callboard.simulation": ROOT / "src/callboard/simulation",
    "callboard.cli": ROOT / "src/callboard/cli",
    "callboard.cluster": ROOT / "src/callboard/cluster",
    "callboard.coordinator": ROOT / "src/callboard/coordinator",
}
ALLOWED = {
    "callboard.runtime": set[str](),
    "callboard.events": set[str](),
    "callboard.home": set[str](),
    "callboard.state": {"callboard.home"},
    "callboard.scenarios": set[str](),
    "callboard.definition": set[str](),
    "callboard.actors": {
        "callboard.runtime",
        "callboard.definition",
        "callboard.events",
        "callboard.journal",
    },
    "callboard.sources": {"callboard.definition", "callboard.home"},
    "callboard.journal": {"callboard.events"},
    "callboard.reservation": {"callboard.actors", "callboard.definition", "callboard.state"},
    "callboard.flow": {"callboard.definition", "callboard.events"},
    "callboard.report": {"callboard.events", "callboard.definition"},
    "callboard.live": {
        "callboard.actors",
        "callboard.runtime",
        "callboard.definition",
        "callboard.events",
        "callboard.journal",
        "callboard.report",
        "callboard.sources",
    },
    "callboard.simulation": {
        "callboard.live",
        "callboard.actors",
        "callboard.definition",
        "callboard.events",
        "callboard.flow",
        "callboard.journal",
        "callboard.report",
        "callboard.running",
        "callboard.runtime",
        "callboard.sources",
    },
    "callboard.cluster": {
        "callboard.actors",
        "callboard.definition",
        "callboard.downloads",
        "callboard.events",
        "callboard.flow",
        "callboard.journal",
        "callboard.live",
        "callboard.networks",
        "callboard.nodes",
        "callboard.reservation",
        "callboard.runtime",
        "callboard.sources",
        "callboard.state",
    },
    "callboard.coordinator": {
        "callboard.actors",
        "callboard.definition",
        "callboard.events",
        "callboard.journal",
        "callboard.runtime",
        "callboard.state",
    },
    "callboard.networks": {"callboard.actors", "callboard.definition"},
    "callboard.nodes": {
        "callboard.actors",
        "callboard.networks",
        "callboard.definition",
        "callboard.reservation",
        "callboard.seats",
        "callboard.state",
        "callboard.switching",
    },
    "callboard.seats": {"callboard.actors", "callboard.definition", "callboard.networks"},
    "callboard.linking": {
        "callboard.actors",
        "callboard.definition",
        "callboard.events",
        "callboard.runtime",
    },
    "callboard.switching": {"callboard.actors", "callboard.definition", "callboard.state"},
    "callboard.downloads": {"callboard.actors", "callboard.definition", "callboard.sources"},
    "callboard.running": {
        "callboard.coordinator",
        "callboard.downloads",
        "callboard.linking",
        "callboard.live",
        "callboard.networks",
        "callboard.nodes",
        "callboard.actors",
        "callboard.runtime",
        "callboard.definition",
        "callboard.events",
        "callboard.flow",
        "callboard.journal",
        "callboard.report",
        "callboard.reservation",
        "callboard.sources",
        "callboard.state",
    },
}
"""What each part may import of ours, besides itself; the rest may import all of them."""


def _module(path: Path) -> str:
    for name, folder in PACKAGES.items():
        if path.is_relative_to(folder):
            return ".".join([name, *path.relative_to(folder).with_suffix("").parts])
    return f"callboard.{path.stem}"


def _modules() -> list[Path]:
    folders = [*PACKAGES.values(), ROOT / "src/callboard"]
    found = {path for folder in folders for path in folder.rglob("*.py")}
    links = [ROOT / "src/callboard" / name for name in ("actors", "runtime", "scenarios")]
    return sorted(p for p in found if not any(p.is_relative_to(link) for link in links))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                yield from (f"{module}.{name.name}" for name in names)
            case ast.ImportFrom():
                yield "a relative import"
            case _:
                pass


def _part(module: str) -> str:
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("path", _modules(), ids=_module)
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    own = _part(_module(path))
    allowed = ALLOWED.get(own)
    for name in _imports(path):
        assert name != "a relative import"
        assert name.split(".")[0] not in ("actors", "runtime", "scenarios")
        if name.startswith("callboard.") and allowed is not None:
            assert _part(name) in {own, *allowed}, f"{own} imports {name}"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("callboard", "anyio"),
        ("callboard.runtime", "callboard.actors"),
        ("callboard.definition", "anyio"),
        ("callboard.events", "anyio"),
        ("callboard.report", "callboard.actors"),
        ("callboard.report", "rich"),
        ("callboard.simulation.worker", "rich"),
        ("callboard.cli.check", "callboard.actors.messages"),
        ("callboard.cli.flow", "callboard.actors"),
        ("callboard.cli.run", "nats"),
        ("callboard.elsewhere", "nats"),
        ("callboard.cli.run", "callboard.cluster.connection"),
        ("callboard.cli.devices", "nats"),
        ("callboard.cli.worker", "nats"),
        ("callboard.cli.coordinator", "nats"),
        ("callboard.cli.coordinator", "callboard.coordinator.exchange"),
        ("callboard.cli.cluster", "nats"),
        ("callboard.cluster", "nats"),
    ],
)
def test_importing_a_part_does_not_import_the_whole(module: str, absent: str) -> None:
    code = f"import sys, {module}; sys.exit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_the_cluster_knows_nats() -> None:
    for path in _modules():
        if not path.is_relative_to(PACKAGES["callboard.cluster"]):
            names = {name.split(".")[0] for name in _imports(path)}
            assert not names & {"nats", "nkeys"}, path


def test_a_run_on_this_machine_never_loads_the_client_of_a_cluster(tmp_path: Path) -> None:
    demo = ROOT / "scenarios/demo.yaml"
    code = f"""
import sys
from callboard.__main__ import main
sys.argv = ["callboard", "simulate", {str(demo)!r}]
try:
    main()
except SystemExit as ended:
    assert ended.code == 0, ended.code
sys.argv = ["callboard", "run", {str(demo)!r}, "-o", {str(tmp_path / "run")!r}]
try:
    main()
except SystemExit as ended:
    assert ended.code == 0, ended.code
assert not {{"nats", "nkeys", "callboard.cluster.connection"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_every_public_name_of_the_face_is_there() -> None:
    code = "import callboard; [getattr(callboard, name) for name in callboard.__all__]"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_wheel_holds_one_package_with_everything_in_it(tmp_path: Path) -> None:
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    built = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = zipfile.ZipFile(tmp_path / built.stdout.split()[-1]).namelist()
    assert {name.split("/")[0] for name in names} == {"callboard", "callboard-0.1.0.dist-info"}
    assert len(names) == len(set(names))
    for part in (
        "py.typed",
        "runtime/cell.py",
        "actors/drivers/local.py",
        "actors/overlay/bin/lava-wait",
        "scenarios/demo.yaml",
        "definition/model.py",
        "definition/schemas/definition.schema.json",
        "definition/schemas/devices.schema.json",
        "report/schemas/run.schema.json",
        "simulation/schemas/scenario.schema.json",
        "__main__.py",
    ):
        assert f"callboard/{part}" in names
