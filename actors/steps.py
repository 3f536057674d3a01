"""Where in a test definition a helper's call is written: the step that most likely made it."""

import re
from collections.abc import Sequence

from attrs import define

from callboard.definition.model import Step
from callboard.events import CallName, Where


@define
class Steps:
    """The steps of one definition while it runs; calls are looked for from the last one on.

    Attributes:
        steps: In order.
        reached: Number of the step that made the last call that was found, -1 before the first.
    """

    steps: Sequence[Step]
    reached: int = -1

    def find(self, call: CallName, name: str, role: str | None = None) -> Where | None:
        """The next step that calls `lava-<call> <name> [role]`; None if none can have done so."""
        word, end = r"(['\"]?){}\{}", r"(?![\w.:/+@%-])"
        literal = rf"lava-{call}\s+{word.format(re.escape(name), 1)}{end}"
        whole = rf"{literal}\s+{word.format(re.escape(role), 2)}{end}" if role else literal
        computed = rf"lava-{call}\s+\S*[$`]"
        order = [*range(self.reached + 1, len(self.steps)), *range(self.reached + 1)]
        for pattern in map(re.compile, (whole, literal, computed)):
            for number in order:
                if pattern.search(self.steps[number].text):
                    self.reached = number
                    return self._where(number)
        return None

    def _where(self, number: int) -> Where:
        step = self.steps[number]
        return Where(step.place.file, step.place.line, step.place.column, step.text)
