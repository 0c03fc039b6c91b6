"""The README.md of a documents artifact, by which the folder opens in ``datasets``."""

from pathlib import Path
from typing import Any

_CONFIGS = """---
language:
- ja
configs:
- config_name: default
  default: true
  data_files: documents-*.parquet
"""
_REJECTED_CONFIG = """- config_name: rejected
  data_files: rejected/*.parquet
"""


def write_card(folder: Path, counts: dict[str, Any], licenses: list[dict[str, str]]) -> None:
    """Write README.md: counts, the split rule, sources with their licences."""
    # datasets cannot load a configuration without rows
    head = _CONFIGS + (_REJECTED_CONFIG if counts["rejected"] else "") + "---\n\n"
    (folder / "README.md").write_text(head + "\n".join(_body(counts, licenses)) + "\n", encoding="utf-8")


def _body(counts: dict[str, Any], licenses: list[dict[str, str]]) -> list[str]:
    lines = [
        "# Documents",
        "",
        f"{counts['documents']:,} documents, {counts['characters']:,} characters, {counts['bytes']:,} bytes of UTF-8, "
        "made with `jgpt corpus build`.",
        "",
        "`documents-*.parquet` holds the documents, `rejected/` those left out, each with its `reason`; "
        "`manifest.json` says what made them.",
        "",
        "| split | documents | characters | bytes |",
        "|---|---:|---:|---:|",
        *(f"| {name} | {_numbers(entry)} |" for name, entry in counts["splits"].items()),
        "",
        f"The column `split` says train or valid; {counts['split_rule']}.",
        "",
        "| source | documents | characters | bytes | licence | attribution |",
        "|---|---:|---:|---:|---|---|",
    ]
    for entry in licenses:
        name = entry["source"]
        cells = (name, _numbers(counts["sources"][name]), _cell(entry["license"]), _cell(entry["attribution"]))
        lines.append(f"| {' | '.join(cells)} |")
    if counts["rejected"]:
        lines += ["", "| rejected as | documents |", "|---|---:|"]
        lines += [f"| {reason} | {count:,} |" for reason, count in counts["rejected"].items()]
    return lines


def _numbers(entry: dict[str, Any]) -> str:
    return " | ".join(f"{entry[unit]:,}" for unit in ("documents", "characters", "bytes"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
