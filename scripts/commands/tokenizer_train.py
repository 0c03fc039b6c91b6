"""``jgpt tokenizer train``."""

from scripts.arguments import Parser, build
from scripts.commands.corpus_build import print_counts
from tokenizer.config import TokenizerConfig


def main(prog: str, arguments: list[str]) -> None:
    """Train a tokenizer."""
    parser = Parser(
        prog,
        "Train a lossless SentencePiece BPE tokenizer; tokenizer.json beside it has the same ids for Hugging Face.",
        [
            "jgpt tokenizer train --corpus my/corpus --out my/tokenizer",
            "jgpt tokenizer train --text *.txt --vocab_size 16000 --out my/tokenizer",
        ],
    )
    parser.config_file()
    parser.add_argument("--corpus", type=str, default=None, help="Documents folder to learn from (its train split).")
    parser.add_argument("--text", type=str, nargs="+", default=[], help="UTF-8 text files to learn from instead.")
    parser.add_argument("--out", type=str, required=True, help="Folder to write.")
    parser.configuration(TokenizerConfig)
    parser.common("overwrite", "quiet")
    given = parser.parse_args(arguments)
    config = build(TokenizerConfig, given)
    from tokenizer.training import train_tokenizer

    manifest = train_tokenizer(
        given.out, config, corpus=given.corpus, text=given.text, overwrite=given.overwrite, quiet=given.quiet
    )
    print_counts(given.out, manifest.counts)
