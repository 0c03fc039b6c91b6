"""Shards hold the documents exactly, and the loader gives each of their tokens its turn."""

import shutil
from itertools import pairwise, product

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from jgpt import write_shards
from jgpt.config import ModelConfig, PretrainConfig, ShardConfig
from jgpt.data.documents import document_mask
from jgpt.data.loader import Loader, shuffled
from jgpt.data.shards import ShardSet, ShardWriter, TokenStream, token_dtype
from jgpt.training.pretrain import pretrain
from stage.errors import ArtifactError, InputError, UsageError
from stage.folder import Made, write_folder
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


def windows(loader, position, count):
    return np.stack([loader.window(number) for number in range(position, position + count)])


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
    assert all(isinstance(array, np.memmap) for array in numbers.arrays)
    assert np.shares_memory(numbers[10:20], numbers.arrays[0])


@pytest.mark.parametrize("context", [1, 7, 10, 100, 501, 1002])
def test_an_epoch_takes_every_window_once(numbers, context):
    loader = Loader(numbers, context, 3, "shards")
    epochs = []
    for epoch in range(3):
        rows = windows(loader, epoch * loader.windows, loader.windows)
        assert np.array_equal(rows, rows[:, :1] + np.arange(context + 1))
        starts = rows[:, 0].tolist()
        first = min(starts)
        assert sorted(starts) == [first + number * context for number in range(loader.windows)]
        assert first + loader.windows * context < 1003
        epochs.append(starts)
    if loader.windows > 5:
        assert epochs[0] != epochs[1] != epochs[2]
        assert epochs[0] != sorted(epochs[0])
        assert len({min(starts) for starts in epochs}) > 1 or context == 1


def test_a_sample_follows_from_seed_and_position_alone(numbers):
    whole = windows(Loader(numbers, 10, 5, "shards"), 0, 300)
    loader = Loader(numbers, 10, 5, "shards")
    assert np.array_equal(windows(loader, 250, 7), whole[250:257])
    assert np.array_equal(windows(loader, 3, 1), whole[3:4])
    assert not np.array_equal(windows(Loader(numbers, 10, 6, "shards"), 0, 300), whole)


def test_a_split_shorter_than_a_context_is_refused(numbers):
    with pytest.raises(
        InputError, match="my/shards: the training split has 1003 tokens, fewer than one context of 1003"
    ):
        Loader(numbers, 1003, 0, "my/shards")
    with pytest.raises(InputError, match="0 tokens"):
        Loader(TokenStream([]), 8, 0, "my/shards")


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


def test_shards_know_the_source_of_each_document(root, texts, splits):
    in_order = [number for file in range(3) for number in range(file, len(texts), 3)]
    for split in ("train", "valid"):
        expected = ["前半" if number < len(texts) / 2 else "後半" for number in in_order if splits[number] == split]
        assert ShardSet(root / "shards").sources(split) == expected and len(set(expected)) == 2


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


@pytest.fixture
def grouped(root, texts, tmp_path):
    """A corpus of one file whose row groups hold five documents, some of them with ▁ and some empty."""
    rows = [*texts, "▁甲▁", "", "𠮷野家で<s>👨‍👩‍👧</s>\n\n　ﾊﾟﾝ"]
    table = pyarrow.table(
        {
            "text": rows,
            "split": ["valid" if number % 7 == 0 else "train" for number in range(len(rows))],
            "source": ["甲" if number < 12 else "乙" for number in range(len(rows))],
        }
    )

    def make(folder):
        pyarrow.parquet.write_table(table, folder / "documents-00000.parquet", row_group_size=5)
        return Made()

    write_folder(tmp_path / "grouped", stage="corpus", parameters={}, inputs=[], make=make)
    return tmp_path / "grouped", rows


@pytest.mark.parametrize(("workers", "encoder"), [(1, "sentencepiece"), (2, "sentencepiece"), (1, "gigatoken")])
def test_row_groups_are_encoded_apart_and_written_in_order(root, grouped, tmp_path, workers, encoder):
    if encoder == "gigatoken":
        pytest.importorskip("gigatoken")
    corpus, rows = grouped
    manifest = write_shards(
        corpus, root / "tokenizer", tmp_path / "shards", workers=workers, encoder=encoder, quiet=True
    )
    shards, tokenizer = ShardSet(tmp_path / "shards"), JapaneseTokenizer(root / "tokenizer")
    for split, rest in (("train", range(1, 7)), ("valid", [0])):
        wanted = [text for number, text in enumerate(rows) if number % 7 in rest]
        assert [ids.tolist() for ids in shards.documents(split)] == [
            tokenizer.encode(text, begin=True, end=True) for text in wanted
        ]
        assert manifest.counts[f"{split}_documents"] == len(wanted)
        assert manifest.counts[f"{split}_characters"] == sum(map(len, wanted))
        assert manifest.counts["sources"][split] == [
            [name, sum(1 for number in numbers if number % 7 in rest)]
            for name, numbers in (("甲", range(12)), ("乙", range(12, len(rows))))
        ]
    assert manifest.counts["encoder"] == encoder
    assert sorted(file.name for file in (tmp_path / "shards").glob("*0.npy")) == ["train-00000.npy", "valid-00000.npy"]


@pytest.mark.parametrize("limit", [1, 5, 7])
def test_a_limit_ends_inside_a_row_group(root, grouped, tmp_path, limit):
    corpus, rows = grouped
    manifest = write_shards(corpus, root / "tokenizer", tmp_path / "shards", ShardConfig(limit=limit + 1), quiet=True)
    counts = manifest.counts
    assert counts["train_documents"] + counts["valid_documents"] == limit + 1
    assert counts["train_characters"] + counts["valid_characters"] == sum(map(len, rows[: limit + 1]))


def test_a_split_of_another_name_is_refused_by_its_place(root, tmp_path):
    table = pyarrow.table({"text": list("一二三"), "split": ["train", "train", "test"], "source": ["甲"] * 3})

    def make(folder):
        pyarrow.parquet.write_table(table, folder / "documents-00000.parquet", row_group_size=2)
        return Made()

    write_folder(tmp_path / "corpus", stage="corpus", parameters={}, inputs=[], make=make)
    with pytest.raises(ArtifactError, match="row 0 of row group 1 has split 'test'; train and valid are known"):
        write_shards(tmp_path / "corpus", root / "tokenizer", tmp_path / "shards", workers=1, quiet=True)
    assert not (tmp_path / "shards").exists()


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
    documents = [[1, 5, 65536, 199_999, 2], [1, 2], [1, 70_000, 2]]
    writer = ShardWriter(tmp_path / "train-00000.npy", token_dtype(200_000))
    writer.add(np.array(documents[0] + documents[1]), np.array([5, 2]))
    writer.add(np.array([]), np.array([]))
    writer.add(np.array(documents[2]), np.array([3]))
    writer.close()
    array = np.load(tmp_path / "train-00000.npy")
    assert array.dtype == np.uint32
    assert array.tolist() == [token for ids in documents for token in ids]
    stream = TokenStream([tmp_path / "train-00000.npy"])
    assert stream.document_starts.tolist() == [0, 5, 7]
    assert Loader(stream, 4, 0, "shards").window(0).dtype == np.uint32


def test_the_header_has_room_for_many_tokens(tmp_path):
    writer = ShardWriter(tmp_path / "train-00000.npy", token_dtype(400))
    for _ in range(11):
        writer.add(np.full(100_000, 7, np.uint16), np.array([100_000]))
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


@pytest.mark.parametrize(
    "change",
    [
        lambda tokens: tokens.astype(np.int16),
        lambda tokens: tokens.view(np.uint32) if len(tokens) % 2 == 0 else tokens.astype(np.uint32),
        lambda tokens: tokens[None],
        lambda tokens: np.where(tokens > 2, tokens + 400, tokens).astype(np.uint16),
        lambda tokens: np.roll(tokens, 1),
        lambda tokens: np.concatenate([tokens[: len(tokens) // 2], 0 * tokens[len(tokens) // 2 :]]),
        lambda tokens: tokens[:0],
    ],
)
def test_a_token_file_of_another_kind_is_refused_by_name(root, tmp_path, change):
    shutil.copytree(root / "shards", tmp_path / "shards")
    shards = ShardSet(tmp_path / "shards")
    file = tmp_path / "shards" / "train-00001.npy"
    np.save(file, change(np.load(file)))
    with pytest.raises(ArtifactError, match=r"train-00001\.npy.*--overwrite"):
        shards.split("train")


@pytest.mark.parametrize(
    "change",
    [
        lambda starts: starts.astype(np.int32),
        lambda starts: starts[1:],
        lambda starts: starts[::-1],
        lambda starts: starts + (starts > 0),
        lambda starts: starts * 1000,
        lambda starts: starts[:0],
    ],
)
def test_document_starts_of_other_tokens_are_refused_by_name(root, tmp_path, change):
    shutil.copytree(root / "shards", tmp_path / "shards")
    shards = ShardSet(tmp_path / "shards")
    file = tmp_path / "shards" / "train-00001.documents.npy"
    np.save(file, change(np.load(file)))
    with pytest.raises(ArtifactError, match=r"train-00001\.documents\.npy.*--overwrite"):
        _ = shards.split("train").document_starts


def test_a_mask_keeps_attention_within_documents():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 5, (6, 13), generator=generator)
    ids[0] = 4  # one document
    ids[1] = 1  # as many as tokens
    mask = document_mask(ids, bos_id=1)
    assert (mask.dtype, mask.shape) == (torch.bool, (6, 1, 13, 13))
    for row, query, key in product(range(6), range(13), range(13)):
        seen = key <= query and 1 not in ids[row, key + 1 : query + 1]
        assert mask[row, 0, query, key] == seen


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
