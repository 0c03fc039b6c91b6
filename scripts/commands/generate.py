"""``jgpt generate``."""

import sys

from jgpt.config import GenerateConfig
from scripts.arguments import Parser, build
from stage.errors import InputError


def main(prog: str, arguments: list[str]) -> None:
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
    parser.add_argument("--model", type=str, required=True, help="Model folder, or one of its checkpoints.")
    parser.add_argument("--prompt", type=str, default="", help="Text to continue; - reads it from stdin.")
    parser.configuration(GenerateConfig, skip=["stop"])
    parser.add_argument("--stop", type=str, nargs="+", default=[], help="Strings that end the text before them.")
    parser.flag("dtype", str, "float32", "float32, or bfloat16 for half the memory.")
    parser.common("device", "threads", "quiet")
    given = parser.parse_args(arguments)
    config = build(GenerateConfig, given)
    prompt = _stdin() if given.prompt == "-" else given.prompt
    import torch

    from corpora.normalization import normalize_prompt
    from jgpt import load_model
    from jgpt.generation.generate import stream
    from tokenizer import JapaneseTokenizer

    if given.threads:
        torch.set_num_threads(given.threads)
    model = load_model(given.model, given.device, given.dtype)
    prompt = normalize_prompt(prompt, model.config.normalization or "none")
    tokenizer = JapaneseTokenizer(given.model)
    tokenizer.encode(prompt)  # refuses what no text can hold before anything is printed
    sys.stdout.write(prompt)
    for text in stream(model, tokenizer, prompt, config):
        sys.stdout.write(text)
        sys.stdout.flush()
    sys.stdout.write("\n")


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"stdin: byte {error.start} is not UTF-8") from None
