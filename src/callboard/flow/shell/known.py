"""Commands of which it is known what they do."""

import re
from collections.abc import Iterator, Mapping, Sequence
from posixpath import basename

from attrs import frozen

from callboard.events import CallName

CALLS: Mapping[str, CallName] = {
    "lava-send": "send",
    "lava-wait": "wait",
    "lava-wait-all": "wait-all",
    "lava-sync": "sync",
}
"""The helpers that make calls, and what they ask."""

_OTHERS = """
lava-add-keys lava-add-sources lava-background-process-start lava-background-process-stop
lava-echo-config lava-echo-ipv4 lava-group lava-install-packages lava-role lava-self lava-test-case
lava-test-event lava-test-feedback lava-test-raise lava-test-reference lava-test-set
"""
VLANS = frozenset({"lava-vland-names", "lava-vland-self", "lava-vland-tags"})
"""The helpers that print the interfaces of a node in VLANs: a line or more each."""

REPORTS = frozenset({"lava-test-set", "lava-test-reference"})
"""The helpers that report to LAVA besides `lava-test-case`."""

HELPERS = (*CALLS, *_OTHERS.split(), *sorted(VLANS))
"""The helpers that a test finds on its node."""

_CALL = re.compile(r"\blava-(?:send|wait-all|wait|sync)\b")

_TOOLS = """
: [ [[ alias apt apt-get arping awk basename break case cat cd chmod chown cmp continue cp curl cut
date dd df dhclient diff dirname dmesg done dpkg du echo egrep esac ethtool exit export expr false
fgrep fi file for free getent git grep gunzip gzip head host hostname id ifconfig install iperf
iperf3 ip iw jobs kill killall ln ls lsblk lscpu lsmod lspci lsusb md5sum mkdir mknod mktemp
modprobe mount mv nslookup opkg passwd pgrep pidof ping ping6 pkill printenv printf ps pwd read
readlink realpath reboot return rm rmdir rpm scp sed seq set sha256sum shift sleep sort ss
stat stty sync sysctl tail tar tee test touch tr true truncate ulimit umask umount
uname uniq unset unzip uptime wait wc wget which whoami yum
"""
TOOLS = frozenset(_TOOLS.split())
"""Commands that run nothing that a definition could have brought along."""

_QUIET = """
: cat cp chmod cut dd diff echo egrep false fgrep grep hash head logger ls mv printf rm sed
sort tail tee test touch true type wc which
"""
QUIET = frozenset(_QUIET.split())
"""Commands whose arguments and input may look like calls."""

SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})
"""Commands that run shell scripts."""


@frozen
class Wrapper:
    """A command that runs the command behind its own options.

    Attributes:
        valued: The options whose value is the next word.
        operands: How many words stand between the options and the command.
        assigns: Whether assignments may stand before the command.
    """

    valued: frozenset[str] = frozenset()
    operands: int = 0
    assigns: bool = False


def _wrapper(valued: str = "", operands: int = 0, *, assigns: bool = False) -> Wrapper:
    return Wrapper(frozenset(valued.split()), operands, assigns)


WRAPPERS: Mapping[str, Wrapper] = {
    "builtin": _wrapper(),
    "busybox": _wrapper(),
    "chrt": _wrapper("-T -P -D", 1),
    "command": _wrapper(),
    "doas": _wrapper("-C -u"),
    "eatmydata": _wrapper(),
    "env": _wrapper("-u --unset -C --chdir", assigns=True),
    "exec": _wrapper("-a"),
    "flock": _wrapper("-w --wait --timeout -E --conflict-exit-code", 1),
    "ionice": _wrapper("-c --class -n --classdata"),
    "nice": _wrapper("-n --adjustment"),
    "nohup": _wrapper(),
    "setsid": _wrapper(),
    "stdbuf": _wrapper("-i --input -o --output -e --error"),
    "sudo": _wrapper(
        "-u --user -g --group -C -D -h --host -p --prompt -R -r -t -T -U", assigns=True
    ),
    "taskset": _wrapper("", 1),
    "time": _wrapper("-f --format -o --output"),
    "timeout": _wrapper("-k --kill-after -s --signal", 1),
    "unbuffer": _wrapper(),
}
"""Commands that run the command that follows their own options."""

_LANGUAGE = re.compile(r"(?:python|perl|ruby|node|expect|lua|tclsh|awk|gawk|php)[\d.]*")


def names_call(text: str) -> bool:
    """Whether a text names a helper that makes calls, so that it may make one when it is run."""
    return _CALL.search(text) is not None


def runs_language(name: str) -> bool:
    """Whether a command runs scripts in a language that is not that of the shell."""
    return _LANGUAGE.fullmatch(name) is not None


def written_by(name: str, words: Sequence[str | None]) -> Iterator[str]:
    """The files that a command is known to write, so that they are not what they were."""
    texts = [text for text in words if text is not None and not text.startswith("-")]
    match name:
        case "tee" | "touch" | "truncate" | "patch":
            yield from texts
        case "sed" if any(
            text is not None and text.startswith(("-i", "--in-place")) for text in words
        ):
            yield from texts
        case "cp" | "mv" | "ln" | "install" if texts:
            yield texts[-1]
            yield from (f"{texts[-1]}/{basename(text)}" for text in texts[:-1])
            yield from texts[:-1] if name == "mv" else ()
        case "wget" | "curl":
            yield from (basename(text) for text in texts)
        case _:
            pass
