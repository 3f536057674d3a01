"""What no device with a console can do for callboard, whatever its commands."""

_DOES = "the command driver only reaches a console"
_UNABLE = {
    "apply-overlay-guest": "the overlay goes over the console after the login",
    "connect-shell": "the device has one console",
    "download-postprocess-docker": "the command driver starts no docker container",
    "execute-qemu": "the device's own commands start it",
    "schroot-login": "the command driver enters no schroot",
    "user-command": "the command driver has no user commands",
}
_UNABLE_ENDINGS = {
    "downloaded": f"{_DOES}, and boots what the device has",
    "download": f"{_DOES}, and boots what the device has",
    "-deploy": f"{_DOES}, and flashes nothing",
    "-boot": f"{_DOES}, and its power is switched by `method: minimal`",
}


def unable(action: str) -> str | None:
    """Why a device with a console can't execute an action, None when it can."""
    ending = next((why for end, why in _UNABLE_ENDINGS.items() if action.endswith(end)), None)
    return _UNABLE.get(action, ending)
