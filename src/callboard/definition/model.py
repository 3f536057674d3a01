"""The typed form of a job definition: what the rest of callboard sees instead of YAML.

Every part that a message may have to point at knows its `Place`. Durations are whole
seconds. Free-form parts (`context`, `metadata`, ...) are kept as plain data, for they
are only copied into node jobs.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from attrs import field, frozen

Scalar = str | int | float | bool | None
Plain = Scalar | list["Plain"] | dict[str, "Plain"]
"""What a YAML document holds once positions are dropped."""

BlockKind = Literal["deploy", "boot", "test", "command"]
Request = Literal["lava-send", "lava-wait", "lava-wait-all", "lava-sync", "lava-start"]
TestKind = Literal["shell", "docker", "interactive", "monitors"]
Origin = Literal["inline", "git", "url"]

COMMON = "common"
"""The namespace of actions that name none (LAVA: namespaces)."""


@frozen(order=True)
class Place:
    """A position in a definition file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@frozen
class Timeouts:
    """The `timeouts` of a job, in seconds (LAVA: timeouts).

    Attributes:
        job_s: Limit of the whole pipeline run.
        action_s: Default limit of an action, None for LAVA's 30 s.
        actions_s: Limits by action name.
        connection_s: Default limit of one wait on a connection, None for LAVA's 30 s.
        connections_s: The same by action name.
        queue_s: Time allowed for waiting for devices, None for no limit.
    """

    job_s: int
    action_s: int | None = None
    actions_s: Mapping[str, int] = field(factory=dict[str, int])
    connection_s: int | None = None
    connections_s: Mapping[str, int] = field(factory=dict[str, int])
    queue_s: int | None = None


@frozen
class Role:
    """A role of a MultiNode job (LAVA: MultiNode, roles).

    Either `device_type` is set (the role's nodes are devices) or `connection` and `host_role`
    (its nodes are logins on the device of the host role).
    """

    name: str
    count: int
    place: Place
    device_type: str | None = None
    connection: str | None = None
    host_role: str | None = None
    expect_role: str | None = None
    request: str | None = None
    essential: bool = False
    timeout_s: int | None = None
    context: Mapping[str, Plain] = field(factory=dict[str, Plain])
    tags: tuple[str, ...] = ()
    environment: Mapping[str, Plain] = field(factory=dict[str, Plain])
    device: str | None = None
    worker: str | None = None

    @property
    def delayed_by(self) -> str | None:
        """The role that lets this one's jobs begin, None when they begin at once."""
        return self.expect_role if self.request == "lava-start" else None


@frozen
class LxcContainer:
    """One container of the `lava-lxc` protocol (LAVA: LXC protocol).

    `role` is None in a job without roles.
    """

    role: str | None
    name: str
    distribution: str
    release: str
    place: Place
    template: str = "download"
    arch: str | None = None
    mirror: str | None = None
    security_mirror: str | None = None
    verbose: bool = False
    persist: bool = False


@frozen
class VlanInterface:
    """One VLAN of one role in the `lava-vland` protocol: the interface must carry all `tags`."""

    role: str
    vlan: str
    tags: tuple[str, ...]
    place: Place


@frozen
class Call:
    """A protocol call of an action block (LAVA: actions and protocols).

    Attributes:
        protocol: `lava-multinode`, `lava-lxc`, `lava-vland` or another protocol's name.
        action: Name of the pipeline action that makes the call.
        request: What is asked of the protocol.
        message_id: The `messageID`; None where the request has none.
        message: Data to send, or placeholders to fill; a scalar message is `{scalar: None}`.
        role: Role to wait for (`lava-wait-all` only).
        roles: Roles to release (`lava-start` only).
        timeout_s: Limit of this call in seconds, None for the default.
        poll_delay_s: Seconds between two questions to LAVA's coordinator; callboard's answers
            by itself, so nothing reads it.
    """

    protocol: str
    action: str
    request: str
    place: Place
    message_id: str | None = None
    message: Mapping[str, str | None] | None = None
    role: str | None = None
    roles: tuple[str, ...] = ()
    timeout_s: int | None = None
    poll_delay_s: int | None = None


@frozen
class Xnbd:
    """The `lava-xnbd` protocol: a network block device; `port` is None for any free one."""

    place: Place
    port: int | None = None
    timeout_s: int | None = None


@frozen
class Step:
    """One shell step: `text` as written, `place` of its first character in the file."""

    text: str
    place: Place


@frozen
class GitRepo:
    """A repository that is put beside a test definition; `destination` is a folder below it."""

    url: str
    destination: str
    branch: str | None = None
    place: Place | None = field(default=None, eq=False)


@frozen
class Install:
    """The `install` section of a test definition.

    `deps` maps a distribution to its packages; the key "" holds those for every distribution.
    """

    deps: Mapping[str, tuple[str, ...]] = field(factory=dict[str, tuple[str, ...]])
    git_repos: tuple[GitRepo, ...] = ()
    keys: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


@frozen
class TestDefinition:
    """A Lava-Test Test Definition 1.0: what runs in a shell on the device.

    Attributes:
        parameters: `params` then `parameters`, in that order; later ones win (LAVA: parameters).
        text: The definition as YAML, as it is written into the overlay.
        metadata: The `metadata` section.
    """

    __test__ = False  # keeps pytest from taking it for a test class

    name: str
    metadata: Mapping[str, Plain]
    run: tuple[Step, ...]
    place: Place
    text: str
    install: Install = field(factory=Install)
    parameters: tuple[tuple[str, str], ...] = ()
    expected: tuple[str, ...] = ()


@frozen
class Fetched:
    """What belongs to a test source and was fetched before the run.

    Attributes:
        definition: What the test runs.
        folder: The files beside it, None when it is written in line.
        commit: The commit that they are of, None when they are not from git.
        repositories: More folders, by their place below the test's own (`git-repos`).
    """

    definition: TestDefinition
    folder: Path | None = None
    commit: str | None = None
    repositories: tuple[tuple[str, Path], ...] = ()


@frozen
class TestSource:
    """One entry of a test block's `definitions`: where a test definition comes from.

    Attributes:
        repository: URL of the repository or archive; None for `inline`.
        inline: The definition itself for `inline`, else None.
        parameters: `parameters` then `params` of the job, in that order; later ones win.
        skip_install: Any of `keys`, `sources`, `deps`, `steps`, `git-repos`, `all`.
        expected: Test cases that must be reported, None when the job doesn't say.
        signal: Where signals are written: `stdout` or `kmsg`.
        options: The remaining keys of git and url sources (`branch`, `revision`, ...).
        fetched: What it names, None as long as nobody has fetched it.
    """

    __test__ = False  # keeps pytest from taking it for a test class

    name: str
    origin: Origin
    path: str
    place: Place
    repository: str | None = None
    inline: TestDefinition | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    skip_install: frozenset[str] = frozenset()
    expected: tuple[str, ...] | None = None
    signal: Literal["stdout", "kmsg"] = "stdout"
    options: Mapping[str, Plain] = field(factory=dict[str, Plain])
    fetched: Fetched | None = None

    @property
    def definition(self) -> TestDefinition | None:
        """What the test runs; None when that is elsewhere and nobody has fetched it."""
        return self.inline if self.fetched is None else self.fetched.definition


@frozen
class Image:
    """A file that a deploy block downloads.

    Attributes:
        label: Its key in the block.
        url: Where it is.
        compression: How it is compressed there; None if it is to stay as it is.
        headers: Sent with the request, to that host only; values may be secret.
        sums: What its checksum there must be, in hexadecimal digits, by hash: `sha256`.
    """

    label: str
    url: str
    compression: str | None = None
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False, hash=False)
    sums: Mapping[str, str] = field(factory=dict[str, str], hash=False)

    @property
    def name(self) -> str:
        """What the file is called where it is put; empty if its URL names none.

        It is the last part of the URL, without its ending if it is unpacked (LAVA: compression).
        """
        scheme, there, path = self.url.partition("://")
        if not there:
            path = self.url
        elif scheme.lower() in {"http", "https"}:
            path = re.split(r"[?#]", path)[0].partition("/")[2]
        name = path.rpartition("/")[2]
        return name.rpartition(".")[0] or name if self.compression else name


@frozen
class AutoLogin:
    """How to log in on a console (LAVA: auto_login).

    Attributes:
        login_prompt: What asks for the user, a regular expression.
        username: Who logs in.
        password_prompt: What asks for the password, a regular expression.
        password: None for a user without one; it never reaches an event, log or report.
        login_commands: Typed after the login, one after the other, each awaited by its prompt.
    """

    login_prompt: str
    username: str
    password_prompt: str | None = None
    password: str | None = field(default=None, repr=False)
    login_commands: tuple[str, ...] = ()


@frozen
class Block:
    """One entry of `actions`: a deploy, boot, test or command block.

    Attributes:
        method: The deploy's `to`, the boot's `method`, the command's `name`; "" for a test.
        roles: The roles that run it; empty in a job without roles.
        namespace: Label of the environment that it works in, `common` when none is named.
        connection_namespace: Namespace whose connection a test uses, None for its own.
        definitions: The test definitions of a `shell` or `docker` test.
        test_kind: None unless the block is a test.
        auto_login: How a boot logs in; None where it needs no login.
        kernel_start_message: What the console shows when the system begins to start, a regular
            expression; None for the device's own, empty for nothing.
        timeout_skip: `skip: true` of the block's `timeout`.
        connection_timeout_s: The block's own limit of one wait on a connection.
        parameters: The whole block as plain data, positions dropped, `role` included.
    """

    kind: BlockKind
    method: str
    place: Place
    parameters: Mapping[str, Plain]
    roles: tuple[str, ...] = ()
    namespace: str = COMMON
    connection_namespace: str | None = None
    os: str | None = None
    prompts: tuple[str, ...] = ()
    auto_login: AutoLogin | None = None
    kernel_start_message: str | None = None
    images: tuple[Image, ...] = ()
    definitions: tuple[TestSource, ...] = ()
    test_kind: TestKind | None = None
    timeout_s: int | None = None
    timeout_skip: bool = False
    timeouts_s: Mapping[str, int] = field(factory=dict[str, int])
    failure_retry: int | None = None
    failure_retry_interval_s: int = 1
    repeat: int | None = None
    calls: tuple[Call, ...] = ()
    connection_timeout_s: int | None = None

    @property
    def authorizes_ssh(self) -> bool:
        """Whether guests may log in on what it deploys (LAVA: `authorize: ssh`)."""
        return self.kind == "deploy" and self.parameters.get("authorize") == "ssh"

    @property
    def in_container(self) -> bool:
        """Whether it deploys or boots the job's container (LAVA: LXC protocol)."""
        return self.kind in {"deploy", "boot"} and self.method == "lxc"


@frozen
class Definition:
    """A validated LAVA job definition, MultiNode or for a single node.

    Attributes:
        file: Name of the file as the user gave it, `<string>` for text.
        text: The definition as written.
        roles: In the order written; empty for a single-node definition.
        device_type: Of a single-node definition; None for MultiNode.
        group_timeout_s: `timeout` beside `roles`, None when absent.
        secrets: Names and values; the values never reach an event, log or report.
        hidden: All that is never shown: those values, headers, and logins in URLs.
        data: The whole definition as plain data.
        masked_text: The definition as written, every secret replaced by `[MASKED]`.
        priority: From 0 to 100 (LAVA: `high` is 100, `medium` 50, `low` 0).
        visibility: `public`, `personal`, or the names of groups.
        reboot_to_fastboot: Whether the LXC protocol's teardown reboots an Android device.
    """

    file: str
    text: str = field(repr=False)
    job_name: str
    timeouts: Timeouts
    blocks: tuple[Block, ...]
    data: Mapping[str, Plain] = field(repr=False)
    roles: tuple[Role, ...] = ()
    device_type: str | None = None
    group_timeout_s: int | None = None
    containers: tuple[LxcContainer, ...] = ()
    vlans: tuple[VlanInterface, ...] = ()
    secrets: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    hidden: frozenset[str] = field(default=frozenset(), repr=False)
    context: Mapping[str, Plain] = field(factory=dict[str, Plain])
    environment: Mapping[str, Plain] = field(factory=dict[str, Plain])
    tags: tuple[str, ...] = ()
    masked_text: str = field(default="", repr=False)
    priority: int = 50
    visibility: Literal["public", "personal"] | tuple[str, ...] = "public"
    metadata: Mapping[str, Plain] = field(factory=dict[str, Plain])
    notify: Mapping[str, Plain] = field(factory=dict[str, Plain])
    reboot_to_fastboot: bool = True
    xnbd: Xnbd | None = None

    @property
    def multinode(self) -> bool:
        """Whether the definition declares `lava-multinode`."""
        return bool(self.roles)

    @property
    def size(self) -> int:
        """How many nodes the group has."""
        return sum(role.count for role in self.roles) if self.roles else 1

    def role(self, name: str) -> Role:
        """The role called `name`; raises KeyError when there is none."""
        for role in self.roles:
            if role.name == name:
                return role
        raise KeyError(name)


@frozen
class NodeJob:
    """One job of the group: what one node runs (LAVA: the split of a MultiNode submission).

    Attributes:
        id: The job's id, unique among a user's runs.
        sub_id: Running number in the group, from 0.
        role: The node's role, None in a single-node definition.
        blocks: The blocks of the role, in order.
        wait_limit_s: Limit of a blocking call in a test shell, in seconds.
        start_limit_s: Limit of a delayed start, in seconds.
        environment: Exported into the overlay's `environment`.
        text: The job's own definition as YAML, secrets replaced by `[MASKED]`. It may be given
            as a function that makes it, for it lists the whole group.
    """

    id: int
    sub_id: int
    job_name: str
    role: Role | None
    device_type: str | None
    timeouts: Timeouts
    blocks: tuple[Block, ...]
    wait_limit_s: int
    start_limit_s: int
    environment: Mapping[str, Plain]
    _text: str | Callable[[], str] = field(repr=False, eq=False)
    container: LxcContainer | None = None
    vlans: tuple[VlanInterface, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def contained_namespaces(self) -> frozenset[str]:
        """The namespaces that are the container's: where it is deployed or booted."""
        return frozenset(block.namespace for block in self.blocks if block.in_container)

    @property
    def text(self) -> str:
        """The job's own definition as YAML, secrets replaced by `[MASKED]`."""
        return self._text if isinstance(self._text, str) else self._text()


@frozen
class PipelineAction:
    """One action of a node's pipeline, known before anything runs (LAVA: pipeline description).

    Attributes:
        name: LAVA's name of the action, e.g. `lava-overlay`.
        level: Its address in the tree, e.g. `1.1.4`.
        summary: One line on what the action does.
        block: The block it belongs to, None for `finalize` and its children.
        namespace: The block's namespace.
        duration_s: Its own limit in seconds (LAVA: how the time-out of an action is found).
        connection_s: Limit of one wait on the connection in seconds.
        max_retries: Attempts in total if the action is a retry action, else 1.
        repeat: Runs whatever the outcome if the block says `repeat`, else None.
        retry: Whether it is a retry action.
        calls: Protocol calls that this action makes.
        source: The test definition that the action prepares, None for other actions.
        stage: Number of the test block within the namespace, for test actions and those that
            prepare a test definition; else None.
        index: Number of the test definition `source` within the namespace.
        image: What a download action fetches.
    """

    name: str
    level: str
    summary: str
    block: Block | None
    namespace: str
    duration_s: int
    connection_s: int
    children: tuple["PipelineAction", ...] = ()
    max_retries: int = 1
    repeat: int | None = None
    retry: bool = False
    calls: tuple[Call, ...] = ()
    source: TestSource | None = None
    stage: int | None = None
    image: Image | None = None
    index: int | None = None
