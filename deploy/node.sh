#!/usr/bin/env bash
# One machine of a cluster: `node.sh head`, or `node.sh worker` with the head's address in RAY_HEAD_IP. It installs
# requirements.lock and this project, and gives the machine the shared folder. cluster.yaml calls it on every `ray up`;
# what is there already is left alone. `node.sh mlflow`, `node.sh end-mlflow` and `node.sh watch` are for what stays
# beside Ray.
set -euo pipefail

project=${STUDY_PROJECT:-$HOME/imbalance-study}
venv=${STUDY_VENV:-$HOME/venv}
shared=${STUDY_STORAGE:-/mnt/study}
# Where $shared comes from: a file system of your own (e.g. EFS), "present" where it is mounted, else the head's disk.
source=${STUDY_SHARED_FROM:-}
# Who may mount the head's disk, and write it: networks or machines, by spaces. By themselves all private networks; which
# of their machines get through is up to the cluster's security group. Where there is none, name the nodes alone.
to=${STUDY_SHARED_TO:-10.0.0.0/8 172.16.0.0/12 192.168.0.0/16}
programs=${STUDY_PROGRAMS:-/usr/local/bin}
# MLflow's SQLite has to lie on the head's own disk: with the results, unless those come over a network.
if mountpoint -q "$shared"; then kept=$HOME/mlflow; else kept=$shared/mlflow; fi
port=${STUDY_MLFLOW_PORT:-5000}
pause=${STUDY_PAUSE:-10}
export DEBIAN_FRONTEND=noninteractive

# At first boot the system's own upgrades hold apt's locks, and a file system may be minutes late.
retry() {
  for _ in $(seq 60); do
    "$@" && return
    sleep "$pause"
  done
  echo "gave up after 60 attempts: $*" >&2
  return 1
}

packages() {
  local missing=()
  for name in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}\n' "$name" 2> /dev/null | grep -qx installed \
      || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  if command -v cloud-init > /dev/null; then cloud-init status --wait > /dev/null || true; fi # it tells warnings, too
  retry sudo apt-get -qq update
  retry sudo -E apt-get -qq -o DPkg::Lock::Timeout=600 install -y "${missing[@]}" > /dev/null
}

# torch is pinned in requirements.lock; from PyPI it is the CUDA build: a first installation takes some minutes.
environment() {
  local lock
  lock=$(sha256sum < "$project/requirements.lock")
  if [ "$(cat "$venv/installed" 2> /dev/null)" != "$lock" ]; then
    test -x "$venv/bin/python" || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --requirement "$project/requirements.lock"
    echo "$lock" > "$venv/installed"
  fi
  "$venv/bin/pip" install --quiet --no-deps --no-build-isolation --editable "$project"
}

# `ray` and `study` for `ray exec`, in any folder, with the cluster's token, storage and MLflow.
program() {
  local variables=(RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 STUDY_STORAGE="$shared" HF_HOME="$shared/hub")
  test "$1" = ray || variables+=(MLFLOW_TRACKING_URI="http://127.0.0.1:$port")
  {
    echo '#!/bin/sh'
    # `ray down` gives this command to the head.
    test "$1" != ray || echo "test \"\$1\" != stop || bash $project/deploy/node.sh end-mlflow"
    echo "exec env ${variables[*]} $venv/bin/$1 \"\$@\""
  } | sudo tee "$programs/$1" > /dev/null
  sudo chmod +x "$programs/$1"
}

export_shared() {
  packages nfs-kernel-server
  sudo mkdir -p "$shared"
  sudo chown "$(id -u):$(id -g)" "$shared"
  sudo install -d /etc/exports.d
  for network in $to; do
    echo "$shared $network(rw,sync,no_subtree_check)"
  done | sudo tee /etc/exports.d/study.exports > /dev/null
  sudo systemctl enable --quiet --now nfs-kernel-server
  sudo exportfs -ra
}

mount_shared() {
  packages nfs-common
  sudo mkdir -p "$shared"
  mountpoint -q "$shared" || retry sudo mount -t nfs4 -o nfsvers="$2",hard "$1" "$shared"
}

# EC2 tells a spot machine two minutes ahead that it takes it back. Elsewhere nobody answers.
taken_back() {
  local service=http://169.254.169.254/latest token
  token=$(curl --silent --fail --max-time 2 --noproxy '*' --request PUT \
    --header "X-aws-ec2-metadata-token-ttl-seconds: 60" "$service/api/token") || return
  curl --silent --fail --max-time 2 --noproxy '*' --header "X-aws-ec2-metadata-token: $token" \
    "$service/meta-data/spot/instance-action" | grep -q '"action"'
}

# From then on Ray begins nothing there, and knows what became of the node. $1: the command line of its raylet.
drain() {
  local node gcs
  # The commands of its workers and agents stand in it, too, with the same address.
  if [[ $1 =~ --node_id=([0-9a-f]+) ]]; then node=${BASH_REMATCH[1]}; else return 1; fi
  if [[ $1 =~ --gcs-address=([0-9a-zA-Z.:-]+) ]]; then gcs=${BASH_REMATCH[1]}; else return 1; fi
  RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 "$venv/bin/ray" drain-node --address "$gcs" \
    --node-id "$node" --reason DRAIN_NODE_REASON_PREEMPTION \
    --reason-message "EC2 takes the spot machine back" --deadline-remaining-seconds 120
}

case ${1:-} in
  head | worker)
    packages python3-venv gcc libgomp1 tmux rsync curl
    environment
    for name in ray study; do program "$name"; done
    if [ "$source" = present ]; then
      mkdir -p "$shared"
    elif [ -n "$source" ]; then
      mount_shared "$source" 4.1
      sudo chown "$(id -u):$(id -g)" "$shared"
    elif [ "$1" = head ]; then
      export_shared
    else
      mount_shared "$RAY_HEAD_IP:$shared" 4.2
    fi
    ;;
  mlflow) # the server of all launches; it stays when Ray is started again
    if curl --silent --fail --output /dev/null "http://127.0.0.1:$port/health"; then exit; fi
    mkdir -p "$kept"
    # Its jobs would run in eight more processes; no study uses them.
    export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true
    PATH=$venv/bin:$PATH setsid nohup "$venv/bin/mlflow" server --host 127.0.0.1 --port "$port" --workers 1 \
      --backend-store-uri "sqlite:///$kept/mlflow.db" --artifacts-destination "$kept/artifacts" \
      > "$kept/server.log" 2>&1 < /dev/null &
    echo $! > "$kept/server.pid"
    ;;
  end-mlflow)
    if [ -e "$kept/server.pid" ]; then kill -- "-$(cat "$kept/server.pid")" 2> /dev/null || true; fi
    rm -f "$kept/server.pid"
    ;;
  watch)
    # A worker whose head is gone would be billed on: without Ray for five minutes it switches itself off. Before a spot
    # machine is taken back, its node is drained.
    exec 9> "$HOME/.study-watch.lock"
    flock --nonblock 9 || exit 0
    absent=0 drained=
    while ((absent < 30)); do
      sleep "$pause"
      if raylet=$(pgrep -ax raylet); then absent=0; else absent=$((absent + 1)); fi
      if [ -z "$drained" ] && [ -n "$raylet" ] && taken_back && drain "$raylet"; then drained=yes; fi
    done
    sudo shutdown -h now
    ;;
  *)
    echo "node.sh: head, worker, mlflow, end-mlflow or watch was expected, got '${1:-}'" >&2
    exit 2
    ;;
esac
