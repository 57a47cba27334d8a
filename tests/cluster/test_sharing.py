"""Who is on a GPU when: several that share it, or one alone; with real processes and locks."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.sharing import GpuRoom

SPAWN = multiprocessing.get_context("spawn")


def occupy(folder: Path, kind: str, pipe: Connection) -> None:
    room = GpuRoom("GPU-1", folder)
    with room.alone() if kind == "alone" else room.shared():
        pipe.send("in")
        pipe.recv()


class Occupant:
    """A process that is in the room, or waits to be."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.pipe, other = SPAWN.Pipe()
        self.process = SPAWN.Process(target=occupy, args=(folder, kind, other), daemon=True)
        self.process.start()
        other.close()
        self.is_in = False

    def enters(self, within_s: float = 60.0) -> bool:
        if not self.is_in and self.pipe.poll(within_s):
            self.pipe.recv()
            self.is_in = True
        return self.is_in

    def leave(self) -> None:
        self.pipe.send("go")
        self.process.join(60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "locks"


@pytest.fixture
def first(folder: Path) -> Iterator[Occupant]:
    occupant = Occupant(folder, "shared")
    assert occupant.enters()
    yield occupant
    occupant.process.kill()


def enter(room: GpuRoom, alone: bool, order: list[str], name: str) -> threading.Thread:
    def stay() -> None:
        with room.alone() if alone else room.shared():
            order.append(f"{name} in")
            time.sleep(0.05)
        order.append(f"{name} out")

    thread = threading.Thread(target=stay, daemon=True)
    thread.start()
    time.sleep(0.1)
    return thread


def test_many_share_one_waits_to_be_alone_and_newcomers_wait_behind_it(
    folder: Path, first: Occupant
) -> None:
    room, order = GpuRoom("GPU-1", folder), list[str]()
    second = enter(room, False, order, "second")
    second.join(10)
    assert order == ["second in", "second out"]  # beside the first, which is there still
    order.clear()
    alone = enter(room, True, order, "alone")
    late = enter(room, False, order, "late")
    assert order == []
    first.leave()
    alone.join(60)
    late.join(60)
    assert order[0] == "alone in"
    assert order.index("alone out") < len(order)
    assert order.index("late in") > order.index("alone in")


def test_a_process_that_is_killed_leaves_the_room(folder: Path, first: Occupant) -> None:
    first.process.kill()
    first.process.join(60)
    with GpuRoom("GPU-1", folder).alone():
        pass


def test_another_gpu_is_another_room(folder: Path, first: Occupant) -> None:
    with GpuRoom("GPU-2", folder).alone(), GpuRoom("MIG-a/1/0", folder).alone():
        pass


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ClusterError, match="must be a folder"),
        GpuRoom("GPU-1", tmp_path / "file").shared(),
    ):
        pass
