import random
from pathlib import Path

import pytest

from corpora.embedded import embedded_file, read_chapters
from tokenizer import JapaneseTokenizer, train_tokenizer
from tokenizer.config import TokenizerConfig

WHO = ("吾輩", "猫", "先生", "𠮷野家の主人", "隣の子供", "ｶﾞﾗｽ屋", "東京の友人", "彼女")
WHERE = ("雪国", "駅前", "国境の長いトンネル", "図書館", "か゛っこう", "ＮＨＫ", "Tokyo 2020", "山の手線")
WHAT = (
    "眠った。",
    "「行こう」と言った。",
    "本を３冊読んだ！",
    "笑ったのだろうか？",
    "1,234円を払った。",
    "見た👨‍👩‍👧。",
    "ない……。",
)


def sentences(count: int, seed: int = 0) -> str:
    """Japanese sentences of our own with all that is troublesome: a few to a line, with spaces, digits, emoji."""
    draw = random.Random(seed)
    parts = []
    for _ in range(count):
        parts.append(f"{draw.choice(WHO)}は{draw.choice(WHERE)}で{draw.choice(WHAT)}")
        parts.append(draw.choice(("", "", " ", "  ", "\u3000", "\n", "\n\n", "\t")))
    return "".join(parts)


@pytest.fixture(scope="session")
def training_text() -> str:
    chapters = [text for number, (_, text) in enumerate(read_chapters(embedded_file())) if number % 12 == 0]
    return "\n\n".join(chapters) + "\n" + sentences(2000)


@pytest.fixture(scope="session")
def text_file(training_text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "本文.txt"
    file.write_text(training_text, "utf-8")
    return file


@pytest.fixture(scope="session")
def tokenizer_folder(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer") / "tokenizer"
    train_tokenizer(folder, TokenizerConfig(boundaries="none", vocab_size=3000), text=[str(text_file)], quiet=True)
    return folder


@pytest.fixture(scope="session")
def tokenizer(tokenizer_folder: Path) -> JapaneseTokenizer:
    return JapaneseTokenizer(tokenizer_folder)


@pytest.fixture(scope="session")
def unigram(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer") / "unigram"
    train_tokenizer(
        folder, TokenizerConfig(boundaries="none", vocab_size=2500, model="unigram"), text=[str(text_file)], quiet=True
    )
    return folder
