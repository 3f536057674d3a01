"""Plain data as YAML text."""

from typing import TYPE_CHECKING

import yaml

from callboard.definition.model import Plain

if TYPE_CHECKING:
    from yaml import SafeDumper as _Base
else:
    _Base = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_ENDLESS = 2**31 - 1
"""More columns than any line has; the C emitter takes no larger number."""


class _Dumper(_Base):
    """Writes every value out, even where the same one stands twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML asks for it
        return True


def dump(data: Plain) -> str:
    """The data as YAML, keys in their order, lines of any length."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=_ENDLESS, allow_unicode=True)
    return text
