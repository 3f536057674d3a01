"""The actions that each block of a job becomes: LAVA's names, in LAVA's order."""

from collections.abc import Callable, Mapping

from attrs import frozen

from callboard.definition.model import Block, Image, TestSource


@frozen
class ActionTree:
    """An action and those inside it, before levels and limits are known."""

    name: str
    children: tuple["ActionTree", ...] = ()
    retry: bool = False
    source: TestSource | None = None
    stage: int | None = None
    image: Image | None = None
    index: int | None = None


@frozen
class Prepared:
    """A test definition as the overlay of its namespace holds it."""

    source: TestSource
    stage: int
    index: int


@frozen
class Surroundings:
    """What a block's actions depend on besides the block.

    Attributes:
        multinode: Whether the job is part of a group.
        ssh: Whether the device has an `ssh` deploy method.
        prepared: The definitions of the namespace's tests.
        shell: Whether a test uses a shell on a connection of the namespace.
        stage: Number of the block among its namespace's, if it is a test.
    """

    multinode: bool
    ssh: bool
    prepared: tuple[Prepared, ...]
    shell: bool
    stage: int | None


def tree_of(block: Block, around: Surroundings) -> ActionTree:
    """The actions of a block."""
    match block.kind:
        case "deploy":
            deploy = _DEPLOYS.get(block.method)
            return deploy(block, around) if deploy else _unknown_deploy(block, around)
        case "boot":
            boot = _BOOTS.get(block.method)
            return boot(block, around) if boot else _unknown_boot(block, around)
        case "test":
            return _test(block, around)
        case "command":
            return ActionTree("user-command")


def is_known(block: Block) -> bool:
    """Whether callboard knows all actions of such a block; else calls go to its top action."""
    known: Mapping[str, object] = {"deploy": _DEPLOYS, "boot": _BOOTS}.get(block.kind, {})
    return block.kind in {"test", "command"} or block.method in known


def finalize() -> ActionTree:
    """What ends every job, whatever happened before."""
    return ActionTree("finalize", (ActionTree("power-off"), ActionTree("read-feedback")))


def _overlay(block: Block, around: Surroundings, name: str = "lava-overlay") -> ActionTree:
    children = [ActionTree("ssh-authorize")] if around.ssh else []
    children += [ActionTree("lava-vland-overlay"), ActionTree("lava-multinode-overlay")]
    children.append(
        ActionTree(
            "test-definition",
            tuple(child for prepared in around.prepared for child in _definition(prepared)),
        )
    )
    if block.method != "docker" and name == "lava-overlay":
        children.append(ActionTree("compress-overlay"))
    return ActionTree(name, tuple(children))


def _definition(prepared: Prepared) -> tuple[ActionTree, ...]:
    names = (
        f"{prepared.source.origin}-repo-action",
        "test-overlay",
        "test-install-overlay",
        "test-runscript-overlay",
    )
    return tuple(
        ActionTree(name, source=prepared.source, stage=prepared.stage, index=prepared.index)
        for name in names
    )


def _wanted_overlay(block: Block, around: Surroundings) -> tuple[ActionTree, ...]:
    return (_overlay(block, around),) if around.prepared else ()


def _environment(around: Surroundings) -> tuple[ActionTree, ...]:
    return (ActionTree("deploy-device-env"),) if around.shell else ()


def _downloads(block: Block) -> tuple[ActionTree, ...]:
    return tuple(
        ActionTree(
            "download-retry",
            (ActionTree(_download(image.url), image=image),),
            retry=True,
        )
        for image in block.images
    )


def _download(url: str) -> str:
    """The action that fetches a file; one without a scheme is a file of this machine."""
    scheme, there, _ = url.partition("://")
    return _DOWNLOADS.get(scheme.lower(), "http-download") if there else "file-download"


def _lxc_deploy(block: Block, around: Surroundings) -> ActionTree:
    names = ["lxc-create-action", "lxc-create-udev-rule-action"]
    if block.parameters.get("packages"):
        names += ["boot-lxc", "lxc-apt-update", "lxc-apt-install", "lxc-stop"]
    children = (*map(ActionTree, names), *_environment(around), *_wanted_overlay(block, around))
    if around.prepared:
        children = (*children, ActionTree("apply-lxc-overlay"))
    return ActionTree("lxc-deploy", children)


def _ssh_deploy(block: Block, around: Surroundings) -> ActionTree:
    extract = (ActionTree("extract-rootfs"), ActionTree("extract-modules"))
    return ActionTree(
        "scp-overlay",
        (
            _overlay(block, around),
            ActionTree("prepare-scp-overlay", extract),
            ActionTree("deploy-device-env"),
        ),
    )


def _download_deploy(block: Block, around: Surroundings) -> ActionTree:
    return ActionTree(
        "download-deploy",
        (*_downloads(block), *_wanted_overlay(block, around), ActionTree("copy-to-lxc")),
    )


def _downloads_deploy(block: Block, around: Surroundings) -> ActionTree:
    children = (*_wanted_overlay(block, around), *_downloads(block))
    if "postprocess" in block.parameters:
        children = (*children, ActionTree("download-postprocess-docker"))
    return ActionTree("downloads", children)


def _tmpfs_deploy(block: Block, around: Surroundings) -> ActionTree:
    children = (*_wanted_overlay(block, around), *_environment(around), *_downloads(block))
    if around.prepared:
        children = (*children, ActionTree("apply-overlay-guest"))
    return ActionTree("deployimages", children)


def _unknown_deploy(block: Block, around: Surroundings) -> ActionTree:
    name = _DEPLOY_NAMES.get(block.method, f"{block.method}-deploy")
    return ActionTree(
        name, (*_wanted_overlay(block, around), *_environment(around), *_downloads(block))
    )


def _login(block: Block, around: Surroundings) -> tuple[ActionTree, ...]:
    """From the login prompt to a shell that is ready for tests."""
    if not block.prompts:
        return ()
    children: tuple[ActionTree, ...] = (_auto_login(),)
    if around.shell:
        children = (*children, ActionTree("expect-shell-connection"))
        if "transfer_overlay" in block.parameters:
            children = (*children, ActionTree("overlay-unpack"))
        children = (*children, ActionTree("export-device-env"))
    return children


def _auto_login() -> ActionTree:
    return ActionTree("auto-login-action", (ActionTree("login-action"),), retry=True)


def _lxc_boot(_block: Block, _around: Surroundings) -> ActionTree:
    names = (
        "boot-lxc",
        "lxc-add-static",
        "connect-lxc",
        "expect-shell-connection",
        "export-device-env",
    )
    return ActionTree("lxc-boot", tuple(map(ActionTree, names)), retry=True)


def _ssh_boot(_block: Block, _around: Surroundings) -> ActionTree:
    before = ("scp-deploy", "prepare-ssh", "ssh-connection")
    after = ("expect-shell-connection", "export-device-env", "scp-overlay-unpack")
    children = (*map(ActionTree, before), _auto_login(), *map(ActionTree, after))
    return ActionTree("login-ssh", children, retry=True)


def _qemu_boot(block: Block, around: Surroundings) -> ActionTree:
    start = ActionTree("boot-qemu-image", (ActionTree("execute-qemu"),), retry=True)
    return ActionTree("boot-image-retry", (start, *_login(block, around)), retry=True)


def _minimal_boot(block: Block, around: Surroundings) -> ActionTree:
    names = ["connect-device"]
    if block.parameters.get("pre_power_command"):
        names.append("pre-power-command")
    if block.parameters.get("pre_os_command"):
        names.append("pre-os-command")
    children = list(map(ActionTree, names))
    if block.parameters.get("reset", True):
        children.append(ActionTree("reset-device", (ActionTree("pdu-reboot"),)))
    return ActionTree("minimal-boot", (*children, *_login(block, around)), retry=True)


def _new_connection(block: Block, around: Surroundings) -> ActionTree:
    children = (ActionTree("connect-shell"), *_login(block, around))
    return ActionTree("secondary-shell-action", children, retry=True)


def _schroot_boot(_block: Block, _around: Surroundings) -> ActionTree:
    return ActionTree("schroot-login")


def _unknown_boot(block: Block, _around: Surroundings) -> ActionTree:
    name = _BOOT_NAMES.get(block.method, f"{block.method}-boot")
    children = (ActionTree("expect-shell-connection"), ActionTree("export-device-env"))
    return ActionTree(name, children, retry=True)


def _test(block: Block, around: Surroundings) -> ActionTree:
    stage = around.stage
    match block.test_kind:
        case "interactive" | "monitors":
            name = block.test_kind.removesuffix("s")
            child = ActionTree(f"lava-test-{name}")
            return ActionTree(f"lava-test-{name}-retry", (child,), retry=True)
        case "docker":
            shell = (
                "lava-multinode-docker-test-shell" if around.multinode else "lava-docker-test-shell"
            )
            return ActionTree(
                "lava-docker-test",
                (
                    ActionTree("lava-docker-test-set-environment"),
                    _overlay(block, around, "lava-create-overlay"),
                    ActionTree(shell, stage=stage),
                    ActionTree("read-feedback"),
                ),
                stage=stage,
            )
        case _ if around.multinode:
            return ActionTree("multinode-test", stage=stage)
        case _:
            shell = "lava-test-shell"
            return ActionTree(
                "lava-test-retry", (ActionTree(shell, stage=stage),), retry=True, stage=stage
            )


_Builder = Callable[[Block, Surroundings], ActionTree]

_DEPLOYS: Mapping[str, _Builder] = {
    "download": _download_deploy,
    "downloads": _downloads_deploy,
    "lxc": _lxc_deploy,
    "overlay": _overlay,
    "ssh": _ssh_deploy,
    "tmpfs": _tmpfs_deploy,
}

_BOOTS: Mapping[str, _Builder] = {
    "lxc": _lxc_boot,
    "minimal": _minimal_boot,
    "new_connection": _new_connection,
    "qemu": _qemu_boot,
    "qemu-nfs": _qemu_boot,
    "schroot": _schroot_boot,
    "ssh": _ssh_boot,
}

_DOWNLOADS = {
    "http": "http-download",
    "https": "http-download",
    "file": "file-download",
    "scp": "scp-download",
    "lxc": "lxc-download",
    "downloads": "pre-downloaded",
}

# Top actions of blocks whose other actions callboard doesn't know.
_DEPLOY_NAMES = {
    "docker": "deploy-docker",
    "flasher": "deploy-flasher",
    "iso-installer": "deploy-iso-installer",
    "mmc": "storage-deploy",
    "recovery": "recovery-mode",
    "sata": "storage-deploy",
    "sd": "storage-deploy",
    "u-boot-ums": "uboot-ums-deploy",
    "usb": "storage-deploy",
}
_BOOT_NAMES = {
    "barebox": "barebox-action",
    "bootloader": "boot-bootloader-retry",
    "depthcharge": "depthcharge-action",
    "dfu": "boot-dfu-retry",
    "docker": "boot-docker",
    "fvp": "boot-fvp",
    "grub": "grub-main-action",
    "grub-efi": "grub-main-action",
    "ipxe": "bootloader-action",
    "nodebooter": "boot-nodebooter",
    "u-boot": "uboot-action",
    "uefi-menu": "uefi-menu-action",
}
