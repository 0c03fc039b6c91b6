"""The model card: the ``README.md`` of an exported folder, for people and for a hub."""

import json
from pathlib import Path

from jgpt.config import ModelConfig
from jgpt.interchange.families import find_family
from jgpt.model.origin import Origin
from jgpt.training.metrics import NAME as METRICS
from jgpt.training.metrics import read_lines
from stage.errors import ArtifactError, UsageError

GENERATE = """\
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = AutoModelForCausalLM.from_pretrained("."), AutoTokenizer.from_pretrained(".")  # this folder
ids = model.generate(**tokenizer("吾輩は", return_tensors="pt"), max_new_tokens=64, do_sample=True, top_p=0.95)
print(tokenizer.decode(ids[0], skip_special_tokens=True))"""
"""Python that the card shows, to be run in the folder."""


def model_card(config: ModelConfig, origin: Origin, results: Path | None = None) -> str:
    """The text of the card; ``results`` is a folder of `jgpt eval` with the model's figures."""
    family = find_family(config)
    licenses = list(dict.fromkeys(entry["license"] for entry in origin.licenses if entry.get("license")))
    front = {
        "language": "ja",
        # that of the model is for its owner to choose; these are those of the text
        "license": "other",
        "license_name": ", ".join(licenses) or "unknown",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["jgpt", "japanese", family.model_type],
    }
    trained = [f"{origin.counts[name]:,} {name}" for name in ("tokens", "steps", "epochs") if origin.counts.get(name)]
    preset = config.normalization or "none"
    lines = [
        "---",
        *(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in front.items()),
        "---",
        "",
        "# A small Japanese GPT",
        "",
        f"It continues Japanese text and was not taught to follow instructions. {config.parameters:,} parameters, a context of "
        f"{config.context_length:,} tokens, a vocabulary of {config.vocab_size:,} pieces; a `{family.class_name}` made with "
        f"jgpt{', trained on ' if trained else ''}{', '.join(trained)}.",
        "",
        "```python",
        GENERATE,
        "```",
        "",
        "The tokenizer puts `<s>` before a text by itself, as training did; special pieces spelled out in a text are text.",
        f"The training text was normalised by jgpt's preset `{preset}`: normalise prompts alike "
        f'(`corpora.normalization.normalize_prompt(prompt, "{preset}")`).'
        if preset != "none"
        else "The training text was not normalised.",
        "",
        "## How good it is",
        "",
        _figures(origin, results),
        "",
        "## What it was trained on",
        "",
        *_sources(origin.licenses),
    ]
    return "\n".join(lines) + "\n"


def _figures(origin: Origin, results: Path | None) -> str:
    """Bits per character with the definition: of `jgpt eval`, or as training measured them last."""
    if results is not None:
        try:
            language = json.loads((results / "results.json").read_text("utf-8")).get("language")
            if language is None:
                raise UsageError(f"--results {results}: has no bits per character; run jgpt eval without --no_language")
            value = language["bits_per_character"]
            return (
                f"{value['value']:.3f} bits per character (95 % interval {value['low']:.3f} to {value['high']:.3f}) on "
                f"{language['documents']:,} held-out documents: {language['definition']}."
            )
        except (OSError, ValueError, KeyError, TypeError):
            raise ArtifactError(f"{results}: its results.json is not as jgpt wrote it") from None
    file = origin.run / METRICS
    measured = read_lines(file)
    key = "valid_bits_per_character"
    bits = [entry[key] for entry in measured if entry.get(key) and entry.get("step") == origin.counts.get("steps")]
    if not bits:
        return "It was not measured; `jgpt eval` does."
    return (
        f"{bits[-1]:.3f} bits per character on held-out text, as training measured it: nats a token over the beginning of the "
        "valid split, in windows of the context length, × tokens a character / ln 2. `jgpt eval` gives the exact figure."
    )


def _sources(licenses: list[dict[str, str]]) -> list[str]:
    rows = [[entry.get(name) or "—" for name in ("source", "license", "attribution")] for entry in licenses]
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    head = (
        ["| source | licence | attribution |", "|---|---|---|"]
        if rows
        else ["Its sources and their licences are not recorded."]
    )
    return head + [f"| {' | '.join(row)} |" for row in cells]
