#!/bin/bash
# A Ray cluster on the nodes of an allocation, for one run over an archive:
#
#   sbatch docs/cluster/slurm-ray.sh IN OUT [options of vqe-fast enhance]
#
# Submitted again, it goes on where it ended.
#SBATCH --job-name=vqe-fast
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
# For GPUs: sbatch --gpus-per-node=4 …
set -euo pipefail

if (($# < 2)); then
  echo "usage: sbatch $0 IN OUT [options]" >&2
  exit 2
fi
source_folder=$1
target_folder=$2
shift 2

# srun does not take this over from sbatch.
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
export RAY_USAGE_STATS_ENABLED=0
# Others who share the nodes have another token, or none.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
port=$((20000 + SLURM_JOB_ID % 10000)) # other jobs may have a cluster on the same node
address=$head:$port
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT

srun --nodes=1 --ntasks=1 --nodelist="$head" \
  ray start --head --port="$port" --temp-dir="/tmp/ray-$SLURM_JOB_ID" \
  --num-cpus="$SRUN_CPUS_PER_TASK" --include-dashboard=false --block &
for ((second = 0; second < 60; second++)); do
  if (: >"/dev/tcp/$head/$port") 2>/dev/null; then break; fi
  sleep 1
done

others=$((${#nodes[@]} - 1))
if ((others > 0)); then
  srun --nodes="$others" --ntasks="$others" --exclude="$head" \
    ray start --address="$address" --num-cpus="$SRUN_CPUS_PER_TASK" --block &
fi

# --overlap: on the head's node, beside Ray.
srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
  vqe-fast enhance "$source_folder" "$target_folder" --cluster "$address" --resume "$@"
