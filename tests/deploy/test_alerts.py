"""The alerts that docs/operations.md shows, as Prometheus evaluates them: when they fire, and when they do not."""

import subprocess

import documented_metrics
import pytest
import yaml
from kube import build

PROMTOOL = build.cache_folder() / "prometheus/usr/bin/promtool"
pytestmark = pytest.mark.skipif(not PROMTOOL.exists(), reason="promtool is not there: scripts/deps.sh --kube")
RULES = documented_metrics.rules()
FASTER, RUNNING, OPEN = ("heddle_pods_faster_than_agent_total", "heddle_pods_captured_running_total",
                         "heddle_connections_open_before_capture_total")
# (alert, what happens, {metric: its values, one a minute}, minutes when it fires, minutes when it does not)
CASES = [
    ("HeddlePodOutsideTheMesh", "a gap that lasts", {"heddle_capture_gaps": "0+0x2 2+0x10"}, (4, 9), (1, 3)),
    ("HeddlePodOutsideTheMesh", "a gap that is closed", {"heddle_capture_gaps": "0+0x2 2 0+0x10"}, (), (3, 4, 9)),
    ("HeddleNotInTheCniChain", "it is taken out", {"heddle_cni_installed": "1+0x2 0+0x10"}, (5, 9), (2, 3)),
    ("HeddlePodWasFasterThanTheAgent", "on a new node, before the first scrape",
     {FASTER: "_x5 1+0x30", RUNNING: "_x5 1+0x30", OPEN: "_x5 0+0x30"}, (6, 10, 14), (3, 25)),
    ("HeddlePodWasFasterThanTheAgent", "while the agent runs", {FASTER: "0+0x5 1+0x30"}, (8, 12), (3, 25)),
    ("HeddlePodWasFasterThanTheAgent", "while the agent was replaced", {FASTER: "2+0x15 1+0x30"}, (18, 22), (14, 35)),
    ("HeddlePodWasFasterThanTheAgent", "an agent is replaced", {FASTER: "2+0x15 0+0x30"}, (), (14, 16, 20, 35)),
    ("HeddlePodWasFasterThanTheAgent", "a label takes pods in, with what they had open",
     {FASTER: "0+0x30", RUNNING: "0+0x5 3+0x30", OPEN: "0+0x5 7+0x30"}, (), (3, 6, 8, 14, 25)),
]


def expected(alert, series):
    """What it says of node1 when it fires."""
    rule, = (rule for rule in RULES if rule["alert"] == alert)
    said = rule["annotations"]["summary"].replace("{{ $labels.instance }}", "node1")
    if "$value" in said:
        said = said.replace("{{ $value }}", next(iter(series.values())).split()[1].split("+")[0])
    assert "{{" not in said
    return {"exp_labels": {"instance": "node1", **rule["labels"]}, "exp_annotations": {"summary": said}}


@pytest.mark.parametrize(("alert", "what", "series", "fires", "silent"), CASES, ids=[case[1] for case in CASES])
def test_an_alert_fires_when_the_document_says(tmp_path, alert, what, series, fires, silent):
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "heddle", "rules": RULES}]}))
    cases = [{"eval_time": f"{minute}m", "alertname": alert,
              "exp_alerts": [expected(alert, series)] if minute in fires else []}
             for minute in sorted((*fires, *silent))]
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({
        "rule_files": ["rules.yaml"], "evaluation_interval": "30s",
        "tests": [{"interval": "1m", "alert_rule_test": cases, "input_series": [
            {"series": f'{name}{{instance="node1"}}', "values": values} for name, values in series.items()]}]}))
    done = subprocess.run([PROMTOOL, "test", "rules", tmp_path / "test.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried():
    assert {case[0] for case in CASES if case[3]} == {rule["alert"] for rule in RULES}
