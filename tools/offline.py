"""Runs a command with the network cut off: python tools/offline.py COMMAND [ARGUMENT ...]

The command gets a network of its own in which there is this machine (127.0.0.1) and nothing else.
Linux can do that, for root and, where user namespaces are allowed, for everybody. Where it cannot
be done, one line says so and the command runs as it is; with CI set in the environment, it fails.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # CLONE_NEW... of <linux/sched.h>
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
NAME_AND_FLAGS = "16sH22x"  # the beginning of a struct ifreq


def cut_off() -> None:
    """Put this process, for good, into a network of its own in which only loopback is up.

    Raises
    ------
    OSError
        If this system or this user cannot do that.
    """
    if sys.platform != "linux":
        raise OSError(f"{sys.platform} has no network namespaces")
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _unshare(NEW_NETWORK)
    else:  # the same user as before, but in a user namespace that owns the network
        _unshare(NEW_USER | NEW_NETWORK)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _raise_loopback()


def _unshare(flags: int) -> None:
    """What os.unshare does, from Python 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _raise_loopback() -> None:
    """`ip link set lo up`, without the command."""
    with socket.socket() as any_socket:
        request = fcntl.ioctl(any_socket, GET_FLAGS, struct.pack(NAME_AND_FLAGS, b"lo", 0))
        name, flags = struct.unpack(NAME_AND_FLAGS, request)
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack(NAME_AND_FLAGS, name, flags | UP))


def why_not() -> str:
    """Why this process cannot be cut off, or "": tried by another one, for there is no way back."""
    code = "import offline\ntry: offline.cut_off()\nexcept OSError as error: print(error)"
    folder = Path(__file__).resolve().parent
    found = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    return (found.stdout or found.stderr).strip()


def main(command: Sequence[str]) -> int:
    """Become the `command`, cut off; returns a status only if that does not work out."""
    if not command:
        print("usage: python tools/offline.py COMMAND [ARGUMENT ...]", file=sys.stderr)
        return 2
    if reason := why_not():
        print(f"offline: the network cannot be cut off here ({reason})", file=sys.stderr)
        if os.environ.get("CI"):
            return 1
    else:
        cut_off()
    try:
        os.execvp(command[0], command)  # this very process: its signals, its status
    except OSError as error:
        print(f"offline: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
