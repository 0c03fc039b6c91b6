"""``jgpt generate`` and ``jgpt score``: what a model writes, and how well it expects a text."""

import json
import sys

from jgpt.config import GenerateConfig
from scripts.arguments import Parser, build
from stage.errors import InputError


def generate(prog: str, arguments: list[str]) -> None:
    """Continue a prompt."""
    parser = Parser(
        prog,
        "Print the prompt and its continuation, nothing else, to stdout, as they are generated.",
        [
            "jgpt generate --model my/model --prompt 吾輩は",
            "jgpt generate --model my/model --prompt 吾輩は --temperature 0 --stop 。",
        ],
    )
    parser.config_file()
    parser.common("model")
    parser.flag("prompt", str, "", "Text to continue; - reads it from stdin.")
    parser.configuration(GenerateConfig, skip=["stop"])
    parser.flag("stop", str, [], "Strings that end the text before them.", nargs="+")
    parser.flag("dtype", str, "float32", "float32, or bfloat16 for half the memory.")
    parser.common("device", "threads", "quiet")
    given = parser.parse_args(arguments)
    config = build(GenerateConfig, given)
    prompt = _stdin() if given.prompt == "-" else given.prompt
    from jgpt.generation.generate import stream
    from scripts.loading import load, normalized

    model, tokenizer = load(given.model, given.device, given.dtype, given.threads)
    prompt = normalized(model, prompt)
    tokenizer.encode(prompt)  # refuses what no text can hold before anything is printed
    sys.stdout.write(prompt)
    for text in stream(model, tokenizer, prompt, config):
        sys.stdout.write(text)
        sys.stdout.flush()
    sys.stdout.write("\n")


def score(prog: str, arguments: list[str]) -> None:
    """Surprisal of each token of a text."""
    parser = Parser(
        prog,
        "Print each token of a text with its surprisal in bits and its rank; the total and bits per character on the last line.",
        ["jgpt score --model my/model 吾輩は猫である。"],
    )
    parser.add_argument("text", type=str, help="The text.")
    parser.common("model")
    parser.flag("json", bool, False, "Print JSON, a line a token.")
    parser.common("device", "threads", "quiet")
    given = parser.parse_args(arguments)
    from jgpt.generation.score import score as surprisals
    from scripts.loading import load, normalized

    model, tokenizer = load(given.model, given.device, "float32", given.threads)
    text = normalized(model, given.text)
    scores = surprisals(model, tokenizer, text)
    if given.json:
        print("".join(f"{json.dumps(vars(token), ensure_ascii=False)}\n" for token in scores), end="")
        return
    for token in scores:
        print(f"{token.surprisal:8.3f} bits  rank {token.rank:6d}  {token.piece!r}")
    total = sum(token.surprisal for token in scores)
    each = f", {total / len(text):.3f} a character" if text else ""
    print(f"{total:8.3f} bits in {len(scores)} tokens{each}")


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"stdin: byte {error.start} is not UTF-8") from None
