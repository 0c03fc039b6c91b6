"""``jgpt score``."""

import json

from scripts.arguments import Parser


def main(prog: str, arguments: list[str]) -> None:
    """Surprisal of each token of a text."""
    parser = Parser(
        prog,
        "Print each token of a text with its surprisal in bits and its rank; the total and bits per character on the last line.",
        ["jgpt score --model my/model 吾輩は猫である。"],
    )
    parser.add_argument("text", type=str, help="The text.")
    parser.add_argument("--model", type=str, required=True, help="Model folder, or one of its checkpoints.")
    parser.flag("json", bool, False, "Print JSON, a line a token.")
    parser.common("device", "threads", "quiet")
    given = parser.parse_args(arguments)
    import torch

    from corpora.normalization import normalize_prompt
    from jgpt import load_model
    from jgpt.generation.score import score
    from tokenizer import JapaneseTokenizer

    if given.threads:
        torch.set_num_threads(given.threads)
    model = load_model(given.model, given.device)
    text = normalize_prompt(given.text, model.config.normalization or "none")
    scores = score(model, JapaneseTokenizer(given.model), text)
    for token in scores:
        if given.json:
            print(json.dumps(vars(token), ensure_ascii=False))
        else:
            print(f"{token.surprisal:8.3f} bits  rank {token.rank:6d}  {token.piece!r}")
    if not given.json:
        total = sum(token.surprisal for token in scores)
        each = f", {total / len(text):.3f} a character" if text else ""
        print(f"{total:8.3f} bits in {len(scores)} tokens{each}")
