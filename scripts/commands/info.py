"""``jgpt info``."""

import json
from dataclasses import asdict
from pathlib import Path

from scripts.arguments import Parser
from stage.errors import ArtifactError
from stage.manifest import check_outputs, read_manifest


def info(prog: str, arguments: list[str]) -> None:
    """What is this folder, and is it whole?"""
    parser = Parser(
        prog,
        "Say what a folder is, what made it from what, and check every file in it against its hash. Exit status 1 unless whole.",
        ["jgpt info my/model", "jgpt info my/shards --json | jq .counts"],
    )
    parser.add_argument("folder", type=str, help="A folder that jgpt made, or a run folder that holds some.")
    parser.flag("json", bool, False, "Print the manifest as JSON.")
    parser.common("quiet")
    given = parser.parse_args(arguments)
    folder = Path(given.folder)
    # the folder itself, or what lies in it: the stages of a run, the checkpoints of a training
    patterns = ("manifest.json", "state.json", "*/manifest.json", "*/state.json")
    found = (sorted(folder.glob(pattern)) for pattern in patterns)
    for file in next(filter(None, found), [folder / "manifest.json"]):
        tell = _tell_checkpoint if file.name == "state.json" else _tell
        tell(file.parent, given.json)


def _tell(folder: Path, as_json: bool) -> None:
    manifest = read_manifest(folder)
    check_outputs(folder, manifest, deep=True)
    if as_json:
        print(json.dumps(asdict(manifest) | {"data_sha256": manifest.data_sha256}, ensure_ascii=False, indent=1))
        return
    size = sum(output.bytes for output in manifest.outputs)
    print(
        f"{folder}: {manifest.stage}, whole: {len(manifest.outputs)} files, {size / 1e6:.1f} MB, every hash as written"
    )
    print(f"  data      {manifest.data_sha256}")
    print(f"  made by   jgpt {manifest.jgpt_version} in {manifest.seconds:.1f} s")
    for entry in manifest.inputs:
        print(f"  from      {entry.role} {entry.path}  {entry.sha256[:16]}")
    for name, value in manifest.counts.items():
        if not isinstance(value, (dict, list)):
            print(f"  {name:<24} {value}")
    for license in manifest.licenses:
        credit = f" ({license['attribution']})" if license.get("attribution") else ""
        print(f"  licence   {license['source']}: {license['license']}{credit}")


def _tell_checkpoint(folder: Path, as_json: bool) -> None:
    from jgpt.model.folder import load_config

    config = load_config(folder)
    try:
        state = json.loads((folder / "state.json").read_text("utf-8"))
        step = int(state["step"])
    except (ValueError, KeyError, TypeError):
        raise ArtifactError(f"{folder}: its state.json is broken; take another checkpoint") from None
    if as_json:
        record = {"stage": "checkpoint", "state": state, "config": asdict(config)}
        print(json.dumps(record, ensure_ascii=False, indent=1))
    else:
        print(f"{folder}: checkpoint after step {step}, {config.parameters / 1e6:.1f}M parameters")
