"""Checks that need more than one part of a definition."""

from collections.abc import Iterator, Sequence

from attrs import define, field

from callboard.definition.actions import is_known
from callboard.definition.blocks import WrittenBlock
from callboard.definition.calls import MULTINODE, VLAND, WAITS
from callboard.definition.model import Block, Call, LxcContainer, PipelineAction, Place, Timeouts
from callboard.definition.pipeline import assemble
from callboard.definition.reader import did_you_mean, listed
from callboard.definition.roles import Roles

VLAN_CONNECTION_S = 120
"""LAVA: `deploy_vlans` fails on an action whose connection time-out is shorter."""

_ON_SOME_DEVICES = {"ssh-authorize"}


def check_jobs(
    written: Sequence[WrittenBlock],
    roles: Roles,
    timeouts: Timeouts,
    containers: Sequence[LxcContainer],
) -> None:
    """Checks the job of each role, or the only job, as LAVA's dispatcher would at its start."""
    checker = _Checker(timeouts, roles.declared)
    equipped = {container.role for container in containers}
    if roles.declared:
        jobs: dict[str, list[WrittenBlock]] = {name: [] for name in roles.names}
        for item in written:
            for role in item.block.roles:
                jobs[role].append(item)
        for role, blocks in jobs.items():
            checker.check(blocks, has_container=role in equipped)
        for guest in roles.roles.values():
            host = roles.roles.get(guest.host_role or "")
            if guest.connection == "ssh" and host is not None and host.connection is None:
                checker.check_host(host.name, jobs[host.name], jobs[guest.name])
    else:
        checker.check(written, has_container=None in equipped)
    checker.report_stray_calls()


@define
class _Checker:
    """Checks one job after the other; what several jobs share is reported once."""

    timeouts: Timeouts
    multinode: bool
    _seen: set[tuple[str, int]] = field(factory=set[tuple[str, int]], init=False)
    _names: dict[int, dict[str, None]] = field(factory=dict[int, dict[str, None]], init=False)
    _blocks: list[WrittenBlock] = field(factory=list[WrittenBlock], init=False)

    def check(self, written: Sequence[WrittenBlock], *, has_container: bool) -> None:
        blocks = [item.block for item in written]
        actions = assemble(blocks, self.timeouts, multinode=self.multinode, ssh=False)
        for item, top in zip(written, actions, strict=False):
            below = list(_walk(top))
            self._remember(item, below)
            self._check_retries(item, below)
            self._check_container(item, has_container)
            self._check_vlans(item, below)
            self._check_limits(item, top)
            self._check_test(item)
        self._check_names(written)
        self._check_guest(written)

    def check_host(
        self, host: str, written: Sequence[WrittenBlock], guests: Sequence[WrittenBlock]
    ) -> None:
        """Warns of guests that their host lets in only if somebody else has given it a key."""
        if any(item.block.authorizes_ssh for item in written):
            return
        for item in guests:
            if item.block.kind == "boot" and item.block.method == "ssh":
                hint = f"add `authorize: ssh` to a deploy of `{host[:60]}`"
                message = f"no deploy of `{host[:60]}` lets the guests of {item.section.title} in"
                self._warning(item, "CB095", item.section.node.offset, message, hint)

    def report_stray_calls(self) -> None:
        """Calls that no job makes; in LAVA they are silently left out."""
        for item in self._blocks:
            names = self._names[item.section.node.offset]
            for call in item.block.calls:
                if call.action in names or call.action in _ON_SOME_DEVICES:
                    continue
                if is_known(item.block):
                    near = did_you_mean(call.action, names)
                    hint = f"it has {listed(names)}"
                    message = (
                        f"{item.section.title} has no action `{call.action[:60]}`, "
                        f"so the `{call.request}` is never made"
                    )
                    hint = f"{near} {hint}" if near else hint
                    self._warning(item, "CB085", _at(item, call), message, hint)

    def _remember(self, item: WrittenBlock, actions: Sequence[PipelineAction]) -> None:
        key = item.section.node.offset
        if key not in self._names:
            self._names[key] = {}
            self._blocks.append(item)
        self._names[key] |= dict.fromkeys(action.name for action in actions)

    def _check_retries(self, item: WrittenBlock, actions: Sequence[PipelineAction]) -> None:
        section, block = item.section, item.block
        retries = any(action.retry for action in actions)
        if block.repeat is not None and block.failure_retry is not None and retries:
            hint = "keep one of the two"
            message = f"{section.title} has both `repeat` and `failure_retry`"
            self._error(item, "CB076", section.key("repeat").offset, message, hint)
        if block.failure_retry is not None and block.kind == "test" and not retries:
            hint = "LAVA doesn't retry the tests of a group; remove it"
            message = f"`failure_retry` of {section.title} has no effect"
            self._warning(item, "CB077", section.key("failure_retry").offset, message, hint)

    def _check_container(self, item: WrittenBlock, has_container: bool) -> None:
        block, section = item.block, item.section
        if has_container or block.kind not in {"deploy", "boot"} or block.method != "lxc":
            return
        hint = "add it to `protocols: lava-lxc`"
        message = f"{section.title} needs a container, but `lava-lxc` describes none for it"
        self._error(item, "CB123", section.node.offset, message, hint)

    def _check_vlans(self, item: WrittenBlock, actions: Sequence[PipelineAction]) -> None:
        for action in actions:
            for call in action.calls:
                if call.protocol == VLAND and action.connection_s < VLAN_CONNECTION_S:
                    message = (
                        f"`{call.request}` needs a connection time-out of {VLAN_CONNECTION_S} s, "
                        f"`{action.name}` has {action.connection_s} s"
                    )
                    hint = f"add `{action.name}: {{minutes: 2}}` to `timeouts: connections`"
                    self._error(item, "CB135", _at(item, call), message, hint)

    def _check_limits(self, item: WrittenBlock, top: PipelineAction) -> None:
        """Finds calls that may wait for longer than the actions around them."""
        for action, shortest in _limited(top, top):
            for call in action.calls:
                limit_s = call.timeout_s or 0
                waits = call.protocol == MULTINODE and call.request in WAITS
                if not waits or limit_s <= shortest.duration_s:
                    continue
                message = (
                    f"the call may wait for {limit_s} s, "
                    f"but `{shortest.name}` ends after {shortest.duration_s} s"
                )
                hint = f"shorten the call's `timeout`, or lengthen that of {item.section.title}"
                self._warning(item, "CB094", _at(item, call), message, hint)

    def _check_test(self, item: WrittenBlock) -> None:
        if item.block.timeout_skip and item.block.kind == "test" and self.multinode:
            hint = "a time-out of a group's tests always fails the job"
            message = f"`skip: true` of {item.section.title} has no effect"
            self._warning(item, "CB046", item.section.key("timeout").offset, message, hint)

    def _check_names(self, written: Sequence[WrittenBlock]) -> None:
        first: dict[tuple[str, str], Place] = {}
        for item in written:
            for source in item.block.definitions:
                key = item.block.namespace, source.name
                if key in first:
                    message = (
                        f"a test `{source.name[:60]}` exists already, in line {first[key].line}"
                    )
                    hint = "names are unique within a job's namespace: results stand under them"
                    self._error(item, "CB143", _offset(item, source.place), message, hint)
                else:
                    first[key] = source.place

    def _check_guest(self, written: Sequence[WrittenBlock]) -> None:
        """Checks that a guest's login finds the address that its deploy asked for."""
        for item in written:
            if item.block.kind == "boot" and item.block.method == "ssh":
                calls = [
                    (deploy, call)
                    for deploy in written
                    if deploy.block.namespace == item.block.namespace
                    for call in _address_calls(deploy.block)
                ]
                self._check_login(item, calls)

    def _check_login(self, item: WrittenBlock, calls: Sequence[tuple[WrittenBlock, Call]]) -> None:
        for deploy, call in calls:
            if not call.message:
                hint = "write for instance `message: {ipaddr: $ipaddr}`"
                message = "a call of `prepare-scp-overlay` needs a `message` that names the data"
                self._error(deploy, "CB090", _at(deploy, call), message, hint)
        for deploy, call in calls[1:]:
            message = "`prepare-scp-overlay` can ask for one address only"
            hint = "remove all calls of it but one"
            self._error(deploy, "CB090", _at(deploy, call), message, hint)
        parameters = item.block.parameters.get("parameters")
        if not isinstance(parameters, dict) or "hostID" not in parameters:
            return
        if not calls:
            hint = "add a call of `prepare-scp-overlay` to the deploy of the same namespace"
            message = f"`hostID` of {item.section.title} names a message that nobody waits for"
            self._error(item, "CB091", item.section.key("parameters").offset, message, hint)
            return
        call = calls[0][1]
        wanted = parameters["hostID"], parameters.get("host_key")
        if wanted[0] != call.message_id or (call.message and wanted[1] not in list(call.message)):
            keys = listed(call.message or {})
            hint = f"the deploy asks for {keys} of `{call.message_id}`"
            message = "`hostID` and `host_key` must name what `prepare-scp-overlay` has received"
            self._error(item, "CB091", item.section.key("parameters").offset, message, hint)

    def _error(self, item: WrittenBlock, code: str, at: int, message: str, hint: str) -> None:
        if (code, at) not in self._seen:
            self._seen.add((code, at))
            item.section.findings.error(code, at, message, hint)

    def _warning(self, item: WrittenBlock, code: str, at: int, message: str, hint: str) -> None:
        if (code, at) not in self._seen:
            self._seen.add((code, at))
            item.section.findings.warning(code, at, message, hint)


def _at(item: WrittenBlock, call: Call) -> int:
    return _offset(item, call.place)


def _offset(item: WrittenBlock, place: Place) -> int:
    return item.section.findings.source.offset(place)


def _address_calls(block: Block) -> list[Call]:
    if block.kind != "deploy":
        return []
    return [call for call in block.calls if call.action == "prepare-scp-overlay"]


def _walk(action: PipelineAction) -> Iterator[PipelineAction]:
    yield action
    for child in action.children:
        yield from _walk(child)


def _limited(
    action: PipelineAction, shortest: PipelineAction
) -> Iterator[tuple[PipelineAction, PipelineAction]]:
    """Each action with the one, of itself and those that it is in, that ends first."""
    shortest = min(action, shortest, key=lambda each: each.duration_s)
    yield action, shortest
    for child in action.children:
        yield from _limited(child, shortest)
