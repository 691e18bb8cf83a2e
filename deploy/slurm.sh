#!/usr/bin/env bash
#SBATCH --job-name=study
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
# A study on Slurm, from the project's folder, which all nodes see, with its environment (make setup):
#
#   sbatch deploy/slurm.sh adme --preset cluster
#
# Given again, it goes on where the time ended. STUDY_STORAGE names another folder for the results, which all nodes see.
set -euo pipefail

bin=$PWD/.venv/bin
export STUDY_STORAGE=${STUDY_STORAGE:-$PWD/results} PATH=$bin:$PATH RAY_USAGE_STATS_ENABLED=0
# Models are downloaded once for all nodes. A home that holds some is shared as a rule, and is left alone.
if [ ! -d ~/.cache/huggingface ]; then export HF_HOME=${HF_HOME:-$STUDY_STORAGE/hub}; fi
mkdir -p "$STUDY_STORAGE"
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$head:$((20000 + SLURM_JOB_ID % 20000))

# Others may use these machines: who has not this job's token is not let in.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$STUDY_STORAGE/.ray-token-$SLURM_JOB_ID
(umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$RAY_AUTH_TOKEN_PATH")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

srun ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" --num-cpus "$SLURM_CPUS_PER_TASK" \
  -- env RAY_ADDRESS="$address" python -m study.launch "$@"
