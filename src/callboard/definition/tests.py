"""Reads test blocks: where their test definitions come from, and those written in line."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from attrs import frozen

from callboard.definition.composer import compose
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.dumper import dump
from callboard.definition.findings import Findings
from callboard.definition.masking import hide_secrets
from callboard.definition.model import (
    GitRepo,
    Install,
    Origin,
    Place,
    Plain,
    Step,
    TestDefinition,
    TestKind,
    TestSource,
)
from callboard.definition.reader import Section, listed
from callboard.definition.source import decode
from callboard.definition.tree import ListNode, MapNode, Node, ScalarNode, kind, plain

FORMAT = "Lava-Test Test Definition 1.0"

_ORIGINS: Mapping[str, Origin] = {"inline": "inline", "git": "git", "url": "url"}
_OPTIONS: Mapping[Origin, tuple[str, ...]] = {
    "inline": (),
    "git": ("branch", "revision", "history", "recursive", "shallow"),
    "url": ("compression", "headers", "sha256sum", "strip-components"),
}
_SKIPPABLE = ("keys", "sources", "deps", "steps", "git-repos", "all")
_NAME = re.compile(r"[\w-]+")
_STRICT_NAME = re.compile(r"[-_a-zA-Z0-9]+")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
GENERATED = ("testdef.yaml", "testdef_metadata", "uuid", "install.sh", "run.sh")
"""Files that are written into a test's own folder (LAVA: overlay layout)."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_COMPRESSIONS = {"gz": "gz", "bz2": "bz2", "xz": "xz"}
_METADATA = ("format", "name", "description", "environment", "devices", "maintainer", "scope", "os")
_STEP_HINT = "quote the whole step; a `: ` or a leading character means something in YAML"


@frozen
class Tests:
    """What a test block runs."""

    kind: TestKind
    sources: tuple[TestSource, ...] = ()


def read_tests(block: Section) -> Tests:
    """The tests of a block: a list of definitions, or interactive scripts, or monitors."""
    kinds: dict[str, TestKind] = {"interactive": "interactive", "monitors": "monitors"}
    found = [key for key in (*kinds, "definitions") if key in block]
    if not found:
        hint = block.misspelt("definitions") or "add `definitions`, a list of test definitions"
        block.error("CB140", block.node, f"{block.title} tests nothing", hint)
    if len(found) > 1:
        hint = "make a test block of each"
        message = f"{block.title} has {listed(found)}, of which only the first is used"
        block.warning("CB147", block.key(found[1]), message, hint)
    for key, test_kind in kinds.items():
        if key in block:
            _check_scripts(block, key)
            block.ignore("definitions", *kinds)
            return Tests(test_kind)
    docker = block.section("docker", f"`docker` of {block.title}")
    if docker is not None:
        docker.string("image", required=True)
        docker.ignore(*docker.names)
    if "definitions" in found and not block.items("definitions"):
        node = block.get("definitions")
        if isinstance(node, ListNode):
            block.error("CB026", node, f"`definitions` of {block.title} is empty")
    sources = (_read_source(block, item) for item in block.items("definitions"))
    kept = tuple(source for source in sources if source is not None)
    return Tests("docker" if docker is not None else "shell", kept)


def _check_scripts(block: Section, key: str) -> None:
    """Interactive scripts and monitors: only what they need to be shown and named."""
    for item in block.items(key):
        section = block.section_of(item, f"an item of `{key}`")
        if section is None:
            continue
        name = section.string("name", required=True)
        if name is not None:
            _check_name(section, name)
        for required in ("prompts", "script") if key == "interactive" else ("start", "end"):
            section.required(required)


def _read_source(block: Section, node: Node) -> TestSource | None:
    section = block.section_of(node, "a test definition")
    if section is None:
        return None
    name = section.string("name", required=True)
    if name is not None:
        section.title = f"the test definition `{name[:60]}`"
        _check_name(section, name)
    origin = section.choice("from", _ORIGINS, required=True)
    path = section.string("path", required=True)
    if path is not None:
        _check_path(section, path)
    parameters = (*_parameters(section, "parameters"), *_parameters(section, "params"))
    skipped = frozenset(_read_skipped(section))
    expected = section.strings("expected") if "expected" in section else None
    signal = section.choice("lava-signal", {"stdout": "stdout", "kmsg": "kmsg"})
    inline = None
    repository = None
    options: Mapping[str, Plain] = {}
    if origin == "inline":
        repository_section = section.section("repository", "`repository`", required=True)
        if repository_section is not None:
            inline = _read_inline(repository_section, name or "")
        for key in ("parameters", "params"):
            if key in section:
                message = f"{section.title} is inline and has `{key}`"
                hint = "LAVA's strict schema refuses it; put them into the definition's `params`"
                section.warning("CB149", section.key(key), message, hint)
    elif origin is not None:
        repository = section.string("repository", required=True)
        options = _read_options(section, origin)
    else:
        section.ignore(*section.names)
    section.close()
    if name is None or origin is None or path is None:
        return None
    return TestSource(
        name=name,
        origin=origin,
        path=path,
        place=section.findings.source.place(node.offset),
        repository=repository,
        inline=inline,
        parameters=parameters,
        skip_install=skipped,
        expected=expected,
        signal="kmsg" if signal == "kmsg" else "stdout",
        options=options,
    )


def _check_name(section: Section, name: str) -> None:
    node = section.get("name") or section.node
    if name == "lava":
        hint = "LAVA's own results stand under it; choose another"
        section.error("CB142", node, "the name `lava` is reserved", hint)
    elif not _NAME.fullmatch(name):
        better = re.sub(r"[^\w-]+", "-", name).strip("-")[:60]
        hint = f"letters, digits, `-` and `_` are allowed, e.g. `{better or 'smoke'}`"
        section.error("CB141", node, f"`{name[:60]}` can't be the name of a test", hint)
    elif not _STRICT_NAME.fullmatch(name):
        hint = "use ASCII letters only"
        section.warning("CB150", node, f"LAVA's strict schema refuses the name `{name}`", hint)


def _check_path(section: Section, path: str) -> None:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        hint = "it is relative to the repository, for an inline definition to the test's own folder"
        node = section.get("path") or section.node
        section.error("CB151", node, f"the path `{path[:60]}` leads out of the test", hint)


def _read_skipped(section: Section) -> Iterator[str]:
    for key in section.strings("skip_install"):
        if key in _SKIPPABLE:
            yield key
        else:
            hint = f"it can hold {listed(_SKIPPABLE, 'or')}"
            node = section.get("skip_install") or section.node
            message = f"`skip_install` of {section.title} can't hold `{key[:60]}`"
            section.error("CB144", node, message, hint)


def _read_options(section: Section, origin: Origin) -> Mapping[str, Plain]:
    options: dict[str, Plain] = {}
    for key in _OPTIONS[origin]:
        node = section.get(key)
        if node is not None:
            options[key] = plain(node)
    for key in ("branch", "revision"):
        if key in options:
            section.string(key)
    if "compression" in options:
        section.choice("compression", _COMPRESSIONS)
    if "strip-components" in options:
        section.integer("strip-components", minimum=0, maximum=100)
    if "headers" in options:
        headers = section.section("headers", f"`headers` of {section.title}")
        if headers is not None:
            for name, _, _ in headers.labels("the name of a header"):
                headers.string(name)
    checksum = section.string("sha256sum") if "sha256sum" in options else None
    if checksum is not None and not _SHA256.fullmatch(checksum):
        hint = "64 digits from 0 to 9 and a to f, as sha256sum prints them"
        node = section.get("sha256sum") or section.node
        section.error("CB154", node, f"`{checksum[:64]}` is no SHA-256", hint)
    for key in ("history", "recursive", "shallow"):
        if key in options:
            section.boolean(key, default=False)
    if "revision" in options and options.get("shallow") is True:
        message = f"{section.title} wants a `revision` of a shallow clone"
        hint = "remove `shallow: true`, or use `branch`"
        section.error("CB145", section.key("revision"), message, hint)
    return options


def _parameters(section: Section, key: str) -> tuple[tuple[str, str], ...]:
    """Parameters as the text of shell assignments; an empty value becomes the empty text."""
    parameters = section.section(key, f"`{key}` of {section.title}") if key in section else None
    if parameters is None:
        return ()
    pairs: list[tuple[str, str]] = []
    for name, at, value in parameters.labels(f"the name of a parameter in {parameters.title}"):
        if not _PARAMETER.fullmatch(name):
            hint = "letters, digits and `_` are allowed, as in a shell variable"
            section.error("CB152", at, f"`{name[:60]}` can't be the name of a parameter", hint)
        elif not isinstance(value, ScalarNode):
            hint = "it becomes a shell variable; quote it if it is text"
            what = f"the parameter `{name}` must be a single value, but is {kind(value)}"
            section.error("CB021", value, what, hint)
        else:
            pairs.append((name, "" if value.value is None else str(value.value)))
    return tuple(pairs)


def read_test_file(
    path: Path, file: str, name: str
) -> tuple[TestDefinition | None, tuple[Diagnostic, ...]]:
    """The test definition in a file that was fetched, None if it has any error.

    Args:
        path: Where it lies.
        file: What it is called in diagnostics and places.
        name: The name of the test in the job.

    Raises:
        OSError: The file can't be read.
    """
    source = decode(path.read_bytes(), file)
    if isinstance(source, Diagnostic):
        return None, (source,)
    findings = Findings(source)
    root = compose(source, findings)
    hide_secrets(root, source)
    definition = None
    if isinstance(root, MapNode):
        section = Section(root, findings, f"the definition of `{name[:60]}`")
        definition = _read_definition(section, name)
    elif not findings.errors:
        what = "the file is empty" if root is None else f"the file holds {kind(root)}, not a map"
        findings.error("CB014", root or 0, what, "a test definition begins with `metadata:`")
    return (None if findings.errors else definition), findings.diagnostics()


def _read_inline(section: Section, name: str) -> TestDefinition:
    section.title = f"the inline definition of `{name[:60]}`"
    return _read_definition(section, name)


def _read_definition(section: Section, name: str) -> TestDefinition:
    metadata = _read_metadata(section)
    run = section.section("run", f"`run` of {section.title}", required=True)
    steps: tuple[Step, ...] = ()
    if run is not None:
        run.required("steps")
        steps = _read_steps(run, "steps")
        run.close()
    parse = section.section("parse", f"`parse` of {section.title}")
    if parse is not None:
        parse.data("fixupdict")
        if "pattern" in parse:
            parse.string("pattern")
            hint = "report cases with `lava-test-case` instead"
            message = f"`parse: pattern` of {section.title} is deprecated"
            section.warning("CB153", parse.key("pattern"), message, hint)
        parse.close()
    definition = TestDefinition(
        name=str(metadata.get("name") or name),
        metadata=metadata,
        run=steps,
        place=section.findings.source.place(section.node.offset),
        text=dump(plain(section.node)),
        install=_read_install(section),
        parameters=(*_parameters(section, "params"), *_parameters(section, "parameters")),
        expected=section.strings("expected"),
    )
    section.close()
    return definition


def _read_metadata(section: Section) -> Mapping[str, Plain]:
    metadata = section.section("metadata", f"`metadata` of {section.title}", required=True)
    if metadata is None:
        return {}
    if "format" not in metadata:
        hint = f"write `format: {FORMAT}`"
        section.error("CB146", section.key("metadata"), f"{metadata.title} has no `format`", hint)
    else:
        written = metadata.string("format")
        if written is not None and written != FORMAT:
            message = f"the format `{written[:60]}` of a test definition is not known"
            at = metadata.get("format") or metadata.node
            section.error("CB146", at, message, f"write `format: {FORMAT}`")
    metadata.string("name", required=True)
    metadata.ignore(*_METADATA)
    metadata.close()
    return section.data("metadata")


def _read_install(section: Section) -> Install:
    install = section.section("install", f"`install` of {section.title}")
    if install is None:
        return Install()
    deps: dict[str, tuple[str, ...]] = {}
    for key in install.names:
        if key == "deps" or key.startswith("deps-"):
            deps[key.removeprefix("deps").removeprefix("-")] = install.strings(key)
    repositories = (_read_repository(install, item) for item in install.items("git-repos"))
    read = Install(
        deps=deps,
        git_repos=tuple(each for each in repositories if each is not None),
        keys=install.strings("keys"),
        sources=install.strings("sources"),
        steps=_read_steps(install, "steps"),
    )
    install.close()
    return read


def _read_repository(install: Section, item: Node) -> GitRepo | None:
    """An item of `git-repos`: a URL, or a map of it with its branch and destination."""
    place = install.findings.source.place(item.offset)
    if isinstance(item, ScalarNode) and isinstance(item.value, str):
        return GitRepo(item.value, _folder_of(item.value), place=place)
    section = install.section_of(item, "an item of `git-repos`")
    if section is None:
        return None
    url = section.string("url", required=True)
    branch = section.string("branch")
    destination = section.string("destination")
    skipped = section.boolean("skip_by_default", default=False)
    section.close()
    if destination is not None:
        _check_destination(section, destination)
    if url is None or skipped:
        return None
    return GitRepo(url, destination or _folder_of(url), branch, place)


def _folder_of(url: str) -> str:
    """The folder that `git clone` would make."""
    return PurePosixPath(re.split("[/:]", url.rstrip("/"))[-1].removesuffix(".git")).name or "repo"


def _check_destination(section: Section, destination: str) -> None:
    parts = PurePosixPath(destination)
    node = section.get("destination") or section.node
    hint = "it is a folder below the test's own"
    if parts.is_absolute() or ".." in parts.parts or not parts.parts:
        section.error("CB151", node, f"`{destination[:60]}` leads out of the test", hint)
    elif parts.parts[0] in GENERATED or not destination.isprintable() or len(destination) > 200:
        section.error("CB151", node, f"`{destination[:60]}` can't be a folder of the test", hint)


def _read_steps(section: Section, key: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for item in section.items(key):
        if isinstance(item, ScalarNode) and isinstance(item.value, str):
            steps.append(Step(item.text, _first_character(section, item)))
        elif isinstance(item, ScalarNode) and item.value is not None:
            hint = f'YAML does not read it as text; quote it: "{item.text[:60]}"'
            section.error("CB022", item, f"a step must be text, not {kind(item)}", hint)
        else:
            hint = "remove the `-`" if isinstance(item, ScalarNode) else _STEP_HINT
            section.error("CB148", item, f"a step must be text, but is {kind(item)}", hint)
    return tuple(steps)


def _first_character(section: Section, node: ScalarNode) -> Place:
    """Where a step's text begins, after its quote or the header of its block."""
    source = section.findings.source
    offset = node.offset
    if node.style in {"'", '"'}:
        offset += 1
    elif node.style:
        offset = source.text.find("\n", offset) + 1
        text = source.text[offset : node.end]
        offset += len(text) - len(text.lstrip())
    return source.place(offset)
