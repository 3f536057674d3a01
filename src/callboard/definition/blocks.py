"""Reads the entries of `actions`: deploy, boot, test and command blocks."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import chain

from attrs import define, evolve, field, frozen

from callboard.definition.calls import read_calls
from callboard.definition.login import (
    check_patterns,
    read_auto_login,
    read_kernel_start_message,
)
from callboard.definition.model import COMMON, Block, BlockKind, Image, Plain
from callboard.definition.reader import Section, did_you_mean, listed
from callboard.definition.roles import Roles
from callboard.definition.tests import Tests, read_tests
from callboard.definition.timeouts import read_limit, read_named, read_timeout
from callboard.definition.tree import ListNode, MapNode, Node, ScalarNode, kind, plain

RESERVED_NAMESPACES = (COMMON, "docker-test-shell")

_KINDS: Mapping[str, BlockKind] = {
    "deploy": "deploy",
    "boot": "boot",
    "test": "test",
    "command": "command",
}
_METHOD_KEYS: Mapping[BlockKind, str] = {"deploy": "to", "boot": "method", "command": "name"}
_COMMON_KEYS = (
    "role",
    "namespace",
    "connection-namespace",
    "protocols",
    "timeout",
    "timeouts",
    "failure_retry",
    "failure_retry_interval",
    "repeat",
    "connection_timeout",
)
_TEST_KEYS = ("definitions", "docker", "interactive", "monitors", "name", "os", "pre_commands")


@frozen
class WrittenBlock:
    """A block and the map that it was read from."""

    block: Block
    section: Section


def read_blocks(
    job: Section, roles: Roles, protocols: tuple[str, ...], job_limit_s: int | None
) -> tuple[WrittenBlock, ...]:
    """The blocks of a job; those with errors too, as far as they could be read."""
    node = job.get("actions")
    if node is None:
        hint = job.misspelt("actions") or "add a list of deploy, boot and test blocks"
        job.error("CB070", job.node, "the job has no `actions`", hint)
        return ()
    if not isinstance(node, ListNode) or not node.items:
        hint = "begin each block with `- deploy:`, `- boot:` or `- test:`"
        what = "is empty" if isinstance(node, ListNode) else f"must be a list, but is {kind(node)}"
        job.error("CB070", node, f"`actions` {what}", hint)
        return ()
    reader = _BlockReader(job, roles, protocols, job_limit_s)
    blocks = [block for item in node.items if (block := reader.read(item)) is not None]
    _check_namespaces(blocks)
    return tuple(blocks)


@define
class _BlockReader:
    job: Section
    roles: Roles
    protocols: tuple[str, ...]
    job_limit_s: int | None
    _counts: dict[BlockKind, int] = field(factory=dict[BlockKind, int], init=False)

    def read(self, node: Node) -> WrittenBlock | None:
        kinds = listed(_KINDS, "or")
        if not isinstance(node, MapNode) or len(node.pairs) != 1:
            hint = f"an action is a map of one key, {kinds}: indent what belongs to it"
            what = kind(node)
            if isinstance(node, MapNode):
                what = f"a map of {len(node.pairs)} keys"
            self.job.error("CB070", node, f"an action can't be {what}", hint)
            return None
        key, value = node.pairs[0]
        block_kind = _KINDS.get(key.text)
        if block_kind is None:
            hint = did_you_mean(key.text, _KINDS) or f"an action is {kinds}"
            if key.text == "repeat":
                hint = "write the blocks out; a block may have `repeat: N` itself"
            self.job.error("CB071", key, f"there is no action `{key.text[:60]}`", hint)
            return None
        number = self._counts.get(block_kind, 0) + 1
        self._counts[block_kind] = number
        section = self.job.section_of(value, f"{block_kind} block {number}")
        return (
            None
            if section is None
            else WrittenBlock(self._block(section, key, block_kind), section)
        )

    def _block(self, section: Section, key: ScalarNode, block_kind: BlockKind) -> Block:
        parameters = plain(section.node)
        timeout = read_timeout(section, "timeout", self.job_limit_s)
        namespace = section.string("namespace")
        own = self._roles(section, key)
        block = Block(
            kind=block_kind,
            method=self._method(section, block_kind),
            place=section.findings.source.place(key.offset),
            parameters=parameters if isinstance(parameters, dict) else {},
            roles=own,
            namespace=namespace or COMMON,
            connection_namespace=section.string("connection-namespace"),
            timeout_s=timeout.duration_s if timeout else None,
            timeout_skip=timeout is not None and timeout.skip,
            timeouts_s=read_named(section, "timeouts", self.job_limit_s),
            failure_retry=section.integer("failure_retry", minimum=1),
            failure_retry_interval_s=section.integer("failure_retry_interval", minimum=1) or 1,
            repeat=section.integer("repeat", minimum=1),
            calls=read_calls(section, own, self.roles, self.protocols),
            connection_timeout_s=read_limit(section, "connection_timeout", self.job_limit_s),
        )
        return self._specific(section, block)

    def _specific(self, section: Section, block: Block) -> Block:
        match block.kind:
            case "deploy":
                block = evolve(block, os=section.string("os"), images=_images(section))
                if block.method == "lxc":
                    section.strings("packages")
                _pass_over(section)
            case "boot":
                block = evolve(
                    block,
                    prompts=section.strings("prompts", one=True),
                    auto_login=read_auto_login(section),
                    kernel_start_message=read_kernel_start_message(section),
                )
                check_patterns(section, "prompts")
                _pass_over(section)
            case "command":
                section.ignore("name", "parameters", *_COMMON_KEYS)
            case "test":
                tests: Tests = read_tests(section)
                block = evolve(block, test_kind=tests.kind, definitions=tests.sources)
                section.ignore(*_TEST_KEYS, *_COMMON_KEYS)
        section.close()
        return block

    def _method(self, section: Section, block_kind: BlockKind) -> str:
        if block_kind == "test":
            return ""
        return section.string(_METHOD_KEYS[block_kind], required=True) or ""

    def _roles(self, section: Section, key: ScalarNode) -> tuple[str, ...]:
        node = section.get("role")
        if node is None:
            if self.roles.names:
                hint = f"add `role: [{', '.join(self.roles.names)}]`, or those that are meant"
                section.error("CB072", key, f"{section.title} has no `role`", hint)
            return ()
        if not self.roles.names:
            if not self.roles.declared:
                hint = "remove it, or declare the roles under `protocols: lava-multinode`"
                at = section.key("role")
                section.warning("CB078", at, "the job has no roles, `role` means nothing", hint)
            return ()
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            part = "LAVA also gives it to roles whose names are a part of it"
            hint = f"write `role: [{node.text[:60]}]`; {part}"
            section.warning("CB073", node, f"`role` of {section.title} should be a list", hint)
        names = section.strings("role", one=True)
        items = node.items if isinstance(node, ListNode) else (node,)
        for item in items:
            if isinstance(item, ScalarNode) and item.text in names:
                self.roles.known(section, item.text, item, section.title)
        if isinstance(node, ListNode) and not node.items:
            section.error("CB072", node, f"`role` of {section.title} is empty", "name a role")
        return tuple(name for name in dict.fromkeys(names) if name in self.roles.names)


def _pass_over(section: Section) -> None:
    """Lets any key pass, for they depend on the method, but for slips in the common ones."""
    for key in section.names:
        if not get_close_matches(key, _COMMON_KEYS, 1, 0.85):
            section.ignore(key)


def _images(section: Section) -> tuple[Image, ...]:
    """What a deploy downloads: under `images`, and each other key whose map has a `url`."""
    found: list[Image] = []
    node = section.get("images")
    below = node.pairs if isinstance(node, MapNode) else ()
    for key, value in chain(below, section.node.pairs):
        if isinstance(value, MapNode) and key.text != "images":
            url = next((item for at, item in value.pairs if at.text == "url"), None)
            if isinstance(url, ScalarNode) and isinstance(url.value, str):
                found.append(_image(key.text, url.value, plain(value)))
    return tuple(found)


def _image(label: str, url: str, options: Plain) -> Image:
    assert isinstance(options, dict), "it is made of a map"
    compression, headers = options.get("compression"), options.get("headers")
    return Image(
        label,
        url,
        None if compression is None else str(compression),
        {key: str(each) for key, each in headers.items()} if isinstance(headers, dict) else {},
        {
            name: str(options[key])
            for name in ("md5", "sha256", "sha512")
            if options.get(key := f"{name}sum") is not None
        },
    )


def _check_namespaces(written: Sequence[WrittenBlock]) -> None:
    named = [item for item in written if "namespace" in item.section]
    for item in named:
        if item.block.namespace in RESERVED_NAMESPACES:
            node = item.section.get("namespace") or item.section.node
            message = f"the namespace `{item.block.namespace}` is reserved"
            item.section.error("CB075", node, message, "choose another name")
    mixed = {role for item in named for role in item.block.roles}
    for item in written:
        if named and "namespace" not in item.section:
            _report_missing_namespace(item, named[0], mixed)
        _check_connection_namespace(item, written)


def _report_missing_namespace(item: WrittenBlock, named: WrittenBlock, mixed: set[str]) -> None:
    """LAVA refuses a job where only some actions have one; its strict schema a whole group."""
    section = item.section
    message = f"{section.title} has no `namespace`, but {named.section.title} has"
    hint = f"give all of them one, e.g. `{named.block.namespace[:60]}`, or none"
    if not item.block.roles or mixed.intersection(item.block.roles):
        section.error("CB074", section.node, message, hint)
    else:
        section.warning("CB074", section.node, message, hint)


def _check_connection_namespace(item: WrittenBlock, written: Sequence[WrittenBlock]) -> None:
    wanted = item.block.connection_namespace
    if wanted is None:
        return
    section = item.section
    node = section.get("connection-namespace") or section.node
    known = sorted({other.block.namespace for other in written})
    if item.block.kind != "test":
        hint = "only a test can use another namespace's connection"
        message = f"{section.title} ignores `connection-namespace`"
        section.warning("CB079", node, message, hint)
    elif wanted not in known:
        hint = did_you_mean(wanted, known) or f"the namespaces are {listed(known)}"
        section.warning("CB079", node, f"there is no namespace `{wanted[:60]}`", hint)
