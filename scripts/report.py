"""``report.html`` of a run folder: one page with what every stage made, measured and took."""

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from scripts.report_corpus import corpus
from scripts.report_evaluation import compared, evaluation
from scripts.report_training import growth, training
from scripts.run_folder import STAGES, Run, read_run_folder
from stage.numbers import compact, duration, percent
from stage.page import Figure, Page, Piece
from stage.plots import Bar, bar_plot, share_bar

_MOST_INPUTS = 40  # of a stage that are named
_MOST_PIECES = 60  # of the sentence that is shown cut up
_FACTS = {
    "corpus": {"documents": "documents", "characters": "characters"},
    "tokenizer": {"vocab_size": "pieces", "characters_per_token": "characters per token"},
    "shards": {"train_tokens": "tokens to train on", "valid_tokens": "tokens held out"},
    "model": {"steps": "steps", "parameters": "parameters"},
    "eval": {},
}
_TOKENIZER_TILES = (
    ("vocab_size", "{:,}".format, "Vocabulary", "pieces", "語彙"),
    ("characters_per_token", "{:.2f}".format, "Density", "characters per token", "圧縮"),
    ("byte_fallback_share", percent, "Byte fallback", "of tokens", "バイト代替"),
    ("round_trip_exact", percent, "Round trip", "of lines exact", "可逆性"),
)
_LENGTHS = ("1 character", "2 characters", "3 characters", "4 characters", "5 characters", "6+ characters")
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


def write_report(folder: Path) -> Path:
    """Write ``report.html`` of a run folder and return its path; missing stages are left out with a note.

    Raises ArtifactError when the folder holds no stage at all.
    """
    run = read_run_folder(folder)
    metrics = run.lines("metrics.jsonl")
    results = run.read_json("eval/results.json") if "eval" in run.manifests else None
    page = Page(folder.resolve().name, "A Japanese GPT from raw text to numbers · jgpt", seal="和文")
    _headline(page, run, metrics, results)
    _pipeline(page, run, results)
    if "corpus" in run.manifests:
        corpus(page, run.folder / "corpus", run.manifests["corpus"])
    if "tokenizer" in run.manifests:
        _tokenizer(page, run)
    if metrics:
        training(page, run, metrics, results)
    if results:
        evaluation(page, results)
    samples, texts = run.read_json("samples.json"), run.lines("samples.jsonl")
    if samples or texts:
        _samples(page, samples or [], texts)
    _parameters(page, run)
    _about(page, run)
    return page.write(folder / "report.html")


def _headline(page: Page, run: Run, metrics: list[dict[str, Any]], results: dict[str, Any] | None) -> None:
    tiles = []
    watched = [bits for line in metrics if (bits := line.get("valid_bits_per_character")) is not None]
    if results and "language" in results:
        bits, others = compared(results["language"], "bits_per_character")
        low, high = bits.ends
        notes = [f"95 % interval {low:.3f} – {high:.3f}"] if low < high else []
        notes.append(f"against {', '.join(f'{other.label} {other.value:.2f}' for other in others)}")
        value, note = bits.value, " · ".join([*notes, "lower is better"])
    elif watched:
        value, note = watched[-1], "measured during training"
    if (results and "language" in results) or watched:
        tiles.append(Figure("Held-out text", "未学習の文章", f"{value:.3f}", "bits per character", (note,), "strong"))
    if model := run.counts("model"):
        context = f"context of {run.read_json('model/config.json')['context_length']} tokens"
        tiles.append(Figure("Model", "モデル", compact(model["parameters"]), "parameters", (context,)))
    if metrics:
        times = (f"{model['epochs']:.1f} times through the text",) if model else ()
        tiles.append(Figure("Training", "学習量", compact(metrics[-1]["tokens"]), "tokens", times))
    left_out = f"without {len(run.missing)} of {len(STAGES)} stages" if run.missing else "all stages together"
    seconds = sum(manifest.seconds for manifest in run.manifests.values())
    page.tiles([*tiles, Figure("Time", "所要時間", duration(seconds), remarks=(left_out,))])


def _pipeline(page: Page, run: Run, results: dict[str, Any] | None) -> None:
    page.section("Pipeline", "処理の流れ")
    steps, timed = [], []
    for name, _, english, japanese in STAGES:
        if name in run.missing:
            state = "not finished" if run.missing[name] else "not run"
            steps.append(Figure(english, japanese, "—", remarks=(state,), kind="missing"))
            continue
        counts, seconds = run.counts(name), run.manifests[name].seconds
        facts = [f"{compact(counts[key])} {label}" for key, label in _FACTS[name].items()]
        facts += results["tasks"] if results and name == "eval" else ()
        steps.append(Figure(english, japanese, duration(seconds), remarks=facts))
        timed.append((english, seconds))
    page.steps(steps)
    if len(timed) > 1:
        page.figure(partial(share_bar, timed, show=duration), "Where the time went", "時間の内訳", wide=True)
    for name, _, english, _ in STAGES:
        if name in run.missing:
            page.note(f"{english}: left out; {run.missing[name] or 'this stage has not been run'}.")


def _tokenizer(page: Page, run: Run) -> None:
    from tokenizer import JapaneseTokenizer

    page.section("Tokenizer", "トークナイザ")
    counts = run.counts("tokenizer")
    shown = [(show(counts[key]), *names) for key, show, *names in _TOKENIZER_TILES]
    page.tiles(Figure(label, japanese, value, unit) for value, label, unit, japanese in shown)
    tokenizer = JapaneseTokenizer(run.folder / "tokenizer")
    kinds, lengths = _piece_statistics(tokenizer)
    page.figure(partial(share_bar, kinds.most_common()), "What the vocabulary holds", "語彙の内訳")
    bars = [Bar(name, lengths[size]) for size, name in enumerate(_LENGTHS, 1) if lengths[size]]
    draw = partial(bar_plot, bars, axis=False)
    page.figure(draw, "Length of the pieces", "語片の長さ", "Without control pieces and bytes.")
    sentence, origin = run.free_sentence()
    cut = [
        Piece(tokenizer.piece(index).replace("▁", " "), f"id {index}", tokenizer.is_byte(index))
        for index in tokenizer.encode(sentence)[:_MOST_PIECES]
    ]
    page.pieces(cut, "A sentence as the model sees it", "分割の例", f"{len(cut)} pieces. {origin}")


def _samples(page: Page, samples: list[dict[str, Any]], texts: list[dict[str, Any]]) -> None:
    page.section("Samples", "生成例")
    page.paragraph("What the model writes. The prompt is red; everything after it is the model's own.")
    for sample in samples:
        keys = ("temperature", "top_p", *(["top_k"] if sample["top_k"] else []), "seed")
        caption = " · ".join(f"{key.replace('_', '-')} {sample[key]}" for key in keys)
        page.sample(sample["prompt"], sample["text"], caption)
    growth(page, texts)


def _parameters(page: Page, run: Run) -> None:
    page.section("Parameters", "設定")
    for name, _, english, japanese in STAGES:
        if manifest := run.manifests.get(name):
            inputs = {f"{entry.role} {entry.path}": entry.sha256[:12] for entry in manifest.inputs[:_MOST_INPUTS]}
            rows = {**manifest.parameters, "counts": manifest.counts, "inputs": inputs}
            if (further := len(manifest.inputs) - _MOST_INPUTS) > 0:
                rows["further inputs"] = further
            rows |= {key: getattr(manifest, key) for key in ("data_sha256", "seconds", "jgpt_version")}
            page.details(english, rows, japanese)
    if config := run.read_json("model/config.json"):
        page.details("Model configuration", config, "モデルの構成")


def _about(page: Page, run: Run) -> None:
    page.section("About these numbers", "読み方")
    page.paragraph(_DEFINITION)
    if parts := [" · ".join(filter(None, entry.values())) for entry in run.licenses]:
        page.paragraph(f"Licences of the text: {'; '.join(dict.fromkeys(parts))}.")
    if _is_old(run):
        page.warning(_OLD_TEXT_EN, "en")
        page.warning(_OLD_TEXT_JA, "ja")
    versions = sorted({manifest.jgpt_version for manifest in run.manifests.values()})
    page.note(f"Made with jgpt {', '.join(versions)}. This page loads nothing from anywhere.")


def _piece_statistics(tokenizer: Any) -> tuple[Counter[str], Counter[int]]:
    """Pieces by kind of writing, and by length (6 stands for longer ones too)."""
    kinds, lengths = Counter[str](), Counter[int]()
    for index in range(tokenizer.vocab_size):
        if tokenizer.is_byte(index) or tokenizer.is_control(index):
            kinds["bytes and control"] += 1
            continue
        text = tokenizer.piece(index)
        found = [name for name, pattern in _SCRIPTS.items() if re.search(pattern, text)]
        kinds[found[0] if len(found) == 1 else "mixed scripts" if found else "signs, digits, Latin"] += 1
        lengths[min(len(text), 6)] += 1
    return kinds, lengths


def _is_old(run: Run) -> bool:
    """Whether sources are named that are known to be old, or a licence or attribution speaks of a year before 1946."""
    text = " ".join(value for entry in run.licenses for value in entry.values())
    paths = [entry.path for manifest in run.manifests.values() for entry in manifest.inputs]
    known = re.search(r"aozora|青空文庫|kougo", " ".join([text, *paths]), re.IGNORECASE)
    return known is not None or any(int(year) < 1946 for year in re.findall(r"(?<!\d)1[5-9]\d\d(?!\d)", text))
