import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from corpora import build_corpus
from corpora.config import CorpusConfig, SourceConfig
from corpora.perplexity import Ngrams, load_ngrams, train_ngrams
from corpora.quality import load_quality, train_quality
from corpora.trust import load, train_trust
from scripts.main import run
from stage.errors import ArtifactError, InputError, UsageError
from stage.manifest import read_manifest

WHO = ("祖母", "隣の老人", "若い画家", "村の医者", "旅の僧", "妹", "小さな子供", "学校の先生")
WHERE = ("静かな庭", "古い寺", "川のほとり", "海辺の町", "山の小屋", "駅の待合室", "暗い台所")
WHAT = (
    "長い手紙を書いていた",
    "昔の話を聞かせてくれた",
    "雨の音を聞きながら眠った",
    "赤い花を眺めていた",
    "ゆっくりと歩いていった",
)
THEN = (
    "誰も何も言わなかった。",
    "その声は今も耳に残っている。",
    "空には白い月が出ていた。",
    "私はそれを忘れることができない。",
)
PUSH = ("今だけ", "送料無料", "ポイント10倍", "ランキング1位", "クーポン配布中", "公式サイト限定")
GOODS = ("人気のバッグ", "新作コスメ", "最新スマホ", "美容サプリ", "ダイエット茶", "レディース靴")
CLICK = ("今すぐクリック!", "詳細はこちら→", "お見逃しなく!!", "激安価格でご紹介♪", "口コミ・評判をチェック!")


def prose(seed: int, sentences: int = 12) -> str:
    choose = random.Random(seed).choice
    return "".join(f"{choose(WHO)}は{choose(WHERE)}で{choose(WHAT)}。{choose(THEN)}" for _ in range(sentences))


def advertisement(seed: int, sentences: int = 12) -> str:
    choose = random.Random(seed).choice
    return "".join(
        f"【{choose(PUSH)}】{choose(GOODS)}が{choose(PUSH)}で登場！{choose(CLICK)}\n" for _ in range(sentences)
    )


@pytest.fixture(scope="module")
def ngrams() -> Ngrams:
    return train_ngrams(prose(seed) for seed in range(100))


def test_garbled_and_foreign_text_has_a_higher_perplexity_than_good_text_held_out(ngrams: Ngrams) -> None:
    held = [prose(seed) for seed in range(1000, 1020)]
    shuffled = ["".join(random.Random(0).sample(text, len(text))) for text in held]
    mojibake = [text.encode().decode("cp932", "replace") for text in held]
    english = ["The old man sat by the river and looked at the water for a long time."] * 20
    noisy = [
        "".join(
            random.Random(place).choice("のにはを、") if place % 10 == 0 else each for place, each in enumerate(text)
        )
        for text in held
    ]
    good = ngrams.perplexity(held)
    assert good.max() < 10
    for garbled, times in ((noisy, 2), (shuffled, 20), (mojibake, 20), (english, 20), ([advertisement(1)], 20)):
        assert ngrams.perplexity(garbled).min() > times * good.max()


def test_perplexity_follows_the_formula() -> None:
    """By hand: あいあいあい, in which い always follows あ."""
    model = train_ngrams(["あいあいあい"])
    total, kinds = 6, 4096
    one = (3 + 1) / (total + kinds)  # of あ, and of い
    assert np.isclose(np.exp(-int(model.unigrams[model.numbers[ord("あ")]]) / 16), one, rtol=0.04)
    first = (1 + 1 * one) / (1 + 1)  # あ at the beginning, by its bigram; the longer ones occur once
    second = (3 + 1 * one) / (3 + 1)
    expected = (1 / (first * 0.4**3) / (second * 0.4**3)) ** (1 / 2)
    assert np.isclose(model.perplexity(["あい"])[0], expected, rtol=0.1)


def test_a_document_is_scored_alike_whatever_stands_beside_it(ngrams: Ngrams) -> None:
    texts = [prose(1), "猫", "", advertisement(1) * 400, "𠮷野家と𩸽", "\ufffe\n", prose(2)]
    together = ngrams.perplexity(texts)
    assert together.dtype == np.float64 and np.isnan(together[2])
    assert np.array_equal(together, [ngrams.perplexity([text])[0] for text in texts], equal_nan=True)
    assert ngrams.perplexity([]).shape == (0,)
    quality = train_quality([prose(1)], [advertisement(1)])
    scores = quality.score(texts)
    assert np.isnan(scores[2]) and scores.shape == (7,) and quality.score([]).shape == (0,)
    assert np.allclose(scores, [quality.score([text])[0] for text in texts], equal_nan=True)


def test_the_table_is_bounded_and_so_is_what_is_read(ngrams: Ngrams) -> None:
    texts = [prose(seed) for seed in range(100)]
    small = train_ngrams(texts, bits=9)
    assert len(small.table) == 512 < len(ngrams.table)
    held = [prose(seed) for seed in range(1000, 1010)]
    assert np.median(small.perplexity(held)) < 0.2 * np.median(small.perplexity([advertisement(1)]))

    def endless() -> Iterator[str]:
        yield from texts[:2]
        raise AssertionError("read on")

    size = len(texts[0]) + 100
    few = train_ngrams(endless(), characters=size)
    assert np.array_equal(few.table, train_ngrams([texts[0], texts[1][:100]]).table)


def test_the_classifier_tells_held_out_prose_from_advertisements() -> None:
    quality = train_quality((prose(seed) for seed in range(60)), (advertisement(seed) for seed in range(40)))
    good = quality.score([prose(seed, 2) for seed in range(1000, 1030)])
    bad = quality.score([advertisement(seed, 2) for seed in range(1000, 1030)])
    assert good.min() > 0.8 and bad.max() < 0.2
    mixed = quality.score([prose(1, 5) + advertisement(1, 5)])[0]
    assert bad.max() < mixed < good.min()


def test_training_is_deterministic_and_saving_keeps_every_score(tmp_path: Path, ngrams: Ngrams) -> None:
    texts = [prose(5), advertisement(5), "猫がいる。"]
    ngrams.save(tmp_path / "ngrams.safetensors")
    assert np.array_equal(load_ngrams(tmp_path / "ngrams.safetensors").perplexity(texts), ngrams.perplexity(texts))
    first, second = (train_quality([prose(1)], [advertisement(1)]) for _ in range(2))
    first.save(tmp_path / "quality.safetensors")
    assert np.array_equal(load_quality(tmp_path / "quality.safetensors").score(texts), second.score(texts))


def write(path: Path, texts: list[str]) -> str:
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    return str(path)


def test_files_and_documents_folders_become_one_folder_of_models(tmp_path: Path) -> None:
    texts = [prose(seed) for seed in range(60)]
    good = write(tmp_path / "good.jsonl", [text.replace("。", "｡") for text in texts])  # which ja-v1 makes 。 again
    bad = write(tmp_path / "bad.jsonl", [advertisement(seed) for seed in range(60)])
    build_corpus(CorpusConfig([SourceConfig(bad)]), tmp_path / "crawl", quiet=True, workers=1)
    manifest = train_trust([good], tmp_path / "trust", against=[str(tmp_path / "crawl")], quiet=True)
    assert [entry.role for entry in manifest.inputs] == ["good", "against"]
    assert manifest.counts["held_out_documents"] == 3
    assert manifest.counts["perplexity"]["0.95"] < manifest.counts["perplexity_of_others"]["0.05"]
    assert manifest.counts["quality"]["0.05"] > manifest.counts["quality_of_others"]["0.95"]
    trust = load(tmp_path / "trust")
    assert trust.quality is not None and trust.quality.score([prose(77)])[0] > 0.8
    kept = [text for number, text in enumerate(texts, start=1) if number % 20]
    assert np.array_equal(trust.ngrams.table, train_ngrams(kept).table)
    again = train_trust([good], tmp_path / "again", against=[str(tmp_path / "crawl")], quiet=True)
    assert again.data_sha256 == manifest.data_sha256 == read_manifest(tmp_path / "trust", "trust").data_sha256


def test_the_command_prints_quantiles_and_needs_no_other_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "good.jsonl", [prose(seed) for seed in range(40)])
    assert run(["corpus", "trust", good, "--out", str(tmp_path / "trust"), "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["perplexity"]["0.5"] < 10
    assert load(tmp_path / "trust").quality is None


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    good = write(tmp_path / "good.jsonl", [prose(1)])
    empty = write(tmp_path / "empty.jsonl", ["", ""])
    with pytest.raises(InputError, match=r"empty\.jsonl: holds no text"):
        train_trust([empty], tmp_path / "out", quiet=True)
    with pytest.raises(InputError, match=r"empty\.jsonl: holds no text"):
        train_trust([good], tmp_path / "out", against=[empty], quiet=True)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="--characters 0"):
        train_trust([good], tmp_path / "out", characters=0, quiet=True)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        load(tmp_path)
    build_corpus(CorpusConfig([SourceConfig(good)]), tmp_path / "corpus", quiet=True, workers=1)
    with pytest.raises(ArtifactError, match="is a corpus folder"):
        load(tmp_path / "corpus")
    with pytest.raises(ValueError, match="no text"):
        train_quality([], [prose(1)])
