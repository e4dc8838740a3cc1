"""What docs/operations.md says of metrics: names with labels in its prose and tables, and its rules for Prometheus."""

import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
_NAME = r"(?:heddle|istio)_[a-z0-9_]+"


def _text():
    return (ROOT / "docs/operations.md").read_text()


def rules():
    """The rules of the PrometheusRule that the document shows."""
    block, = re.findall(r"^( +)(apiVersion: monitoring\.coreos\.com/v1\n(?:\1.*\n)+)", _text(), re.MULTILINE)
    indent, body = block
    made = yaml.safe_load("\n".join(line.removeprefix(indent) for line in body.split("\n")))
    return [rule for group in made["spec"]["groups"] for rule in group["rules"]]


def selectors(text):
    """{name: {label: {value}}} of what is written as in PromQL; a label without values may have any."""
    found = {}
    for name, labels in re.findall(rf"\b({_NAME})(?:\{{([^}}]*)\}})?", text):
        known = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)=(?:"([^"]*)"|\.\.\.)', labels):
            known.setdefault(label, set()).update({value} - {""})
    return found


def named():
    """As selectors(), of the whole document: of its code spans, where a table's row may leave the name out."""
    document = _text().split("## Metrics", 1)
    found = selectors(" ".join(re.findall(r"`([^`\n]+)`", _text())))
    rows = re.findall(r'"([a-z_]+)"', " ".join(line for line in document[1].splitlines()
                                                if line.startswith("| `heddle_kernel_decisions_total") or
                                                line.startswith('| `{decision=')))
    found["heddle_kernel_decisions_total"]["decision"] |= set(rows)
    table = document[1].split("| `reason` | usually |")[1].split("\n\n")[0]
    reasons = {word for line in table.splitlines() for word in re.findall(r"`([a-z_]+)`", line.split(" | ")[0])}
    found["heddle_connections_failed_total"]["reason"] |= reasons
    return found


def shown(text):
    """{name: {label: {value}}} of a page of metrics."""
    found = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        known = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
            known.setdefault(label, set()).add(value)
    return found


def missing(wanted, page):
    """A sentence for each name, label or value that the page does not have."""
    sentences = [f"{name} is nowhere" for name in wanted if name not in page]
    for name, labels in wanted.items():
        for label, values in labels.items():
            if name not in page:
                continue
            if label not in page[name]:
                sentences.append(f"{name} has no label {label}")
            sentences += [f'{name} has no {label}="{value}"' for value in sorted(values - page[name].get(label, set()))]
    return sorted(sentences)
