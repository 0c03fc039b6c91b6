"""A tiny corpus with everything that Japanese text holds, its tokenizer and shards, and tiny models."""

import os
import signal

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from jgpt import GPT, write_shards
from jgpt.config import ModelConfig, PretrainConfig, TrainConfig
from jgpt.data.shards import ShardWriter, token_dtype
from jgpt.training import planning
from jgpt.training.step import TrainingStep
from stage.folder import Made, write_folder
from tokenizer import train_tokenizer
from tokenizer.config import TokenizerConfig

SENTENCES = [
    "吾輩は猫である。名前はまだ無い。",
    "𠮷野家で牛丼を食べた。",
    "ｶﾞﾗｽの窓をあけた。",
    "か\u3099くせいが本を読む。",
    "家族は👨‍👩‍👧‍👦です。",
    "\u3000山路を登りながら、こう考えた。",
    "智に働けば角が立つ。",
    "情に棹させば流される。",
    "2026年11月22日、雨。",
    "<s>と書いても文字である▁",
]


def make_texts(count, seed=0):
    generator = np.random.default_rng(seed)
    return ["\n".join(SENTENCES[index] for index in generator.integers(len(SENTENCES), size=12)) for _ in range(count)]


def make_corpus(folder, texts, splits, files):
    """A documents folder with its rows, from two sources, spread evenly over some files."""
    sources = ["前半" if number < len(texts) / 2 else "後半" for number in range(len(texts))]

    def make(partial):
        for number in range(files):
            columns = {"text": texts, "split": splits, "source": sources}
            table = pyarrow.table({name: column[number::files] for name, column in columns.items()})
            pyarrow.parquet.write_table(table, partial / f"documents-{number:05d}.parquet")
        return Made({"characters": sum(map(len, texts))}, [{"source": "own", "license": "CC0"}])

    write_folder(folder, stage="corpus", parameters={}, inputs=[], make=make)
    return folder


@pytest.fixture(scope="session")
def texts():
    return make_texts(48)


@pytest.fixture(scope="session")
def splits(texts):
    return ["valid" if number % 6 == 5 else "train" for number in range(len(texts))]


@pytest.fixture(scope="session")
def root(tmp_path_factory, texts, splits):
    """Folders ``corpus`` (of three files, the last of them with the valid split), ``tokenizer`` and ``shards``."""
    folder = tmp_path_factory.mktemp("tiny")
    make_corpus(folder / "corpus", texts, splits, files=3)
    train_tokenizer(
        folder / "tokenizer", TokenizerConfig(boundaries="none", vocab_size=400), corpus=folder / "corpus", quiet=True
    )
    write_shards(folder / "corpus", folder / "tokenizer", folder / "shards", workers=1, quiet=True)
    return folder


@pytest.fixture(scope="session")
def new_corpus():
    return make_corpus


@pytest.fixture(scope="session")
def new_shards():
    """Write a shards folder of documents given as ids below 10,000, as ``write_shards`` would."""

    def make(folder, train, valid=(), tokenizer="its hash", preset="nfkc", characters=0):
        def fill(partial):
            counts = {"vocab_size": 10_000, "tokenizer_sha256": tokenizer, "normalization": preset}
            for split, documents in (("train", train), ("valid", valid)):
                writer = ShardWriter(partial / f"{split}-00000.npy", token_dtype(10_000))
                ended = [[1, *ids, 2] for ids in documents]
                writer.add(
                    np.array([token for ids in ended for token in ids], np.uint16),
                    np.array([len(ids) for ids in ended]),
                )
                writer.close()
                counts |= {f"{split}_tokens": writer.tokens, f"{split}_characters": characters or writer.tokens}
            return Made(counts, [{"source": folder.name, "license": "CC0"}])

        write_folder(folder, stage="shard", parameters={}, inputs=[], make=fill)
        return folder

    return make


@pytest.fixture(scope="session")
def new_config():
    """A tiny configuration of training, some fields of which are given."""

    def make(model=None, seed=0, **train):
        tiny = {"depth": 1, "width": 32, "heads": 2, "context_length": 32, "dropout": 0.1} | (model or {})
        short = {"batch_tokens": 128, "micro_batch": 2, "checkpoint_every": 3, "valid_tokens": 256}
        if not train.keys() & {"minutes", "epochs"}:
            short["steps"] = 12
        return PretrainConfig(ModelConfig(**tiny), TrainConfig(**short | train), seed=seed, dtype="float32")

    return make


@pytest.fixture
def known_speed(monkeypatch):
    """A machine whose speed need not be measured."""
    monkeypatch.setattr(planning, "peak_flops", lambda *_: 1e11)


@pytest.fixture
def after_step(monkeypatch):
    """Calls something, with the TrainingStep, the next time that the optimiser step of a number (from 1) is done."""

    def arm(number, act):
        original, acted = TrainingStep.run, []

        def stepped(self, step):
            original(self, step)
            if step + 1 == number and not acted:
                acted.append(True)
                act(self)

        monkeypatch.setattr(TrainingStep, "run", stepped)

    return arm


@pytest.fixture
def stop_after(after_step):
    """Sends this process SIGINT, or another signal, after a step."""

    def arm(number, times=1, what=signal.SIGINT):
        after_step(number, lambda _: [os.kill(os.getpid(), what) for _ in range(times)])

    return arm


@pytest.fixture(scope="session")
def new_model():
    """A tiny model in eval mode, all of whose weights are random."""

    def make(architecture="default", seed=0, deviation=0.2, **fields):
        tiny = {"depth": 2, "width": 32, "heads": 2, "context_length": 16, "vocab_size": 400} | fields
        model = GPT(ModelConfig(architecture=architecture, **tiny))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(std=deviation, generator=generator)
        return model.eval()

    return make
