"""What shell scripts call, found by running them with what is known before the run."""

from callboard.flow.shell.files import Files
from callboard.flow.shell.interpreter import test_scope
from callboard.flow.shell.surroundings import Surroundings, TestText

__all__ = ["Files", "Surroundings", "TestText", "test_scope"]
