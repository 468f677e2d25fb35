"""Where a command's runs go: processes here, or the workers of a cluster."""

import importlib
from pathlib import Path

from keras_dnnts.running.pools import LocalPool, Pool
from keras_dnnts.running.run import count_cores


def open_pool(cluster: str | None, workers: int, folder: Path, backend: str | None) -> Pool:
    """Workers here, or those of a Dask scheduler, which are checked before anything runs.

    Args:
        cluster: the scheduler's address; None for processes here.
        workers: how many of these.
        folder: where runs will be, which is left as it is.
        backend: the engine that they need; None for none.

    Raises:
        UserError: the scheduler is not there, or a worker cannot be used.
    """
    if cluster is None:
        return LocalPool(workers, count_cores())
    pool = importlib.import_module("keras_dnnts.running.cluster").ClusterPool(cluster)
    try:
        pool.check_workers(folder, backend)
    except BaseException:
        pool.close()
        raise
    return pool
