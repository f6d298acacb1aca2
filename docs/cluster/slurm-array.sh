#!/bin/bash
# Eight tasks that share an archive without Ray:
#
#   sbatch docs/cluster/slurm-array.sh IN OUT [options of vqe-fast enhance]
#
# Task I takes the I-th of every 8 files. Submitted again, all or --array=3,7 for a part, tasks go
# on where they ended.
#SBATCH --job-name=vqe-fast
#SBATCH --array=1-8
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
# For GPUs: sbatch --gpus-per-task=1 …
set -euo pipefail

shards=8 # as many as --array above has
if (($# < 2)); then
  echo "usage: sbatch $0 IN OUT [options]" >&2
  exit 2
fi
source_folder=$1
target_folder=$2
shift 2

# srun does not take this over from sbatch.
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
export OMP_NUM_THREADS=$SRUN_CPUS_PER_TASK
exec srun vqe-fast enhance "$source_folder" "$target_folder" \
  --shard "$SLURM_ARRAY_TASK_ID/$shards" --resume "$@"
