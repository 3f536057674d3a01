"""What is asked of this machine: one container of one job."""

import re

from attrs import frozen

from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.recipe import Recipe, recipe_of
from callboard.definition.containers import name_of
from callboard.definition.lxc_devices import LxcDevice, LxcLimits, LxcMount
from callboard.definition.model import LxcContainer

_UNLIMITED = LxcLimits()
_LONGEST = 40


@frozen
class Order:
    """A container that a job wants.

    Attributes:
        name: Its final name.
        recipe: What it is made from.
        run: Which run wants it, a UUID.
        job: Which of its jobs.
        persistent: Whether it stays, and is used again as it is.
        verbose: Whether what its template prints belongs into the job's log.
        limits: What it may use of this machine.
        mounts: What it sees of this machine's files.
    """

    name: ContainerName
    recipe: Recipe
    run: str
    job: int
    persistent: bool = False
    verbose: bool = False
    limits: LxcLimits = _UNLIMITED
    mounts: tuple[LxcMount, ...] = ()

    @property
    def owner(self) -> str:
        """Who wants it, in words."""
        return f"job {self.job} of run {self.run}"


def order_of(
    container: LxcContainer,
    run: str,
    job: int,
    limits: LxcLimits = _UNLIMITED,
    mounts: tuple[LxcMount, ...] = (),
) -> Order:
    """What a definition's container asks for; raises ValueError for what no tool may see."""
    return Order(
        name=ContainerName(name_of(container, job)),
        recipe=recipe_of(container),
        run=run,
        job=job,
        persistent=container.persist,
        verbose=container.verbose,
        limits=limits,
        mounts=mounts,
    )


def order_of_device(device: str, recipe: LxcDevice, run: str, job: int) -> Order:
    """A throw-away container for a job whose device is one, called after the device."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", device)[:_LONGEST].strip("-_") or "lxc"
    return Order(
        name=ContainerName(f"{safe}-{job}"),
        recipe=recipe_of(recipe),
        run=run,
        job=job,
        limits=recipe.limits,
        mounts=recipe.mounts,
    )
