"""Several shards folders make one order of samples: as a pool or by weight, for any number of ranks."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jgpt.data.loader import Loader
from jgpt.data.mixture import Samples, WeightedShards, parse_shards
from jgpt.data.prefetch import made_ahead, prefetched
from jgpt.data.shards import ShardSet
from stage.errors import ArtifactError, InputError, UsageError

T = 8


@pytest.fixture(scope="module")
def sets(tmp_path_factory, new_shards):
    """Three shards folders of 400, 1,000 and 90 tokens; the ids of each are in a thousand of their own."""
    root = tmp_path_factory.mktemp("sets")
    return [
        ShardSet(new_shards(root / name, [range(first, first + length - 2)]))
        for name, first, length in (("青空", 1000, 400), ("京都", 2000, 1000), ("記事", 3000, 90))
    ]


def mixed(sets, *weights, seed=0):
    return Samples(list(zip(sets, weights or [None] * len(sets), strict=True)), T, seed)


def sources(ids):
    """Which of the three each sample is from."""
    return (ids.amax(dim=1) // 1000).tolist()


def test_a_folder_may_have_a_weight(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("青空", "京都", "a:b", "a:2"):
        (tmp_path / name).mkdir()
    assert parse_shards(["青空", Path("京都")]) == [
        WeightedShards(Path("青空"), None),
        WeightedShards(Path("京都"), None),
    ]
    assert parse_shards(["青空:0.7", "京都:3", "a:b:1e-3", "a:2:2"]) == [
        WeightedShards(Path("青空"), 0.7),
        WeightedShards(Path("京都"), 3.0),
        WeightedShards(Path("a:b"), 0.001),
        WeightedShards(Path("a:2"), 2.0),
    ]
    assert parse_shards(["a:2", "a:b", "C:\\none"]) == [
        WeightedShards(Path(name), None) for name in ("a:2", "a:b", "C:\\none")
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["青空:0"], "weight '0' is not a number above 0"),
        (["青空:-1"], "'-1'"),
        (["青空:nan"], "'nan'"),
        (["none:inf"], "'inf'"),
        (["青空:半分"], "'半分'.*青空:0.5"),
        (["青空:"], "''"),
        (["青空", "京都:1"], "青空: has no weight while others have"),
        (["青空:1", "./青空:2"], "named twice"),
        ([], "--shards DIR"),
    ],
)
def test_shards_that_cannot_be_are_refused(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "青空").mkdir()
    with pytest.raises(UsageError, match=message):
        parse_shards(arguments)


def test_targets_are_the_tokens_after_the_inputs(sets):
    ids, targets = mixed(sets[:1]).batch(0, 50)
    assert ids.shape == targets.shape == (50, T)
    assert ids.dtype == targets.dtype == torch.int64
    assert torch.equal(ids[:, 1:], targets[:, :-1])


@pytest.mark.parametrize("weights", [(), (0.3,)])
def test_one_folder_is_read_window_by_window(sets, weights):
    samples, loader = mixed(sets[:1], *weights), Loader(sets[0].split("train"), T, 0, "one")
    assert (samples.windows, samples.tokens) == (loader.windows, 400)
    windows = np.stack([loader.window(position) for position in range(30, 130)]).astype(np.int64)
    ids, targets = samples.batch(30, 100)
    assert np.array_equal(ids, windows[:, :-1])
    assert np.array_equal(targets, windows[:, 1:])


def test_without_weights_each_token_is_read_once_an_epoch_shuffled_together(sets):
    samples = mixed(sets)
    assert samples.tokens == 1490
    for epoch in range(3):
        _, targets = samples.batch(epoch * samples.windows, samples.windows)
        counts = Counter(token for token in targets.flatten().tolist() if token > 2)
        assert set(counts.values()) == {1}
        assert len(counts) >= 1490 - 6 - 2 * T
        order = sources(targets)
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        assert all({1, 2, 3} == set(half) for half in halves)
    assert [entry["source"] for entry in samples.licenses] == ["青空", "京都", "記事"]
    assert samples.epochs(samples.windows * 3) == {str(shards.folder): 3.0 for shards in sets}


@settings(max_examples=40, deadline=None)
@given(weights=st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3), position=st.integers(0, 10**12))
def test_weights_are_shares_of_any_number_of_samples(sets, weights, position):
    samples = mixed(sets, *weights)
    order = sources(samples.batch(0, 200)[0])
    for count in range(1, 201):
        found = Counter(order[:count])
        for number, weight in enumerate(weights, 1):
            assert abs(found[number] - count * weight / sum(weights)) < 3
    # far into training the samples of a source are numbered on as the shares say
    taken = [samples._place(position + step) for step in range(20)]
    for number, weight in enumerate(weights):
        numbers = [index for source, index in taken if source == number]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        if numbers:
            assert abs(numbers[0] - position * weight / sum(weights)) < 25


def test_each_weighted_source_goes_through_epochs_of_its_own(sets):
    samples = mixed(sets, 0.25, 0.25, 0.5)
    windows = [Loader(shards.split("train"), T, 0, "").windows for shards in sets]
    assert samples.windows == sum(windows)
    ids, targets = samples.batch(0, 4 * 50)
    order = np.array(sources(ids))
    for number, count in enumerate(windows, 1):
        mine = targets[order == number]
        for start in range(0, len(mine) - count + 1, count):  # whole epochs
            read = [token for token in mine[start : start + count].flatten().tolist() if token > 2]
            assert len(read) == len(set(read))
            assert len(read) >= count * T - 2
    read = samples.epochs(200)
    assert list(read.values()) == pytest.approx([50 / windows[0], 50 / windows[1], 100 / windows[2]])
    lines = samples.describe(200)
    assert [share in line for share, line in zip(("25.0%", "25.0%", "50.0%"), lines, strict=True)] == [True] * 3
    assert "記事" in lines[2] and f"{100 / windows[2]:.1f} epochs" in lines[2]


@pytest.mark.parametrize("weights", [(), (0.7, 0.2, 0.1)])
def test_a_batch_follows_from_seed_and_position_alone(sets, weights):
    whole = mixed(sets, *weights, seed=5).batch(0, 400)[0]
    samples = mixed(sets, *weights, seed=5)
    assert torch.equal(samples.batch(250, 7)[0], whole[250:257])
    assert torch.equal(samples.batch(3, 1)[0], whole[3:4])
    assert not torch.equal(mixed(sets, *weights, seed=6).batch(0, 400)[0], whole)


def test_shards_shorter_than_a_context_are_named(sets, tmp_path, new_shards):
    short = ShardSet(new_shards(tmp_path / "短", [[20, 21]]))
    with pytest.raises(InputError, match="短: the training split has 4 tokens, fewer than one context of 8"):
        mixed([sets[0], short], 1.0, 1.0)
    assert mixed([sets[0], short]).tokens == 404
    with pytest.raises(InputError, match=r"短.*fewer than one context"):
        mixed([short])


def test_shards_of_different_tokenizers_do_not_mix(sets, tmp_path, new_shards):
    other = ShardSet(new_shards(tmp_path / "別", [range(20, 50)], tokenizer="another"))
    with pytest.raises(ArtifactError, match=r"青空 and .*別: were written with different tokenizers"):
        mixed([sets[0], other])


def test_shards_of_different_presets_mix_with_a_warning(sets, tmp_path, new_shards, caplog):
    plain = ShardSet(new_shards(tmp_path / "素", [range(20, 50)], preset="none"))
    assert mixed(sets).normalization == "nfkc"
    assert caplog.text == ""
    assert mixed([plain, sets[0]]).normalization == "nfkc"
    assert "normalised differently" in caplog.text


def test_a_context_longer_than_the_documents_is_told(tmp_path, new_shards, caplog):
    tweets = ShardSet(new_shards(tmp_path / "呟き", [[20, 21, 22]] * 20 + [range(20, 90)]))
    Samples([(tweets, None)], 5, 0)
    assert caplog.text == ""
    Samples([(tweets, None)], 6, 0)
    assert "呟き: half of its documents have at most 5 tokens, so windows of 6 span several" in caplog.text


def test_ids_beyond_the_vocabulary_stop_the_batch_that_holds_them(tmp_path, new_shards, monkeypatch):
    monkeypatch.setattr("stage.manifest._SMALL", 0)  # a file of real size is not hashed each time
    shards = ShardSet(new_shards(tmp_path / "shards", [range(20, 9000)]))
    samples = Samples([(shards, None)], T, 0)
    samples.batch(0, samples.windows)
    file = next(tmp_path.glob("shards/train-*[0-9].npy"))
    tokens = np.load(file)
    tokens[7000] = 60_000
    np.save(file, tokens)
    samples = Samples([(ShardSet(tmp_path / "shards"), None)], T, 0)
    with pytest.raises(ArtifactError, match="shards: holds id 60000, beyond the vocabulary of 10000"):
        samples.batch(0, samples.windows)


def test_batches_come_in_the_order_asked_for(sets):
    samples = mixed(sets)
    places = [(0, 4), (100, 3), (4, 4)]
    for (ids, targets), place in zip(prefetched(samples, places, torch.device("cpu")), places, strict=True):
        assert all(map(torch.equal, (ids, targets), samples.batch(*place)))


def test_what_is_made_ahead_keeps_order_and_distance():
    asked = []

    def places():
        for number in range(7):
            asked.append(number)
            yield number

    results = made_ahead(lambda number: number**2, places(), most=2)
    assert asked == []
    for number in range(7):
        assert next(results) == number**2
        assert asked == list(range(min(number + 3, 7)))
    assert list(results) == []


def test_an_error_is_raised_where_its_batch_would_have_come():
    def make(number):
        if number == 2:
            raise ArtifactError("train-00001.npy: is gone")
        return number

    results = made_ahead(make, range(10))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ArtifactError, match="is gone"):
        next(results)


def test_the_thread_ends_with_its_iterator():
    import threading

    before = threading.active_count()
    results = made_ahead(lambda number: number, range(10))
    assert next(results) == 0
    assert threading.active_count() == before + 1
    results.close()
    assert threading.active_count() == before
