"""Which of several processes this is that a launcher, such as ``torchrun``, has started for one run, and who speaks.

Where there is one process, nothing is imported.
"""

import os
from dataclasses import dataclass
from typing import Any

RANK, COUNT, LOCAL_RANK, LOCAL_COUNT = "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"
SPOKEN = "keras_dnnts/spoken"
MEETING_POINT = ("MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Ranks:
    """A process among those of a run. The first leads: it alone writes, and shows progress.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
        local_rank: its number among those on its machine.
        local_count: how many there are on its machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def follows(self) -> bool:
        """Whether another process leads."""
        return self.rank > 0

    def spell(self, command: str) -> str:
        """A command of the program as it starts on as many devices."""
        if self.count == 1:
            return command
        program, _, rest = command.partition(" ")
        nodes = f"--nnodes {self.count // self.local_count} " if self.count > self.local_count else ""
        return f"torchrun {nodes}--nproc-per-node {self.local_count} -m {program.replace('-', '_')} {rest}"


def find_ranks() -> Ranks:
    """What the environment says, as ``torchrun`` sets it; a process alone where it says nothing of others."""
    if not all(os.environ.get(name) for name in MEETING_POINT):
        return Ranks()
    try:
        rank, count, local_rank = (int(os.environ[name]) for name in (RANK, COUNT, LOCAL_RANK))
        local_count = int(os.environ.get(LOCAL_COUNT, count))
    except (KeyError, ValueError):
        return Ranks()
    return Ranks(rank, count, local_rank, local_count) if 0 <= rank < count else Ranks()


def may_speak() -> bool:
    """Whether this process is the one that says why the run ends: the first that asks."""
    ranks = find_ranks()
    if ranks.count == 1:
        return True
    try:
        return _store().add(_spoken_key(), 1) == 1
    except Exception:  # nobody is there to ask, or torch is not
        return not ranks.follows


def has_been_said() -> bool:
    """Whether one of the processes has said why the run ends."""
    return _store().check([_spoken_key()])


def _spoken_key() -> str:
    return f"{SPOKEN}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"


def _store() -> Any:
    """Where processes of the run leave words for each other: the launcher keeps it, or else the first process."""
    if not _stores:
        from torch.distributed import TCPStore  # seconds, only where there are several processes

        address, port = (os.environ[name] for name in MEETING_POINT)
        is_kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and not find_ranks().follows
        _stores.append(TCPStore(address, int(port), is_master=is_kept, wait_for_workers=False, multi_tenant=True))
    return _stores[0]


_stores: list[Any] = []
