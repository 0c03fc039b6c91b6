"""Any language model behind one protocol: a folder of jgpt, a folder of Hugging Face's form, an OpenAI-compatible endpoint.

It asks by text, because an endpoint shares no tokenizer with us.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from eval.scoring import ModelScorer, Request, Scores, encode_choices, is_cut
from stage.errors import ArtifactError, UsageError
from stage.manifest import Input

Question = tuple[str, Sequence[str]]
"""A context, and the choices of what may follow it; none of them empty."""


class TextScore(NamedTuple):
    """How likely a text is to a model."""

    log_probability: float
    """Natural logarithm, summed over the tokens."""
    tokens: int
    """How many tokens that is the sum of."""
    cut: bool = False
    """Whether the context was longer than the model's and cut from the left."""
    unscored: int = 0
    """Tokens without a probability: the first of a text, at an endpoint that puts nothing before it."""


class LanguageModel(Protocol):
    """What an evaluation asks of a model."""

    name: str
    """For tables."""
    context_length: int
    """Most tokens that it sees; 0 where that is not known."""
    normalization: str
    """The preset of ``corpora.normalization`` that texts are to have gone through; "none" for models of other makers."""
    at_once: int
    """How many questions or prompts are worth asking together; what a kill costs at most."""
    scores_end: bool
    """Whether the score of a text includes the piece that ends it."""

    def score_choices(self, questions: Sequence[Question], description: str = "") -> list[list[TextScore]]:
        """The score of each choice after its context.

        Context and choice are encoded as one text. Where a token spans the join, all choices of a question are scored from
        the same token before it on, so that their scores compare.
        """

    def score_texts(self, texts: Sequence[str], description: str = "") -> list[TextScore]:
        """The score of each text as a document of its own; a text longer than the context is read in overlapping windows."""

    def generate(
        self, prompts: Sequence[str], *, max_tokens: int, stop: Sequence[str] = (), description: str = ""
    ) -> list[str]:
        """The likeliest continuation, token by token, of each prompt: up to its end, or before a stop string."""

    def identity(self) -> str:
        """What scores may be stored by: a hash of the files, or address and name, and the precision."""


def open_model(
    place: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_tokens: int = 2048,
    quiet: bool = False,
    endpoint_model: str = "",
    endpoint_parallel: int = 4,
    reference: bool = False,
) -> LanguageModel:
    """The model at a place: the address of an endpoint, or a folder, whose ``config.json`` tells of which form it is.

    ``reference``: jgpt's own models compute each request by itself. Raises UsageError for what cannot be asked for, ArtifactError for folders that hold no model, JgptError for an endpoint
    that does not answer.
    """
    if str(place).startswith(("http://", "https://")):
        from eval.endpoint import Endpoint

        for flag, value in (("--device", device), ("--dtype", dtype)):
            if value != "auto":
                raise UsageError(f"{flag} {value}: has no effect on an endpoint, which has its own")
        if reference:
            raise UsageError("--reference: has no effect on an endpoint; it is for models of jgpt")
        return Endpoint(str(place), endpoint_model, parallel=endpoint_parallel, quiet=quiet)
    if endpoint_model:
        raise UsageError(f"--endpoint_model {endpoint_model}: {place} is no address; give --model http://HOST:PORT/v1")
    if endpoint_parallel != 4:
        raise UsageError(f"--endpoint_parallel {endpoint_parallel}: has no effect, {place} is no address")
    folder = _folder(place)
    if _model_type(folder) in ("jgpt", None):  # None: the loader knows best why there is no model
        return JgptModel(folder, device, dtype, batch_tokens, quiet, reference)
    from eval.huggingface import HuggingFaceModel

    if reference:
        raise UsageError(f"--reference: has no effect on {place}; it is for models of jgpt")
    return HuggingFaceModel(folder, device, dtype, batch_tokens, quiet)


def identify(place: str | Path, endpoint_model: str = "") -> tuple[Input, str]:
    """A model as an input, of the role ``model`` where it is one of jgpt's, and the preset that its texts go through."""
    if str(place).startswith(("http://", "https://")):
        name = f"{str(place).rstrip('/')} {endpoint_model}"
        return Input("endpoint", name, hashlib.sha256(name.encode()).hexdigest()), "none"
    folder = _folder(place)
    if _model_type(folder) not in ("jgpt", None):
        from eval.huggingface import hash_folder

        return Input("foreign model", str(folder), hash_folder(folder)), "none"
    from jgpt.model.folder import load_config, model_input

    return model_input(folder), load_config(folder).normalization or "none"


class JgptModel:
    """A model folder of jgpt, or one of its checkpoints."""

    scores_end = True
    at_once = 256

    def __init__(
        self, folder: Path, device: str, dtype: str, batch_tokens: int, quiet: bool, reference: bool = False
    ) -> None:
        from jgpt.model.folder import load_model, model_input
        from tokenizer import JapaneseTokenizer

        self.model = load_model(folder, device=device, dtype=dtype)
        self._identity = f"{model_input(folder).sha256} {precision_of(self.model)}"
        self.tokenizer = JapaneseTokenizer(folder)
        self.scorer = ModelScorer(self.model, batch_tokens, quiet, reference=reference)
        self.name = folder.name
        self.context_length = int(self.model.config.context_length)
        self.normalization = self.model.config.normalization or "none"
        self._quiet = quiet

    def score_choices(self, questions: Sequence[Question], description: str = "") -> list[list[TextScore]]:
        return score_choices(self.scorer, self.tokenizer, questions, self.context_length)

    def score_texts(self, texts: Sequence[str], description: str = "") -> list[TextScore]:
        begin, end = self.tokenizer.bos_id, self.tokenizer.eos_id
        requests: list[Request] = [([begin], [*ids, end]) for ids in self.tokenizer.encode_batch(texts)]
        scores = self.scorer.score(requests, description)
        return [TextScore(float(values.sum()), len(values)) for values in scores]

    def generate(
        self, prompts: Sequence[str], *, max_tokens: int, stop: Sequence[str] = (), description: str = ""
    ) -> list[str]:
        from jgpt.generation.batch import generate_batch

        return generate_batch(
            self.model,
            self.tokenizer,
            prompts,
            max_tokens=max_tokens,
            stop=stop,
            description=description,
            quiet=self._quiet,
        )

    def identity(self) -> str:
        return self._identity


class CountedModel:
    """An n-gram model with the tokenizer of its shards: what a model's answers are compared with."""

    at_once = 256

    def __init__(self, counts: Any, tokenizer: Any) -> None:
        self.counts, self.tokenizer = counts, tokenizer

    def score_choices(self, questions: Sequence[Question], description: str = "") -> list[list[TextScore]]:
        """As ``LanguageModel.score_choices``; contexts have any length."""
        return score_choices(self.counts, self.tokenizer, questions)


def score_choices(
    scorer: Any, tokenizer: Any, questions: Sequence[Question], context_length: int = 0
) -> list[list[TextScore]]:
    """The choices of questions by what scores tokens, a ``ModelScorer`` or n-gram counts; 0 for contexts of any length."""
    requests = [encode_choices(tokenizer, context, choices) for context, choices in questions]
    scores = iter(scorer.score([each for some in requests for each in some]))
    return [[score_of(each, next(scores), context_length) for each in some] for some in requests]


def precision_of(model: Any) -> str:
    """The dtype of its weights, in which scores differ."""
    return str(next(model.parameters()).dtype).removeprefix("torch.")


def score_of(request: Request, values: Scores, context_length: int) -> TextScore:
    """The score of a choice from those of its tokens."""
    return TextScore(float(values.sum()), len(values), bool(context_length) and is_cut(request, context_length))


def _folder(place: str | Path) -> Path:
    folder = Path(place)
    if not folder.is_dir():
        mend = "no such folder"
        if str(place).count("/") == 1 and not str(place).startswith((".", "/")):
            mend += f"; a model of the Hugging Face Hub is downloaded first: hf download {place} --local-dir DIR"
        raise ArtifactError(f"{place}: {mend}")
    return folder


def _model_type(folder: Path) -> str | None:
    """What ``config.json`` calls the model; None where there is none or it does not say."""
    try:
        record = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    # some old folders of Hugging Face's name the class alone
    return (record.get("model_type") or str(record.get("architectures"))) if isinstance(record, dict) else None
