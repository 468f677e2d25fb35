"""Where a command's runs go: processes here, or the workers of a cluster."""

import importlib
from pathlib import Path

from keras_dnnts.running.pools import LocalPool, Pool, visible_gpus
from keras_dnnts.running.run import count_cores


def open_pool(
    cluster: str | None, workers: int | None, most: int, folder: Path, backend: str | None, device: str
) -> Pool:
    """Workers here, or those of a Dask scheduler, which are checked before anything runs.

    Args:
        cluster: the scheduler's address; None for processes here.
        workers: how many of these; None is one a GPU, or a core where there is none.
        most: the number of runs, than which there need not be more.
        folder: where runs will be, which is left as it is.
        backend: the engine that they need; None for none.
        device: where they compute.

    Raises:
        UserError: the scheduler is not there, or a worker cannot be used.
    """
    if cluster is None:
        gpus = visible_gpus() if backend is not None and device in ("auto", "cuda") else ()
        return LocalPool(min(workers or len(gpus) or count_cores(), most), count_cores(), gpus)
    pool = importlib.import_module("keras_dnnts.running.cluster").ClusterPool(cluster)
    try:
        pool.check_workers(folder, backend)
    except BaseException:
        pool.close()
        raise
    return pool
