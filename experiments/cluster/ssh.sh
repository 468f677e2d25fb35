#!/usr/bin/env bash
# A Dask scheduler on this machine, and on each HOST a worker per core, started over ssh; ends with Ctrl-C.
#   experiments/cluster/ssh.sh SHARED HOST...
# SHARED is a folder that all machines see under the same name, with this package installed in SHARED/.venv.
# Then, from within SHARED:  keras-dnnts sweep study.toml --out runs/study --cluster tcp://THIS-MACHINE:8786
set -euo pipefail
shared=$1
shift
port=${PORT:-8786}
python=$shared/.venv/bin/python
address=tcp://$(hostname):$port
trap 'kill $(jobs -p) 2>/dev/null' EXIT
"$python" -m distributed.cli.dask_scheduler --port "$port" &
for host in "$@"; do
    # -tt: what runs there ends with this script
    ssh -tt "$host" "cd '$shared' && OMP_NUM_THREADS=1 '$python' -m distributed.cli.dask_worker $address \
        --nworkers=${WORKERS:--1} --nthreads 1 --local-directory /tmp/dask-\$USER" < /dev/null &
done
echo "scheduler: $address"
wait
