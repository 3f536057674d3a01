"""Rules about guests, which log in on a host, and about containers."""

from tests.conformance.rule import DEFINITIONS, PROTOCOLS, Rule, Topic

_GUESTS = f"{PROTOCOLS}, secondary connections"
_LXC = f"{PROTOCOLS}, LXC"
_DEVICES = ("--devices", str(DEFINITIONS.with_name("devices.yaml")))

GUESTS = Topic(
    "Secondary connections",
    (
        Rule(
            "guest-logs-in",
            "A role with connection: ssh logs in on the device of its host_role.",
            _GUESTS,
            options=_DEVICES,
            printed={"guest": ("on the host",)},
        ),
        Rule(
            "guest-address",
            "prepare-scp-overlay takes the host's address from the message that its call waits "
            "for, under the same message ID that the boot action names as hostID.",
            _GUESTS,
            options=_DEVICES,
            trace=(
                "host: send address",
                "guest: begins prepare-scp-overlay",
                "guest: wait address pass",
                "guest: scp-deploy pass",
            ),
        ),
        Rule(
            "guest-in-group",
            "Guests count in the group: they take part in lava-sync and lava-wait-all.",
            _GUESTS,
            options=_DEVICES,
            results={
                "host": {
                    "0_serve/multinode-send-address": "pass",
                    "0_serve/multinode-send-lava_start": "pass",
                    "0_serve/multinode-send-working": "pass",
                    "0_serve/multinode-wait_all-working": "pass",
                    "0_serve/multinode-sync-over": "pass",
                },
                "guest": {
                    "0_use/multinode-send-working": "pass",
                    "0_use/multinode-sync-over": "pass",
                },
            },
        ),
    ),
)

CONTAINERS = Topic(
    "Containers",
    (
        Rule(
            "container-described",
            "A container is described by name, distribution and release; the rest is optional.",
            _LXC,
            exit_code=2,
            errors=(("CB020", "`name`"), ("CB020", "`distribution`"), ("CB020", "`release`")),
        ),
        Rule(
            "container-name",
            "The container's name gets the job id, so that jobs that run at once don't clash.",
            _LXC,
            printed={"box-1": ("web-1",), "box-2": ("web-2",)},
        ),
        Rule(
            "container-persist",
            "With persist the name stays, and the container is kept when the job ends.",
            _LXC,
            results={"second": {"0_read/kept": "pass"}},
            log={"second": ("the container keep was reused",)},
            printed={"first": ("keep",), "second": ("keep",)},
        ),
        Rule(
            "container-requests",
            "The requests pre-os-command and pre-power-command run commands of the device.",
            _LXC,
            options=_DEVICES,
            log={"box": ("the power is on", "the system is chosen")},
        ),
        Rule(
            "container-finalize",
            "finalize stops the container, and destroys it unless it persists.",
            _LXC,
            log={
                "gone": ("lxc container 'gone-1' is stopped and destroyed",),
                "kept": ("lxc container 'kept' is stopped and kept",),
            },
        ),
    ),
)
