"""What build.py says and decides without building."""

import os
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from kube import build  # noqa: E402  The path above makes it known.


def folder_without_go(tmp_path):
    """With the programs that build.py calls: on this machine go may be beside them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "nice"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


@pytest.fixture
def fake_go(tmp_path, monkeypatch):
    """A go program that says it is of the given version, and an empty cache."""
    def install(version):
        (tmp_path / "go").write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / "go").chmod(0o755)

    monkeypatch.setattr(build, "GO_FOLDERS", ())
    monkeypatch.setenv("PATH", f"{tmp_path}:{folder_without_go(tmp_path)}")
    monkeypatch.setenv("HEDDLE_KUBE_CACHE", str(tmp_path / "cache"))
    return install


@pytest.mark.parametrize("found", ["go1.24.0", "go1.24rc1", "go1.26.8", "go2.0"])
def test_a_go_that_is_new_enough_is_taken(fake_go, found):
    fake_go(found)
    assert build.find_go()[1] == found.removeprefix("go")


@pytest.mark.parametrize("found", ["go1.19.8", "go1.23.12"])
def test_a_go_that_is_too_old_is_refused_with_what_to_do(fake_go, found):
    fake_go(found)
    with pytest.raises(build.BuildFailed, match=rf"go is {found[2:]}; .* needs Go 1\.24\.0 or newer: scripts/deps"):
        build.find_go()


def test_one_of_the_cache_is_taken_when_that_of_the_path_is_too_old(fake_go, tmp_path):
    fake_go("go1.19.8")
    ours = build.cache_folder() / "go/bin/go"
    ours.parent.mkdir(parents=True)
    ours.write_text("#!/bin/sh\necho go1.24.11\n")
    ours.chmod(0o755)
    assert build.find_go() == (ours, "1.24.11")
    assert build.environment()["PATH"].split(":")[0] == str(ours.parent)


def test_no_go_at_all_is_refused_with_what_to_do(fake_go):
    with pytest.raises(build.BuildFailed, match=r"there is no go program; .* needs Go 1\.24\.0 or newer"):
        build.find_go()


def test_another_go_or_another_module_is_another_folder(fake_go):
    fake_go("go1.24.1")
    folders = {build.built_folder("kubernetes"), build.built_folder("helm")}
    assert folders == {build.built_folder("kubernetes"), build.built_folder("helm")}
    fake_go("go1.24.2")
    folders |= {build.built_folder("kubernetes"), build.built_folder("helm")}
    assert len(folders) == 4


def test_what_is_built_is_not_built_again(fake_go, monkeypatch):
    fake_go("go1.24.1")
    monkeypatch.setattr(build, "compile_module", lambda *unused: pytest.fail("it compiles"))
    build.built_folder("helm").mkdir(parents=True)
    assert build.build("helm") == build.built_folder("helm")


def test_a_failed_build_leaves_nothing_and_tells_what_the_compiler_said(fake_go):
    fake_go("go1.24.1; case $1 in build) echo main.go:1: wrong >&2; exit 1;; esac")
    with pytest.raises(build.BuildFailed, match="main.go:1: wrong"):
        build.build("kubernetes")
    assert not build.built_folder("kubernetes").exists()
    assert [entry for entry in os.listdir(build.cache_folder()) if entry != ".kubernetes.lock"] == []


def test_programs_say_which_release_they_are():
    flags = {name: build.linker_flags(name, (build.MODULES / name / "go.mod").read_text()) for name in build.PROGRAMS}
    assert "client-go/pkg/version.gitVersion=v1.34.4" in flags["kubernetes"]
    assert "gitMajor=1" in flags["kubernetes"] and "gitMinor=34" in flags["kubernetes"]
    assert "internal/version.version=v3.19.5" in flags["helm"] and "k8sVersionMinor=34" in flags["helm"]
