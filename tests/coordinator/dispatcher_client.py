"""LAVA's own MultinodeProtocol, in a process of its own as in a dispatcher: a client for tests.

    python dispatcher_client.py CONFIGURATION PARAMETERS

CONFIGURATION is what lava-coordinator.conf says, PARAMETERS are those of a job, as JSON. Each
line of the input is a command, each line of the output an event, also as JSON:

| command | calls | event at its end |
| --- | --- | --- |
| `["set_up"]` | `set_up`: joins the group, and waits for a delayed start | `["returned", null]` |
| `["call", {…}]` | the protocol, as an action or a test shell does | `["returned", reply]` |
| `["finalise"]` | `finalise_protocol`: leaves the group | `["returned", null]` |

An exception is `["raised", its class, its text]`. Before that come `["asked", request]` whenever
a request has left, `["told", response]` whenever something came back, and `["unreachable"]`. After
SIGUSR1 the process stops itself when it waits for an answer the next time, with `["stopping"]`.

The code is LAVA's but for this: the configuration is read from no file below /etc, rounds are
told of, and who can't connect waits no longer before the next round than after any other one.
"""

import importlib
import json
import os
import signal
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

sys.modules["requests"] = ModuleType("requests")  # LAVA sends logs by it, which nobody does here
multinode: Any = importlib.import_module("lava_dispatcher.protocols.multinode")


def tell(*event: object) -> None:
    """Write an event."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


class Told(multinode.MultinodeProtocol):  # type: ignore[misc]
    """The protocol, which tells of its rounds."""

    configuration: str
    stops = False

    def read_settings(self, _: str) -> object:
        return super().read_settings(self.configuration)

    def _connect(self, delay: float) -> bool:
        connected: bool = super()._connect(min(delay, self.settings["poll_delay"]))
        if not connected:
            tell("unreachable")
        return connected

    def _send_message(self, message: str) -> bool:
        sent: bool = super()._send_message(message)
        if sent:
            tell("asked", json.loads(message)["request"])
        return sent

    def _recv_message(self) -> str:
        if self.stops:
            self.stops = False
            tell("stopping")
            os.kill(os.getpid(), signal.SIGSTOP)
        received: str = super()._recv_message()
        tell("told", json.loads(received)["response"])
        return received


def perform(protocol: Told, command: list[Any]) -> object:
    """Do what a command says."""
    match command:
        case ["set_up"]:
            return protocol.set_up()
        case ["call", request]:
            return protocol(request)
        case ["finalise"]:
            return protocol.finalise_protocol()
        case _:
            raise ValueError(f"there is no command {command}")


def main() -> None:
    """Serve commands until there are no more."""
    configuration, parameters = sys.argv[1:]
    job = json.loads(parameters)
    protocol = Told(job, job["job_id"])
    protocol.configuration = configuration
    signal.signal(signal.SIGUSR1, lambda *_: setattr(protocol, "stops", True))
    multinode.os = SimpleNamespace(path=SimpleNamespace(exists=lambda _: True))
    tell("ready")
    for line in sys.stdin:
        try:
            tell("returned", perform(protocol, json.loads(line)))
        except Exception as error:
            tell("raised", type(error).__name__, str(error))


if __name__ == "__main__":
    main()
