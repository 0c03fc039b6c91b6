"""The commands of tokenizers on the folders of a finished run: extend, prune, measure, show, and shards by another encoder."""

import json

import pytest

from stage.manifest import read_manifest
from tokenizer import JapaneseTokenizer

TEXT = "初めに神は天と地を創造せり。\n吾輩は▁𠮷野家で👨‍👩‍👧を見た。"


@pytest.fixture
def run(finished):
    return finished[0]


@pytest.fixture
def heldout(tmp_path):
    file = tmp_path / "未見.txt"
    file.write_text(TEXT * 30, "utf-8")
    return file


def test_measures_are_printed_as_a_table_and_as_json_and_written_as_a_page(run, heldout, jgpt, tmp_path):
    both = (run / "tokenizer", run / "tokenizer" / "tokenizer.json")
    status, printed, _ = jgpt("tokenizer", "measure", *both, "--text", heldout, "--html", tmp_path / "比較.html")
    assert status == 0
    assert printed.splitlines()[0].split() == ["tokenizer", "tokenizer.json"]
    assert len([line for line in printed.splitlines() if line.startswith("characters per token")]) == 1
    found = jgpt("tokenizer", "measure", *both, "--text", heldout, "--html", heldout)
    assert found[0] == 2 and "is there already; --overwrite replaces it" in found[2]
    assert heldout.read_text("utf-8") == TEXT * 30
    assert (
        "there is no folder"
        in jgpt("tokenizer", "measure", *both, "--text", heldout, "--html", tmp_path / "無" / "x.html")[2]
    )
    page = (tmp_path / "比較.html").read_text("utf-8")
    assert "分割の例" in page and "https://" not in page.split("<body", 1)[1]
    status, printed, _ = jgpt("tokenizer", "measure", *both, "--text", heldout, "--json", "--quiet")
    ours, other = json.loads(printed).values()
    timed = ("encode_megabytes_per_second", "decode_megabytes_per_second")
    assert {**ours, **dict.fromkeys(timed)} == {**other, **dict.fromkeys(timed)}
    assert ours["round_trip_exact"] == 1 and ours["byte_fallback_share"] > 0


def test_one_source_of_a_corpus_is_measured_alone(run, jgpt):
    command = ("tokenizer", "measure", run / "tokenizer", "--corpus", run / "corpus", "--json", "--quiet", "--source")
    [source] = {name for name, _ in read_manifest(run / "shards").counts["sources"]["valid"]}
    assert json.loads(jgpt(*command, source)[1])["tokenizer"]["characters"] > 100
    status, printed, errors = jgpt(*command, "青空")
    assert (status, printed) == (1, "")
    assert errors.endswith(f"has no source 青空; it has {source}\n")
    assert jgpt("tokenizer", "measure", run / "tokenizer", "--source", source)[0] == 2


def test_pieces_are_shown_side_by_side(run, jgpt):
    shown = jgpt("tokenizer", "show", "天地を𠮷", "--tokenizer", run / "tokenizer")[1]
    assert shown.strip().replace("|", "").startswith("天地を<0xF0>")
    assert jgpt("tokenizer", "show", "--tokenizer", run / "tokenizer", "天地を𠮷")[1] == shown
    for tokenizers in ([run / "tokenizer"], [run / "tokenizer", run / "shards"]):
        assert "the text to show is missing" in jgpt("tokenizer", "show", "--tokenizer", *tokenizers)[2]
    both = jgpt("tokenizer", "show", "天地", "--ids", "--tokenizer", run / "tokenizer", run / "shards")[1].splitlines()
    ids = JapaneseTokenizer(run / "tokenizer").encode("天地")
    assert both[0] == f"tokenizer: {len(ids)} tokens"
    assert [int(line.split("\t")[0]) for line in both[1 : 1 + len(ids)]] == ids


def test_pieces_are_added_and_left_out(run, heldout, jgpt, tmp_path):
    old = JapaneseTokenizer(run / "tokenizer")
    size = old.vocab_size + 8
    out = ("--out", tmp_path / "長", "--quiet")
    found = jgpt("tokenizer", "extend", "--tokenizer", run / "tokenizer", "--text", heldout, "--vocab_size", size, *out)
    assert found[0] == 0, found
    longer = JapaneseTokenizer(tmp_path / "長")
    assert [longer.piece(index) for index in range(old.vocab_size)] == [
        old.piece(index) for index in range(old.vocab_size)
    ]
    assert len(longer.encode(TEXT)) < len(old.encode(TEXT))
    flags = ("--vocab_size", size - 20, "--out", tmp_path / "短", "--quiet")
    assert jgpt("tokenizer", "prune", "--tokenizer", tmp_path / "長", *flags)[0] == 0
    shorter = JapaneseTokenizer(tmp_path / "短")
    old_ids = json.loads((tmp_path / "短" / "old_ids.json").read_text("utf-8"))
    assert [longer.piece(index) for index in old_ids] == [shorter.piece(index) for index in range(shorter.vocab_size)]
    assert shorter.decode(shorter.encode(TEXT)) == TEXT


def test_user_symbols_are_several_words(heldout, jgpt, tmp_path):
    flags = ("--vocab_size", 310, "--user_symbols", "<|考|>", "。。", "--out", tmp_path / "t", "--quiet")
    status, _, errors = jgpt("tokenizer", "train", "--text", heldout, *flags)
    assert status == 0, errors
    assert JapaneseTokenizer(tmp_path / "t").encode("<|考|>。。") == [308, 309]


def test_records_are_no_plain_text(run, jgpt, tmp_path):
    (tmp_path / "記事.jsonl").write_text('{"text": "雪国"}')
    for command in (("train", "--out", tmp_path / "t"), ("measure", run / "tokenizer")):
        status, _, errors = jgpt("tokenizer", *command, "--text", tmp_path / "記事.jsonl")
        assert status == 1 and "is no plain text: `jgpt corpus build` reads it" in errors


def test_lists_in_a_configuration_file_are_lists(heldout, jgpt, tmp_path):
    for wrong in ("foo", "{a: b}", "[[a]]"):
        (tmp_path / "c.yaml").write_text(f"user_symbols: {wrong}\n")
        status, _, errors = jgpt(
            "tokenizer", "train", "--text", heldout, "--config", tmp_path / "c.yaml", "--out", tmp_path / "t"
        )
        assert status == 2 and "user_symbols: a list is expected" in errors


def test_another_encoder_writes_the_same_shards(run, jgpt, tmp_path):
    pytest.importorskip("gigatoken")
    inputs = ("--corpus", run / "corpus", "--tokenizer", run / "tokenizer")
    status, _, errors = jgpt("shard", *inputs, "--encoder", "gigatoken", "--out", tmp_path / "s", "--quiet")
    assert status == 0, errors
    assert read_manifest(tmp_path / "s").data_sha256 == read_manifest(run / "shards").data_sha256
    assert "--encoder" in jgpt("shard", *inputs, "--encoder", "tiktoken", "--out", tmp_path / "u")[2]
