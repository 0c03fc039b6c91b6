"""The report of a run: from whatever stages there are, escaped and whole."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from scripts.bench.reference_curve import reference_curve
from scripts.report import write_report
from stage.errors import ArtifactError
from stage.folder import Made, write_folder
from stage.manifest import Input
from tokenizer.config import TokenizerConfig
from tokenizer.training import train_tokenizer

TEXT = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
LICENSES = [{"source": "文語<訳>", "license": "public domain", "attribution": "1887–1917, https://example.org/text"}]


SHARDS = {"train_tokens": 4000, "valid_tokens": 400, "train_characters": 9000, "valid_characters": 900}


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
        "sources": {
            name: {
                "documents": 10,
                "characters": 2000,
                "bits_per_character": interval(bits),
                "baselines": {
                    "5-gram": {"bits_per_character": interval(4.53)},
                    "xz": {"bits_per_character": {"value": 6.9}},
                },
            }
            for name, bits in (("青空", 3.41), ("<wiki>", 3.81))
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

    rules = {"minimal,compression>=0.3": ["chars>=20", "japanese_ratio>=0.2", "compression>=0.3"]}
    parameters = {"nested": {"key": "<値>"}, "sources": [{"path": "青空/*.txt"}], "rules": rules}
    write_folder(run / name, stage=stage, parameters=parameters, inputs=[Input("source", "青空", "0" * 64)], make=make)


def add_corpus(run: Path, license: str = "public domain") -> None:
    document = {"id": "文/1", "text": TEXT, "source": "文語<訳>", "license": license, "chars": len(TEXT)}
    document |= {"japanese_ratio": 0.9}
    rows = [document | {"split": "valid" if index == 3 else "train", "chars": 20 + 31 * index} for index in range(12)]
    refused = [
        document | {"id": f"外/{index}", "reason": reason, "measure": measure, "duplicate_of": twin, "license": terms}
        for index, (reason, measure, twin, terms) in enumerate(
            [
                ("japanese_ratio>=0.2", 0.1234567, "", license),
                ("near_duplicate", 0.91, "文/7", "CC BY-ND 2.1 JP"),
                ("<reason>", 1.0, "", license),
            ]
        )
    ]
    characters = {"documents": 12, "characters": sum(row["chars"] for row in rows), "raw_characters": 5000}
    counts = characters | {
        "sources": {"文語<訳>": characters},
        "splits": {"train": characters, "valid": characters},
        "split_rule": "by a hash",
        "rejected": {"japanese_ratio>=0.2": 3, "near_duplicate": 1, "<reason>": 1},
        "rejected_characters": {"japanese_ratio>=0.2": 300, "near_duplicate": 50, "<reason>": 12},
        "repeated_lines": {"lines": 4, "documents": 1234, "characters": 98_765},
    }
    files = {"documents-00000.parquet": rows, "rejected/rejected-00000.parquet": refused}
    made(run, "corpus", "corpus", files, counts)


def add_tokenizer(run: Path) -> None:
    (run / "text.txt").write_text(f"{TEXT}\n" * 3, "utf-8")
    train_tokenizer(run / "tokenizer", TokenizerConfig(boundaries="none", vocab_size=330), text=[str(run / "text.txt")])


def metrics(steps: int = 60) -> str:
    lines = []
    for step in range(1, steps + 1):
        record = {
            "step": step,
            "tokens": step * 512,
            "seconds": step,
            "loss": 3 + 5 * math.exp(-step / 9),
            "bits_per_character": 3.2 + 5 * math.exp(-step / 9),
            "learning_rate": 1e-3,
            "grad_norm": 0.5,
            "skipped": 0,
            "tokens_per_second": 5000,
            "share_of_peak": 0.51,
        }
        lines.append(json.dumps(record))
        if step % 20 == 0:
            place = {"step": step, "tokens": step * 512, "seconds": step}
            lines.append(json.dumps(place | {"valid_loss": 3.5, "valid_bits_per_character": 4.5 - step / 100}))
    return "\n".join(lines)


def full_run(run: Path) -> Path:
    add_corpus(run)
    add_tokenizer(run)
    made(run, "shards", "shard", {"train-00000.npy": b"x"}, SHARDS)
    files = {"metrics.jsonl": metrics(), "config.json": json.dumps({"context_length": 64})}
    made(run, "model", "pretrain", files, {"parameters": 1_234_567, "steps": 60, "epochs": 7.7})
    made(run, "eval", "eval", {"results.json": json.dumps(RESULTS)}, {})
    sample = {"prompt": "春は", "text": "あけぼの<br>", "temperature": 0.8, "top_k": 0, "top_p": 0.95, "seed": 1}
    (run / "samples.json").write_text(json.dumps([sample]), "utf-8")
    return run


def add_curve(folder: Path, monkeypatch: pytest.MonkeyPatch, bits: list[list[float]], **fields: Any) -> None:
    """The reference curve of a recipe in a folder of its own: runs that were measured every 10,000 tokens."""
    runs = [[[10_000 * number, 20.0 * number, each] for number, each in enumerate(run, 1)] for run in bits]
    text = {key: SHARDS[key] for key in ("train_characters", "valid_characters")}
    record = {"recipe": "見本", "machine": "a <machine>", "parameters": 1_400_000, **text, "runs": runs} | fields
    (folder / "見本.json").write_text(json.dumps(record), "utf-8")
    monkeypatch.setattr("scripts.curves.FOLDER", folder)


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
        '<td>青空</td><td class="number">10</td><td class="number">2,000</td><td>3.410  [3.360 – 3.460]</td><td>4.53</td><td>6.90</td>',
        "<td>&lt;wiki&gt;</td>",
    ):
        assert figure in page, figure
    assert "above every baseline (best: 5-gram)" in page
    assert "continuation: left out; 文書が短い" in page and "particle: 注意 &amp; note" in page
    assert "japanese ratio&gt;=0.2" in page and "public domain" in page
    assert "<b>春は</b>あけぼの&lt;br&gt;" in page
    assert "nested.key" in page and "sources.0.path" in page


def test_the_rules_of_a_corpus_can_be_judged_by_what_they_left_out(tmp_path: Path) -> None:
    add_corpus(tmp_path)
    page = report(tmp_path)
    for row in (
        '<td>near duplicate</td><td class="number">1</td><td>5.88%</td><td class="number">50</td>',
        '<td>kept</td><td class="number">12</td>',
        f"<td>japanese ratio&gt;=0.2</td><td>外/0</td><td>0.1235</td><td>{TEXT[:20]}",
        "<td>near duplicate</td><td>外/1 like 文/7</td><td>0.91</td><td></td>",  # its licence forbids excerpts
    ):
        assert row in page, row
    assert "98.8\u00a0k" in page and "of 1,234 documents, in lines that many share" in page
    assert "japanese_ratio&gt;=0.2</text>" in page and "compression&gt;=0.3" not in page.partition("Parameters")[0]


def test_what_stands_in_the_artifacts_is_escaped(tmp_path: Path) -> None:
    page = report(full_run(tmp_path))
    for raw in ("<訳>", "<値>", "<particle>", "<reason>", "あけぼの<br>"):
        assert raw not in page
    assert "文語&lt;訳&gt;" in page


def test_the_loss_is_drawn_in_bits_with_the_baselines(tmp_path: Path) -> None:
    page = report(full_run(tmp_path))
    assert 'aria-label="Loss"' in page and "bits per character</text>" in page and "5-gram: 4.27</text>" in page


def test_all_that_is_logged_is_drawn(tmp_path: Path) -> None:
    page = report(full_run(tmp_path))
    for name in ("Learning rate", "Length of the gradient", "Speed", "Use of the machine"):
        assert f'aria-label="{name}"' in page, name
    assert "Steps left out" not in page and "Held-out text, by source" not in page


def test_steps_without_a_loss_are_counted_and_not_drawn(tmp_path: Path) -> None:
    file = full_run(tmp_path) / "model" / "metrics.jsonl"
    lost = {"step": 61, "tokens": 31_232, "seconds": 61, "loss": None, "bits_per_character": None, "grad_norm": None}
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in [*lines, lost | {"skipped": 2}]), "utf-8")
    # the size of a file that is part of the folder is checked
    (tmp_path / "model" / "manifest.json").unlink()
    page = report(tmp_path)
    assert 'aria-label="Loss"' in page and "bits per character</text>" in page and 'aria-label="Steps left out"' in page


def test_sources_are_drawn_apart(tmp_path: Path) -> None:
    add_corpus(tmp_path)
    (tmp_path / "model").mkdir()
    sources = {f"my/{name}": {"valid_loss": 3.0, "valid_bits_per_character": 4.0} for name in ("novels", "新聞")}
    line = {"tokens": 0, "seconds": 0, "valid_loss": 3.0, "valid_bits_per_character": 4.0, "by_source": sources}
    lines = [json.dumps(line | {"step": step}) for step in (0, 5)]
    (tmp_path / "model" / "metrics.jsonl").write_text("\n".join([*lines, ""]), "utf-8")
    page = report(tmp_path)
    assert ">novels</text>" in page and ">新聞</text>" in page


def test_a_curve_is_judged_by_the_reference_after_as_many_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = full_run(tmp_path / "run")  # its last measurement within reach: 3.9 after 30,720 tokens
    for bits, words in (
        (
            [[5.0, 4.5, 3.9, 3.8], [5.0, 4.5, 3.92, 3.8]],
            "30.7\u00a0k tokens this run stands at 3.90 bits per character, 0.00 below the reference: as it should be",
        ),
        ([[5.0, 4.0, 3.5, 3.4]], "0.41 above the reference: worse than usual"),
        ([[5.0, 4.5, 4.3, 4.2]], "0.39 below the reference: better than usual"),
    ):
        add_curve(tmp_path, monkeypatch, bits)
        page = report(run)
        assert words in page, re.findall("Is this curve[^<]*", page)
        assert "a &lt;machine&gt;" in page and 'aria-label="Held-out text, by tokens"' in page
    assert "one run." in page


def test_a_run_of_another_length_is_told_what_that_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_curve(tmp_path, monkeypatch, [[4.5, 3.5]])
    page = report(full_run(tmp_path / "run"))
    assert "After 10.2\u00a0k tokens this run stands at 4.30 bits per character, 0.18 below" in page
    assert "at their ends they stand at 3.90 after 30.7\u00a0k and 3.50 after 20.0\u00a0k tokens" in page


def test_the_reference_of_another_text_gives_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_curve(tmp_path, monkeypatch, [[4.5, 3.5, 3.4]], valid_characters=901)
    page = report(full_run(tmp_path / "run"))
    assert (
        "learned another text" in page
        and "the reference:" not in page
        and 'aria-label="Held-out text, by time"' in page
    )


def test_without_reference_curves_nothing_is_said_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.curves.FOLDER", tmp_path / "none")
    assert "Is this curve normal" not in report(full_run(tmp_path / "run"))


def test_a_reference_curve_is_made_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = full_run(tmp_path / "run")
    (tmp_path / "見本.json").write_text(reference_curve([run, run], "見本", "a machine"), "utf-8")
    monkeypatch.setattr("scripts.curves.FOLDER", tmp_path)
    assert (
        "0.00 below the reference: as it should be. The reference is the shipped recipe 見本 (1.23\u00a0M parameters, a machine), 2 runs at 3.90 to 3.90."
        in report(run)
    )


def test_the_report_shows_how_the_text_after_the_first_prompt_grew(tmp_path: Path) -> None:
    file = full_run(tmp_path) / "model" / "samples.jsonl"
    texts = [
        {"step": step, "tokens": 512 * step, "prompt": prompt, "text": f"第{step}段"}
        for step in range(0, 2200, 100)
        for prompt in ("春は", "秋は")
    ]
    file.write_text("".join(f"{json.dumps(text)}\n" for text in texts), "utf-8")
    page = report(tmp_path)
    shown = re.findall(r"<b>春は</b>第(\d+)段", page)
    assert shown[0] == "0" and shown[-1] == "2100" and len(shown) == 6 == len(set(shown))
    assert "秋は" not in page and "after 2,100 steps, 1.08\u00a0M tokens" in page


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
