"""Builds the overlay of one job: helpers, environment, and a script a test definition."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO, Literal

import yaml
from attrs import frozen

from callboard.actors.members import Member
from callboard.actors.overlay.access import Access
from callboard.actors.overlay.files import File, pack, tree
from callboard.actors.wiring import UNWIRED, Wiring
from callboard.definition.model import Plain
from callboard.definition.tests import GENERATED

LAVA_CACHE = "/tmp/lava_multi_node_cache.txt"
"""Where LAVA keeps the data of the last wait; definitions that name it expect it there."""

_SCRIPT_MODE = 0o755
_SECRET_MODE = 0o600
_MULTINODE = frozenset(
    {
        "lava-echo-config",
        "lava-group",
        "lava-multinode-functions",
        "lava-role",
        "lava-self",
        "lava-send",
        "lava-sync",
        "lava-wait",
        "lava-wait-all",
    }
)
_VLAND = "lava-vland-"
_KMSG = (
    "export LAVA_SIGNAL=kmsg",
    'if ! (: > "${LAVA_KMSG:-/dev/kmsg}") 2> /dev/null; then',
    "    echo 'lava-signal: kmsg: /dev/kmsg can not be written; the signals go to the console'",
    "    LAVA_SIGNAL=stdout",
    "fi",
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POSITIONAL = re.compile(r"\$(?=\d)")


@frozen
class Definition:
    """One test definition of a stage.

    Attributes:
        index: Its number among all of its namespace in the job.
        name: Its name in the job.
        uuid: How signals name this run of it.
        run_steps: Lines of shell.
        install_steps: Lines of shell, run before and not under `set -e`.
        parameters: Shell variables of both, in order; a later one wins.
        testdef: The definition as it was written, YAML.
        metadata: Its metadata.
        keys: Keys of package sources that the node must trust.
        sources: Package sources to add.
        deps: Packages that the node must have.
        signal: Where its signals are written: `stdout` or `kmsg`.
        folder: What lies beside it, None when it is written in line.
        repositories: More folders, by their place below the test's own.
    """

    index: int
    name: str
    uuid: str
    run_steps: tuple[str, ...]
    install_steps: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    testdef: str
    metadata: Mapping[str, Plain]
    keys: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    deps: tuple[str, ...] = ()
    signal: Literal["stdout", "kmsg"] = "stdout"
    folder: Path | None = None
    repositories: tuple[tuple[str, Path], ...] = ()

    @property
    def suite(self) -> str:
        """The suite of its results, e.g. `0_smoke`."""
        return f"{self.index}_{self.name}"


@frozen
class Overlay:
    """Everything that the overlay of a job depends on.

    Attributes:
        job_id: Id of the job.
        root: Where it will lie on the node.
        shell: The shell that runs helpers and tests.
        role: The node's role, None in a job without roles.
        group: Every node that is listed.
        environment: Variables to export, in order.
        secrets: Names and values for the `secrets` file.
        cache: The file that received data is kept in.
        stages: The definitions of each test block.
        access: Keys for those who log in on the node, None when nobody is to.
        wiring: The node's network interfaces, and which VLANs they are for.
    """

    job_id: int
    root: str
    shell: str
    role: str | None
    group: tuple[Member, ...]
    environment: tuple[tuple[str, str], ...]
    secrets: tuple[tuple[str, str], ...]
    cache: str
    stages: tuple[tuple[Definition, ...], ...]
    access: Access | None = None
    wiring: Wiring = UNWIRED


def archive(overlay: Overlay, stream: BinaryIO) -> None:
    """Write everything that belongs to an overlay as a tar archive, to be unpacked in `/`.

    Raises:
        ValueError: A variable has a name that no shell knows.
        OSError: A file of this machine can't be read, or the archive can't be written.
    """
    files = {overlay.root: build(overlay)}
    if overlay.access is not None:
        files[""] = tuple(overlay.access.files())
    pack(files, stream)


def build(overlay: Overlay) -> tuple[File, ...]:
    """The files of the overlay.

    Raises:
        ValueError: A variable has a name that no shell knows.
    """
    return tuple(_files(overlay))


def _files(overlay: Overlay) -> Iterator[File]:
    yield File("environment", _environment(overlay).encode())
    if overlay.secrets:
        lines = (f"{name}={value}\n" for name, value in overlay.secrets)
        yield File("secrets", "".join(lines).encode(), _SECRET_MODE)
    yield from _helpers(overlay)
    yield File("tests", None)
    yield File("results", None)
    for number, definitions in enumerate(overlay.stages):
        tests = [f"{overlay.root}/{number}/tests/{each.suite}\n" for each in definitions]
        yield File(f"{number}/lava-test-runner.conf", "".join(tests).encode())
        for definition in definitions:
            yield from _test(overlay, number, definition)


def _environment(overlay: Overlay) -> str:
    variables = list(overlay.environment)
    if overlay.cache != LAVA_CACHE:
        variables.insert(0, ("LAVA_MULTI_NODE_CACHE", overlay.cache))
    return "".join(f"export {_assignment(name, value)}\n" for name, value in variables)


def _helpers(overlay: Overlay) -> Iterator[File]:
    group = "\n".join(f"{each.job}\t{each.role}" for each in overlay.group)
    variables = {"LAVA_TEST_BIN": f"{overlay.root}/bin"}
    multinode = {"LAVA_SELF": str(overlay.job_id), "LAVA_GROUP": group}
    for helper in sorted(files("callboard.actors.overlay").joinpath("bin").iterdir(), key=str):
        injected = dict(variables)
        if helper.name in _MULTINODE:
            if overlay.role is None:
                continue
            injected |= multinode | {"TARGET_ROLE": overlay.role}
        elif helper.name.startswith(_VLAND):
            if not overlay.wiring.ports:
                continue
            injected |= _records(helper.name, overlay.wiring)
        head = [f"#!{overlay.shell}", *(_assignment(*item) for item in injected.items())]
        script = "\n".join([*head, helper.read_text()])
        yield File(f"bin/{helper.name}", script.encode(), _SCRIPT_MODE)


def _records(helper: str, wiring: Wiring) -> Mapping[str, str]:
    """What a helper of VLANs prints: one record a line (LAVA: VLANd protocol, test helpers)."""
    match helper.removeprefix(_VLAND):
        case "self":
            records = [
                f"{each.label},{each.mac or ''},{each.sysfs or ''}" for each in wiring.interfaces
            ]
        case "names":
            records = [f"{vlan},{port.interface}" for vlan, port in wiring.ports.items()]
        case _:
            records = [f"{each.label},{tag}" for each in wiring.interfaces for tag in each.tags]
    return {helper.upper().replace("-", "_"): "\n".join(records)}


def _test(overlay: Overlay, stage: int, definition: Definition) -> Iterator[File]:
    folder = f"{stage}/tests/{definition.suite}"
    yield from _fetched(definition, folder)
    there = _quoted(f"{overlay.root}/{folder}")
    parameters = [_assignment(name, value) for name, value in definition.parameters]
    yield File(f"{folder}/testdef.yaml", definition.testdef.encode())
    metadata = yaml.safe_dump(dict(definition.metadata), sort_keys=False)
    yield File(f"{folder}/testdef_metadata", metadata.encode())
    yield File(f"{folder}/uuid", definition.uuid.encode())
    helpers = list(_install_helpers(definition))
    if helpers or definition.install_steps:
        lines = [*parameters, *helpers, f"cd {there}", "pwd", *definition.install_steps]
        yield File(f"{folder}/install.sh", _script(lines), _SCRIPT_MODE)
    signal = 'echo "<LAVA_SIGNAL_{} $TESTRUN_ID $UUID>"'
    if definition.signal == "kmsg":
        signal = 'lava-signal {} "$TESTRUN_ID" "$UUID"'
    lines = [
        *parameters,
        *(_KMSG if definition.signal == "kmsg" else ()),
        "set -e",
        "set -x",
        f"TESTRUN_ID={definition.suite}",
        f"cd {there}",
        "UUID=$(cat uuid)",
        # A signal must not be on the console twice: no trace of the commands that print it.
        "set +x",
        signal.format("STARTRUN"),
        "set -x",
        *(_step(step) for step in definition.run_steps),
        "set +x",
        signal.format("ENDRUN"),
    ]
    yield File(f"{folder}/run.sh", _script(lines), _SCRIPT_MODE)


def _fetched(definition: Definition, folder: str) -> Iterator[File]:
    """What was fetched for a test: the files beside its definition, and other repositories."""
    if definition.folder is not None:
        destinations = [destination for destination, _ in definition.repositories]
        yield from tree(definition.folder, folder, without=(*GENERATED, *destinations))
    for destination, repository in definition.repositories:
        yield File(f"{folder}/{destination}", None)
        yield from tree(repository, f"{folder}/{destination}")


def _install_helpers(definition: Definition) -> Iterator[str]:
    """A package that is missing ends the installation, though its steps run without `set -e`."""
    yield from (f"lava-add-keys {_quoted(key)} || exit" for key in definition.keys)
    yield from (f"lava-add-sources {_quoted(source)} || exit" for source in definition.sources)
    if definition.deps:
        yield f"lava-install-packages {' '.join(map(_quoted, definition.deps))} || exit"


def _script(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _step(step: str) -> str:
    """Awk's `$1` in a command that a helper evaluates is not this script's (LAVA: run.sh)."""
    return _POSITIONAL.sub(r"\\$", step) if "--cmd" in step or "--shell" in step else step


def _assignment(name: str, value: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"'{name}' can't be the name of a shell variable")
    return f"{name}={_quoted(value)}"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
