"""``report.html`` of a run folder: one page with what every stage made, measured and took."""

import re
import statistics
from collections import Counter
from collections.abc import Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from scripts.report_evaluation import baselines, evaluation, mark
from scripts.run_folder import MOST_DOCUMENTS, STAGES, Run, is_number, read_run_folder
from stage.numbers import compact, duration, percent
from stage.page import Page, Piece, Step, Tile
from stage.plots import Bar, Mark, Series, bar_plot, histogram, line_plot, share_bar, smooth

_MOST_INPUTS = 40  # of a stage that are named
_MOST_PIECES = 60  # of the sentence that is shown cut up
_FACTS = {
    "corpus": {"documents": "documents", "characters": "characters"},
    "tokenizer": {"vocab_size": "pieces", "characters_per_token": "characters per token"},
    "shards": {"train_tokens": "tokens to train on", "valid_tokens": "tokens held out"},
    "model": {"steps": "steps", "parameters": "parameters"},
    "eval": {},
}
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


def write_report(run: Path, out: Path | None = None) -> Path:
    """Write ``report.html`` of a run folder (into ``out`` if given) and return its path; missing stages are left out with a note.

    Raises ArtifactError when the folder holds no stage at all.
    """
    return make_page(read_run_folder(run)).write(out or Path(run) / "report.html")


def make_page(run: Run) -> Page:
    """The page of a run."""
    subtitle = "A Japanese GPT from raw text to numbers · jgpt"
    page = Page(run.folder.resolve().name, subtitle=subtitle, seal="和文")
    _headline(page, run)
    _pipeline(page, run)
    shown = {"corpus": _corpus, "tokenizer": _tokenizer, "model": _training, "eval": evaluation}
    for name, show in shown.items():
        if name in run.manifests or (name == "model" and run.metrics):
            show(page, run)
    if run.samples:
        _samples(page, run)
    _parameters(page, run)
    _about(page, run)
    return page


def _headline(page: Page, run: Run) -> None:
    tiles = []
    language = run.results.get("language") or {}
    watched = [line for line in run.metrics if is_number(line.get("valid_bits_per_character"))]
    if bits := mark(language.get("bits_per_character")):
        low, high = bits.ends
        notes = [f"95 % interval {low:.3f} – {high:.3f}"] if low < high else []
        if others := baselines(language, "bits_per_character"):
            notes.append(f"against {', '.join(f'{other.label} {other.value:.2f}' for other in others)}")
        value, note = bits.value, " · ".join([*notes, "lower is better"])
    elif watched:
        value, note = watched[-1]["valid_bits_per_character"], "measured during training"
    if bits or watched:
        tiles.append(Tile("Held-out text", f"{value:.3f}", "bits per character", note, "未学習の文章", strong=True))
    if parameters := run.number("model", "parameters"):
        context = run.model_config.get("context_length")
        note = f"context of {context} tokens" if context else ""
        tiles.append(Tile("Model", compact(parameters), "parameters", note, "モデル"))
    tokens = max((line["tokens"] for line in run.metrics if is_number(line.get("tokens"))), default=0)
    if tokens := tokens or run.number("model", "tokens"):
        epochs = run.number("model", "epochs")
        note = f"{epochs:.1f} times through the text" if epochs else ""
        tiles.append(Tile("Training", compact(tokens), "tokens", note, "学習量"))
    if seconds := sum(manifest.seconds for manifest in run.manifests.values()):
        left_out = len(run.missing)
        note = f"without {left_out} of {len(STAGES)} stages" if left_out else "all stages together"
        tiles.append(Tile("Time", duration(seconds), "", note, "所要時間"))
    page.tiles(tiles)


def _pipeline(page: Page, run: Run) -> None:
    page.section("Pipeline", "処理の流れ")
    steps, timed = [], []
    for name, _, english, japanese in STAGES:
        if name in run.missing:
            state = "not finished" if run.missing[name] else "not run"
            steps.append(Step(english, japanese, "—", (state,), missing=True))
            continue
        numbers = {label: run.number(name, key) for key, label in _FACTS[name].items()}
        facts = [f"{compact(number)} {label}" for label, number in numbers.items() if number is not None]
        facts += run.results.get("tasks") or () if name == "eval" else ()
        steps.append(Step(english, japanese, duration(run.manifests[name].seconds), tuple(facts)))
        timed.append((english, run.manifests[name].seconds))
    page.steps(steps)
    if len(timed) > 1:
        page.figure(partial(share_bar, timed, show=duration), "Where the time went", japanese="時間の内訳", wide=True)
    for name, _, english, _ in STAGES:
        if name in run.missing:
            page.note(f"{english}: left out; {run.missing[name] or 'this stage has not been run'}.")


def _corpus(page: Page, run: Run) -> None:
    page.section("Corpus", "コーパス")
    counts = run.counts("corpus")
    lengths = [row["chars"] for row in islice(run.documents("chars"), MOST_DOCUMENTS)]
    documents = run.number("corpus", "documents") or len(lengths)
    rejected = _by_name(counts.get("rejected"))
    if "rejected" not in counts:
        rejected = Counter(row["reason"] for row in islice(run.rejected("reason"), MOST_DOCUMENTS))
    median = f"median document {compact(statistics.median(lengths))}" if lengths else ""
    characters = run.number("corpus", "characters") or sum(lengths)
    page.tiles(
        [
            Tile("Documents", f"{documents:,.0f}", japanese="文書数"),
            Tile("Characters", compact(characters), note=median, japanese="文字数"),
            Tile("Rejected", f"{rejected.total():,}", "documents", japanese="除外"),
        ]
    )
    if lengths:
        caption = f"The first {len(lengths):,} documents." if len(lengths) < documents else ""
        draw = partial(histogram, *_bins(lengths), x_label="characters")
        page.figure(draw, "Length of the documents", japanese="文書の長さ", caption=caption)
    if len(sources := _by_name(counts.get("sources"))) > 1:
        bars = [Bar(name, count) for name, count in sources.most_common(12)]
        page.figure(partial(bar_plot, bars), "Characters by source", japanese="出典別の文字数")
    if splits := _by_name(counts.get("splits")):
        draw = partial(share_bar, splits.most_common())
        caption = "; ".join(filter(None, ("In characters", counts.get("split_rule"))))
        page.figure(draw, "Learned from and held out", japanese="学習用と検証用", caption=caption)
    if rejected:
        bars = [Bar(reason.replace("_", " "), count, colour=1) for reason, count in rejected.most_common(10)]
        page.figure(partial(bar_plot, bars), "Rejected, by reason", japanese="除外の理由")
    if run.licenses:
        columns = list(dict.fromkeys(key for entry in run.licenses for key in entry))
        rows = [[entry.get(name) or "—" for name in columns] for entry in run.licenses]
        page.table([name.capitalize() for name in columns], rows)


def _tokenizer(page: Page, run: Run) -> None:
    page.section("Tokenizer", "トークナイザ")
    shown = (
        ("vocab_size", "{:,}".format, "Vocabulary", "pieces", "語彙"),
        ("characters_per_token", "{:.2f}".format, "Density", "characters per token", "圧縮"),
        ("byte_fallback_share", percent, "Byte fallback", "of tokens", "バイト代替"),
        ("round_trip_exact", percent, "Round trip", "of lines exact", "可逆性"),
    )
    page.tiles(
        [
            Tile(label, write(number), unit, japanese=japanese)
            for key, write, label, unit, japanese in shown
            if (number := run.number("tokenizer", key)) is not None
        ]
    )
    processor = run.pieces()
    if processor is None:
        page.note("The pieces themselves are not shown: tokenizer.model is missing or cannot be read.")
        return
    kinds, lengths = _piece_statistics(processor)
    page.figure(partial(share_bar, kinds.most_common()), "What the vocabulary holds", japanese="語彙の内訳")
    names = ("1 character", "2 characters", "3 characters", "4 characters", "5 characters", "6+ characters")
    bars = [Bar(name, lengths[size]) for size, name in enumerate(names, 1) if lengths[size]]
    caption = "Without control pieces and bytes."
    page.figure(partial(bar_plot, bars, axis=False), "Length of the pieces", japanese="語片の長さ", caption=caption)
    sentence, origin = run.free_sentence()
    cut = []
    for index in processor.encode(sentence)[:_MOST_PIECES]:
        raw = processor.is_byte(index)
        text = processor.id_to_piece(index)
        cut.append(Piece(text if raw else text.replace("\u2581", " "), f"id {index}", raw))
    page.pieces(cut, "A sentence as the model sees it", japanese="分割の例", caption=f"{len(cut)} pieces. {origin}")


def _training(page: Page, run: Run) -> None:
    page.section("Training", "学習")
    if "model" in run.missing:
        page.note("Training has not finished; the curves show what there is so far.")
    train = [line for line in run.metrics if is_number(line.get("loss"))]
    valid = [line for line in run.metrics if is_number(line.get("valid_loss"))]
    if not train and not valid:
        page.note("No metrics were recorded.")
        return
    # the same text in both units gives the factor; the train split holds about as many characters a token
    both = [line for line in valid if is_number(line.get("valid_bits_per_character")) and line["valid_loss"] > 0]
    factor = both[-1]["valid_bits_per_character"] / both[-1]["valid_loss"] if both else 1.0
    steps, losses = [line["step"] for line in train], [line["loss"] * factor for line in train]
    smoothed = smooth(losses, min(15, len(losses) // 20))
    held_out = [line["valid_loss"] * factor for line in valid]
    curves = [
        Series("train, every step", steps, losses, faint=True),
        Series("train", steps, smoothed),
        Series("held out", [line["step"] for line in valid], held_out, colour=1, dots=len(valid) <= 40),
    ]
    caption = (
        "The thin line is every step, the strong one its moving average; the first steps may lie above the picture."
    )
    references = []
    if both:
        caption += (
            " Both losses are turned into bits by the held-out text's characters per token. This curve is taken on a part of it,"
            " in windows that do not overlap: jgpt eval gives the exact figure."
        )
        language = run.results.get("language") or {}
        known = [other for other in baselines(language, "bits_per_character") if other.label in ("5-gram", "xz")]
        references = [Mark(f"{other.label}: {other.value:.2f}", other.value) for other in known]
    top = None
    if len(train) >= 20:  # leave out the fall of the first steps, which would flatten the rest
        later = [loss for step, loss in zip(steps, smoothed, strict=True) if step >= steps[-1] * 0.03]
        top = max([*later, *held_out[1:], *(reference.value for reference in references)]) * 1.03
    unit = "bits per character" if both else "nats per token"
    draw = partial(line_plot, curves, x_label="step", y_label=unit, references=references, y_high=top)
    page.figure(draw, "Loss", japanese="損失", caption=caption, wide=True)
    for key, heading, japanese, label in (
        ("learning_rate", "Learning rate", "学習率", ""),
        ("tokens_per_second", "Speed", "速度", "tokens per second"),
    ):
        lines = [line for line in train if is_number(line.get(key))]
        if len(lines) > 1:
            curve = Series("", [line["step"] for line in lines], [line[key] for line in lines])
            draw = partial(line_plot, [curve], x_label="step", y_label=label, y_low=0.0, height=190)
            page.figure(draw, heading, japanese=japanese)


def _samples(page: Page, run: Run) -> None:
    page.section("Samples", "生成例")
    page.paragraph("What the model writes. The prompt is red; everything after it is the model's own.")
    for sample in run.samples:
        names = {"temperature": "temperature", "top_p": "top-p", "top_k": "top-k", "seed": "seed"}
        shown = {label: sample.get(key) for key, label in names.items()}
        if not shown["top-k"]:  # 0: not limited
            del shown["top-k"]
        caption = " · ".join(f"{label} {value}" for label, value in shown.items() if value is not None)
        page.sample(str(sample.get("prompt", "")), str(sample.get("text", "")), caption)


def _parameters(page: Page, run: Run) -> None:
    page.section("Parameters", "設定")
    for name, _, english, japanese in STAGES:
        if name in run.manifests:
            manifest = run.manifests[name]
            rows: dict[str, object] = dict(manifest.parameters)
            rows["counts"] = manifest.counts
            rows["inputs"] = {
                f"{entry.role} {entry.path}": entry.sha256[:12] for entry in manifest.inputs[:_MOST_INPUTS]
            }
            if len(manifest.inputs) > _MOST_INPUTS:
                rows["further inputs"] = len(manifest.inputs) - _MOST_INPUTS
            rows |= {key: getattr(manifest, key) for key in ("data_sha256", "seconds", "jgpt_version")}
            page.details(english, rows, japanese)
    if run.model_config:
        page.details("Model configuration", run.model_config, "モデルの構成")


def _about(page: Page, run: Run) -> None:
    page.section("About these numbers", "読み方")
    page.paragraph(_DEFINITION)
    if run.licenses:
        keys = ("source", "license", "attribution")
        parts = [" · ".join(str(entry[key]) for key in keys if entry.get(key)) for entry in run.licenses]
        page.paragraph(f"Licences of the text: {'; '.join(dict.fromkeys(parts))}.")
    if _is_old(run):
        page.warning(_OLD_TEXT_EN)
        page.warning(_OLD_TEXT_JA, "ja")
    if versions := sorted({manifest.jgpt_version for manifest in run.manifests.values()}):
        page.note(f"Made with jgpt {', '.join(versions)}. This page loads nothing from anywhere.")


def _by_name(record: Any) -> Counter[str]:
    """Counts by name of a manifest: numbers, or records that have ``characters``; zeros are left out."""
    entries = record.items() if isinstance(record, Mapping) else ()
    numbers = {name: entry.get("characters") if isinstance(entry, Mapping) else entry for name, entry in entries}
    return Counter({name: number for name, number in numbers.items() if is_number(number) and number > 0})


def _bins(lengths: list[int]) -> tuple[list[float], list[int]]:
    """Edges of a geometric row of bins from the shortest to the longest, and the counts in them."""
    import numpy

    low, high = max(1, min(lengths)), max(1, *lengths) + 1
    count = max(1, min(32, round(2 * len(lengths) ** 0.5), high - low))
    counts, edges = numpy.histogram(numpy.maximum(lengths, 1), numpy.geomspace(low, high, count + 1))
    return edges.tolist(), counts.tolist()


def _piece_statistics(processor: Any) -> tuple[Counter[str], Counter[int]]:
    """Pieces by kind of writing, and by length (6 stands for longer ones too)."""
    kinds, lengths = Counter[str](), Counter[int]()
    for index in range(processor.vocab_size()):
        if processor.is_byte(index) or processor.is_control(index) or processor.is_unknown(index):
            kinds["bytes and control"] += 1
            continue
        text = processor.id_to_piece(index)
        found = [name for name, pattern in _SCRIPTS.items() if re.search(pattern, text)]
        kinds[found[0] if len(found) == 1 else "mixed scripts" if found else "signs, digits, Latin"] += 1
        lengths[min(len(text), 6)] += 1
    return kinds, lengths


def _is_old(run: Run) -> bool:
    """Whether sources are named that are known to be old, or a licence or attribution speaks of a year before 1946."""
    text = " ".join(str(value) for entry in run.licenses for value in entry.values())
    paths = [entry.path for manifest in run.manifests.values() for entry in manifest.inputs]
    known = re.search(r"aozora|青空文庫|kougo", " ".join([text, *paths]), re.IGNORECASE)
    return known is not None or any(int(year) < 1946 for year in re.findall(r"(?<!\d)1[5-9]\d\d(?!\d)", text))
