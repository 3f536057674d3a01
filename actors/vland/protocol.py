"""The VLANd protocol of one job: it has the job's ports put into its VLANs, and back."""

from collections.abc import Callable, Mapping

from attrs import evolve, frozen

from callboard.actors.errand import Errand, Perform
from callboard.actors.errors import InfrastructureError, JobError, MultinodeTimeout
from callboard.actors.messages import Call, Granted, ProtocolMessage, Refused
from callboard.actors.vland.messages import (
    Abandon,
    CreateVlan,
    Deployed,
    DeployVlans,
    LeaveVlans,
    MovePort,
    Released,
    ReleaseVlans,
    SwitchboardMessage,
    VlandMessage,
)
from callboard.definition.deployment import VLAN_ID, VLAN_TAG
from callboard.runtime import Actor, ActorRef, Outcome, Reply


@frozen
class _Task:
    """The deployment that is under way."""

    number: int
    worker: "ActorRef[Perform]"
    reply: Reply[None]


class Vland(Actor[VlandMessage]):
    """Deploys the VLANs of a job, as often as it is asked; what is deployed already stays.

    A child does it, for it takes as long as the others take, so that this actor hears at once when
    nobody waits any more.

    Args:
        job: Id of the job.
        makers: By the name of each VLAN, the job that makes it.
        switchboard: Who has it made.
        multinode: Makes the calls by which jobs tell each other of their VLANs.
        calls: Is told of each such call before it is made, as it is written; raises OSError when
            the node can't make any more.
    """

    def __init__(
        self,
        job: int,
        makers: Mapping[str, int],
        switchboard: ActorRef[SwitchboardMessage],
        multinode: ActorRef[ProtocolMessage],
        calls: Callable[[str], None],
    ) -> None:
        self._job = job
        self._makers = makers
        self._switchboard = switchboard
        self._multinode = multinode
        self._calls = calls
        self._task: _Task | None = None
        self._tasks = 0
        self._leaving: list[Reply[tuple[str, ...]]] = []

    async def receive(self, message: VlandMessage) -> None:
        """Handle one message; never waits for a switch, or for another job."""
        match message:
            case DeployVlans():
                await self._end_task()  # two at once: whoever asked for the first has gone
                self._begin(message)
            case Deployed(number, outcome):
                self._deployed(number, outcome.value or Outcome(error=outcome.error))
            case Abandon():
                await self._end_task()
            case ReleaseVlans():
                await self._end_task()
                self._leaving.append(self.context.defer(message))
                self.context.pipe(self._switchboard, LeaveVlans(self._job), Released)
            case Released(outcome):
                for reply in self._leaving:
                    reply.send(outcome.value or ((str(outcome.error),) if outcome.error else ()))

    def _begin(self, request: DeployVlans) -> None:
        self._tasks = number = self._tasks + 1
        worker = self.context.spawn(Errand, f"deployment-{number}")
        self._task = _Task(number, worker, self.context.defer(request))
        perform = Perform(lambda: self._deploy(request.calls))
        self.context.pipe(worker, perform, lambda outcome: Deployed(number, outcome))

    def _deployed(self, number: int, done: Outcome[object]) -> None:
        task = self._task
        if task is None or task.number != number:
            return  # it was ended
        self._task = None
        if done.error is None:
            task.reply.send(None)
        else:
            task.reply.fail(done.error)

    async def _end_task(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            await task.worker.cancel()
            task.reply.fail(InfrastructureError("nobody waited for the VLANs any more"))

    async def _deploy(self, calls: tuple[Call, ...]) -> None:
        """Make those that are this job's to make, wait for the others, and move the ports.

        Raises:
            ActionError: That can't be.
            OSError: The node can't call any more.
        """
        ids = {call.id: await self._have(call) for call in calls}
        for name, vlan_id in ids.items():
            await self._switchboard.ask(MovePort(self._job, name, vlan_id))

    async def _have(self, call: Call) -> int:
        """Have a VLAN; returns what its switches call it."""
        if call.call == "send":
            vlan = await self._switchboard.ask(CreateVlan(self._job, call.id))
            told = {VLAN_ID: str(vlan.id), VLAN_TAG: str(vlan.tag)}
            await self._called(evolve(call, data=told))
            return vlan.id
        data = (await self._called(call)).data
        told = dict(data.get(self._makers[call.id], {}))
        if not (number := told.get(VLAN_ID, "")).isdecimal():
            heard = ", ".join(map(str, sorted(data))) or "nobody"
            raise JobError(
                f"Waiting for vlan creation failed: the message {call.id} came from job {heard}, "
                f"not from job {self._makers[call.id]}, which makes the VLAN; "
                "messages of the tests must be called otherwise than VLANs"
            )
        return int(number)

    async def _called(self, call: Call) -> Granted:
        """Make a MultiNode call; raises MultinodeTimeout, and OSError when the node can't."""
        self._calls(f"lava-{call.call} {call.id}")
        answer = await self._multinode.ask(call)
        if isinstance(answer, Granted):
            return answer
        reason = answer.reason if isinstance(answer, Refused) else "the call was given up"
        waited = "Waiting for vlan creation failed: " if call.call == "wait" else ""
        raise MultinodeTimeout(f"{waited}{reason}")
