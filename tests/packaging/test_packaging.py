"""What the distribution promises: its names are its own, its file list is right, its versions are pinned."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from daemon.cli.ownership import NAMES, foreign_owners
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins() -> dict[NormalizedName, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in rows}


def test_no_other_distribution_owns_a_name_of_ours() -> None:
    """In this environment `daemon`, `models` and `adapters` belong to Tidegauge alone."""
    assert foreign_owners() == []


def test_a_foreign_owner_is_named_with_the_remedy() -> None:
    """A distribution that installs one of the three names is reported, Tidegauge itself and other names are not."""
    owners = {"daemon": ["tidegauge", "python-daemon", "tidegauge"], "models": ["Tidegauge"], "numpy": ["numpy"]}
    assert foreign_owners(owners) == [
        "daemon: the distribution python-daemon installs a package of this name too; "
        "install Tidegauge into an environment of its own (pipx install tidegauge)"
    ]


def test_every_package_directory_is_in_the_distribution() -> None:
    """Each directory with Python files under the three packages is a package, so that the wheel has it."""
    for name in NAMES:
        for file in (ROOT / name).rglob("*.py"):
            assert (file.parent / "__init__.py").is_file(), f"{file.parent} lacks __init__.py and would not be packaged"


def test_torch_jit_is_named_in_one_file_only() -> None:
    """Only models/scripted_network.py names torch.jit, deprecated upstream: leaving it changes one file."""
    pattern = re.compile(r"torch\.jit|from torch import .*\bjit\b")
    files = [file for name in NAMES for file in (ROOT / name).rglob("*.py")]
    naming = {str(file.relative_to(ROOT)) for file in files if pattern.search(file.read_text(encoding="utf-8"))}
    assert naming <= {"models/scripted_network.py"}


RUNS_WHAT_IT_READS = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
LOADERS = {"torch.load", "torch.jit.load", "jit.load", "np.load", "numpy.load", "yaml.load", "yaml.unsafe_load"}
LOADERS |= {"eval", "exec", "torch.hub.load", "torch.package.PackageImporter", "pd.read_pickle", "pandas.read_pickle"}


def test_nothing_that_is_read_is_run() -> None:
    """No module unpickles, evaluates, or has torch load a file: what comes from disk or network is data.

    The one that does is for own models, whose checksum the configuration names.
    """
    found = []
    for file in (file for name in NAMES for file in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{file.name}: {name}" for name in names if name in RUNS_WHAT_IT_READS]
            if isinstance(node, ast.Call) and ast.unparse(node.func) in LOADERS and not _reads_data_only(node):
                found.append(f"{file.name}: {ast.unparse(node.func)}")
    assert found == ["scripted_network.py: torch.jit.load"]


def _reads_data_only(call: ast.Call) -> bool:
    """Whether a call says itself that it unpickles nothing."""
    return any(ast.unparse(each) == "allow_pickle=False" for each in call.keywords)


def test_every_dependency_is_pinned_to_a_version_it_allows() -> None:
    """constraints.txt has each dependency of pyproject.toml, and theirs in turn, at a version within its range."""
    pinned = pins()
    extras = [text for listed in PROJECT["optional-dependencies"].values() for text in listed]
    wanted = [Requirement(text) for text in (*PROJECT["dependencies"], *extras) if not text.startswith("tidegauge[")]
    seen: set[str] = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{requirement} is not in constraints.txt"
        assert requirement.specifier.contains(pinned[name]), f"constraints.txt has {name} {pinned[name]}"
        if name not in seen:
            seen.add(name)
            inner = [Requirement(text) for text in metadata.requires(name) or ()]
            wanted += [each for each in inner if each.marker is None or each.marker.evaluate({"extra": ""})]


def test_the_daemon_needs_no_package_of_the_extra() -> None:
    """Everything that `tidegauge run` imports comes with a plain install, which leaves out the extras."""
    extras = [text for name, texts in PROJECT["optional-dependencies"].items() if name != "dev" for text in texts]
    absent = [Requirement(text).name.replace("-", "_") for text in extras]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"  # None: importing it raises
        "import daemon.service.service, daemon.runtime.precompilation, daemon.trainer.worker\n"
        "from daemon.cli.main import main; sys.argv[1:] = ['--version']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"tidegauge {PROJECT['version']}\n"), done.stderr


def test_the_pinned_versions_are_those_tested() -> None:
    """The environment the tests run in has the versions of constraints.txt (torch: whatever its build)."""
    found = [each for each in metadata.distributions() if "_vendor" not in str(each.locate_file(""))]  # setuptools' own
    installed = {canonicalize_name(each.name): each.version.partition("+")[0] for each in found}
    different = {name: installed[name] for name, pin in pins().items() if name in installed and installed[name] != pin}
    assert different == {}


def test_the_changelog_has_the_version() -> None:
    """The version of pyproject.toml has its section in CHANGELOG.md."""
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
