#!/usr/bin/env bash
# Gives a Debian machine what the tests need: packages, the network of containers, and LAVA's own
# coordinator and dispatcher to compare with.
#
#     tests/provision.sh [packages] [network] [lava]
#
# Without an argument it does all; what is there already stays as it is. It needs root, and it
# changes the machine: `.ci/run` and `make test PROVISION=1` call it, `make test` doesn't.
set -euo pipefail

packages=(
  bash busybox-static ca-certificates dash git iproute2 iputils-ping make mount netcat-openbsd procps python3 python3-venv util-linux
  debootstrap distro-info dnsmasq-base lxc lxc-templates nftables openssl rsync uidmap
  passt slirp4netns curl
  openssh-client openssh-server cpio linux-image-cloud-amd64 qemu-system-x86
  stunnel4 systemd
)
bridge=lxcbr0
settings=/etc/default/lxc-net
lava=(lava-common lava-coordinator lava-dispatcher)
lava_folder=/var/cache/callboard-tests/lava

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if ((${#missing[@]})); then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}"
  fi
}

# The processes that give addresses on the bridge, whatever the pid file says.
servers() {
  local folder
  for folder in /proc/[0-9]*; do
    if grep -qsx dnsmasq "$folder/comm" && grep -qs -e "--interface=$bridge" "$folder/cmdline"; then
      echo "${folder##*/}"
    fi
  done
}

# Whether containers get addresses, and at once: dnsmasq pings each one for three seconds unless
# it is told not to.
serves() {
  local pids
  pids=$(servers)
  [[ -d /sys/class/net/$bridge && -n $pids ]] && grep -qs -e --no-ping "/proc/${pids%%$'\n'*}/cmdline"
}

set_to() {
  grep -qsx "$1=\"$2\"" "$settings" && return
  touch "$settings"
  sed -i "/^$1=/d" "$settings"
  echo "$1=\"$2\"" >>"$settings"
}

start_network() {
  local script pid
  set_to USE_LXC_BRIDGE true
  set_to LXC_DHCP_PING false
  set_to LXC_DHCP_RANGE 10.0.3.2,10.0.3.254,2m # short, for many containers in an hour
  if ! serves; then
    for pid in $(servers); do
      kill "$pid"
      timeout 5 tail --pid="$pid" -f /dev/null # until it has ended, and its port is free
    done
    # lxc-net believes its files: it would start nothing, and kill whoever has that number now
    rm -f /run/lxc/network_up /run/lxc/dnsmasq.pid
    if [[ -d /run/systemd/system ]]; then
      systemctl restart lxc-net
    else
      for script in /usr/libexec/lxc/lxc-net /usr/lib/*/lxc/lxc-net; do
        [[ ! -x $script ]] || break
      done
      "$script" start </dev/null
    fi
  fi
  serves || { echo "dnsmasq does not serve $bridge; 'callboard doctor' says more" >&2; return 1; }
  let_pass
}

# Where a firewall drops what it forwards, as Docker's does, containers may still talk.
let_pass() {
  command -v iptables >/dev/null || return 0
  local way
  for way in -i -o; do
    iptables -w -C FORWARD "$way" "$bridge" -j ACCEPT 2>/dev/null ||
      { ! iptables -w -S FORWARD | grep -qx -e '-P FORWARD DROP'; } ||
      iptables -w -I FORWARD "$way" "$bridge" -j ACCEPT
  done
}

# LAVA's packages are unpacked, not installed: nothing of them is to run as a service.
unpack_lava() {
  local folder package
  [[ ! -e $lava_folder/complete ]] || return 0
  folder=$(mktemp -d)
  if ! (cd "$folder" && apt-get -o APT::Sandbox::User=root download -qq "${lava[@]}"); then
    apt-get update -qq
    (cd "$folder" && apt-get -o APT::Sandbox::User=root download -qq "${lava[@]}")
  fi
  mkdir -p "$lava_folder"
  for package in "$folder"/*.deb; do
    dpkg-deb -x "$package" "$lava_folder"
  done
  rm -rf "$folder"
  chmod -R a+rX "$lava_folder"
  touch "$lava_folder/complete"
}

if ((EUID != 0)); then
  echo "tests/provision.sh needs root: sudo $0 $*" >&2
  exit 1
fi
(($#)) || set -- packages network lava
for part in "$@"; do
  case $part in
  packages) install_packages ;;
  network) start_network ;;
  lava) unpack_lava ;;
  *) echo "usage: $0 [packages] [network] [lava]" >&2; exit 2 ;;
  esac
done
