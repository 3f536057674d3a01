"""What actions ask of the VLANd protocol."""

import anyio

from callboard.actors.context import JobContext
from callboard.actors.messages import Call
from callboard.actors.vland.messages import Abandon, DeployVlans
from callboard.definition.model import Call as WrittenCall
from callboard.definition.model import PipelineAction
from callboard.events import Where


async def deploy(context: JobContext, plan: PipelineAction, written: WrittenCall) -> None:
    """Have the job's VLANs (LAVA: `deploy_vlans`); whoever stops waiting ends it, too.

    A job without any has nothing to do.

    Raises:
        ActionError: It can't be done.
        OSError: The node is gone.
    """
    vland = context.vland
    if vland is None:
        return
    limit_s = float(written.timeout_s or plan.connection_s)
    calls = tuple(
        Call(
            "send" if context.makers[vlan.vlan] == context.job.id else "wait",
            vlan.vlan,
            limit_s,
            where=_where(written, vlan.vlan),
        )
        for vlan in context.job.vlans
    )
    try:
        await vland.ask(DeployVlans(calls))
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await vland.tell(Abandon())
        raise


def _where(written: WrittenCall, vlan: str) -> Where:
    place = written.place
    return Where(place.file, place.line, place.column, f"{written.request} {vlan}")
