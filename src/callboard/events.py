"""The typed events of a run and the format of their log, `events.jsonl`.

Events are the only output of actors: the console view, results.yaml, the LAVA logs and JUnit
are all derived from them. One line of the log is one event, a JSON object with the common keys
`seq`, `time`, `actor`, `kind`, `cause` and the fields of its kind. The first event is
`run-started`; its `format` is the version of this format.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from json.encoder import encode_basestring
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import cattrs
from attrs import AttrsInstance, fields, frozen, has

FORMAT = 1
"""Version of the log format; a change that an older reader would misread raises it."""

LOG_NAME = "events.jsonl"
"""Name of the event log in a run directory."""

Health = Literal["complete", "incomplete", "canceled"]
Result = Literal["pass", "fail", "skip", "unknown"]
LogLevel = Literal["debug", "info", "warning", "error", "exception", "event", "feedback"]
CallName = Literal["send", "wait", "wait-all", "sync", "start"]
Status = Literal["complete", "incomplete", "canceled"]
LinksChange = Literal["set", "cut", "impair", "heal", "over"]
MemberState = Literal["ended", "waiting", "delayed", "running"]


@frozen
class Failure:
    """Why a job or an action failed.

    Attributes:
        type: The kind of error, by who must act: `InfrastructureError`, `JobError`, ...
        message: What happened, in one sentence.
        action: Level and name of the action, e.g. `1.2 lxc-create-action`; None outside actions.
    """

    type: str
    message: str
    action: str | None = None


@frozen
class RunStarted:
    """The first event of a run. `started_at` is None in virtual time."""

    format: int
    group: str
    name: str
    multinode: bool
    jobs: int
    started_at: str | None


@frozen
class JobCreated:
    """A node's job exists and has its device; `definition` is its own definition as YAML."""

    job: int
    sub_id: int
    role: str | None
    device: str
    driver: str
    definition: str


@frozen
class JobStarted:
    """A job's pipeline begins, after every protocol is set up."""

    job: int


@frozen
class JobEnded:
    """A job has been finalised."""

    job: int
    health: Health
    error: Failure | None
    duration_s: float


@frozen
class ActionStarted:
    """An action of a pipeline begins. Its `level` is its address, e.g. `1.1.4`."""

    job: int
    level: str
    name: str
    namespace: str
    timeout_s: int


@frozen
class ActionEnded:
    """An action has ended.

    Attributes:
        result: `skip` when the node's driver can't do it; `reason` then says why.
        recorded: Whether the action makes a case of the suite `lava`.
    """

    job: int
    level: str
    name: str
    namespace: str
    duration_s: float
    result: Result
    recorded: bool = False
    reason: str | None = None
    error: Failure | None = None


@frozen
class Message:
    """A line of a job's log that is not the device's."""

    job: int
    level: LogLevel
    text: str
    namespace: str | None = None


@frozen
class ConsoleOutput:
    """One line that the device printed."""

    job: int
    namespace: str
    text: str


@frozen
class ConsoleInput:
    """What was sent to the device."""

    job: int
    namespace: str
    text: str


@frozen
class TestRunStarted:
    """A test definition begins on the device."""

    __test__ = False
    job: int
    suite: str
    uuid: str


@frozen
class TestRunEnded:
    """A test definition has ended; `fail` when it didn't reach its end."""

    __test__ = False
    job: int
    suite: str
    uuid: str
    namespace: str
    result: Result
    duration_s: float
    repository: str | None = None
    path: str | None = None
    revision: str | None = None
    commit: str | None = None


@frozen
class TestCaseStarted:
    """The output of a test case begins in the log."""

    __test__ = False
    job: int
    suite: str
    case: str


@frozen
class TestCaseEnded:
    """The output of a test case ends in the log."""

    __test__ = False
    job: int
    suite: str
    case: str


@frozen
class TestCaseResult:
    """The result of a test case. `set` is the test set that was open, if any."""

    __test__ = False
    job: int
    suite: str
    case: str
    result: Result
    duration_s: float
    set: str | None = None
    measurement: float | None = None
    units: str | None = None
    reference: str | None = None


@frozen
class JobResult:
    """A case of the suite `lava` that is neither an action nor a definition, e.g. `validate`."""

    job: int
    case: str
    result: Result
    error: Failure | None = None


@frozen
class Where:
    """Where a definition makes a call: a position, and the step or request that stands there."""

    file: str
    line: int
    column: int
    step: str


def as_written(
    call: CallName, name: str, role: str | None = None, roles: Iterable[str] | None = None
) -> str:
    """A call as one writes it, e.g. `lava-wait-all ready server`; see `CallMade`."""
    if call == "start":
        return f"lava-start by {role}"
    if call == "send" and roles is not None:
        return f"lava-start {' '.join(roles)}"
    return " ".join(filter(None, (f"lava-{call}", name, role)))


@frozen
class CallMade:
    """A node asks the coordinator; `cause` of its answer.

    Attributes:
        call: What is asked.
        id: The message or sync ID.
        role: The role waited for, in `wait-all` and `start`.
        limit_s: How long the node is ready to wait, None for a call that doesn't wait.
        where: Where the call is written, as far as known.
        data: What is sent.
        roles: The roles that a sent `lava_start` releases, None for all.
    """

    job: int
    call: CallName
    id: str
    role: str | None = None
    limit_s: float | None = None
    where: Where | None = None
    data: Mapping[str, str] | None = None
    roles: tuple[str, ...] | None = None

    @property
    def written(self) -> str:
        """The call as one writes it, e.g. `lava-wait-all ready server`."""
        return as_written(self.call, self.id, self.role, self.roles)


@frozen
class CallAnswered:
    """The answer to a call.

    Attributes:
        result: `pass`, `fail`, or `unknown` when nobody waits for the answer any more.
        reason: Why the call did not pass, None when it did.
        data: What was received, by sender's job id, without those who sent no data; None when
            the call returns nothing.
        waited_s: Time from the call to its answer.
    """

    job: int
    call: CallName
    id: str
    result: Result
    waited_s: float
    reason: str | None = None
    data: Mapping[str, Mapping[str, str]] | None = None


_MOST_NAMES = 5
_STATES: Mapping[MemberState, str] = {
    "ended": "ended without it",
    "waiting": "waits too",
    "delayed": "has not started",
    "running": "has not done it",
}


@frozen
class Absentee:
    """A node that a wait still needs, and what it is doing."""

    job: int
    role: str
    state: MemberState


@frozen
class WaitHopeless:
    """A call that waits can't be satisfied any more; `cause` is the call.

    Attributes:
        certain: Whether that is known, or presumed.
        missing: The nodes that would have had to act; for a `wait`, any of them.
        culprits: The jobs that are to blame; the waiting one is the victim if it isn't among them.
    """

    job: int
    call: CallName
    id: str
    role: str | None
    certain: bool
    missing: tuple[Absentee, ...]
    culprits: tuple[int, ...]

    @property
    def text(self) -> str:
        """What it comes to, in one sentence; long lists of nodes are cut short."""
        call = "the delayed start" if self.call == "start" else self.written
        can = "can" if self.certain else "presumably can"
        needed = "; ".join(self._needed()) or "no node of the group ever sends it"
        return f"{call} {can} never be satisfied: {needed}"

    @property
    def written(self) -> str:
        """The call as a definition has it, e.g. `lava-wait-all ready server`, or `lava-start`."""
        if self.call == "start":
            return "lava-start"
        return " ".join(filter(None, (f"lava-{self.call}", self.id, self.role)))

    def _needed(self) -> Iterator[str]:
        """Those that are missing by what they do; only those that ended, where some have."""
        for state, what in _STATES.items():
            names = [f"{each.job} ({each.role})" for each in self.missing if each.state == state]
            if names:
                more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
                yield f"{', '.join(names[:_MOST_NAMES])}{more} {what}"
                if state == "ended":
                    return


@frozen
class LinksChanged:
    """The links between nodes of a group are different from now on.

    Attributes:
        change: `set` by the devices file or a model, before anything happens; `cut`, `impair` or
            `heal` by a fault; `over` at the end of a fault.
        ends: Jobs: one list for all links of their nodes, two for the links between their nodes.
        delay_s: How long packets take longer, in seconds; this and what follows says what the
            links are like by the rule or fault alone.
        jitter_s: By how much that varies at most, in seconds.
        loss: Which share of the packets gets lost, from 0 to 1.
        rate_bps: How much they carry at most, in bits a second; None for no limit.
        cut: Whether they carry nothing.
    """

    change: LinksChange
    ends: tuple[tuple[int, ...], ...]
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    rate_bps: int | None = None
    cut: bool = False


@frozen
class VlanCreated:
    """A VLAN is there, for all of the group that use it.

    Attributes:
        job: The job that made it.
        vlan: What the definition calls it.
        name: What its switches call it.
        id: How its switches find it.
        tag: Its number on the wire.
    """

    job: int
    vlan: str
    name: str
    id: int
    tag: int

    @property
    def text(self) -> str:
        """It in one sentence."""
        return f"VLAN {self.vlan} is there: {self.name}, tag {self.tag}"


@frozen
class PortMoved:
    """An interface of a job's node is in a VLAN.

    Attributes:
        vlan: What the definition calls it.
        interface: The interface's label.
        switch: The switch that it is plugged into; None where there is none.
        port: The number of its port there; None as well.
    """

    job: int
    vlan: str
    interface: str
    switch: str | None = None
    port: int | None = None

    @property
    def text(self) -> str:
        """It in one sentence."""
        return f"{_interface(self)} is in VLAN {self.vlan}"


@frozen
class PortRestored:
    """An interface is where it was before it was moved into a VLAN; fields as of `PortMoved`."""

    job: int
    vlan: str
    interface: str
    switch: str | None = None
    port: int | None = None

    @property
    def text(self) -> str:
        """It in one sentence."""
        return f"{_interface(self)} has left VLAN {self.vlan}"


@frozen
class VlanDeleted:
    """A VLAN is gone; fields as of `VlanCreated`, but `job` is that of the last to leave."""

    job: int
    vlan: str
    name: str
    id: int
    tag: int

    @property
    def text(self) -> str:
        """It in one sentence."""
        return f"VLAN {self.vlan} is gone"


def _interface(body: PortMoved | PortRestored) -> str:
    where = f" (port {body.port} of {body.switch})" if body.switch else ""
    return f"{body.interface}{where}"


@frozen
class DeadLetter:
    """A message found its actor stopped."""

    address: str
    message: str


@frozen
class RunEnded:
    """The last event of a run that ended in order."""

    status: Status
    exit_code: int
    duration_s: float


Body = (
    RunStarted
    | JobCreated
    | JobStarted
    | JobEnded
    | ActionStarted
    | ActionEnded
    | Message
    | ConsoleOutput
    | ConsoleInput
    | TestRunStarted
    | TestRunEnded
    | TestCaseStarted
    | TestCaseEnded
    | TestCaseResult
    | JobResult
    | CallMade
    | CallAnswered
    | WaitHopeless
    | LinksChanged
    | VlanCreated
    | PortMoved
    | PortRestored
    | VlanDeleted
    | DeadLetter
    | RunEnded
)
"""What happened; each class is one kind of event."""


def _kind(body: type[Body]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", body.__name__).lower()


KINDS: Mapping[str, type[Body]] = {_kind(body): body for body in Body.__args__}
"""The kinds of event by their name in the log, e.g. `job-started`."""

_NAMES = {body: kind for kind, body in KINDS.items()}


@frozen
class Event:
    """Something that happened.

    Attributes:
        seq: Number of the event in its run, from 1.
        time_s: Seconds since the run began.
        actor: Address of the actor that says it, e.g. `/group/job-101`.
        body: What happened.
        cause: `seq` of the event that this one answers, None when there is none.
    """

    seq: int
    time_s: float
    actor: str
    body: Body
    cause: int | None = None

    @property
    def kind(self) -> str:
        """The name of the event's kind in the log."""
        return _NAMES[type(self.body)]


class LogError(Exception):
    """An event log can't be read; the text names file, line and what is wrong."""


_Writer = Callable[[Any], str]
"""Makes JSON of a value of one type."""


def _plain(value: object) -> object:
    """What JSON has in place of a value that it doesn't know."""
    return dict(value) if isinstance(value, Mapping) else _converter.unstructure(value)


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain).encode
_converter = cattrs.Converter(forbid_extra_keys=True)


def _number(value: float) -> str:
    # What is not finite has a spelling of its own in JSON.
    return repr(value) if value - value == 0 else _json(value)


def _writer(hint: Any) -> _Writer:
    """How values of a type are written; the rarer ones the general way."""
    if get_origin(hint) is Literal:
        return {word: _json(word) for word in get_args(hint)}.__getitem__
    if get_origin(hint) in (Union, UnionType):
        inner = [_writer(each) for each in get_args(hint) if each is not type(None)]
        write = inner[0] if len(inner) == 1 else _json
        return lambda value: "null" if value is None else write(value)
    if has(hint):
        return _Entry(hint).write
    writers: dict[Any, _Writer] = {int: repr, float: _number, str: encode_basestring}
    writers[bool] = {True: "true", False: "false"}.__getitem__
    return writers.get(hint, _json)


class _Entry:
    """How the fields of a class are written: a text with gaps, and what fills each of them."""

    def __init__(self, kind: type[AttrsInstance], before: str = "") -> None:
        hints = get_type_hints(kind)
        self._gaps = tuple((each.name, _writer(hints[each.name])) for each in fields(kind))
        own = ",".join(f'"{name}":%s' for name, _ in self._gaps)
        self._text = f"{{{before}{own}}}"

    def write(self, value: object, *before: object) -> str:
        """The JSON object of an instance, `before` in the gaps of what comes before its own."""
        texts = [write(getattr(value, name)) for name, write in self._gaps]
        return self._text % (*before, *texts)


_ENTRIES = {
    body: _Entry(body, f'"seq":%s,"time":%s,"actor":%s,"kind":"{kind}","cause":%s,')
    for kind, body in KINDS.items()
}


def encode(event: Event) -> bytes:
    """The event as one line of the log, line break included."""
    body = event.body
    cause = "null" if event.cause is None else event.cause
    actor = encode_basestring(event.actor)
    text = _ENTRIES[type(body)].write(body, event.seq, _number(event.time_s), actor, cause)
    return f"{text}\n".encode()


def decode(line: bytes | str) -> Event:
    """The event of one line of the log.

    Raises:
        LogError: The line is not an event of this format.
    """
    try:
        entry = json.loads(line)
        envelope = {key: entry.pop(key) for key in ("seq", "time", "actor", "kind", "cause")}
        kind = KINDS.get(envelope["kind"])
        if kind is None:
            raise LogError(f"unknown kind of event {envelope['kind']!r}")
        return Event(
            seq=int(envelope["seq"]),
            time_s=float(envelope["time"]),
            actor=str(envelope["actor"]),
            body=_converter.structure(entry, kind),
            cause=None if envelope["cause"] is None else int(envelope["cause"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, cattrs.BaseValidationError) as error:
        raise LogError("not an event of this version's log format") from error


def read_log(path: Path) -> Iterator[Event]:
    """The events of a log, in order.

    A last line without its line break is what a killed run leaves: it is left out.

    Raises:
        LogError: A line is not an event, or the log is of another format.
        OSError: The file can't be read.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                event = decode(line)
            except LogError as error:
                raise LogError(f"{path}:{number}: {error}") from error
            if isinstance(event.body, RunStarted) and event.body.format != FORMAT:
                raise LogError(
                    f"{path}:{number}: the log has format {event.body.format}, "
                    f"this callboard reads format {FORMAT}"
                )
            yield event
