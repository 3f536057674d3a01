"""What can keep a group from being started, as it is said to the user."""

import contextlib
from collections.abc import Iterator

from callboard.actors.drivers.sandboxed import SandboxUnavailable
from callboard.cli.execution import NotStarted, not_started
from callboard.cli.fetching import source_refusal
from callboard.cli.gate import refused
from callboard.cli.output import Refusal
from callboard.definition import DefinitionError
from callboard.flow.check import GroupRefused
from callboard.networks import NodesUnavailable
from callboard.reservation import QueueTimeout
from callboard.sources import SourcesFailed
from callboard.state import state_directory


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """The time in which a group is started; what goes wrong in it is `NotStarted`."""
    try:
        yield
    except FileExistsError as error:
        raise not_started("CB105", "the directory holds a run already") from error
    except SourcesFailed as error:
        raise NotStarted(source_refusal(error)) from error
    except GroupRefused as error:
        raise NotStarted(refused(error.verdict)) from error
    except DefinitionError as error:
        raise NotStarted(Refusal(*error.diagnostics)) from error
    except QueueTimeout as error:
        raise not_started("CB110", str(error), exit_code=3) from error
    except SandboxUnavailable as error:
        text = f"this machine can't make throw-away nodes: {error}"
        hint = f"{error.cure}; --no-sandbox runs without"
        raise not_started("CB100", text, hint) from error
    except NodesUnavailable as error:
        raise not_started(error.code, str(error), error.cure) from error
    except (OSError, ValueError) as error:
        hint = f"callboard's state is in {state_directory()}; $CALLBOARD_STATE names another"
        raise not_started("CB108", str(error), hint) from error
