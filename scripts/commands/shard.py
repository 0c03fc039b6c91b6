"""``jgpt shard``."""

from typing import Literal

from jgpt.config import ShardConfig
from scripts.arguments import Parser, build, shared, tell_counts


def shard(prog: str, arguments: list[str]) -> None:
    """Documents to token files."""
    parser = Parser(
        prog,
        "Encode a documents folder into memory-mapped token files (.npy), in all cores.",
        ["jgpt shard --corpus my/corpus --tokenizer my/tokenizer --out my/shards"],
    )
    parser.config_file()
    parser.common("corpus", "tokenizer", "out")
    parser.configuration(ShardConfig)
    parser.flag(
        "encoder",
        Literal["sentencepiece", "gigatoken"],
        "sentencepiece",
        "gigatoken: up to twice as fast for BPE, once it has proved to give the same ids (pip install 'jgpt[fast]').",
    )
    parser.common("workers", "engine", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    config = build(ShardConfig, given)
    from jgpt import write_shards

    manifest = write_shards(given.corpus, given.tokenizer, given.out, config, encoder=given.encoder, **shared(given))
    tell_counts(given.out, manifest)
