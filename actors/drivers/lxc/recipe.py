"""What a container is made from."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping

from attrs import Attribute, asdict, evolve, field, frozen

from callboard.actors.drivers.lxc.mirror import machine_mirrors
from callboard.actors.drivers.lxc.name import ContainerName, base_name
from callboard.definition.containers import MIRROR, WORD
from callboard.definition.lxc_devices import LxcDevice
from callboard.definition.model import LxcContainer

_WITH_MIRROR = ("debian", "ubuntu")
_INIT = "systemd,systemd-sysv"
"""What releases after Debian 8 need to boot (LAVA: LXC deploy)."""

_KEY_CHARACTERS = 16


def _matches(pattern: re.Pattern[str]) -> Callable[[object, "Attribute[str]", str | None], None]:
    """Lets nothing through to a template's shell script but what is known to be harmless."""

    def check(_recipe: object, attribute: "Attribute[str]", text: str | None) -> None:
        if text is not None and not pattern.fullmatch(text):
            name = attribute.name.replace("_", " ")
            raise ValueError(f"the {name} of a container can't be {text[:80]!r}")

    return check


@frozen
class Recipe:
    """What a base is made from; bases of equal recipes are the same base. Raises ValueError.

    Attributes:
        template: The template of LXC.
        distribution: For the template `download`.
        release: For all templates but `busybox`.
        arch: None for this machine's.
        mirror: Where packages come from; None for the template's own.
        security_mirror: The same for security updates.
        packages: What is installed besides, in order of the alphabet.
    """

    template: str = field(validator=_matches(WORD))
    distribution: str | None = field(default=None, validator=_matches(WORD))
    release: str | None = field(default=None, validator=_matches(WORD))
    arch: str | None = field(default=None, validator=_matches(WORD))
    mirror: str | None = field(default=None, validator=_matches(MIRROR))
    security_mirror: str | None = field(default=None, validator=_matches(MIRROR))
    packages: tuple[str, ...] = ()

    @property
    def base(self) -> ContainerName:
        """The base that is made from it."""
        text = json.dumps(asdict(self), sort_keys=True)
        return base_name(hashlib.sha256(text.encode()).hexdigest()[:_KEY_CHARACTERS])

    @property
    def title(self) -> str:
        """It in a few words, such as `debian bookworm with 2 packages`."""
        words = [self.distribution or self.template, self.release, self.arch]
        title = " ".join(word for word in words if word)
        if not self.packages:
            return title
        number = len(self.packages)
        return f"{title} with {number} package{'s' if number > 1 else ''}"

    @property
    def has_apt(self) -> bool:
        """Whether packages can be asked for at all."""
        return self.template != "busybox"

    def plain(self) -> "Recipe":
        """The same without packages."""
        return evolve(self, packages=())

    def arguments(self) -> list[str]:
        """What is said to the template (LAVA: LXC deploy)."""
        if self.template == "busybox":
            return []
        words: list[str] = []
        if self.template not in _WITH_MIRROR:
            words += ["--dist", self.distribution or ""]
        words += ["--release", self.release or ""]
        words += ["--mirror", self.mirror] if self.mirror else []
        words += ["--security-mirror", self.security_mirror] if self.security_mirror else []
        words += ["--packages", _INIT] if self.template in _WITH_MIRROR else []
        return [*words, *(["--arch", self.arch] if self.arch else [])]

    def document(self) -> str:
        """It as the mark of a finished base holds it."""
        return json.dumps(asdict(self), indent=2) + "\n"


def recipe_of(source: LxcContainer | LxcDevice) -> Recipe:
    """What a definition's container or a device is made from, without packages.

    What has no effect for a template makes no base of its own either. A Debian container for
    which no mirror is named uses those of this machine. Raises ValueError.
    """
    template = source.template
    if template == "busybox":
        return Recipe(template)
    recipe = Recipe(template, release=source.release, arch=source.arch)
    if template not in _WITH_MIRROR:
        return evolve(recipe, distribution=source.distribution)
    recipe = evolve(recipe, mirror=source.mirror, security_mirror=source.security_mirror)
    if template == "debian" and source.mirror is None:
        mirror, security_mirror = machine_mirrors()
        security_mirror = source.security_mirror or (security_mirror if mirror else None)
        recipe = evolve(recipe, mirror=mirror, security_mirror=security_mirror)
    return recipe


def read_recipe(document: str) -> Recipe | None:
    """The recipe that a base's mark holds, None where it is damaged."""
    try:
        fields = json.loads(document)
        if not isinstance(fields, Mapping):
            return None
        return Recipe(**{**fields, "packages": tuple(fields.get("packages", ()))})
    except (ValueError, TypeError):
        return None
