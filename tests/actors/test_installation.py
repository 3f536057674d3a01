"""Packages are installed by the node's own manager; the machine of the tests never changes."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from attrs import evolve
from tests.actors.test_helpers import SHELLS, Node, definition, seen

from callboard.actors.signals import CaseResult, InstallError, InstallFailed, RunEnded

CURE = "run callboard as root, or use a device with driver lxc"
SOURCE = "deb [trusted=yes] file:/srv/repository ./"
MARK = "/usr/share/callboard-probe/mark"

# An overlay over the whole machine that vanishes with its namespace.
VIEW = """
set -e
mount -t tmpfs tmpfs "$1/view"
cd "$1/view"
mkdir up work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/up,workdir=$PWD/work" root
mount -t proc proc root/proc
mount --bind /dev root/dev
mkdir -p "root$1"
mount --bind "$1" "root$1"
mkdir -p root/srv
if [ -e "$1/repository" ]; then
    cp -r "$1/repository" root/srv/repository
fi
rm -rf root/etc/apt/sources.list root/etc/apt/sources.list.d/* root/var/lib/apt/lists/*
cd "$1"
exec chroot "$1/view/root" sh -c "$2"
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a view of the machine")


@pytest.fixture(params=list(SHELLS))
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Node:
    """A node with the overlay in one of the shells."""
    made = Node(tmp_path, SHELLS[request.param])
    made.install()
    return made


def in_view(node: Node, script: str) -> "subprocess.CompletedProcess[str]":
    """Run a script as root in a view of the machine that is thrown away."""
    (node.folder / "view").mkdir(exist_ok=True)
    return subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", VIEW, "view", node.folder, script],
        capture_output=True,
        text=True,
        env=node.environment,
        timeout=60,
        check=False,
    )


def make_repository(folder: Path) -> None:
    """A source of packages that holds `callboard-probe`."""
    tree = folder / "tree"
    mark = tree / MARK.lstrip("/")
    mark.parent.mkdir(parents=True)
    mark.write_text("installed\n")
    control = (
        "Package: callboard-probe\nVersion: 1.0\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@example.org>\nDescription: proves that it was installed\n"
    )
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(control)
    repository = folder / "repository"
    repository.mkdir()
    package = repository / "probe.deb"
    subprocess.run(["dpkg-deb", "--build", tree, package], check=True, capture_output=True)
    content = package.read_bytes()
    (repository / "Packages").write_text(
        f"{control}Filename: ./probe.deb\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )


# For real


@needs_root
def test_a_definition_gets_its_sources_and_packages(node: Node) -> None:
    make_repository(node.folder)
    probe = definition(0, "probe", f"lava-test-case there --shell test -e {MARK}")
    node.install(evolve(probe, sources=(SOURCE,), deps=("dash", "callboard-probe")))
    ran = in_view(node, f"{node.root}/bin/lava-test-runner {node.root}/0")
    assert CaseResult("there", "pass") in seen(ran.stdout), ran.stdout + ran.stderr
    assert RunEnded("0_probe", "1200_0") in seen(ran.stdout)
    assert not Path(MARK).exists()


LISTS = {
    "missing": "",
    "old": "touch other_Packages; touch -d '3 days ago' .",
    "without the package": "touch other_Packages",
}


@needs_root
@pytest.mark.parametrize("lists", LISTS)
def test_the_lists_of_packages_are_fetched_when_they_do_not_do(tmp_path: Path, lists: str) -> None:
    node = Node(tmp_path, SHELLS["dash"])
    node.install()
    make_repository(node.folder)
    script = (
        f"echo '{SOURCE}' > /etc/apt/sources.list.d/probe.list\n"
        f"(mkdir -p /var/lib/apt/lists; cd /var/lib/apt/lists; {LISTS[lists]})\n"
        f"lava-install-packages callboard-probe && cat {MARK}\n"
    )
    ran = in_view(node, script)
    assert ran.stdout.endswith("installed\n"), ran.stdout + ran.stderr


@needs_root
def test_a_package_that_nobody_has_fails_its_definition_with_the_reason(node: Node) -> None:
    bad = evolve(definition(0, "bad", "true"), deps=("callboard-nothing",))
    node.install(bad, definition(1, "fine", "lava-test-case x --result pass"))
    ran = in_view(node, f"{node.root}/bin/lava-test-runner {node.root}/0")
    reason = "lava-install-packages: apt-get could not install callboard-nothing; what it said"
    [error, failed, *rest] = seen(ran.stdout)
    assert isinstance(error, InstallError)
    assert error.suite == "0_bad"
    assert error.text.startswith(reason)
    assert failed == InstallFailed()
    assert CaseResult("x", "pass") in rest


@needs_root
def test_keys_are_added_as_apt_reads_them(node: Node) -> None:
    (node.folder / "key").write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    script = f"lava-add-keys {node.folder}/key && cat /etc/apt/trusted.gpg.d/lava-*-key.asc"
    ran = in_view(node, script)
    assert ran.stdout.endswith("BEGIN PGP PUBLIC KEY BLOCK-----\n"), ran.stderr


@needs_root
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("lava-add-keys /nowhere/key.asc", "needs gpg"),
        ("lava-add-sources 'rpm http://x'", "is no source of apt"),
        ("lava-add-sources 'deb file:/nowhere ./'", "can't be read after adding"),
    ],
)
def test_what_cannot_be_added_says_why(node: Node, command: str, message: str) -> None:
    ran = in_view(node, f"PATH={node.root}/bin:/usr/sbin:/sbin:/bin; hash -r; {command}")
    if message == "needs gpg" and shutil.which("gpg"):
        message = "was not found"
    assert ran.returncode == 1
    assert message in ran.stderr


# Without rights


@pytest.mark.parametrize("user", [["--user"], ["--user", "--map-root-user"]])
def test_without_root_what_is_there_is_enough_and_the_rest_names_the_cure(
    node: Node, user: list[str]
) -> None:
    there = node.run("unshare", *user, f"{node.root}/bin/lava-install-packages", "dash", "bash")
    assert (there.returncode, there.stdout, there.stderr) == (0, "", "")
    more = ("dash", "callboard-nothing")
    lacking = node.run("unshare", *user, f"{node.root}/bin/lava-install-packages", *more)
    assert lacking.returncode == 1
    assert lacking.stderr == (
        f"lava-install-packages: callboard-nothing: installing packages needs root: {CURE}\n"
    )


# The choice of the manager; these only write down how they are called

QUERIES = {"apt-get": "dpkg-query", "dnf": "rpm", "yum": "rpm", "zypper": "rpm"}
INSTALLS = {
    "apt-get": "apt-get -q --yes --no-install-recommends -o Dpkg::Options::=--force-confold "
    "-o DPkg::Lock::Timeout=60 install nano vim",
    "dnf": "dnf -y --setopt=install_weak_deps=False install nano vim",
    "yum": "yum -y --setopt=skip_missing_names_on_install=False install nano vim",
    "zypper": "zypper --non-interactive install --no-recommends nano vim",
    "pacman": "pacman -S --noconfirm --needed nano vim",
    "apk": "apk add nano vim",
    "opkg": "opkg install nano vim",
}
FAKE = """#!/bin/sh
echo "${0##*/} $*" >> "$CALLS"
case "${0##*/} $*" in
    *"install "* | "apk add"* | *-S*) exit 0 ;;
    *update*) exit 0 ;;
esac
exit 1
"""


def only_with(node: Node, *managers: str) -> dict[str, str]:
    """The environment of a machine with these managers and the usual tools."""
    tools = node.folder / "tools"
    tools.mkdir()
    for tool in ("find", "grep", "sed"):
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    fakes = {name for each in managers for name in (each, QUERIES.get(each, each))}
    for name in fakes:
        (tools / name).write_text(FAKE)
        (tools / name).chmod(0o755)
    (tools / "id").write_text("#!/bin/sh\necho 0\n")
    (tools / "id").chmod(0o755)
    return {"PATH": f"{node.root}/bin:{tools}", "CALLS": str(node.folder / "calls")}


@pytest.mark.parametrize("manager", INSTALLS)
def test_each_package_manager_is_called_in_its_own_words(node: Node, manager: str) -> None:
    variables = only_with(node, manager)
    ran = node.run("lava-install-packages", "nano", "vim", **variables)
    assert ran.returncode == 0, ran.stderr
    calls = (node.folder / "calls").read_text().splitlines()
    assert calls[-1] == INSTALLS[manager]
    assert calls.count(INSTALLS[manager]) == 1


def test_the_systems_own_manager_goes_before_those_that_may_be_installed_too(node: Node) -> None:
    variables = only_with(node, "apt-get", "dnf", "opkg")
    assert node.run("lava-install-packages", "nano", **variables).returncode == 0
    assert (node.folder / "calls").read_text().splitlines()[-1].startswith("apt-get ")


def test_a_node_without_a_package_manager_says_what_it_lacks(node: Node) -> None:
    ran = node.run("lava-install-packages", "nano", **only_with(node))
    assert ran.returncode == 1
    assert "this node has no package manager" in ran.stderr
    assert ran.stderr.endswith("it was to install nano\n")
