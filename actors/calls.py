"""The MultiNode calls that a definition attaches to actions, and what is done with their data.

LAVA: actions and protocols; docs/multinode.md has the table of requests.
"""

from collections.abc import Mapping, Sequence

from callboard.actors.context import JobContext
from callboard.actors.effects import Data
from callboard.actors.errors import InfrastructureError, JobError, MultinodeTimeout
from callboard.actors.members import Member
from callboard.actors.messages import Call, Granted, JobData, Refused
from callboard.definition.calls import START
from callboard.definition.model import Call as WrittenCall
from callboard.definition.model import PipelineAction
from callboard.events import CallName, LogLevel, Message, Where, as_written

_NAMES: Mapping[str, CallName] = {
    "lava-send": "send",
    "lava-start": "send",
    "lava-sync": "sync",
    "lava-wait": "wait",
    "lava-wait-all": "wait-all",
}


class Calls:
    """Makes the calls of one action.

    Args:
        address: Address of the action's actor.
        plan: The action.
        context: Its job.
    """

    def __init__(self, address: str, plan: PipelineAction, context: JobContext) -> None:
        self._address = address
        self._plan = plan
        self._job = context

    async def make(self, written: WrittenCall, data: JobData) -> JobData:
        """Make a call; returns `data` with what was received.

        Raises:
            MultinodeTimeout: A call was not answered within its limit, or never can be.
            JobError: What a call asks for was not received.
        """
        protocol = self._job.protocol
        if protocol is None:
            self._log("warning", f"{written.request} has no effect: the job has no roles")
            return data
        call = self._call(written)
        try:
            self._job.node.call(as_written(call.call, call.id, call.role, call.roles))
        except OSError as error:
            raise InfrastructureError(str(error)) from error
        answer = await protocol.ask(call)
        if isinstance(answer, Refused) and answer.overlooked:
            self._log("warning", f"{answer.reason}: {written.request} is passed without data")
            return data
        if not isinstance(answer, Granted):
            reason = answer.reason if isinstance(answer, Refused) else "the call was given up"
            raise MultinodeTimeout(reason)
        wanted = written.message or {}
        if call.call not in ("wait", "wait-all") or not any(map(_is_placeholder, wanted.values())):
            return data
        filled = self._filled(call.id, wanted, answer.data)
        shown = ", ".join(f"{key}={value}" for key, value in filled.items())
        self._log("info", f"received under {call.id}: {shown}")
        return data.with_received(self._plan.namespace, call.id, filled)

    def _call(self, written: WrittenCall) -> Call:
        name = _NAMES[written.request]
        place = written.place
        starts = written.request == "lava-start"
        message_id = START if starts else written.message_id or ""
        names = ", ".join(written.roles) if starts else message_id
        return Call(
            name,
            message_id,
            limit_s=written.timeout_s or self._job.job.wait_limit_s,
            role=written.role if name == "wait-all" else None,
            data={key: value or "" for key, value in (written.message or {}).items()}
            if written.request == "lava-send"
            else {},
            roles=written.roles if starts else None,
            where=Where(place.file, place.line, place.column, f"{written.request} {names}"),
        )

    def _filled(
        self, message_id: str, wanted: Mapping[str, str | None], data: Data
    ) -> Mapping[str, str]:
        """The call's message, its placeholders filled by what was received under their keys."""
        filled: dict[str, str] = {}
        members = [each for each in self._job.group if each.job in data]
        for key, value in wanted.items():
            if not _is_placeholder(value):
                filled[key] = value or ""
                continue
            senders = [each for each in members if key in data[each.job]]
            if not senders:
                raise JobError(
                    f"{message_id} brought no '{key}'; received was {_shown(members, data)}"
                )
            if len(senders) > 1:
                names = ", ".join(map(str, senders))
                text = f"{names} sent '{key}' under {message_id}; that of the first is taken"
                self._log("warning", text)
            filled[key] = data[senders[0].job][key]
        return filled

    def _log(self, level: LogLevel, text: str) -> None:
        message = Message(self._job.job.id, level, text, self._plan.namespace)
        self._job.journal.emit(self._address, message)


def _is_placeholder(value: str | None) -> bool:
    return value is not None and value.startswith("$")


def _shown(members: Sequence[Member], data: Data) -> str:
    words = [
        f"{key}={value} from {member}"
        for member in members
        for key, value in data[member.job].items()
    ]
    return ", ".join(words) or "nothing"
