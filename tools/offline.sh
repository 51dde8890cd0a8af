#!/bin/sh
# Runs a command with the network cut off: sh tools/offline.sh COMMAND [ARGUMENT ...]
# It gets a network in which there is this machine (127.0.0.1) and nothing else. Linux can do that,
# for root and, where user namespaces are allowed, for everybody. Where it cannot be done, one line
# says so and the command runs as it is; with CI set in the environment, it fails.
[ $# -gt 0 ] || { echo "usage: sh tools/offline.sh COMMAND [ARGUMENT ...]" >&2; exit 2; }

up='ip link set lo up 2>/dev/null || python3 -c "import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack(\"16sH22x\", b\"lo\", 1))"' # SIOCSIFFLAGS, IFF_UP
cut_off() { # becomes the command; without root, rights over the own network end with loopback's
    if [ "$(id -u)" = 0 ]; then
        exec unshare --net sh -c "$up && exec \"\$@\"" offline "$@"
    fi
    exec unshare --map-current-user --keep-caps --net sh -c \
        "$up && exec setpriv --inh-caps=-all --ambient-caps=-all -- \"\$@\"" offline "$@"
}
if reason=$(cut_off true 2>&1); then
    cut_off "$@"
fi
echo "offline: the network cannot be cut off here ($reason)" >&2
[ -z "$CI" ] && exec "$@"
