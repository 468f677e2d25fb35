"""Build the wheel and the source distribution from the tracked files alone, and check what is in them (tox -e docs)."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def tracked_files():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    return {path for path in listed.stdout.splitlines() if (ROOT / path).exists()}


def build_distributions(paths, folder):
    """Build elsewhere: what an earlier build left in the tree would be taken for a part of the package."""
    for path in paths:
        copy = folder / "source" / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, copy)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "built", folder / "source"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (wheel,), (source,) = (folder / "built").glob("*.whl"), (folder / "built").glob("*.tar.gz")
    return wheel, source


def differences(what, found, expected):
    missing, unexpected = expected - found, found - expected
    return [f"{what} lacks {path}" for path in sorted(missing)] + [f"{what} has {path}" for path in sorted(unexpected)]


def find_problems(folder):
    paths = tracked_files()
    wheel, source = build_distributions(paths, folder)
    package = {path for path in paths if path.startswith("keras_dnnts/")}
    in_wheel = {path for path in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in path}
    with tarfile.open(source) as archive:
        in_source = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"LICENSE", "README.md", "pyproject.toml", *package}
    return differences(wheel.name, in_wheel, package) + differences(source.name, in_source & needed, needed)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        problems = find_problems(Path(temporary))
    print("\n".join(problems) or "the wheel and the source distribution hold the package, whole and alone")
    sys.exit(bool(problems))
