"""``jgpt shard``."""

from jgpt.config import ShardConfig
from scripts.arguments import Parser, build
from scripts.commands.corpus_build import print_counts


def main(prog: str, arguments: list[str]) -> None:
    """Documents to token files."""
    parser = Parser(
        prog,
        "Encode a documents folder into memory-mapped token files (.npy), in all cores.",
        ["jgpt shard --corpus my/corpus --tokenizer my/tokenizer --out my/shards"],
    )
    parser.config_file()
    parser.add_argument("--corpus", type=str, required=True, help="Documents folder.")
    parser.add_argument("--tokenizer", type=str, required=True, help="Tokenizer folder.")
    parser.add_argument("--out", type=str, required=True, help="Folder to write.")
    parser.configuration(ShardConfig)
    parser.common("workers", "overwrite", "quiet")
    given = parser.parse_args(arguments)
    config = build(ShardConfig, given)
    from jgpt import write_shards

    manifest = write_shards(
        given.corpus,
        given.tokenizer,
        given.out,
        config,
        workers=given.workers,
        overwrite=given.overwrite,
        quiet=given.quiet,
    )
    print_counts(given.out, manifest.counts)
