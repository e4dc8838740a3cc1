"""scripts/image.sh: what an image holds, and that it depends on nothing but the installed tree and its libraries."""

import io
import json
import subprocess
import sys
import tarfile

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import shared_libraries  # noqa: E402

IMAGES = {"agent": {"usr/bin/heddle-agent", "usr/bin/heddlectl", "usr/libexec/heddle/heddle-cni",
                    "usr/libexec/heddle/heddle-cni-stub"},
          "controller": {"usr/bin/heddle-controller"}, "cli": {"usr/bin/heddlectl"}}
DATA = {"cli": {"usr/share/heddle/heddle.json"}}
SMALL_FILES = {"etc/passwd", "etc/group", "etc/nsswitch.conf"}
BYTES_MAX = 40_000_000


def make(prefix, out, *arguments):
    subprocess.run([ROOT / "scripts/image.sh", "--prefix", prefix, "--out", out, *arguments], check=True)
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def archives(prefix, tmp_path_factory):
    return make(prefix, tmp_path_factory.mktemp("images"))


def contents(archives, image):
    """(the image's configuration, its files) as the OCI layout has them; the docker form must name the same blobs."""
    found, = (content for name, content in archives.items() if name.startswith(f"heddle-{image}-"))
    packed = tarfile.open(fileobj=io.BytesIO(found))

    def blob(descriptor):
        content = packed.extractfile(f"blobs/sha256/{descriptor['digest'].partition(':')[2]}").read()
        assert len(content) == descriptor["size"]
        return content

    manifest = json.loads(blob(json.load(packed.extractfile("index.json"))["manifests"][0]))
    docker, = json.load(packed.extractfile("manifest.json"))
    assert docker["Config"].endswith(manifest["config"]["digest"].partition(":")[2])
    layer, = manifest["layers"]
    assert [path.rpartition("/")[2] for path in docker["Layers"]] == [layer["digest"].partition(":")[2]]
    config = json.loads(blob(manifest["config"]))
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    return config, tarfile.open(fileobj=io.BytesIO(blob(layer)))


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_its_programs_their_libraries_and_three_small_files(archives, image):
    _, layer = contents(archives, image)
    files = {entry.name for entry in layer.getmembers() if entry.isfile()}
    libraries = {name for name in files if ".so" in name}
    assert files - libraries == IMAGES[image] | DATA.get(image, set()) | SMALL_FILES
    assert sum(entry.size for entry in layer.getmembers()) < BYTES_MAX
    assert not any("libssl" in name or "libcrypto" in name for name in libraries)


@pytest.mark.parametrize("image", IMAGES)
def test_its_libraries_are_those_that_the_loader_maps(archives, prefix, image):
    _, layer = contents(archives, image)
    programs = [prefix / name.removeprefix("usr/") for name in IMAGES[image]]
    mapped = set()
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        mapped |= {line.split()[0].rpartition("/")[2] for line in listed.splitlines() if "=>" in line or "ld-" in line}
    packed = {entry.name.rpartition("/")[2] for entry in layer.getmembers() if ".so" in entry.name}
    assert packed == mapped - {"linux-vdso.so.1"}


@pytest.mark.parametrize("image, user", [("agent", "0:0"), ("controller", "65532:65532"), ("cli", "65532:65532")])
def test_it_says_what_it_starts_as_whom_and_for_which_machine(archives, prefix, image, user):
    config, _ = contents(archives, image)
    program = "heddlectl" if image == "cli" else f"heddle-{image}"
    assert config["config"]["Entrypoint"] == [f"/usr/bin/{program}"]
    assert config["config"]["User"] == user
    assert config["architecture"] == shared_libraries.read(prefix / "bin" / program).architecture


def test_two_runs_give_the_same_bytes(archives, prefix, tmp_path):
    assert make(prefix, tmp_path) == archives


@pytest.mark.parametrize("image", IMAGES)
def test_programs_run_with_nothing_but_the_image(prefix, tmp_path, image):
    subprocess.run([ROOT / "scripts/image.sh", "--prefix", prefix, "--rootfs", tmp_path, image], check=True)
    for program in IMAGES[image]:
        if "/heddle-cni" in program:
            continue  # Static, and it has no command that needs no input.
        said = subprocess.check_output(["chroot", tmp_path, f"/{program}", "version"], text=True)
        assert said.startswith(program.rpartition("/")[2])


def elf(machine):
    """The header of a 64-bit little-endian ELF file without segments or sections."""
    return (b"\x7fELF\x02\x01\x01" + bytes(9) + (3).to_bytes(2, "little") + machine.to_bytes(2, "little")
            + (1).to_bytes(4, "little") + bytes(28) + (64).to_bytes(2, "little") + (56).to_bytes(2, "little") + bytes(2)
            + (64).to_bytes(2, "little") + bytes(4))


def test_the_architecture_is_that_of_the_programs(tmp_path):
    for folder in ("bin", "libexec/heddle"):
        (tmp_path / "prefix" / folder).mkdir(parents=True)
    for program in set().union(*IMAGES.values()):
        program = program.removeprefix("usr/")
        (tmp_path / "prefix" / program).write_bytes(elf(183))  # EM_AARCH64
    for file in set().union(*DATA.values()):
        file = tmp_path / "prefix" / file.removeprefix("usr/")
        file.parent.mkdir(parents=True)
        file.write_text("{}")
    archives = make(tmp_path / "prefix", tmp_path / "out")
    assert len(archives) == 3 and all(name.endswith("-arm64.tar") for name in archives)
    assert contents(archives, "agent")[0]["architecture"] == "arm64"
    (tmp_path / "prefix/bin/heddlectl").write_bytes(elf(62))  # EM_X86_64
    argv = [ROOT / "scripts/image.sh", "--prefix", tmp_path / "prefix", "--out", tmp_path / "out", "agent"]
    mixed = subprocess.run(argv, capture_output=True, text=True)
    assert mixed.returncode != 0 and "several machines" in mixed.stderr
