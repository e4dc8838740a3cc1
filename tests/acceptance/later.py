"""Releases of later versions: this tree's programs with another number (tests/versions), and the chart with it."""

import re
import shutil
import subprocess

from .release import CHART, image_script

PINS = re.compile(r"/sys/fs/bpf/heddle/v(\d+)")


class Later:
    """`name` is a folder of programs in the build's folder `versions`. The nodes get its images."""

    def __init__(self, cluster, build, name, folder):
        self.version = _version(build / "versions" / name / "bin/heddlectl")
        self.chart = folder / "heddle"
        _write_chart(self.chart, self.version, raise_pins=name == "relaid")
        for archive in _write_archives(build, name, self.version, folder):
            for node in cluster.nodes:
                node.import_image(archive)


def _version(program):
    return subprocess.run([program, "version"], check=True, capture_output=True, text=True).stdout.split()[-1]


def _write_chart(folder, version, raise_pins):
    shutil.copytree(CHART, folder)
    chart = folder / "Chart.yaml"
    chart.write_text(re.sub(r"^(version|appVersion): .*$", rf"\1: {version}", chart.read_text(), flags=re.M))
    agent = folder / "templates/agent.yaml"
    if raise_pins:  # As whoever raises HD_SCHEMA_VERSION does (bpf/hd_abi.h).
        raised, count = PINS.subn(lambda found: f"/sys/fs/bpf/heddle/v{int(found[1]) + 1}", agent.read_text())
        assert count == 1
        agent.write_text(raised)


def _write_archives(build, name, version, folder):
    prefix = image_script.install(build, folder / "prefix")
    for program in (build / "versions" / name / "bin").iterdir():
        subprocess.run(["strip", "-o", prefix / "bin" / program.name, program], check=True)
    return [image_script.write(prefix, image, folder, f"localhost/heddle-{image}:{version}")
            for image in ("agent", "controller")]
