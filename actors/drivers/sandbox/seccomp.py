"""A filter of system calls for nodes whose root is the machine's own (seccomp(2)).

Such a root could make a user namespace, be almighty in it, and from there mount the machine's
cgroups; its keys are in the keyrings of the machine's root; and it could listen to all traffic
of a network that it shares. These calls fail as if this machine knew or allowed them not.
"""

import ctypes
import errno
from collections.abc import Iterator

from attrs import frozen

from callboard.actors.drivers.sandbox.kernel import Namespace, set_filter

_LOAD, _AND = 0x20, 0x54
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45
_RETURN = 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24

_CLONE3 = 435  # the same everywhere
_X32 = 0x40000000
_AF_PACKET, _SOCK_PACKET, _SOCKET_TYPE = 17, 10, 0xF


@frozen
class _Calls:
    """The numbers of system calls on one architecture (Linux: uapi)."""

    architecture: int
    unshare: int
    clone: int
    setns: int
    add_key: int
    request_key: int
    keyctl: int
    socket: int


_X86_64 = _Calls(0xC000003E, 272, 56, 308, 248, 249, 250, 41)
_I386 = _Calls(0x40000003, 310, 120, 346, 286, 287, 288, 359)
_AARCH64 = _Calls(0xC00000B7, 97, 220, 268, 217, 218, 219, 198)
_ARM = _Calls(0x40000028, 337, 120, 375, 309, 310, 311, 281)
_RISCV64 = _Calls(0xC00000F3, 97, 220, 268, 217, 218, 219, 198)


class _Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint16),
        ("then", ctypes.c_uint8),
        ("otherwise", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    ]


def forbid(*, packets: bool) -> None:
    """Forbid the calls, for this process and all that it ever starts.

    Programs of an architecture that is not known here can't make any call.

    Args:
        packets: Whether listening to all traffic is among them.

    Raises:
        OSError: This kernel has no filters, or the process lacks CAP_SYS_ADMIN.
    """
    program = [_Instruction(_LOAD, 0, 0, _ARCHITECTURE)]
    for calls in (_X86_64, _I386, _AARCH64, _ARM, _RISCV64):
        block = list(_block(calls, packets=packets))
        program += [_Instruction(_EQUAL, 0, len(block), calls.architecture), *block]
    program.append(_fail(errno.ENOSYS))
    set_filter(program)


def _block(calls: _Calls, *, packets: bool) -> Iterator[_Instruction]:
    """What is done with the calls of one architecture."""
    namespaces = int(Namespace.USER | Namespace.CGROUP)
    yield _Instruction(_LOAD, 0, 0, _NUMBER)
    if calls is _X86_64:
        yield from (_Instruction(_AT_LEAST, 0, 1, _X32), _fail(errno.ENOSYS))
    # Its flags are in memory, where a filter can't look; the C library then uses `clone`.
    yield from (_Instruction(_EQUAL, 0, 1, _CLONE3), _fail(errno.ENOSYS))
    for number in (calls.setns, calls.add_key, calls.request_key, calls.keyctl):
        yield from (_Instruction(_EQUAL, 0, 1, number), _fail(errno.EPERM))
    for number in (calls.unshare, calls.clone):
        yield _Instruction(_EQUAL, 0, 4, number)
        yield _Instruction(_LOAD, 0, 0, _FIRST)
        yield from (_Instruction(_ANY_BIT, 0, 1, namespaces), _fail(errno.EPERM))
        yield _Instruction(_RETURN, 0, 0, _ALLOW)
    if packets:
        yield from _no_packets(calls)
    yield _Instruction(_RETURN, 0, 0, _ALLOW)


def _no_packets(calls: _Calls) -> Iterator[_Instruction]:
    """What is done with the calls that make sockets."""
    yield _Instruction(_EQUAL, 0, 7, calls.socket)
    yield _Instruction(_LOAD, 0, 0, _FIRST)
    yield from (_Instruction(_EQUAL, 0, 1, _AF_PACKET), _fail(errno.EPERM))
    yield _Instruction(_LOAD, 0, 0, _SECOND)
    yield _Instruction(_AND, 0, 0, _SOCKET_TYPE)
    yield from (_Instruction(_EQUAL, 0, 1, _SOCK_PACKET), _fail(errno.EPERM))


def _fail(number: int) -> _Instruction:
    return _Instruction(_RETURN, 0, 0, _ERROR | number)
