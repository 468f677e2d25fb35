"""What the environment says of the other processes of a run."""

import pytest

from keras_dnnts.ranks import Ranks, find_ranks

OF_TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "host",
    "MASTER_PORT": "29500",
}


@pytest.fixture(autouse=True)
def torchrun(monkeypatch):
    for name, value in OF_TORCHRUN.items():
        monkeypatch.setenv(name, value)


def test_ranks_of_torchrun():
    assert find_ranks() == Ranks(rank=5, count=8, local_rank=1, local_count=4)
    assert find_ranks().follows


@pytest.mark.parametrize("missing", ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"])
def test_a_process_alone(monkeypatch, missing):
    monkeypatch.delenv(missing)
    assert find_ranks() == Ranks()
    assert not find_ranks().follows


@pytest.mark.parametrize("rank", ["eight", "8", "-1", ""])
def test_ranks_that_make_no_sense(monkeypatch, rank):
    monkeypatch.setenv("RANK", rank)
    assert find_ranks() == Ranks()


def test_commands():
    command = "keras-dnnts cifar --resume runs/x"
    assert Ranks().spell(command) == command
    assert Ranks(0, 2, 0, 2).spell(command) == "torchrun --nproc-per-node 2 -m keras_dnnts cifar --resume runs/x"
    assert Ranks(0, 8, 0, 4).spell(command).startswith("torchrun --nnodes 2 --nproc-per-node 4 -m keras_dnnts cifar")
