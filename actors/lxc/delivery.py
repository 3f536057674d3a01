"""Files for a job's container: what its deploy blocks download, by LAVA's names of the actions.

Each file is put into the container as soon as it is there, so that nothing of it stays on this
machine. Hence `copy-to-lxc` finds nothing left to do.
"""

from callboard.actors.context import JobContext
from callboard.actors.errors import JobError
from callboard.actors.lxc.messages import PutFiles, RunInContainer, StartContainer
from callboard.actors.lxc.work import ask
from callboard.actors.messages import JobData
from callboard.actors.overlay import File
from callboard.definition.model import Image, NodeJob, PipelineAction
from callboard.events import Message

FOLDER = "/lava-lxc"
"""Where the files are in the container (LAVA: LXC protocol)."""

_FOR_CONTAINER = frozenset({"download", "downloads"})
ACTIONS = frozenset(
    {"file-download", "http-download", "lxc-download", "pre-downloaded", "scp-download"}
)
"""The actions that fetch a file."""


def is_delivered(job: NodeJob, plan: PipelineAction) -> bool:
    """Whether an action's file is for the job's container; all others are the driver's."""
    block = plan.block
    deploys = block is not None and block.kind == "deploy" and block.method in _FOR_CONTAINER
    return deploys and job.container is not None and plan.name in ACTIONS


async def deliver(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Download a file and put it into the container (LAVA: download actions, copy-to-lxc)."""
    download, image = context.download, _image(context, plan)
    if download is None or image is None:
        return data

    def said(text: str) -> None:
        message = Message(context.job.id, "info", text, plan.namespace)
        context.journal.emit(context.owner.address, message)

    await ask(context, PutFiles((), FOLDER))  # it must be there before much is downloaded for it
    async with download(image, said) as path:
        size_bytes = path.stat().st_size
        await ask(context, PutFiles((File(path.name, path),), FOLDER))
    said(f"{FOLDER}/{path.name} in the container has {size_bytes:,} bytes")
    return data.with_file(path.name)


async def find(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """See that a file is in the container (LAVA: lxc-download)."""
    image = _image(context, plan)
    if context.download is None or image is None:
        return data
    name = _last_part(image)
    if name in data.files:
        return data
    path = f"{FOLDER}/{name}"
    if name not in {"", ".", ".."} and name.isprintable():
        await ask(context, StartContainer())
        if await ask(context, RunInContainer(("test", "-f", path))) == 0:
            return data
    raise JobError(f"Resource unavailable: {path}; the container has no such file")


async def recall(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """See that a file was downloaded before (LAVA: pre-downloaded)."""
    image = _image(context, plan)
    if context.download is None or image is None or _last_part(image) in data.files:
        return data
    known = ", ".join(sorted(data.files)) or "nothing"
    raise JobError(
        f"Resource unavailable: {image.url}; the job has downloaded {known} into its container"
    )


def _image(context: JobContext, plan: PipelineAction) -> Image | None:
    return plan.image if is_delivered(context.job, plan) else None


def _last_part(image: Image) -> str:
    return image.url.rpartition("/")[2]
