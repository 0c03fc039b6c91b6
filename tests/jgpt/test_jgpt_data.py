"""Shards hold the documents exactly, and the loader gives each of their tokens its turn."""

import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch

from jgpt import write_shards
from jgpt.config import ModelConfig, PretrainConfig, ShardConfig
from jgpt.data.loader import Loader, shuffled
from jgpt.data.shards import ShardSet, TokenStream, _ShardWriter, token_dtype
from jgpt.training.pretrain import pretrain
from stage.errors import ArtifactError, InputError, UsageError
from stage.manifest import read_manifest
from tokenizer import JapaneseTokenizer


@pytest.fixture
def numbers(tmp_path):
    """A stream of 0 … 1002 in three files."""
    files = []
    for number, part in enumerate(np.split(np.arange(1003, dtype=np.uint16), [100, 333])):
        files.append(tmp_path / f"train-{number:05d}.npy")
        np.save(files[-1], part)
    return TokenStream(files)


@pytest.mark.parametrize("count", [*range(1, 40), 63, 64, 65, 255, 257, 1000, 4097])
def test_shuffling_is_a_permutation(count):
    for key in (0, 1, 0x0123456789ABCDEF0123456789ABCDEF):
        assert sorted(shuffled(index, count, key) for index in range(count)) == list(range(count))


def test_shuffling_mixes_and_follows_from_the_key():
    orders = [[shuffled(index, 500, key) for index in range(500)] for key in (0x1F2E << 96 | 7, 0x3D4C << 96 | 8)]
    assert orders[0] != orders[1]
    for order in orders:
        steps = [abs(second - first) for first, second in pairwise(order)]
        assert 100 < sum(steps) / len(steps) < 240  # 167 for a random order, 1 for none


@pytest.mark.parametrize("span", [(0, 1003), (99, 101), (100, 333), (50, 700), (332, 333), (1000, 2000), (7, 7)])
def test_slices_reach_over_files(numbers, span):
    assert numbers[slice(*span)].tolist() == list(range(1003))[slice(*span)]
    assert numbers[slice(*span)].dtype == np.uint16


def test_a_stream_is_mapped_and_not_read(numbers):
    assert all(isinstance(array, np.memmap) for array in numbers._arrays)
    assert np.shares_memory(numbers[10:20], numbers._arrays[0])


def test_targets_are_the_tokens_after_the_inputs(numbers):
    ids, targets = Loader(numbers, 10, seed=0).batch(0, 50)
    assert ids.shape == targets.shape == (50, 10)
    assert ids.dtype == targets.dtype == torch.int64
    assert torch.equal(targets, ids + 1)
    assert torch.equal(ids, ids[:, :1] + torch.arange(10))


@pytest.mark.parametrize("context", [1, 7, 10, 100, 501, 1002])
def test_an_epoch_takes_every_window_once(numbers, context):
    loader = Loader(numbers, context, seed=3)
    epochs = []
    for epoch in range(3):
        starts = loader.batch(epoch * loader.windows, loader.windows)[0][:, 0].tolist()
        first = min(starts)
        assert sorted(starts) == [first + number * context for number in range(loader.windows)]
        assert first + loader.windows * context < 1003
        epochs.append(starts)
    if loader.windows > 5:
        assert epochs[0] != epochs[1] != epochs[2]
        assert epochs[0] != sorted(epochs[0])
        assert len({min(starts) for starts in epochs}) > 1 or context == 1


def test_a_sample_follows_from_seed_and_position_alone(numbers):
    whole = Loader(numbers, 10, seed=5).batch(0, 300)[0]
    loader = Loader(numbers, 10, seed=5)
    assert torch.equal(loader.batch(250, 7)[0], whole[250:257])
    assert torch.equal(loader.batch(3, 1)[0], whole[3:4])
    assert not torch.equal(Loader(numbers, 10, seed=6).batch(0, 300)[0], whole)


def test_a_split_shorter_than_a_context_is_refused(numbers):
    with pytest.raises(InputError, match="1003 tokens, fewer than one context of 1003"):
        Loader(numbers, 1003, seed=0)
    with pytest.raises(InputError, match="0 tokens"):
        Loader(TokenStream([]), 8, seed=0)


def test_shards_decode_to_the_texts_of_the_corpus(root, texts, splits):
    shards, tokenizer = ShardSet(root / "shards"), JapaneseTokenizer(root / "shards")
    for split in ("train", "valid"):
        decoded = []
        for ids in shards.documents(split):
            assert (ids[0], ids[-1]) == (1, 2)
            assert not {0, 1, 2, 3} & set(ids[1:-1].tolist())
            decoded.append(tokenizer.decode(ids.tolist()))
        in_order = [number for file in range(3) for number in range(file, len(texts), 3)]
        assert decoded == [texts[number] for number in in_order if splits[number] == split]
    counts = shards.manifest.counts
    assert counts["train_documents"] == splits.count("train")
    assert counts["valid_characters"] == sum(
        len(text) for text, split in zip(texts, splits, strict=True) if split == "valid"
    )


def test_starts_point_at_the_beginning_piece(root):
    stream = ShardSet(root / "shards").split("train")
    assert len(stream.files) > 1
    assert stream.document_starts.dtype == np.int64
    whole = stream[0 : len(stream)]
    assert np.flatnonzero(whole == 1).tolist() == stream.document_starts.tolist()
    assert stream.document_starts[0] == 0


def test_shards_do_not_depend_on_the_number_of_processes(root, tmp_path):
    manifest = write_shards(root / "corpus", root / "tokenizer", tmp_path / "two", workers=2, quiet=True)
    assert manifest.data_sha256 == read_manifest(root / "shards").data_sha256


def test_the_tokenizer_travels_with_the_shards(root):
    for name in ("tokenizer.model", "tokenizer.json", "tokenizer_config.json"):
        assert (root / "shards" / name).read_bytes() == (root / "tokenizer" / name).read_bytes()


def test_a_limit_takes_the_first_documents_of_each_file(root, tmp_path):
    manifest = write_shards(
        root / "corpus", root / "tokenizer", tmp_path / "shards", ShardConfig(limit=2), workers=1, quiet=True
    )
    assert manifest.counts["train_documents"] + manifest.counts["valid_documents"] == 6


def test_ids_above_65535_take_four_bytes(tmp_path):
    assert [token_dtype(size).name for size in (400, 65536, 65537, 200_000)] == ["uint16", "uint16", "uint32", "uint32"]
    documents = [[5, 65536, 199_999], [], [70_000]]
    writer = _ShardWriter(tmp_path / "train-00000.npy", token_dtype(200_000))
    for ids in documents:
        writer.add(ids)
    writer.close()
    array = np.load(tmp_path / "train-00000.npy")
    assert array.dtype == np.uint32
    assert array.tolist() == [token for ids in documents for token in (1, *ids, 2)]
    stream = TokenStream([tmp_path / "train-00000.npy"])
    assert stream.document_starts.tolist() == [0, 5, 7]
    assert Loader(stream, 4, seed=0).batch(0, 1)[0].dtype == torch.int64


def test_the_header_has_room_for_many_tokens(tmp_path):
    writer = _ShardWriter(tmp_path / "train-00000.npy", token_dtype(400))
    for _ in range(11):
        writer.add([7] * 99_998)
    writer.close()
    assert np.load(tmp_path / "train-00000.npy", mmap_mode="r").shape == (1_100_000,)


def test_a_token_file_cut_short_is_refused_by_name(root, tmp_path):
    shutil.copytree(root / "shards", tmp_path / "shards")
    file = tmp_path / "shards" / "train-00001.npy"
    content = file.read_bytes()
    for length in (len(content) - 2, 40, 0):
        file.write_bytes(content[:length])
        with pytest.raises(ArtifactError, match=r"train-00001\.npy"):
            ShardSet(tmp_path / "shards")
        with pytest.raises(ArtifactError, match=r"train-00001\.npy: is not a whole token file"):
            TokenStream([file])
    file.unlink()
    with pytest.raises(ArtifactError, match=r"train-00001\.npy is missing"):
        ShardSet(tmp_path / "shards")


def test_a_corpus_without_training_documents_is_refused(root, tmp_path, new_corpus, texts):
    new_corpus(tmp_path / "corpus", texts[:3], ["valid"] * 3, files=1)
    with pytest.raises(InputError, match="no training documents"):
        write_shards(tmp_path / "corpus", root / "tokenizer", tmp_path / "shards", workers=1, quiet=True)
    assert not (tmp_path / "shards").exists()


def test_folders_of_another_kind_are_refused(root, tmp_path):
    with pytest.raises(ArtifactError, match="is a tokenizer folder, a shards folder was expected"):
        pretrain(root / "tokenizer", tmp_path / "model", quiet=True)
    with pytest.raises(ArtifactError, match="is a shards folder, a tokenizer folder was expected"):
        write_shards(root / "corpus", root / "shards", tmp_path / "shards", quiet=True)
    assert not any(tmp_path.iterdir())


def test_shards_of_a_larger_vocabulary_than_the_model_are_refused(root, tmp_path):
    config = PretrainConfig(ModelConfig(depth=1, width=32, heads=2, vocab_size=300))
    with pytest.raises(UsageError, match="less than the tokenizer's 400"):
        pretrain(root / "shards", tmp_path / "model", config, quiet=True)
    assert not (tmp_path / "model").exists()
