#!/usr/bin/env bash
# First process of a Linux kernel that runs as a program (user-mode Linux): an NFS server and two clients of it.
#
# The kernel sees this machine's files, to read them alone; FOLDER is the only place that it writes to, but for the disk
# that it was given, which it exports. The clients a and b have a network, a name and processes of their own, so that
# each has its own view of the export, at /mnt/a and /mnt/b. Then PYTHON runs nfs_client.py on both, with
# FOLDER/encoder: on an empty cache at the same time, and with another cache on b when a was killed, which holds a lease
# there.
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/home TMPDIR=/run/tmp
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$ROOT OMP_NUM_THREADS=1

end() {
  sync
  echo o > /proc/sysrq-trigger
  sleep 10
}
trap end EXIT

mount -t proc proc /proc
mount -t sysfs sys /sys
for fresh in /run /mnt /dev/shm /var/lib/nfs; do mount -t tmpfs tmpfs $fresh; done
mkdir -p /run/home /run/tmp /run/netns /mnt/export /mnt/a /mnt/b /mnt/back /var/lib/nfs/rpc_pipefs
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
mount -t hostfs -o "$FOLDER" none /mnt/back
exec > /mnt/back/log 2>&1

set -ex
cd "$ROOT"
mount -t ext4 /dev/ubda /mnt/export
mkdir -p /run/lib/modules
ln -s "$MODULES/$(uname -r)" /run/lib/modules/
for module in nfsd nfsv4 veth; do modprobe --dirname /run $module; done
mount -t nfsd nfsd /proc/fs/nfsd
mount -t rpc_pipefs rpc /var/lib/nfs/rpc_pipefs
for wait in lease grace; do echo 10 > /proc/fs/nfsd/nfsv4${wait}time; done  # seconds; less is refused
ip link set lo up
exportfs -o rw,no_root_squash,no_subtree_check,fsid=0,insecure '*:/mnt/export'
rpc.mountd -N 3
rpc.nfsd -N 3 4

net=1
for client in a b; do
  ip netns add $client
  ip link add to-$client type veth peer name eth0 netns $client
  ip addr add 10.9.$net.1/24 dev to-$client
  ip link set to-$client up
  ip -n $client addr add 10.9.$net.2/24 dev eth0
  for device in eth0 lo; do ip -n $client link set $device up; done
  # The server tells clients apart by name.
  nsenter --net=/run/netns/$client unshare --uts sh -c "hostname $client; mount -t nfs4 10.9.$net.1:/ /mnt/$client"
  net=$((net + 1))
done
grep nfs4 /proc/mounts > /mnt/back/mounts
cat /proc/fs/nfsd/clients/*/info > /mnt/back/clients

# machine CLIENT CACHE OUT: runs on one client, as on a machine of its own; who kills it, kills all that it started.
machine() {
  nsenter --net=/run/netns/"$1" unshare --uts --pid --fork --kill-child --mount-proc sh -c \
    "hostname $1; exec $PYTHON -m tests.hosts.nfs_client /mnt/back/encoder /mnt/$1/$2 /mnt/back/$3 /run/go-$3" &
}

# ready OUT PROCESS: waits for a client, which may not have ended by then.
ready() {
  set +x
  until [ -e "/mnt/back/$1.ready" ]; do
    kill -0 "$2"
    sleep 0.5
  done
  set -x
}

machine a shared shared-a
first=$!
machine b shared shared-b
second=$!
ready shared-a $first
ready shared-b $second
touch /run/go-shared-a /run/go-shared-b
wait $first
wait $second

machine a lost lost-a
first=$!
ready lost-a $first
touch /run/go-lost-a
set +x
until compgen -G '/mnt/export/lost/stage1/*/.*.lease'; do
  kill -0 $first
  sleep 0.01
done
set -x
kill -9 $first
wait $first || true
compgen -G '/mnt/export/lost/stage1/*/.*.lease'
touch /run/go-lost-b
machine b lost lost-b
wait $!
(cd /mnt/export && find shared lost -type f) > /mnt/back/files
touch /mnt/back/done
