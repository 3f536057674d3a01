"""Why an action fails, by who must act.

    ActionError
    ├── InfrastructureError      the lab: devices, network, this machine
    │   └── ConnectionClosedError
    ├── JobError                 the job's author: the definition or its data
    ├── TestError                the test: a signal that makes no sense, a test that never ends
    ├── LAVATimeoutError         a test shell ran out of time; `skip` may forgive it
    ├── MultinodeTimeout         a call of an action or a delayed start was not answered
    ├── Canceled                 somebody, or an essential role, ended the job
    ├── ConfigurationError       the devices file or this machine's configuration
    └── Bug                      callboard itself

The names are LAVA's, so that reports mean the same to those who know it.
"""

from callboard.events import Failure


class ActionError(Exception):
    """An action can't go on; the text is one sentence for the job's reader."""

    retried = False
    """Whether a retry action tries again after it (LAVA: retry actions)."""

    def failure(self, action: str | None) -> Failure:
        """This error as it stands in events; `action` is level and name."""
        return Failure(self.kind(), str(self), action)

    @classmethod
    def kind(cls) -> str:
        """The stable word for this kind of error in events and reports."""
        return cls.__name__


class InfrastructureError(ActionError):
    """Trouble with the lab, a device, the network or this machine."""

    retried = True


class ConnectionClosedError(InfrastructureError):
    """The far end closed the connection to the device; reports call it InfrastructureError."""

    @classmethod
    def kind(cls) -> str:
        """LAVA has no word of its own for it."""
        return InfrastructureError.kind()


class JobError(ActionError):
    """A fault in the definition or in its data."""

    retried = True


class TestError(ActionError):
    """A test operation failed."""

    __test__ = False
    retried = True


class LAVATimeoutError(ActionError):
    """A test shell ran out of time."""


class MultinodeTimeout(ActionError):
    """A protocol call was not answered within its limit."""


class Canceled(ActionError):
    """The job was ended from outside."""


class ConfigurationError(ActionError):
    """The configuration of devices or of this machine is wrong."""


class Bug(ActionError):
    """A fault of callboard itself."""
