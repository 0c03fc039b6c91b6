"""What a build does with rules, lists, masks, weights and near-duplicates, and other rules afterwards."""

import json
import random
from pathlib import Path
from typing import Any

import pandas
import pytest

from corpora import build_corpus
from corpora.config import CorpusConfig, SourceConfig
from corpora.decontamination import decontaminate
from corpora.filtering import filter_corpus
from corpora.preview import preview
from scripts.main import run
from stage.errors import ArtifactError, InputError, UsageError
from stage.manifest import Manifest, check_outputs, read_manifest

WORDS = [
    "猫は",
    "窓辺で",
    "𠮷野家の",
    "本を",
    "読み、",
    "雨の",
    "音を",
    "聞いて、",
    "古い",
    "手紙に",
    "返事を",
    "書いた。",
    "川沿いの",
    "道には",
    "桜が",
    "咲き、",
    "人々が",
    "笑って",
    "いた。",
    "ｶﾞﾗｽの",
    "向こうで",
    "鐘が",
    "鳴り、",
    "夜が",
    "明ける。",
]


def story(seed: int, words: int = 150) -> str:
    """Text of its own, of about four characters a word."""
    return "".join(random.Random(seed).choices(WORDS, k=words))


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    return path


def build(out: Path, *sources: SourceConfig, **fields: Any) -> Manifest:
    return build_corpus(CorpusConfig(list(sources), **fields), out, workers=1, quiet=True)


def frame(out: Path, which: str = "documents-*.parquet") -> pandas.DataFrame:
    return pandas.concat([pandas.read_parquet(path) for path in sorted(out.glob(which))], ignore_index=True)


def rejected(out: Path) -> dict[str, tuple[str, float, str]]:
    table = frame(out, "rejected/*.parquet")
    numbers = table.id.str.rsplit("/", n=1).str[-1]
    return dict(zip(numbers, zip(table.reason, table.measure.round(3), table.duplicate_of, strict=True), strict=True))


def test_a_near_duplicate_goes_and_the_longer_one_stays(tmp_path: Path) -> None:
    texts = [story(seed) for seed in range(100)]
    texts[7] = texts[60] + "末尾に一文を足した。"
    source = SourceConfig(str(write(tmp_path / "a.jsonl", [{"text": text} for text in [*texts, texts[3]]])))
    manifest = build(tmp_path / "near", source)
    left_out = rejected(tmp_path / "near")
    assert left_out["100"] == ("duplicate", 1.0, "a/a.jsonl/3")
    reason, jaccard, twin = left_out["60"]
    assert (reason, twin) == ("near_duplicate", "a/a.jsonl/7") and 0.9 < jaccard < 1
    assert len(left_out) == 2 and manifest.counts["near_duplicates"]["threshold"] == 0.8
    assert build(tmp_path / "off", source, near_duplicates=0.0).counts["documents"] == 100
    assert build(tmp_path / "all", source, deduplicate=False).counts["documents"] == 101
    assert build(tmp_path / "long", source, near_min_chars=10_000).counts["documents"] == 100


def test_each_source_has_its_rules_and_all_measures_are_stored(tmp_path: Path) -> None:
    japanese = write(tmp_path / "ja.jsonl", [{"text": story(seed, 20 + seed)} for seed in range(60)])
    english = write(
        tmp_path / "en.jsonl", [{"text": f"An English text, number {n}, long enough. " * 3} for n in range(9)]
    )
    manifest = build(
        tmp_path / "out",
        SourceConfig(str(japanese), rules="minimal,chars>=200,compression<=0.9"),
        SourceConfig(str(english), rules="english", normalization="code"),
        valid_share=0.0,
        valid_min_documents=0,
    )
    assert manifest.parameters["rules"]["minimal,chars>=200,compression<=0.9"] == [
        "chars>=200",
        "japanese_ratio>=0.2",
        "compression<=0.9",
    ]
    table = frame(tmp_path / "out")
    assert (table.source == "en").sum() == 9 and table[table.source == "ja"].chars.min() >= 200
    assert (
        table[table.source == "ja"].compression.notna().all() and table[table.source == "en"].compression.isna().all()
    )
    assert set(frame(tmp_path / "out", "rejected/*.parquet").reason) == {"chars>=200"}
    assert manifest.counts["rejected_characters"]["chars>=200"] > 0


def test_other_rules_give_what_a_build_with_them_gives(tmp_path: Path) -> None:
    records = [{"text": story(seed, 20 + seed)} for seed in range(150)] + [{"text": story(140, 160)}, {"text": "短い"}]
    source = str(write(tmp_path / "a.jsonl", records))
    build(tmp_path / "all", SourceConfig(source), measures="top_2")
    strict = "chars>=300,top_2<=0.2"
    filtered = filter_corpus(tmp_path / "all", tmp_path / "filtered", strict, workers=1, quiet=True)
    build(tmp_path / "built", SourceConfig(source, rules=strict), measures="top_2")
    check_outputs(tmp_path / "filtered", read_manifest(tmp_path / "filtered"))
    columns = ["id", "text", "split", "chars", "top_2"]
    pandas.testing.assert_frame_equal(frame(tmp_path / "filtered")[columns], frame(tmp_path / "built")[columns])
    assert rejected(tmp_path / "filtered") == rejected(tmp_path / "built")
    assert filtered.parameters["sources"][0]["rules"] == strict
    # and back, with what rules had left out
    back = filter_corpus(tmp_path / "filtered", tmp_path / "back", "minimal", workers=1, quiet=True)
    assert back.counts["documents"] == read_manifest(tmp_path / "all").counts["documents"]
    with pytest.raises(
        ArtifactError, match="have the measure compression: build the corpus again with --measures compression"
    ):
        filter_corpus(tmp_path / "all", tmp_path / "none", "llm-jp", workers=1, quiet=True)
    with pytest.raises(UsageError, match=r"there are no rules 'swalow' \(did you mean swallow\?\)"):
        filter_corpus(tmp_path / "all", tmp_path / "none", "swalow", workers=1, quiet=True)
    with pytest.raises(InputError, match="no document is left"):
        filter_corpus(tmp_path / "all", tmp_path / "none", "chars>=100000", workers=1, quiet=True)
    assert not (tmp_path / "none").exists()


def test_no_rules_bring_all_back_also_from_a_corpus_with_a_limit(tmp_path: Path) -> None:
    sources = []
    for name, first in (("a", 0), ("b", 100)):
        records = [{"text": story(first + seed, 20 + seed)} for seed in range(90)]
        sources.append(SourceConfig(str(write(tmp_path / f"{name}.jsonl", records)), rules="chars>=200"))
    build(tmp_path / "limited", *sources, limit=80)
    assert 50 < len(frame(tmp_path / "limited")) < 160
    filter_corpus(tmp_path / "limited", tmp_path / "all", "none", workers=1, quiet=True)
    assert frame(tmp_path / "all").source.value_counts().to_dict() == {"a": 80, "b": 80}


def test_the_rules_file_of_a_build_is_not_needed_for_other_rules(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("mine: {rules: ['chars>=300']}", "utf-8")
    records = [{"text": story(seed, 20 + seed)} for seed in range(200)]
    source = SourceConfig(str(write(tmp_path / "a.jsonl", records)), rules=str(tmp_path / "own.yaml"))
    build(tmp_path / "mine", source)
    (tmp_path / "own.yaml").unlink()
    assert filter_corpus(tmp_path / "mine", tmp_path / "all", "none", quiet=True).counts["documents"] == 200


def test_what_equals_a_near_duplicate_names_the_document_that_stays(tmp_path: Path) -> None:
    texts = [story(seed) for seed in range(60)]
    records = [{"text": text} for text in (*texts, texts[3], texts[3] + "末尾に一文を足した。")]
    build(tmp_path / "out", SourceConfig(str(write(tmp_path / "a.jsonl", records))))
    found = rejected(tmp_path / "out")
    assert {name: (reason, twin) for name, (reason, _, twin) in found.items()} == {
        "3": ("near_duplicate", "a/a.jsonl/61"),
        "60": ("duplicate", "a/a.jsonl/61"),
    }
    assert 0.9 < found["60"][1] == found["3"][1] < 1


@pytest.mark.parametrize("mark", [False, True])
def test_other_rules_bring_no_contaminated_document_back_unless_it_is_marked(tmp_path: Path, mark: bool) -> None:
    question = "江戸時代の終わりに京都の町で最も大きな火事が起きたのは何年のことでしたか。"
    records = [{"text": story(seed, 20 + seed)} for seed in range(200)]
    records[2]["text"] += question
    records[198]["text"] += question
    build(tmp_path / "all", SourceConfig(str(write(tmp_path / "a.jsonl", records)), rules="chars>=250"))
    evaluation = str(write(tmp_path / "evaluation.jsonl", [{"question": question}]))
    report = decontaminate(tmp_path / "all", [evaluation], tmp_path / "clean", mark=mark, quiet=True).counts
    assert report["contamination"]["contaminated"] == 1
    filter_corpus(tmp_path / "clean", tmp_path / "back", "none", workers=1, quiet=True)
    table = frame(tmp_path / "back")
    if mark:
        assert len(table) == 200 and table[table.contaminated > 0].text.str.contains(question).sum() == 2
    else:
        assert len(table) == 198 and rejected(tmp_path / "back").keys() == {"2", "198"}
    for name in ("clean", "back"):
        run(["corpus", "stats", str(tmp_path / name), "--html", str(tmp_path / f"{name}.html")])
        assert (tmp_path / f"{name}.html").stat().st_size > 1000
    before = (tmp_path / "clean" / "manifest.json").read_bytes()
    with pytest.raises(SystemExit):
        run(
            ["corpus", "stats", str(tmp_path / "clean"), "--overwrite", "--html", str(tmp_path / "clean/manifest.json")]
        )
    assert (tmp_path / "clean" / "manifest.json").read_bytes() == before


def test_unwanted_words_and_domains_are_left_out(tmp_path: Path) -> None:
    records = [{"text": story(seed), "url": "https://example.jp/猫"} for seed in range(60)]
    records[5]["text"] += "禁句" * 40
    records[6]["url"] = "https://blog.spam.example/1"
    records[7]["text"] += "禁句"
    (tmp_path / "ng.txt").write_text("禁句\n", "utf-8")
    (tmp_path / "domains.txt").write_text("spam.example\n", "utf-8")
    lists = {"ng_words": str(tmp_path / "ng.txt"), "block_domains": str(tmp_path / "domains.txt")}
    source = SourceConfig(str(write(tmp_path / "a.jsonl", records)))
    manifest = build(tmp_path / "out", source, **lists)
    found = rejected(tmp_path / "out")
    assert found.keys() == {"5", "6"} and found["5"][0] == "ng_share<=0.05" and found["6"][0] == "blocked_domain"
    assert frame(tmp_path / "out").ng_hits.max() == 1
    assert [entry.role for entry in manifest.inputs] == ["source", "list", "list"]
    reasons = [each.reason for each in preview(CorpusConfig([source], **lists), 60)]
    assert [(at, reason) for at, reason in enumerate(reasons) if reason] == [
        (5, "ng_share<=0.05"),
        (6, "blocked_domain"),
    ]
    with pytest.raises(UsageError, match="the measure ng_hits needs --ng_words"):
        build(tmp_path / "none", SourceConfig(source.path, rules="ng_hits<=3"))
    with pytest.raises(UsageError, match="--measures run,quality: quality needs --trust"):
        build(tmp_path / "none", source, measures="run,quality")


def test_personal_data_is_masked_in_pages_of_the_web_alone(tmp_path: Path) -> None:
    text = "連絡先はtaro@example.jpです。" + story(1)
    urls = ["https://example.com/a", "https://ja.wikipedia.org/wiki/猫", ""]
    records = [{"text": text + str(number), "url": url} for number, url in enumerate(urls)]
    source = str(write(tmp_path / "a.jsonl", records))
    manifest = build(
        tmp_path / "auto", SourceConfig(source), near_duplicates=0.0, valid_min_documents=0, valid_share=0.0
    )
    assert ["<|mail|>" in each for each in frame(tmp_path / "auto").text] == [True, False, False]
    assert manifest.counts["masked"] == 1 and frame(tmp_path / "auto").masked.tolist() == [1, 0, 0]
    for mask, masked in (("on", 3), ("off", 0)):
        source_config = SourceConfig(source, mask=mask)  # type: ignore[arg-type]
        assert build(tmp_path / mask, source_config, near_duplicates=0.0).counts["masked"] >= masked


def test_sources_weigh(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", [{"text": story(seed)} for seed in range(200)])
    two = write(tmp_path / "two.jsonl", [{"text": story(seed)} for seed in range(1000, 1200)])
    build(tmp_path / "out", SourceConfig(str(one), weight=2.5), SourceConfig(str(two), weight=0.5))
    table = frame(tmp_path / "out")
    assert table.id.is_unique
    learned = table[table.split == "train"].source.value_counts()
    assert 2.3 < learned["one"] / 190 < 2.7 and 0.4 < learned["two"] / 190 < 0.6
    held_out = table[table.split == "valid"]
    assert held_out.text.is_unique and not set(held_out.text) & set(table[table.split == "train"].text)
    with pytest.raises(UsageError, match="--weight 0: must be more than 0"):
        SourceConfig("a", weight=0.0)
    with pytest.raises(ArtifactError, match="weighted sources"):
        filter_corpus(tmp_path / "out", tmp_path / "none", "minimal", workers=1, quiet=True)
