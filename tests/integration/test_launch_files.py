"""The files that users copy to launch on several machines: they parse, and the SLURM one trains."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sj_train import load_checkpoint
from sj_train.option_checks import check_args
from sj_train.recipes.train_imagenet_example import SResNetTrainer

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ROOT / "docs" / "examples" / "launch"
SBATCH = FILES / "slurm.sbatch"
TORCHRUN = (
    "--nnodes", "--nproc_per_node", "--max_restarts", "--rdzv_backend", "--rdzv_endpoint",
    "--rdzv_id",
)  # fmt: skip

# Starts torchrun once per node, all on this machine.
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
for node in $(seq 0 $((SLURM_JOB_NUM_NODES - 1))); do
    SLURM_PROCID=$node SLURM_NODEID=$node SLURM_LOCALID=0 "$@" & started+=($!)
done
for one in "${started[@]}"; do wait "$one" || exit 1; done
"""


def kubernetes() -> list[dict]:
    return list(yaml.safe_load_all((FILES / "kubernetes-job.yaml").read_text(encoding="utf-8")))


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """Words of torchrun before the module, and those of the recipe after it."""
    at = words.index("-m")
    assert words[at + 1] == "sj_train.recipes.train_imagenet_example"
    return words[:at], words[at + 2 :]


def sbatch_words() -> list[str]:
    text = SBATCH.read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"^srun (.*) &$", text, re.MULTILINE)
    return [word for word in line.replace('"', "").split() if word != "$@"]


@pytest.mark.parametrize("words", [sbatch_words()[1:], kubernetes()[1]["spec"]["template"]["spec"][
    "containers"][0]["command"]], ids=["slurm", "kubernetes"])  # fmt: skip
def test_the_recipe_knows_the_options(words):
    launcher, options = split(words)
    assert launcher[0] == "torchrun"
    assert {word.partition("=")[0] for word in launcher[1:]} == set(TORCHRUN)
    args = SResNetTrainer().get_args_parser().parse_args([*options, "--device", "cpu"])
    check_args(args)
    assert args.resume == "latest" and args.checkpoint_every_steps > 0


def test_the_pods_find_each_other():
    service, job = kubernetes()
    spec = job["spec"]
    pod = spec["template"]["spec"]
    command = pod["containers"][0]["command"]
    name, port = job["metadata"]["name"], service["spec"]["ports"][0]["port"]
    assert service["spec"]["clusterIP"] == "None" and spec["completionMode"] == "Indexed"
    assert service["spec"]["selector"] == {"job-name": name}
    assert service["metadata"]["name"] == pod["subdomain"]
    assert f"--rdzv_endpoint={name}-0.{pod['subdomain']}:{port}" in command
    assert f"--nnodes={spec['completions']}" in command
    assert spec["parallelism"] == spec["completions"]
    mounted = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert {"/data", "/output", "/dev/shm"} == mounted


@pytest.mark.skipif(sys.platform == "win32", reason="a job script for bash")
def test_the_slurm_job_trains_on_two_nodes(tmp_path):
    assert subprocess.run(["bash", "-n", SBATCH], check=False).returncode == 0
    programs = tmp_path / "bin"
    programs.mkdir()
    scontrol = "#!/bin/bash\n[ \"$*\" = 'show hostnames localhost,localhost' ] && echo localhost\n"
    torchrun = f'#!/bin/bash\nexec {sys.executable} -m torch.distributed.run "$@"\n'
    for name, text in (("srun", SRUN), ("scontrol", scontrol), ("torchrun", torchrun)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_NTASKS": "2",
        "SLURM_JOB_NODELIST": "localhost,localhost",
        "SLURM_CPUS_PER_TASK": "1",
        "OUTPUT": str(tmp_path / "logs"),
    }
    small = ["--fake-data", "--device", "cpu", "--epochs", "1", "--batch-size", "16", "--T", "1"]
    done = subprocess.run(
        ["bash", SBATCH, *small, "-j", "0", "--disable-uda"],
        env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (latest,) = (tmp_path / "logs").glob("pt/*/checkpoint_latest.pth")
    stored = load_checkpoint(latest)
    assert stored["epoch"] == 0 and len(stored["rng"]) == 2
