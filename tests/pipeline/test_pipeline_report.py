"""The report of a run: from whatever stages there are, escaped and whole."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from scripts.report import write_report
from stage.errors import ArtifactError
from stage.folder import Made, write_folder
from stage.manifest import Input
from tokenizer.config import TokenizerConfig
from tokenizer.training import train_tokenizer

TEXT = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
LICENSES = [{"source": "文語<訳>", "license": "public domain", "attribution": "1887–1917, https://example.org/text"}]


def interval(value: float, reach: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": value - reach, "high": value + reach}


RESULTS: dict[str, Any] = {
    "schema": 1,
    "model": {"parameters": 1_234_567},
    "language": {
        "documents": 20,
        "characters": 4321,
        "tokens": 2500,
        "definition": "as measured",
        "bits_per_character": interval(3.612),
        "baselines": {
            "5-gram": {"bits_per_character": interval(4.271)},
            "xz": {"bits_per_character": {"value": 6.31}, "bits_per_byte": {}},
        },
    },
    "skipped": {"continuation": "文書が短い"},
    "tasks": {
        "particle": {
            "title": "格助詞 <particle>",
            "items": 300,
            "primary": "accuracy",
            "metrics": {"accuracy": interval(0.723), "accuracy_pmi": {"value": 0.7}},
            "baselines": {"random": {"accuracy": {"value": 0.5}}, "5-gram": {"accuracy": interval(0.6)}},
            "notes": ["注意 & note"],
            "license": "public domain",
            "source": "文語",
        },
        "bare": {
            "title": "一",
            "items": 1,
            "primary": "mcc",
            "metrics": {"mcc": {"value": -0.02}},
            "baselines": {"random": {"mcc": {"value": 0.0}}},
            "notes": [],
            "license": "CC0",
            "source": "試",
        },
    },
}


def made(run: Path, name: str, stage: str, files: dict[str, Any], counts: dict[str, Any]) -> None:
    def make(folder: Path) -> Made:
        for file, content in files.items():
            place = folder / file
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, list):
                pyarrow.parquet.write_table(pyarrow.Table.from_pylist(content), place)
            else:
                place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Made(counts, LICENSES)

    parameters = {"nested": {"key": "<値>"}, "sources": [{"path": "青空/*.txt"}]}
    write_folder(run / name, stage=stage, parameters=parameters, inputs=[Input("source", "青空", "0" * 64)], make=make)


def add_corpus(run: Path, license: str = "public domain") -> None:
    document = {"text": TEXT, "source": "文語<訳>", "license": license, "chars": len(TEXT)}
    rows = [document | {"split": "valid" if index == 3 else "train", "chars": 20 + 31 * index} for index in range(12)]
    characters = {"documents": 12, "characters": sum(row["chars"] for row in rows)}
    counts = characters | {
        "sources": {"文語<訳>": characters},
        "splits": {"train": characters, "valid": characters},
        "split_rule": "by a hash",
        "rejected": {"too_short": 3, "<reason>": 1},
    }
    made(run, "corpus", "corpus", {"documents-00000.parquet": rows}, counts)


def add_tokenizer(run: Path) -> None:
    (run / "text.txt").write_text(f"{TEXT}\n" * 3, "utf-8")
    train_tokenizer(run / "tokenizer", TokenizerConfig(vocab_size=330), text=[str(run / "text.txt")])


def metrics(steps: int = 60) -> str:
    lines = []
    for step in range(1, steps + 1):
        record = {
            "step": step,
            "tokens": step * 512,
            "seconds": step,
            "loss": 3 + 5 * math.exp(-step / 9),
            "learning_rate": 1e-3,
        }
        lines.append(json.dumps(record | {"tokens_per_second": 5000}))
        if step % 20 == 0:
            lines.append(json.dumps({"step": step, "tokens": 0, "valid_loss": 3.5, "valid_bits_per_character": 3.9}))
    return "\n".join(lines)


def full_run(run: Path) -> Path:
    add_corpus(run)
    add_tokenizer(run)
    made(run, "shards", "shard", {"train-00000.npy": b"x"}, {"train_tokens": 4000, "valid_tokens": 400})
    files = {"metrics.jsonl": metrics(), "config.json": json.dumps({"context_length": 64})}
    made(run, "model", "pretrain", files, {"parameters": 1_234_567, "steps": 60, "epochs": 7.7})
    made(run, "eval", "eval", {"results.json": json.dumps(RESULTS)}, {})
    sample = {"prompt": "春は", "text": "あけぼの<br>", "temperature": 0.8, "top_k": 0, "top_p": 0.95, "seed": 1}
    (run / "samples.json").write_text(json.dumps([sample]), "utf-8")
    return run


def report(run: Path) -> str:
    return write_report(run).read_text("utf-8")


def test_a_full_run_shows_every_stage_with_its_figures(tmp_path: Path) -> None:
    page = report(full_run(tmp_path))
    for heading in ("Pipeline", "Corpus", "Tokenizer", "Training", "Evaluation", "Samples", "Parameters"):
        assert f'<a href="#{heading.lower()}">{heading}</a>' in page
    for figure in (
        "3.612",
        "3.562 – 3.662",
        "5-gram 4.27",
        "xz 6.31",
        "1.23\u00a0M",
        "7.7 times",
        "72.3\u00a0%",
        "random 50.0",
    ):
        assert figure in page, figure
    assert "above every baseline (best: 5-gram)" in page
    assert "continuation: left out; 文書が短い" in page and "particle: 注意 &amp; note" in page
    assert "too short" in page and "public domain" in page
    assert "<b>春は</b>あけぼの&lt;br&gt;" in page
    assert "nested.key" in page and "sources.0.path" in page


def test_what_stands_in_the_artifacts_is_escaped(tmp_path: Path) -> None:
    page = report(full_run(tmp_path))
    for raw in ("<訳>", "<値>", "<particle>", "<reason>", "あけぼの<br>"):
        assert raw not in page
    assert "文語&lt;訳&gt;" in page


def test_the_loss_is_drawn_in_bits_with_the_baselines(tmp_path: Path) -> None:
    page = report(full_run(tmp_path))
    assert 'aria-label="Loss"' in page and "bits per character</text>" in page and "5-gram: 4.27</text>" in page


def test_a_partial_run_leaves_the_missing_stages_out_with_a_note(tmp_path: Path) -> None:
    add_corpus(tmp_path)
    page = report(tmp_path)
    assert 'id="corpus"' in page and 'id="tokenizer"' not in page and 'id="evaluation"' not in page
    assert "Tokenizer: left out; this stage has not been run." in page and "not run" in page


def test_training_that_has_not_finished_shows_its_curve_so_far(tmp_path: Path) -> None:
    add_corpus(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "metrics.jsonl").write_text(metrics(30) + '\n{"step": 31, "lo')
    page = report(tmp_path)
    assert "Training has not finished" in page and 'aria-label="Loss"' in page and "not finished" in page


def test_a_text_whose_licence_does_not_allow_it_is_not_quoted(tmp_path: Path) -> None:
    for name, license in (("free", "public domain"), ("bound", "CC BY-ND 2.1 JP")):
        add_corpus(tmp_path / name, license)
        add_tokenizer(tmp_path / name)
    assert "Held-out text, 文語" in report(tmp_path / "free")
    assert "Held-out text, 文語" not in report(tmp_path / "bound")


def test_old_text_brings_a_warning_in_both_languages(tmp_path: Path) -> None:
    add_corpus(tmp_path)
    page = report(tmp_path)
    assert "views and words of their time" in page and "戦前" in page


def test_new_text_brings_no_such_warning(tmp_path: Path) -> None:
    licenses = [{"source": "技術文書", "license": "CC0", "attribution": "2026"}]
    write_folder(
        tmp_path / "shards",
        stage="shard",
        parameters={},
        # years in a hash or a path are no years of a text
        inputs=[Input("source", "data/1887.txt", "a1887b" * 10)],
        make=lambda folder: Made({"train_tokens": 1887, "valid_tokens": 0}, licenses),
    )
    assert "戦前" not in report(tmp_path)


def test_a_stage_that_is_damaged_is_left_out_with_a_note(tmp_path: Path) -> None:
    run = full_run(tmp_path)
    (run / "tokenizer" / "tokenizer.model").write_bytes(b"")
    (run / "eval" / "results.json").unlink()
    page = report(run)
    assert 'id="tokenizer"' not in page and 'id="evaluation"' not in page and 'id="training"' in page
    assert "Tokenizer: left out; " in page and "results.json is missing" in page


def test_broken_samples_get_one_line_that_names_the_file(tmp_path: Path) -> None:
    (full_run(tmp_path) / "samples.json").write_text('[{"prompt": ', "utf-8")
    with pytest.raises(ArtifactError, match=r"samples\.json: is broken"):
        write_report(tmp_path)


def test_a_folder_without_any_stage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no stage of a run"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []
