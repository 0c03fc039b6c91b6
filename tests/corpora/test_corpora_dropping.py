"""A build drops blocks of lines that many documents share, and judges what is left."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest

from corpora import build_corpus, dropping, parts
from corpora.config import CorpusConfig, SourceConfig
from corpora.filtering import filter_corpus
from stage.errors import UsageError
from stage.manifest import Manifest

ROOT = Path(__file__).parents[2]
MENU = "サイトの使い方と利用規約について\nお問い合わせはこちらのページから\n\n"
MORE = "\n\n■関連する記事はこちらからどうぞ\n・先週いちばん読まれた記事のまとめ"
RULES = "chars>=80,chars<=1500"


def article(number: int, sentences: int = 12) -> str:
    return "\n".join(f"{number}番目の𠮷野家で聞いた{number * 31 + part}回目の話である。" for part in range(sentences))


def framed(text: str) -> str:
    return MENU + text + MORE


def write(folder: Path, texts: list[str]) -> Path:
    """The texts in two files."""
    folder.mkdir()
    for name, some in (("a", texts[::2]), ("b", texts[1::2])):
        lines = (json.dumps({"text": text}, ensure_ascii=False) for text in some)
        (folder / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
    return folder


def build(source: Path, out: Path, repeated_lines: int = 10, workers: int = 1, **fields: Any) -> Manifest:
    sources = [SourceConfig(str(source), name="話", rules=RULES)]
    config = CorpusConfig(sources, repeated_lines=repeated_lines, measures="all", **fields)
    return build_corpus(config, out, workers=workers, quiet=True)


def tables(out: Path) -> list[pandas.DataFrame]:
    found = map(pandas.read_parquet, [*sorted(out.glob("d*.parquet")), *sorted(out.glob("rejected/*"))])
    return [table.drop(columns=["raw_chars", "raw_bytes"]) for table in found]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write(tmp_path / "texts", [framed(article(number)) for number in range(60)])


def test_documents_are_judged_and_compared_by_what_is_left_of_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    plain = [article(number) for number in range(60)]
    near = article(7) + "\n終わりに一文を足した。"
    short, long, menu = article(70, 3), framed(article(71, 100)), f"{MENU}一言だけの記事である。{MORE}"
    # short falls below a rule; long was rejected before, and menu is little else: both stay as they are
    write(tmp_path / "framed", [*map(framed, [*plain, near, short]), article(3), "短い", long, menu])
    write(tmp_path / "bare", [*plain, near, short, article(3), "短い", long, menu])
    manifest = build(tmp_path / "framed", tmp_path / "out")
    expected = build(tmp_path / "bare", tmp_path / "expected", repeated_lines=0)
    for found, table in zip(tables(tmp_path / "out"), tables(tmp_path / "expected"), strict=True):
        pandas.testing.assert_frame_equal(found, table)
    reasons = {"chars>=80": 2, "chars<=1500": 1, "duplicate": 1, "near_duplicate": 1}
    assert manifest.counts["rejected"] == expected.counts["rejected"] == reasons
    characters = 62 * len(MENU + MORE)
    assert manifest.counts["repeated_lines"] == {"lines": 4, "documents": 62, "characters": characters}
    assert f"62 documents lost {characters} characters in lines that many share" in caplog.messages
    assert "repeated_lines" not in expected.counts


def test_lines_of_too_few_documents_stay(texts: Path, tmp_path: Path) -> None:
    nothing = {"lines": 0, "documents": 0, "characters": 0}
    assert build(texts, tmp_path / "out", repeated_lines=61).counts["repeated_lines"] == nothing
    # a file has 30 documents, and those beyond the limit do not count
    assert build(texts, tmp_path / "limited", limit=20, repeated_lines=21).counts["repeated_lines"] == nothing
    found = build(texts, tmp_path / "some", limit=20, repeated_lines=20).counts["repeated_lines"]
    assert found["documents"] == 20
    found = build(texts, tmp_path / "more", limit=40, repeated_lines=40).counts["repeated_lines"]
    assert found["documents"] == 40


@pytest.mark.xdist_group("ray")
def test_workers_pieces_and_engines_make_no_difference(
    ray_cluster: str, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(texts, tmp_path / "straight")
    monkeypatch.setattr("corpora.sources._GROUP_BYTES", 1)
    monkeypatch.setattr("corpora.build._SMALL_BYTES", 0)
    build(texts, tmp_path / "two", workers=2)
    monkeypatch.setattr(parts, "_BATCH_ROWS", 7)
    monkeypatch.setattr(parts, "_CHUNK_BYTES", 8000)
    build(texts, tmp_path / "pieces")
    (tmp_path / "config.yaml").write_text(
        f"sources: [{{path: {texts}, name: 話, rules: '{RULES}'}}]\nmeasures: all\nrepeated_lines: 10\n", "utf-8"
    )
    command = [sys.executable, "-m", "scripts", "corpus", "build", "--config", "config.yaml", "--out", "ray"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_ADDRESS": ray_cluster}
    subprocess.run([*command, "--engine", "ray"], cwd=tmp_path, env=environment, check=True)
    files = ["README.md", "documents-00000.parquet"]
    for name in ("two", "pieces", "ray"):
        for file in files:
            assert (tmp_path / name / file).read_bytes() == (tmp_path / "straight" / file).read_bytes(), (name, file)
        assert sorted(os.listdir(tmp_path / name)) == sorted(os.listdir(tmp_path / "straight"))


def test_a_build_that_is_interrupted_meanwhile_reads_nothing_again(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corpora.sources._GROUP_BYTES", 1)
    build(texts, tmp_path / "straight")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        changed, left = dropping.with_texts, [1]

        def failing(*given: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return changed(*given)

        patch.setattr(dropping, "with_texts", failing)
        build(texts, tmp_path / "out")
    monkeypatch.setattr(parts, "judged_rows", lambda *_: pytest.fail("a document is read again"))
    build(texts, tmp_path / "out")
    for found, table in zip(tables(tmp_path / "out"), tables(tmp_path / "straight"), strict=True):
        pandas.testing.assert_frame_equal(found, table)
    assert sorted(os.listdir(tmp_path / "out")) == sorted(os.listdir(tmp_path / "straight"))


def test_other_rules_are_for_the_texts_that_are_left(texts: Path, tmp_path: Path) -> None:
    build(texts, tmp_path / "out")
    file = tmp_path / "out" / "manifest.json"
    manifest = json.loads(file.read_text("utf-8"))
    del manifest["parameters"]["repeated_lines"]  # as of a corpus that was built before there was such a thing
    file.write_text(json.dumps(manifest), "utf-8")
    filter_corpus(tmp_path / "out", tmp_path / "filtered", "chars>=20", workers=1, quiet=True)
    one, other = (pandas.read_parquet(tmp_path / name / "documents-00000.parquet") for name in ("out", "filtered"))
    assert one.text.tolist() == other.text.tolist() and not one.text.str.contains("関連する記事").any()


@pytest.mark.parametrize("count", [-1, 1])
def test_a_number_of_documents_that_means_nothing_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"--repeated_lines {count}: "):
        CorpusConfig([SourceConfig("a")], repeated_lines=count)
