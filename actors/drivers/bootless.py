"""What a node can't do that callboard neither boots nor gives power: it is a shell, no board."""

_UNABLE = {
    "download": "boots no images",
    "pre-downloaded": "boots no images",
    "download-postprocess-docker": "starts no docker container",
    "apply-overlay-guest": "has no image; the overlay is there already",
    "overlay-unpack": "has no image; the overlay is there already",
    "execute-qemu": "starts no QEMU",
    "reset-device": "has no power control",
    "pdu-reboot": "has no power control",
    "power-on": "has no power control",
    "connect-device": "has no serial console",
    "user-command": "has no device commands",
    "schroot-login": "enters no schroot",
    "scp-deploy": "logs in nowhere; the overlay is there already",
}
_UNABLE_ENDINGS = {
    "-download": "boots no images",
    "-deploy": "flashes nothing",
    "-boot": "boots nothing",
}


def unable(driver: str, action: str) -> str | None:
    """Why the nodes of a driver can't execute an action, None when they can."""
    ending = next((why for end, why in _UNABLE_ENDINGS.items() if action.endswith(end)), None)
    why = _UNABLE.get(action, ending)
    return None if why is None else f"the {driver} driver {why}"
