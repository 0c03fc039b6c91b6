"""``report.html`` of a run folder: one page with what every stage made, measured and took."""

import json
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard

from stage.errors import ArtifactError
from stage.manifest import Manifest, read_manifest
from stage.page import Page, Piece, Step, Tile
from stage.plots import (
    Bar,
    Mark,
    Series,
    bar_plot,
    compact,
    duration,
    histogram,
    line_plot,
    percent,
    share_bar,
    smooth,
)

STAGES = (
    ("corpus", "corpus", "Corpus", "文書"),
    ("tokenizer", "tokenizer", "Tokenizer", "トークナイザ"),
    ("shards", "shard", "Shards", "トークン列"),
    ("model", "pretrain", "Pretraining", "事前学習"),
    ("eval", "eval", "Evaluation", "評価"),
)
"""Folder in the run, stage in its manifest, and its names on the page."""

_MOST_DOCUMENTS = 1_000_000  # whose lengths are read for the histogram
_MOST_INPUTS = 40  # of a stage that are named
_MOST_PIECES = 60  # of the sentence that is shown cut up
_SENTENCE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
_SCRIPTS = {
    "hiragana": "[\u3041-\u309f]",
    "katakana": "[\u30a0-\u30ff\u31f0-\u31ff\uff66-\uff9f]",
    "kanji": "[\u2e80-\u2fdf々〆〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]",
}
_DEFINITION = (
    "Bits per character: the nats that the model spends on the held-out text and the end of each document, divided by "
    "ln 2 and by the number of code points of the stored text. Windows overlap by half the context; <unk> is charged as its bytes. "
    "Lower is better, and models with different vocabularies compare."
)
_OLD_TEXT_EN = (
    "The text is old: sources from before 1946 contain views and words of their time, some of them discriminatory, and the model "
    "repeats them. It writes in the manner of its corpus, knows nothing later, and is no source of facts."
)
_OLD_TEXT_JA = "学習に用いた文章には戦前のものが含まれます。当時の価値観や、今日では差別的とされる語が含まれ、モデルの出力にも現れることがあります。"


@dataclass
class Run:
    """What could be read of a run folder; what is missing is empty."""

    folder: Path
    manifests: dict[str, Manifest] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    model_config: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def counts(self, name: str) -> dict[str, Any]:
        return self.manifests[name].counts if name in self.manifests else {}

    @property
    def licenses(self) -> list[dict[str, str]]:
        """Licences of the text, from the earliest stage that tells of them."""
        return next(
            (
                self.manifests[name].licenses
                for name, *_ in STAGES
                if name in self.manifests and self.manifests[name].licenses
            ),
            [],
        )


def write_report(run: Path, out: Path | None = None) -> Path:
    """Write ``report.html`` of a run folder (into ``out`` if given) and return its path; missing stages are left out with a note.

    Raises ArtifactError when the folder holds no stage at all.
    """
    return make_page(read_run_folder(run)).write(out or Path(run) / "report.html")


def read_run_folder(run: Path) -> Run:
    """Read what there is of a run; raises ArtifactError when there is nothing."""
    found = Run(Path(run))
    for name, stage, *_ in STAGES:
        try:
            found.manifests[name] = read_manifest(found.folder / name, stage)
        except ArtifactError as error:
            found.missing[name] = str(error) if (found.folder / name).exists() else ""
    found.metrics = _read_metrics(found.folder / "model" / "metrics.jsonl")
    found.model_config = _read_json(found.folder / "model" / "config.json", dict)
    found.results = _read_json(found.folder / "eval" / "results.json", dict)
    found.samples = [entry for entry in _read_json(found.folder / "samples.json", list) if isinstance(entry, dict)]
    if not found.manifests and not found.metrics:
        raise ArtifactError(f"{run}: holds no stage of a run; name a folder that `jgpt run` or `jgpt quickstart` made")
    return found


def make_page(run: Run) -> Page:
    """The page of a run."""
    subtitle = "A Japanese GPT from raw text to numbers · jgpt"
    page = Page(run.folder.resolve().name, subtitle=subtitle, seal="和文")
    _headline(page, run)
    _pipeline(page, run)
    shown = {"corpus": _corpus, "tokenizer": _tokenizer, "model": _training, "eval": _evaluation}
    for name, show in shown.items():
        if name in run.manifests or (name == "model" and run.metrics):
            show(page, run)
    if run.samples:
        _samples(page, run)
    _parameters(page, run)
    _about(page, run)
    return page


def _headline(page: Page, run: Run) -> None:
    language = run.results.get("language") or {}
    tiles = []
    bits = _entry(language.get("bits_per_character"), "model")
    watched = [line for line in run.metrics if _is_number(line.get("valid_bits_per_character"))]
    value, note = "", ""
    if bits:
        value = f"{bits.value:.3f}"
        if bits.low is not None and bits.high is not None:
            note = f"95 % interval {bits.low:.3f} – {bits.high:.3f} · "
        if others := [f"{name} {mark.value:.2f}" for name, mark in _baselines(language, "bits_per_character")]:
            note += f"against {', '.join(others)} · "
        note += "lower is better"
    elif watched:
        value, note = f"{watched[-1]['valid_bits_per_character']:.3f}", "measured during training"
    if value:
        tiles.append(Tile("Held-out text", value, "bits per character", note, "未学習の文章", strong=True))
    parameters = _find(run.results, "model.parameters") or _find(run.counts("model"), "parameters")
    if parameters:
        context = run.model_config.get("context_length")
        note = f"context of {context} tokens" if context else ""
        tiles.append(Tile("Model", compact(parameters), "parameters", note, "モデル"))
    tokens = _training_tokens(run)
    if tokens:
        epochs = _find(run.counts("model"), "epochs")
        note = f"{epochs:.1f} times through the text" if epochs else ""
        tiles.append(Tile("Training", compact(tokens), "tokens", note, "学習量"))
    seconds = sum(manifest.seconds for manifest in run.manifests.values())
    if seconds:
        left_out = len(STAGES) - len(run.manifests)
        note = f"without {left_out} of {len(STAGES)} stages" if left_out else "all stages together"
        tiles.append(Tile("Time", duration(seconds), "", note, "所要時間"))
    page.tiles(tiles)


def _pipeline(page: Page, run: Run) -> None:
    page.section("Pipeline", "処理の流れ")
    facts = {
        "corpus": _facts(run, "corpus", documents="documents", chars="characters", characters="characters"),
        "tokenizer": _facts(run, "tokenizer", vocab_size="pieces", characters_per_token="characters per token"),
        "shards": _facts(run, "shards", train_tokens="tokens to train on", valid_tokens="tokens held out"),
        "model": _facts(run, "model", steps="steps", parameters="parameters"),
        "eval": tuple(run.results.get("tasks") or {}),
    }
    steps = []
    for name, _, english, japanese in STAGES:
        if name in run.manifests:
            steps.append(Step(english, japanese, duration(run.manifests[name].seconds), facts[name]))
        else:
            state = "not finished" if run.missing[name] else "not run"
            steps.append(Step(english, japanese, "—", (state,), missing=True))
    page.steps(steps)
    timed = [(english, run.manifests[name].seconds) for name, _, english, _ in STAGES if name in run.manifests]
    if len(timed) > 1:
        page.figure(partial(share_bar, timed, show=duration), "Where the time went", japanese="時間の内訳", wide=True)
    for name, _, english, _ in STAGES:
        if name in run.missing:
            page.note(f"{english}: left out; {run.missing[name] or 'this stage has not been run'}.")


def _corpus(page: Page, run: Run) -> None:
    page.section("Corpus", "コーパス")
    counts = run.counts("corpus")
    scan = _scan_documents(run.folder / "corpus")
    rejected = _by_name(counts.get("rejected")) or _scan_rejected(run.folder / "corpus")
    by_source = _by_name(counts.get("sources")) or scan.by_source
    by_split = _by_name(counts.get("splits")) or scan.by_split
    documents = _find(counts, "documents") or len(scan.lengths)
    characters = _find(counts, "characters") or by_split.total()
    median = f"median document {compact(scan.median)}"
    page.tiles(
        [
            Tile("Documents", f"{documents:,.0f}", japanese="文書数"),
            Tile("Characters", compact(characters), note=median, japanese="文字数"),
            Tile(
                "Rejected",
                f"{rejected.total():,}",
                "documents",
                japanese="除外",
            ),
        ]
    )
    if not scan.whole:
        page.note(f"The lengths are those of the first {_MOST_DOCUMENTS:,} documents.")
    if scan.lengths:
        draw = partial(histogram, *_bins(scan.lengths), x_label="characters", log_x=True)
        page.figure(draw, "Length of the documents", japanese="文書の長さ")
    if len(by_source) > 1:
        sources = [Bar(name, count) for name, count in by_source.most_common(12)]
        page.figure(partial(bar_plot, sources), "Characters by source", japanese="出典別の文字数")
    if by_split:
        splits = [(name or "no split", float(count)) for name, count in by_split.most_common()]
        page.figure(
            partial(share_bar, splits),
            "Learned from and held out",
            japanese="学習用と検証用",
            caption=f"In characters. {counts.get('split_rule', '')}".strip(),
        )
    if rejected:
        reasons = [Bar(reason.replace("_", " "), count, colour=1) for reason, count in rejected.most_common(10)]
        page.figure(partial(bar_plot, reasons), "Rejected, by reason", japanese="除外の理由")
    if run.licenses:
        columns = list(dict.fromkeys(key for entry in run.licenses for key in entry))
        page.table(
            [name.capitalize() for name in columns],
            [[entry.get(name, "") or "—" for name in columns] for entry in run.licenses],
        )


def _tokenizer(page: Page, run: Run) -> None:
    page.section("Tokenizer", "トークナイザ")
    counts = run.counts("tokenizer")
    shown = (
        ("vocab_size", "{:,}", "Vocabulary", "pieces", "語彙"),
        ("characters_per_token", "{:.2f}", "Density", "characters per token", "圧縮"),
        ("byte_fallback_share", "", "Byte fallback", "of tokens", "バイト代替"),
        ("round_trip_exact", "", "Round trip", "of lines exact", "可逆性"),
    )
    page.tiles(
        [
            Tile(label, form.format(counts[key]) if form else percent(counts[key]), unit, japanese=japanese)
            for key, form, label, unit, japanese in shown
            if _is_number(counts.get(key))
        ]
    )
    processor = _load_pieces(run.folder / "tokenizer" / "tokenizer.model")
    if processor is None:
        page.note("The pieces themselves are not shown: tokenizer.model is missing or cannot be read.")
        return
    kinds, lengths = _piece_statistics(processor)
    page.figure(partial(share_bar, kinds.most_common()), "What the vocabulary holds", japanese="語彙の内訳")
    by_length = [
        Bar("1 character" if size == 1 else f"{size}{'+' * (size == 6)} characters", lengths[size])
        for size in range(1, 7)
        if lengths[size]
    ]
    caption = "Without control pieces and bytes."
    page.figure(
        partial(bar_plot, by_length, axis=False),
        "Length of the pieces",
        japanese="語片の長さ",
        caption=caption,
    )
    sentence, origin = _sentence(run)
    cut = [
        Piece(_piece_text(processor, index), f"id {index}", processor.is_byte(index))
        for index in processor.encode(sentence)[:_MOST_PIECES]
    ]
    page.pieces(cut, "A sentence as the model sees it", japanese="分割の例", caption=f"{len(cut)} pieces. {origin}")


def _training(page: Page, run: Run) -> None:
    page.section("Training", "学習")
    if "model" not in run.manifests:
        page.note("Training has not finished; the curves show what there is so far.")
    train = [line for line in run.metrics if _is_number(line.get("loss"))]
    valid = [line for line in run.metrics if _is_number(line.get("valid_loss"))]
    if not train and not valid:
        page.note("No metrics were recorded.")
        return
    # the same text in both units gives the factor; the train split holds about as many characters a token
    both = [line for line in valid if _is_number(line.get("valid_bits_per_character")) and line["valid_loss"] > 0]
    factors = [line["valid_bits_per_character"] / line["valid_loss"] for line in both]
    factor = statistics.median(factors) if factors else 1.0
    unit = "bits per character" if factors else "nats per token"
    steps = [float(line["step"]) for line in train]
    losses = [line["loss"] * factor for line in train]
    valid_steps = [float(line["step"]) for line in valid]
    valid_values = [line["valid_loss"] * factor for line in valid]
    smoothed = smooth(losses, min(15, len(losses) // 20))
    curves = [
        Series("train, every step", steps, losses, colour=0, faint=True),
        Series("train", steps, smoothed, colour=0),
        Series("held out", valid_steps, valid_values, colour=1, dots=len(valid_values) <= 40),
    ]
    references = []
    if factors:
        baselines = _baselines(run.results.get("language") or {}, "bits_per_character")
        named = [(name, mark.value) for name, mark in baselines if name in ("5-gram", "xz")]
        references = [Mark(f"{name}: {value:.2f}", value) for name, value in named]
    top = _steep_start(steps, smoothed, valid_values, references)
    caption = (
        "The thin line is every step, the strong one its moving average; the first steps may lie above the picture."
    )
    if factors:
        caption += (
            " Both losses are turned into bits by the held-out text's characters per token. This curve is taken on a part of it,"
            " in windows that do not overlap: jgpt eval gives the exact figure."
        )
    draw = partial(line_plot, curves, x_label="step", y_label=unit, references=references, y_limits=(None, top))
    page.figure(draw, "Loss", japanese="損失", caption=caption, wide=True)
    for key, heading, japanese, label in (
        ("learning_rate", "Learning rate", "学習率", ""),
        ("tokens_per_second", "Speed", "速度", "tokens per second"),
    ):
        points = [(float(line["step"]), line[key]) for line in train if _is_number(line.get(key))]
        if len(points) > 1:
            curve = Series("", [x for x, _ in points], [y for _, y in points])
            draw = partial(line_plot, [curve], x_label="step", y_label=label, y_limits=(0.0, None), height=190)
            page.figure(draw, heading, japanese=japanese)


def _evaluation(page: Page, run: Run) -> None:
    page.section("Evaluation", "評価")
    language, tasks = run.results.get("language") or {}, run.results.get("tasks") or {}
    if not language and not tasks:
        page.note("results.json is missing or empty.")
        return
    bits = _entry(language.get("bits_per_character"), "this model")
    if bits:
        rows = [Bar(bits.label, bits.value, bits.low, bits.high)]
        rows += [
            Bar(name, mark.value, mark.low, mark.high, colour=5, faint=True)
            for name, mark in _baselines(language, "bits_per_character")
        ]
        size = ", ".join(
            f"{language[key]:,} {key}" for key in ("documents", "characters", "tokens") if _is_number(language.get(key))
        )
        page.figure(
            partial(bar_plot, rows, show="{:.2f}".format),
            "Bits per character, lower is better",
            japanese="一文字あたりのビット数",
            caption=f"{size}. {language.get('definition') or _DEFINITION}".removeprefix(". "),
            wide=True,
        )
    for metric in dict.fromkeys(task.get("primary", "accuracy") for task in tasks.values()):
        found = [
            _task_bar(name, task, metric) for name, task in tasks.items() if task.get("primary", "accuracy") == metric
        ]
        bars = [bar for bar in found if bar]
        shares = all(0 <= bar.value <= 1 for bar in bars)
        page.figure(
            partial(bar_plot, bars, show=percent if shares else compact, limit=1.0 if shares else None),
            f"{metric.capitalize()}, higher is better",
            japanese="正解率" if metric == "accuracy" else "",
            caption="Whiskers are 95 % intervals; the signs stand where each baseline lies.",
            wide=True,
        )
    if tasks:
        page.table(
            ("Task", "What is asked", "Items", "What came out", "Source", "Licence"),
            [
                (
                    name,
                    task.get("title") or "—",
                    task.get("items", ""),
                    _reading(task),
                    task.get("source") or "—",
                    task.get("license") or "—",
                )
                for name, task in tasks.items()
            ],
        )
    for name, task in tasks.items():
        for text in task.get("notes", []):
            page.note(f"{name}: {text}")
    for name, reason in (run.results.get("skipped") or {}).items():
        page.note(f"{name}: left out; {reason}")
    for name, task in tasks.items():
        page.details(f"{name}: every figure", _all_figures(task))


def _samples(page: Page, run: Run) -> None:
    page.section("Samples", "生成例")
    page.paragraph("What the model writes. The prompt is red; everything after it is the model's own.")
    for sample in run.samples:
        names = (("temperature", "temperature"), ("top_p", "top-p"), ("top_k", "top-k"), ("seed", "seed"))
        caption = " · ".join(f"{label} {sample[key]}" for key, label in names if sample.get(key) is not None)
        page.sample(str(sample.get("prompt", "")), str(sample.get("text", "")), caption)


def _parameters(page: Page, run: Run) -> None:
    page.section("Parameters", "設定")
    for name, _, english, japanese in STAGES:
        if name not in run.manifests:
            continue
        manifest = run.manifests[name]
        rows: dict[str, object] = dict(manifest.parameters)
        rows["counts"] = manifest.counts
        rows["inputs"] = {f"{entry.role} {entry.path}": entry.sha256[:12] for entry in manifest.inputs[:_MOST_INPUTS]}
        if len(manifest.inputs) > _MOST_INPUTS:
            rows["further inputs"] = len(manifest.inputs) - _MOST_INPUTS
        rows |= {
            "data_sha256": manifest.data_sha256,
            "seconds": manifest.seconds,
            "jgpt_version": manifest.jgpt_version,
        }
        page.details(english, rows, japanese)
    if run.model_config:
        page.details("Model configuration", run.model_config, "モデルの構成")


def _about(page: Page, run: Run) -> None:
    page.section("About these numbers", "読み方")
    page.paragraph(_DEFINITION)
    if run.licenses:
        parts = [
            " · ".join(str(entry[key]) for key in ("source", "license", "attribution") if entry.get(key))
            for entry in run.licenses
        ]
        page.paragraph(f"Licences of the text: {'; '.join(dict.fromkeys(parts))}.")
    if _is_old(run.licenses, [entry.path for manifest in run.manifests.values() for entry in manifest.inputs]):
        page.warning(_OLD_TEXT_EN)
        page.warning(_OLD_TEXT_JA, "ja")
    versions = sorted({manifest.jgpt_version for manifest in run.manifests.values()})
    if versions:
        page.note(f"Made with jgpt {', '.join(versions)}. This page loads nothing from anywhere.")


@dataclass
class Scan:
    """Lengths in characters of the documents read, and characters by source and split."""

    lengths: list[int] = field(default_factory=list)
    by_source: Counter[str] = field(default_factory=Counter)
    by_split: Counter[str] = field(default_factory=Counter)
    whole: bool = True

    @property
    def median(self) -> float:
        return statistics.median(self.lengths) if self.lengths else math.nan


def _by_name(record: Any) -> Counter[str]:
    """Counts by name of a manifest: numbers, or records that have ``characters``; zeros are left out."""
    found = Counter[str]()
    for name, entry in record.items() if isinstance(record, Mapping) else ():
        count = entry.get("characters") if isinstance(entry, Mapping) else entry
        if _is_number(count) and count > 0:
            found[str(name)] = int(count)
    return found


def _scan_documents(folder: Path) -> Scan:
    scan = Scan()
    for row in _rows(sorted(folder.glob("documents-*.parquet")), ["chars", "source", "split"]):
        if len(scan.lengths) >= _MOST_DOCUMENTS:
            scan.whole = False
            break
        scan.lengths.append(row["chars"])
        scan.by_source[row["source"]] += row["chars"]
        scan.by_split[row["split"]] += row["chars"]
    return scan


def _scan_rejected(folder: Path) -> Counter[str]:
    rows = _rows(sorted((folder / "rejected").glob("rejected-*.parquet")), ["reason"])
    return Counter(row["reason"] for row in islice(rows, _MOST_DOCUMENTS))


def _rows(files: Sequence[Path], columns: list[str]) -> Iterator[dict[str, Any]]:
    """Rows of Parquet files; one that cannot be read, or lacks a column, ends them: a report shows what there is."""
    import pyarrow
    import pyarrow.parquet

    for file in files:
        try:
            with pyarrow.parquet.ParquetFile(file) as table:
                for batch in table.iter_batches(65536, columns=columns):
                    yield from (row for row in batch.to_pylist() if row.keys() == set(columns))
        except (pyarrow.ArrowException, OSError):
            return


def _bins(lengths: Sequence[int], most: int = 32) -> tuple[list[float], list[int]]:
    """Counts in a geometric row of bins from the shortest to the longest."""
    low, high = max(1, min(lengths)), max(2, max(lengths) + 1)
    count = max(1, min(most, round(2 * math.sqrt(len(lengths))), high - low))
    edges = [low * (high / low) ** (index / count) for index in range(count + 1)]
    heights = [0] * count
    for length in lengths:
        at = int(math.log(max(length, low) / low) / math.log(high / low) * count) if high > low else 0
        heights[min(at, count - 1)] += 1
    return edges, heights


def _load_pieces(file: Path) -> Any:
    """The SentencePiece processor of a file, or None."""
    import sentencepiece

    try:
        return sentencepiece.SentencePieceProcessor(model_proto=file.read_bytes())
    except (OSError, RuntimeError):
        return None


def _piece_statistics(processor: Any) -> tuple[Counter[str], Counter[int]]:
    """Pieces by kind of writing, and by length (6 stands for longer ones too)."""
    kinds, lengths = Counter[str](), Counter[int]()
    for index in range(processor.vocab_size()):
        if processor.is_byte(index) or processor.is_control(index) or processor.is_unknown(index):
            kinds["bytes and control"] += 1
            continue
        text = processor.id_to_piece(index)
        kinds[_writing(text)] += 1
        lengths[min(len(text), 6)] += 1
    return kinds, lengths


def _writing(text: str) -> str:
    found = [name for name, pattern in _SCRIPTS.items() if re.search(pattern, text)]
    return found[0] if len(found) == 1 else "mixed scripts" if found else "signs, digits, Latin"


def _piece_text(processor: Any, index: int) -> str:
    piece: str = processor.id_to_piece(index)
    return piece if processor.is_byte(index) else piece.replace("\u2581", " ")


def _sentence(run: Run) -> tuple[str, str]:
    """A held-out sentence and where it is from, if its licence lets it be quoted freely; else one of our own choice."""
    files = sorted((run.folder / "corpus").glob("documents-*.parquet"))
    for row in islice(_rows(files, ["text", "split", "source", "license"]), 20_000):
        free = re.search(r"public.?domain|\bPD\b|CC0|パブリック", row["license"] or "", re.IGNORECASE)
        if row["split"] == "valid" and free:
            text = row["text"][:400].strip()
            end = max(text[:110].rfind(mark) for mark in "。\n ") + 1
            return text[: end if end > 30 else 90].strip(), f"Held-out text, {row['source']} ({row['license']})."
    return _SENTENCE, "Natsume Sōseki, 1905 (public domain)."


def _task_bar(name: str, task: Mapping[str, Any], metric: str) -> Bar | None:
    own = _entry(task.get("metrics", {}).get(metric), "")
    if own is None:
        return None
    marks = tuple(Mark(label, mark.value, mark.low, mark.high) for label, mark in _baselines(task, metric))
    return Bar(name, own.value, own.low, own.high, marks)


def _reading(task: Mapping[str, Any]) -> str:
    """In words: where the model's interval lies against that of the best baseline."""
    metric = task.get("primary", "accuracy")
    own = _entry(task.get("metrics", {}).get(metric), "")
    baselines = _baselines(task, metric)
    if own is None or not baselines:
        return "—"
    best, mark = max(baselines, key=lambda entry: entry[1].value)
    own_low, own_high = _ends(own)
    low, high = _ends(mark)
    if own_low > high:
        return f"above every baseline (best: {best})"
    if own_high < low:
        return f"below the baseline {best}"
    return f"{'above' if own.value > mark.value else 'not above'} the baseline {best}; the intervals overlap"


def _ends(mark: Mark) -> tuple[float, float]:
    return (mark.value, mark.value) if mark.low is None or mark.high is None else (mark.low, mark.high)


def _all_figures(task: Mapping[str, Any]) -> dict[str, object]:
    rows: dict[str, object] = {}
    for metric, figures in task.get("metrics", {}).items():
        rows[metric] = _written(figures)
    for name, metrics in task.get("baselines", {}).items():
        for metric, figures in metrics.items():
            rows[f"{name}, {metric}"] = _written(figures)
    return rows


def _written(figures: Any) -> str:
    entry = _entry(figures, "")
    if entry is None:
        return "—"
    interval = f"  [{entry.low:.4f} – {entry.high:.4f}]" if entry.low is not None and entry.high is not None else ""
    return f"{entry.value:.4f}{interval}"


def _baselines(holder: Mapping[str, Any], metric: str) -> list[tuple[str, Mark]]:
    """The baselines that have a value for a metric, in their order."""
    entries = (
        (str(name), _entry(metrics.get(metric), str(name))) for name, metrics in holder.get("baselines", {}).items()
    )
    return [(name, entry) for name, entry in entries if entry]


def _entry(figures: Any, label: str) -> Mark | None:
    """``{"value", "low", "high"}`` as a mark; None without a finite value."""
    if not isinstance(figures, Mapping) or not _is_number(figures.get("value")):
        return None
    low, high = figures.get("low"), figures.get("high")
    whole = _is_number(low) and _is_number(high)
    return Mark(label, figures["value"], low if whole else None, high if whole else None)


def _facts(run: Run, name: str, **labels: str) -> tuple[str, ...]:
    """The counts of a stage that are there, each with its label; a label is used once."""
    counts, found = run.counts(name), {}
    for key, label in labels.items():
        if _is_number(counts.get(key)) and label not in found:
            found[label] = f"{compact(counts[key])} {label}"
    return tuple(found.values())


def _training_tokens(run: Run) -> float | None:
    last = max((line["tokens"] for line in run.metrics if _is_number(line.get("tokens"))), default=None)
    return last or _find(run.counts("model"), "tokens", "train_tokens")


def _steep_start(
    steps: Sequence[float], losses: Sequence[float], valid: Sequence[float], references: Sequence[Mark]
) -> float | None:
    """An upper end of the loss axis that leaves out the fall of the first steps, which would flatten the rest."""
    if len(losses) < 20:
        return None
    later = [loss for step, loss in zip(steps, losses, strict=True) if step >= steps[-1] * 0.03 and math.isfinite(loss)]
    return max([*later, *valid[1:], *(mark.value for mark in references)], default=0.0) * 1.03 or None


def _is_old(licenses: Sequence[Mapping[str, str]], paths: Sequence[str]) -> bool:
    """Whether sources are named that are known to be old, or a licence or attribution speaks of a year before 1946."""
    text = " ".join(str(value) for entry in licenses for value in entry.values())
    years = [int(year) for year in re.findall(r"(?<!\d)1[5-9]\d\d(?!\d)", text)]
    known = re.search(r"aozora|青空文庫|kougo", " ".join([text, *paths]), re.IGNORECASE)
    return known is not None or any(year < 1946 for year in years)


def _find(holder: Mapping[str, Any], *names: str) -> float | None:
    """The first of some dotted names that leads to a number."""
    for name in names:
        value: Any = holder
        for key in name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if _is_number(value):
            return float(value)
    return None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _read_metrics(file: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl by step; a line that was cut off is left out, of repeated ones the last counts."""
    lines: dict[tuple[float, bool], dict[str, Any]] = {}
    try:
        text = file.read_text("utf-8", errors="replace")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and _is_number(entry.get("step")):
            lines[entry["step"], "valid_loss" in entry] = entry
    return [lines[key] for key in sorted(lines)]


def _read_json(file: Path, kind: type) -> Any:
    """The content of a JSON file if it is of that kind, else an empty one."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return kind()
    return content if isinstance(content, kind) else kind()
