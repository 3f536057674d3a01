"""Bases: containers that are made once, and of which every other one is a clone."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

import anyio
from attrs import frozen

from callboard.actors.drivers.lock import lock, lock_of_the_dead
from callboard.actors.drivers.lxc import configuration
from callboard.actors.drivers.lxc.address import wait_for_address
from callboard.actors.drivers.lxc.complaint import last_words
from callboard.actors.drivers.lxc.downloads import drop_unfinished
from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.recipe import Recipe
from callboard.actors.drivers.lxc.removal import halt, remove
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.drivers.tool import Said, run_tool
from callboard.actors.errors import InfrastructureError, JobError

_READY = "ready"
_APT_S = 1_800.0
_ADDRESS_S = 60.0
_PTYS = 1024
_PROBE_S = 10.0


@frozen
class Bases:
    """The bases of a store.

    Attributes:
        tools: LXC's tools.
        variables: The variables of commands in a container.
    """

    tools: Tools
    variables: Mapping[str, str]

    @contextlib.asynccontextmanager
    async def use(
        self, recipe: Recipe, said: Said, *, verbose: bool = False
    ) -> AsyncIterator[ContainerName]:
        """The base of a recipe, made if there is none; nobody removes it within the context.

        However many ask for it at the same moment, in whatever process, one makes it.

        Args:
            recipe: What it is made from.
            said: Is told what happens.
            verbose: Whether it is told also what the tools print (LAVA: `verbose`).

        Raises:
            JobError: What the recipe asks for doesn't exist.
            InfrastructureError: This machine can't make it.
            OSError: So it is with a tool or the store.
        """
        path = self.tools.store.lock(recipe.base)

        def waiting() -> None:
            said(f"waiting for the base of {recipe.title}, which somebody else makes or removes")

        while True:
            held = await lock(path, shared=True, waiting=waiting)
            try:
                if is_ready(self.tools, recipe.base):
                    yield recipe.base
                    return
            finally:
                held.release()
            making = await lock(path, waiting=waiting)
            try:
                making.note(f"whoever makes the base of {recipe.title}")
                if not is_ready(self.tools, recipe.base):
                    await self._make(recipe, said, said if verbose else _unsaid)
            finally:
                making.release()

    async def _make(self, recipe: Recipe, said: Said, printed: Said) -> None:
        name = recipe.base
        # What an interrupted creation has left.
        await remove(self.tools, name, said)
        try:
            if recipe.packages:
                await self._install(recipe, said, printed)
            else:
                await self._create(recipe, said, printed)
            mark = self.tools.store.path(name) / _READY
            mark.with_suffix(".new").write_text(recipe.document())
            mark.with_suffix(".new").replace(mark)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await remove(self.tools, name, said)
            raise

    async def _create(self, recipe: Recipe, said: Said, printed: Said) -> None:
        said(f"making the base of {recipe.title}; later containers are clones of it")
        name, title = recipe.base, f"an lxc container of {recipe.title}"
        if recipe.template == "debian":
            await anyio.to_thread.run_sync(drop_unfinished)
        try:
            await self.tools.create(name, recipe.template, recipe.arguments(), printed, title=title)
        except JobError:
            # The template says that a release doesn't exist also when it couldn't look.
            if recipe.mirror is not None and not await _answers(recipe.mirror):
                raise InfrastructureError(
                    f"{title} can't be created: the mirror {recipe.mirror} can't be reached"
                ) from None
            raise
        self._configure(name)

    async def _install(self, recipe: Recipe, said: Said, printed: Said) -> None:
        name = recipe.base
        async with self.use(recipe.plain(), said, verbose=printed is said) as plain:
            said(f"making the base of {recipe.title}: {' '.join(recipe.packages)}")
            await self.tools.copy(plain, name)
        self._configure(name)
        await self.tools.start(name)
        await wait_for_address(self.tools, name, _ADDRESS_S)
        await self._apt(name, ["update"], printed)
        await self._apt(name, ["install", "--", *recipe.packages], printed)
        await self.tools.stop(name)
        await halt(self.tools, name, said)

    async def _apt(self, name: ContainerName, words: list[str], said: Said) -> None:
        variables = {**self.variables, "DEBIAN_FRONTEND": "noninteractive"}
        command = self.tools.attach(name, ["apt-get", "-y", "-q", *words], variables)
        ran = await run_tool(command, limit_s=_APT_S, said=said)
        if ran.status != 0:
            reason = last_words((ran.errors or ran.output).splitlines())
            raise JobError(f"apt-get {words[0]} fails in an lxc container: {reason}")

    def _configure(self, name: ContainerName) -> None:
        store = self.tools.store
        lines = [
            "lxc.group =",
            f"lxc.group = {configuration.BASE_GROUP}",
            f"lxc.pty.max = {_PTYS}",  # a template may allow one shell only
            f"lxc.cgroup.dir = {store.cgroup(name)}",
        ]
        without = ("lxc.group", "lxc.pty.max", "lxc.cgroup.dir")
        configuration.rewrite(store.configuration(name), lines, without=without)


def is_ready(tools: Tools, base: ContainerName) -> bool:
    """Whether a base has been made to its end."""
    return (tools.store.path(base) / _READY).is_file()


def recipe_document(tools: Tools, base: ContainerName) -> str:
    """What a base was made from; raises OSError."""
    return (tools.store.path(base) / _READY).read_text()


def clones(tools: Tools, base: ContainerName) -> int:
    """How many containers are clones of a base, by what they say themselves.

    LXC's own list of them may have too many, and too few after a removal without its tools.

    Raises:
        OSError: That can't be told of one.
    """
    store = tools.store
    known = (configuration.find(store, name) for name in store.names() if not name.is_base)
    return sum(each is not None and each.base == base for each in known)


async def drop(tools: Tools, base: ContainerName, said: Said, *, ready: bool) -> bool:
    """Remove a base that nobody uses; also a finished one if `ready`.

    Returns:
        Whether it is gone.

    Raises:
        OSError: It can't be told who uses it.
    """
    held = await lock_of_the_dead(tools.store.lock(base))
    if held is None:
        return False
    try:
        if (is_ready(tools, base) and not ready) or clones(tools, base):
            return False
        await remove(tools, base, said)
        return not tools.store.path(base).exists()
    finally:
        held.release()


async def _answers(mirror: str) -> bool:
    """Whether something listens where a mirror should be."""
    address = urlsplit(mirror)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        with anyio.fail_after(_PROBE_S):
            stream = await anyio.connect_tcp(address.hostname or "", port)
            await stream.aclose()
    except (OSError, TimeoutError):
        return False
    return True


def _unsaid(_line: str) -> None:
    """Not for the log."""
