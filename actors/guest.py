"""Guests find their host: the work of `scp-deploy` (LAVA: secondary connections)."""

from callboard.actors.context import JobContext
from callboard.actors.drivers import Reachable
from callboard.actors.errors import JobError
from callboard.actors.messages import JobData
from callboard.definition.model import PipelineAction


async def reach_host(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Log in where a message says, and put the overlay there.

    A node that has been reached by other ways has nothing to do here.

    Raises:
        JobError: The block names no address, or what was received is none.
        OSError: Nobody can log in there.
    """
    node = context.node
    if isinstance(node, Reachable):
        try:
            await node.reach(_address(plan, data))
        except ValueError as error:
            raise JobError(f"the guest can't log in: {error}") from error
    return data


def _address(plan: PipelineAction, data: JobData) -> str:
    """What was received under the `hostID` of the block, with the key `host_key`."""
    written = plan.block.parameters.get("parameters") if plan.block else None
    parameters = written if isinstance(written, dict) else {}
    message_id, key = parameters.get("hostID"), parameters.get("host_key")
    if not isinstance(message_id, str) or not isinstance(key, str):
        raise JobError(
            "a guest needs the address of its host: name the message in `hostID` and its key "
            "in `host_key`, in the `parameters` of the boot"
        )
    received = data.received.get((plan.namespace, message_id))
    if received is None:
        raise JobError(
            f"nothing was received under {message_id}: have `prepare-scp-overlay` wait for it in "
            "a deploy of the same namespace"
        )
    if key not in received:
        keys = ", ".join(received)
        raise JobError(f"{message_id} has brought no '{key}', but {keys}; mend `host_key`")
    return received[key]
