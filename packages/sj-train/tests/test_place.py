from __future__ import annotations

import pytest

from sj_train.args import build_parser
from sj_train.errors import OptionError
from sj_train.place import find_place

MEETING = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")


@pytest.fixture
def place_in(monkeypatch):
    def find(*words: str, **environment: str):
        for name in (*NAMES, *MEETING):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return find_place(build_parser().parse_args(list(words)))

    return find


def test_torchrun_tells_the_place(place_in):
    variables = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", **MEETING}
    assert place_in(**variables) == (5, 8, 1)
    assert place_in("--world-size", "8", **variables) == (5, 8, 1)


def test_the_old_launcher_gives_the_local_rank_as_an_option(place_in):
    assert place_in("--local_rank", "3", RANK="3", WORLD_SIZE="4", **MEETING) == (3, 4, 3)


def test_slurm_tells_the_place_where_processes_are_asked_for(place_in):
    slurm = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1", **MEETING}
    assert place_in("--world-size", "4", **slurm) == (3, 4, 1)
    assert place_in(**slurm) is None


def test_one_process_needs_no_launcher(place_in):
    assert place_in() is None
    # Left behind by job systems.
    assert place_in(WORLD_SIZE="1", RANK="") is None


def test_another_meeting_point_needs_no_master(place_in):
    assert place_in("--dist-url", "tcp://here:1", RANK="0", WORLD_SIZE="2") == (0, 2, 0)


@pytest.mark.parametrize(
    ("words", "environment", "told"),
    [
        ([], {"WORLD_SIZE": "2"}, "WORLD_SIZE is set, but RANK is not: start"),
        ([], {"RANK": "0"}, "RANK is set, but WORLD_SIZE is not: start"),
        ([], {"RANK": "2", "WORLD_SIZE": "2"}, "process number 2 is not one of 2"),
        ([], {"RANK": "one", "WORLD_SIZE": "2"}, "RANK must be a number, got 'one'"),
        ([], {"RANK": "0", "WORLD_SIZE": "2"}, "MASTER_ADDR and MASTER_PORT not set"),
        (
            [],
            {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "b"},
            "MASTER_PORT must be a number",
        ),
        (["--world-size", "4"], {"RANK": "0", "WORLD_SIZE": "2"}, "launcher started 2 processes"),
        (["--world-size", "4"], {}, "4 processes need a launcher, for example torchrun"),
        (
            ["--world-size", "4"],
            {"SLURM_PROCID": "0", "SLURM_NTASKS": "2"},
            "4, but SLURM started 2 tasks",
        ),
    ],
)
def test_what_does_not_fit_is_named(place_in, words, environment, told):
    with pytest.raises(OptionError, match=told):
        place_in(*words, **environment)
