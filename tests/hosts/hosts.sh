#!/usr/bin/env bash
# Machines on one machine: each has an address, processes, a name, files and an sshd of its own. Root is needed.
#
#   hosts.sh network N      a bridge, and a network for each of N hosts
#   hosts.sh start I        host I
#   hosts.sh enter I CMD…   runs a command on it
#   hosts.sh end N          ends all of them, and the network
#
# FOLDER holds what belongs to them: key.pub lets in by ssh, shared/ is every host's STORAGE (not of host PRIVATE).
# NAME tells networks and bridge from those of others, NET is the first three numbers of all addresses, SEEN are the
# folders of this machine that a host sees although they lie in a /tmp of this machine.
set -euo pipefail
: "${FOLDER:?}" "${NAME:?}" "${NET:?}" "${STORAGE:?}"
host=${2:-}
here=$FOLDER/host$host

address() { echo "$NET.$((10 + $1))"; }

# Runs as process 1 of a host, and gathers processes that lost their parent: a dead raylet must not look alive.
boot() {
  mount --make-rprivate /
  mkdir -p "$here"
  mount -t tmpfs -o size=3g tmpfs "$here"
  mkdir "$here/written" "$here/work" "$here/root"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$here/written,workdir=$here/work" "$here/root"
  local root=$here/root
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  for fresh in dev/shm tmp run; do mount -t tmpfs tmpfs "$root/$fresh"; done
  chmod 1777 "$root/tmp" "$root/dev/shm"
  for seen in ${SEEN:-}; do
    mkdir -p "$root$seen"
    mount --bind "$seen" "$root$seen"
  done
  mkdir -p "$root$STORAGE"
  test "${PRIVATE:-}" = "$host" || mount --bind "$FOLDER/shared" "$root$STORAGE"
  hostname "$NAME$host"
  {
    echo "127.0.0.1 localhost"
    for i in 1 2 3; do echo "$(address "$i") $NAME$i"; done
  } > "$root/etc/hosts"
  rm -rf "$root/root/.ray" "$root/root/.ssh"
  install -d -m 700 "$root/root/.ssh"
  install -m 600 "$FOLDER/key.pub" "$root/root/.ssh/authorized_keys"
  if [ -d "$FOLDER/programs" ]; then install -m 755 "$FOLDER"/programs/* "$root/usr/local/bin/"; fi
  mkdir -p "$root/run/sshd"
  # A folder that exists for the new root, too: programs ask for the one that they are in.
  exec chroot "$root" bash -c 'cd /; ssh-keygen -q -A
    /usr/sbin/sshd -o PermitRootLogin=prohibit-password -o UsePAM=no -o MaxStartups=100
    while :; do sleep 3600 & wait $!; done'
}

case ${1:-} in
  network)
    ip link add "$NAME" type bridge
    ip addr add "$NET.1/24" dev "$NAME"
    ip link set "$NAME" up
    for i in $(seq "$2"); do
      ip netns add "$NAME$i"
      ip link add "$NAME-$i" type veth peer name eth0 netns "$NAME$i"
      ip link set "$NAME-$i" master "$NAME" up
      ip -n "$NAME$i" addr add "$(address "$i")/24" dev eth0
      for device in eth0 lo; do ip -n "$NAME$i" link set "$device" up; done
    done
    ;;
  start)
    setsid ip netns exec "$NAME$host" unshare --mount --uts --pid --fork --kill-child bash "$0" boot "$host" \
      > "$FOLDER/host$host.log" 2>&1 < /dev/null &
    for _ in $(seq 100); do
      sleep 0.2
      first=$(pgrep -P $! || true)
      if [ -n "$first" ] && ssh-keyscan -T 1 "$(address "$host")" 2> /dev/null | grep -q ssh; then
        echo "$first" > "$FOLDER/host$host.pid"
        exit
      fi
    done
    cat "$FOLDER/host$host.log" >&2
    exit 1
    ;;
  boot) boot ;;
  enter)
    shift 2
    pid=$(cat "$FOLDER/host$host.pid")
    exec nsenter --target "$pid" --mount --uts --net --pid --root="/proc/$pid/root" --wd="/proc/$pid/root" -- "$@"
    ;;
  end)
    for i in $(seq "$2"); do
      if [ -e "$FOLDER/host$i.pid" ]; then kill -9 "$(cat "$FOLDER/host$i.pid")" 2> /dev/null || true; fi
      ip link del "$NAME-$i" 2> /dev/null || true
      ip netns del "$NAME$i" 2> /dev/null || true
    done
    ip link del "$NAME" 2> /dev/null || true
    ;;
esac
