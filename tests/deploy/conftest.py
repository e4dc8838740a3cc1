import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def build():
    return pathlib.Path(os.environ.get("HEDDLE_BUILD", ROOT / "build/release"))


@pytest.fixture(scope="session")
def prefix(build, tmp_path_factory):
    """What `cmake --install` lays out, in a folder of this run."""
    folder = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", build, "--prefix", folder, "--strip"], check=True, capture_output=True)
    return folder
