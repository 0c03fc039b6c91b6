"""More pieces for a tokenizer, and fewer."""

import json
from pathlib import Path

import pytest
import tokenizers

from stage.errors import InputError, UsageError
from tokenizer import JapaneseTokenizer, train_tokenizer
from tokenizer.changing import OLD_IDS, extend_tokenizer, prune_tokenizer
from tokenizer.config import TokenizerConfig
from tokenizer.pieces import FIXED
from tokenizer.text import find_text

NEWS = "新型スマートフォンは鮮明なカメラを搭載し、価格も手頃だ。アプリの更新は自動で行われる。"


@pytest.fixture(scope="module")
def news(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("news") / "記事.txt"
    file.write_text("\n".join(f"{NEWS}第{number}版。" for number in range(400)), "utf-8")
    return file


@pytest.mark.parametrize(("model", "size", "shorter"), [("bpe", 2050, 0.7), ("unigram", 2006, 0.9)])
def test_an_extended_tokenizer_keeps_its_ids_and_knows_the_new_text(
    text_file: Path, news: Path, tmp_path: Path, model: str, size: int, shorter: float
) -> None:
    config = TokenizerConfig(boundaries="none", vocab_size=2000, model=model, user_symbols=["<|版|>"])  # type: ignore[arg-type]
    train_tokenizer(tmp_path / "old", config, text=[str(text_file)], quiet=True)
    extend_tokenizer(tmp_path / "old", tmp_path / "new", find_text(None, [str(news)], "train"), size, quiet=True)
    old, new = JapaneseTokenizer(tmp_path / "old"), JapaneseTokenizer(tmp_path / "new")
    assert new.vocab_size == size
    assert [new.piece(index) for index in range(2000)] == [old.piece(index) for index in range(2000)]
    assert len(new.encode(NEWS)) < shorter * len(old.encode(NEWS)) and new.decode(new.encode(NEWS)) == NEWS
    # every new piece comes about
    assert all(new.encode(new.piece(index).replace("▁", " ")) == [index] for index in range(2000, size))
    other = tokenizers.Tokenizer.from_file(str(tmp_path / "new" / "tokenizer.json"))
    for text in (NEWS, text_file.read_text("utf-8")[:3000], "<|版|>鮮明な"):
        assert other.encode(text, add_special_tokens=False).ids == new.encode(text)


def test_a_pruned_tokenizer_loses_what_was_learned_last(
    tokenizer_folder: Path, tokenizer: JapaneseTokenizer, tmp_path: Path, training_text: str
) -> None:
    prune_tokenizer(tokenizer_folder, tmp_path / "small", 2600)
    small = JapaneseTokenizer(tmp_path / "small")
    old_ids = json.loads((tmp_path / "small" / OLD_IDS).read_text("utf-8"))
    assert small.vocab_size == len(old_ids) == 2600 and old_ids[:FIXED] == list(range(FIXED))
    assert [small.piece(index) for index in range(2600)] == [tokenizer.piece(index) for index in old_ids]
    gone = set(range(3000)) - set(old_ids)
    kept = [index for index in old_ids[FIXED:] if len(tokenizer.piece(index)) > 1]
    assert max(tokenizer.score(index) for index in gone) < min(tokenizer.score(index) for index in kept)
    text = training_text[:2000]
    assert small.decode(small.encode(text)) == text and len(small.encode(text)) > len(tokenizer.encode(text))
    other = tokenizers.Tokenizer.from_file(str(tmp_path / "small" / "tokenizer.json"))
    assert other.encode(text, add_special_tokens=False).ids == small.encode(text)


def test_sizes_that_cannot_be_are_refused(tokenizer_folder: Path, news: Path, tmp_path: Path) -> None:
    text = find_text(None, [str(news)], "train")
    with pytest.raises(UsageError, match="has 3000 pieces already"):
        extend_tokenizer(tokenizer_folder, tmp_path / "x", text, 3000, quiet=True)
    with pytest.raises(UsageError, match=r"the largest that works is \d+") as raised:
        extend_tokenizer(tokenizer_folder, tmp_path / "x", text, 60_000, quiet=True)
    largest = int(str(raised.value).split()[-1])
    assert largest > 3000
    extend_tokenizer(tokenizer_folder, tmp_path / "largest", text, largest, quiet=True)
    with pytest.raises(UsageError, match=f"the largest that works is {largest}"):
        extend_tokenizer(tokenizer_folder, tmp_path / "x", text, largest + 1, quiet=True)
    with pytest.raises(UsageError, match="no piece that the tokenizer lacks"):
        extend_tokenizer(tmp_path / "largest", tmp_path / "x", text, largest + 9, quiet=True)
    with pytest.raises(UsageError, match="has only 3000 pieces"):
        prune_tokenizer(tokenizer_folder, tmp_path / "x", 3000)
    with pytest.raises(UsageError, match=r"alone are \d+"):
        prune_tokenizer(tokenizer_folder, tmp_path / "x", 300)
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(InputError, match=r"empty\.txt: holds no text"):
        extend_tokenizer(
            tokenizer_folder, tmp_path / "x", find_text(None, [str(tmp_path / "empty.txt")], "train"), 3100
        )
    assert not (tmp_path / "x").exists()
