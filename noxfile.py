"""Everything that is checked, built or measured here; `nox --list` shows it.

Packages, their order and what each session installs come from the pyproject files.
torch comes from constraints/cpu.txt if SJ_TORCH=cpu or a CPU wheel lies in a link folder
(PIP_FIND_LINKS, UV_FIND_LINKS), else from constraints/cuda.txt: the index's default build.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tools"))

from workspace import Requirement, Workspace, group  # noqa: E402

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = [  # after the quick ones the longest first: two run at a time
    "lint", "imports", "integration", "docs", "tests", "conformance", "typecheck", "build",
]  # fmt: skip
if hasattr(nox.options, "parallel"):
    # no session writes where another one reads; one installs while another one computes
    nox.options.allow_parallel, nox.options.parallel = True, 2

WORKSPACE = Workspace(ROOT)
PACKAGES = list(WORKSPACE.packages)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# CuPy: hundreds of MB, useful only with a GPU; metrics: a library that needs torchvision
UNUSED_EXTRAS = {"cuda12", "cuda13", "metrics"}
EVERYTHING = [
    f"{name}[{','.join(e for e in package.extras if e not in UNUSED_EXTRAS)}]"
    for name, package in WORKSPACE.packages.items()
]

# uv does not read pip's settings, so those that decide where packages come from are handed on
for pip_name, uv_name in [
    ("PIP_FIND_LINKS", "UV_FIND_LINKS"),
    ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
    ("PIP_CERT", "SSL_CERT_FILE"),
]:
    if setting := os.environ.get(pip_name):
        separated = ",".join(setting.split()) if uv_name == "UV_FIND_LINKS" else setting
        os.environ.setdefault(uv_name, separated)

# dozens of processes import torch, which takes twice as long where no bytecode is kept
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def torch_constraints() -> str:
    """The constraint file that decides which build of torch is installed."""
    folders = os.environ.get("PIP_FIND_LINKS", "").split()
    folders += os.environ.get("UV_FIND_LINKS", "").split(",")
    cpu_wheel = any(any(Path(f).glob("torch-*+cpu-*.whl")) for f in folders if f)
    choice = os.environ.get("SJ_TORCH", "")
    backend = os.environ.get("UV_TORCH_BACKEND", "")
    if choice not in ("", "cpu", "cuda"):
        raise ValueError(f"SJ_TORCH must be cpu or cuda, got {choice!r}")
    if choice == "cpu" and not cpu_wheel:
        os.environ.setdefault("UV_TORCH_BACKEND", "cpu")  # uv then knows where CPU builds are
    cpu = choice == "cpu" if choice else backend == "cpu" if backend else cpu_wheel
    return f"constraints/{'cpu' if cpu else 'cuda'}.txt"


CONSTRAINTS = torch_constraints()


def tools(name: str) -> list[str]:
    """A dependency group of the root pyproject."""
    return group(PYPROJECT, name)


def install(session: nox.Session, requirements: Iterable[str], *options: str) -> None:
    """Installs ours editable from here with all they declare, the rest from the index."""
    wanted = [Requirement.parse(text) for text in requirements]
    local, third_party = WORKSPACE.editable(wanted), WORKSPACE.third_party(wanted)
    session.install("-c", CONSTRAINTS, *options, *local, *third_party)


def pytest(session: nox.Session, *arguments: str) -> None:
    """Runs pytest on all cores, writing reports/<session>.xml."""
    name = session.name.replace("(", "-").replace(")", "")
    # by file: what a file makes once, such as compiled kernels, is made by one process
    spread = ("-n", "auto", "--dist", "loadfile")
    report = f"--junitxml=reports/{name}.xml"
    session.run("python", "-m", "pytest", report, *spread, *arguments, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Format and lint with ruff."""
    session.install(*tools("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def imports(session: nox.Session) -> None:
    """Import contracts; what is imported is declared and the other way round."""
    session.install("--no-deps", *WORKSPACE.editable(PACKAGES))
    session.install(*tools("imports"))
    session.run("lint-imports", "--no-cache")
    session.run("python", "tools/graph.py", "--check")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Type check of all packages and tools."""
    install(session, [*EVERYTHING, *tools("typecheck")])
    session.run("basedpyright", "--pythonpath", f"{session.bin}/python")


@nox.session
@nox.parametrize("package", [nox.param(name, id=name) for name in PACKAGES])
def tests(session: nox.Session, package: str) -> None:
    """One package, with only what it declares."""
    own = [requirement.text for requirement in WORKSPACE[package].test_group]
    install(session, [package, *own, *tools("test")])
    pytest(session, f"packages/{package}/tests")


@nox.session
def integration(session: nox.Session) -> None:
    """Packages together, the tools of this repository, the code in its documents."""
    install(session, [*EVERYTHING, *tools("test"), *tools("imports"), *tools("demo")])
    pytest(session, "tests/integration")


@nox.session
def conformance(session: nox.Session) -> None:
    """Numbers and files that must come out as recorded."""
    install(session, [*EVERYTHING, *tools("test")])
    pytest(session, "tests/conformance")


@nox.session
def docs(session: nox.Session) -> None:
    """Both language trees and the API pages; any warning fails."""
    session.run("python", "tools/docs_pairs.py")
    install(session, [*EVERYTHING, *tools("docs")])
    session.run("sphinx-build", "-W", "--keep-going", "-q", "docs", "docs/_build/html")
    session.log("read it at docs/_build/html/index.html")


@nox.session
def build(session: nox.Session) -> None:
    """All archives and wheels into dist/; then each wheel alone in a bare environment."""
    requires = {text for name in PACKAGES for text in WORKSPACE[name].build_requires}
    session.install(*tools("build"), *sorted(requires))
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    command = ["python", "-m", "build", "--no-isolation", "--outdir", str(dist)]
    for name in PACKAGES:
        session.run(*command, f"packages/{name}", silent=True, env=kernels_wanted())
        if (WORKSPACE[name].folder / "hatch_build.py").is_file():  # the wheel for all the others
            pure = {"SJ_NEURONS_BUILD_KERNELS": "0"}
            session.run(*command, "--wheel", f"packages/{name}", silent=True, env=pure)
    pins = dist / "ours.txt"  # so that a published sibling never stands in for the one built here
    pins.write_text("".join(f"{n}=={WORKSPACE[n].version}\n" for n in PACKAGES), encoding="utf-8")
    for name in WORKSPACE.order():
        python = bare_environment(session, name)
        install_from(session, python, dist, name, "-c", CONSTRAINTS, "-c", str(pins))
        session.run(
            str(python), "-I", "tools/check_wheel.py", name, *WORKSPACE[name].scripts, external=True
        )


def kernels_wanted() -> dict[str, str]:
    """Asks for compiled kernels where they can be had, so that to fail at them is an error."""
    here = sys.platform == "linux" and platform.machine() == "x86_64"
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    fallback = "1" if here and compiler else ""
    return {"SJ_NEURONS_BUILD_KERNELS": os.environ.get("SJ_NEURONS_BUILD_KERNELS", fallback)}


def bare_environment(session: nox.Session, name: str) -> Path:
    """A fresh environment for one wheel; returns its interpreter."""
    folder = Path(session.create_tmp()) / name
    shutil.rmtree(folder, ignore_errors=True)
    if session.venv_backend == "uv":
        session.run("uv", "venv", "--quiet", "--python", f"{session.bin}/python", str(folder))
    else:
        session.run(
            sys.executable, "-m", "virtualenv", "--quiet", str(folder), external=True, silent=True
        )
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install_from(session: nox.Session, python: Path, dist: Path, name: str, *options: str) -> None:
    """Installs ``name`` for ``python``: ours from ``dist``, the rest from the index."""
    if session.venv_backend == "uv":
        # a --find-links option would replace UV_FIND_LINKS, and with it the CPU build of torch
        found = ",".join(filter(None, [os.environ.get("UV_FIND_LINKS"), dist.as_uri()]))
        # uv would serve yesterday's wheel of the same version from its cache
        fresh = [f"--refresh-package={package}" for package in PACKAGES]
        session.run(
            "uv", "pip", "install", "--quiet", "--python", str(python), *fresh, *options, name,
            env={"UV_FIND_LINKS": found},
        )  # fmt: skip
    else:
        session.run(
            str(python), "-m", "pip", "install", "--quiet", "--find-links", dist.as_uri(),
            *options, name, external=True,
        )  # fmt: skip


@nox.session
def demo(session: nox.Session) -> None:
    """Train a spiking network, rebuild a picture from spikes, exchange the network as NIR."""
    install(session, [*PACKAGES, *tools("demo")])
    session.run("python", "docs/examples/demo.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure and check the targets; after --: which (neuron, training), and their options."""
    scripts = {path.stem[6:]: path for path in sorted(ROOT.glob("benchmarks/bench_*.py"))}
    chosen = [word for word in session.posargs if word in scripts]
    options = [word for word in session.posargs if word not in scripts] or ["--check"]
    if "--json" in options and len(chosen) != 1:
        session.error(f"--json takes the numbers of one benchmark; name it: {', '.join(scripts)}")
    install(session, [*EVERYTHING, *tools("bench")])
    for name in chosen or scripts:
        session.run("python", scripts[name].relative_to(ROOT).as_posix(), *options)


@nox.session
def gpu(session: nox.Session) -> None:
    """The tests marked gpu, on a machine with an NVIDIA GPU (installs the CUDA build)."""
    if shutil.which("nvidia-smi") is None:
        session.error("no NVIDIA GPU on this machine: nvidia-smi was not found")
    session.install(
        "-c", "constraints/cuda.txt", *WORKSPACE.editable([*EVERYTHING, "sj-neurons[cuda13]"]),
        *tools("test"),
    )  # fmt: skip
    session.run("python", "-c", "import torch; torch.zeros(1).cuda()")
    pytest(session, "-m", "gpu", "packages", "tests")
    session.run("python", "tools/gpu_check.py", "--no-tests")


@nox.session
def api(session: nox.Session) -> None:
    """Public names removed or changed since a package's last tag (after --: which packages)."""
    session.install(*tools("api"))
    broken: list[str] = []
    for name in session.posargs or PACKAGES:
        tag = last_tag(name)
        if tag is None:
            session.log(f"{name}: no tag {name}-v* yet, so there is nothing to compare with")
            continue
        package = WORKSPACE[name]
        command = ["griffe", "check", package.import_name, "--against", tag]
        command += ["--search", package.source.parent.relative_to(ROOT).as_posix()]
        try:
            session.run(*command)
        except CommandFailed:
            broken.append(f"{name} since {tag}")
    if broken:
        session.error(f"public names were removed or changed: {', '.join(broken)}")


def last_tag(name: str) -> str | None:
    """The newest release tag of a package, None before its first release."""
    command = ["git", "tag", "--list", f"{name}-v*", "--sort=-version:refname"]
    tags = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tags.stdout.partition("\n")[0] or None


@nox.session
def lowest(session: nox.Session) -> None:
    """All package tests with the oldest versions declared; torch stays at its pin."""
    if session.venv_backend != "uv":
        session.error("needs uv, which alone can resolve to the lowest versions: pip install uv")
    own = [r.text for name in PACKAGES for r in WORKSPACE[name].test_group]
    install(session, [*PACKAGES, *own, *tools("test")], "--resolution", "lowest-direct")
    pytest(session, "-W", "default", "packages")  # old versions warn about each other


@nox.session
def fuzz(session: nox.Session) -> None:
    """Property-based tests with 2000 fresh examples each, then 20 minutes of damaged files.

    ``readers`` after -- runs the second part alone; what follows are its options.
    """
    own = [r.text for name in PACKAGES for r in WORKSPACE[name].test_group]
    install(session, [*PACKAGES, *own, *tools("test"), *tools("fuzz")])
    readers, options = session.posargs[:1] == ["readers"], session.posargs[1:]
    if not readers:
        pytest(session, "--hypothesis-profile=fuzz", "-m", "hypothesis", "packages")
    session.run("python", "tools/fuzz_readers.py", *(options if readers else []))


@nox.session
def cuda_sources(session: nox.Session) -> None:
    """Compile every generated CUDA source (no GPU needed)."""
    install(session, [*EVERYTHING, *tools("test"), *tools("cuda")])
    session.run("python", "tools/cuda_sources.py", *(session.posargs or ["--all"]))


@nox.session
def interop(session: nox.Session) -> None:
    """Exchange NIR graphs with other frameworks and write the matrix of the docs."""
    install(session, [*EVERYTHING, *tools("test")])
    python = bare_environment(session, "frameworks")
    command = ["uv", "pip", "install", "--quiet", "--python", str(python)]
    if session.venv_backend != "uv":
        command = [str(python), "-m", "pip", "install", "--quiet"]
    session.run(*command, "-c", CONSTRAINTS, *tools("interop"), external=True)
    session.run("python", "tools/interop.py", "--python", str(python), *session.posargs)
