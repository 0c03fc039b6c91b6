"""Export: a model as a folder that ``transformers`` loads without code of ours, written only once that is proved."""

from pathlib import Path

from jgpt.interchange.card import model_card
from jgpt.interchange.families import family_config, family_weights, find_family
from jgpt.interchange.proof import import_transformers, own_logits, proof_ids, prove_logits, prove_tokenizer
from jgpt.interchange.tokenizer import write_tokenizer
from jgpt.model.folder import CONFIG, WEIGHTS, load_config, load_model, model_input, save_tensors
from jgpt.model.origin import find_origin
from stage.errors import ArtifactError, UsageError
from stage.folder import Made, write_folder
from stage.manifest import Manifest, artifact_input, read_manifest, write_json
from stage.replacing import checked_out
from tokenizer.japanese import JapaneseTokenizer
from tokenizer.pieces import BEGIN_ID, END_ID, PADDING_ID

GENERATION = {"bos_token_id": BEGIN_ID, "eos_token_id": END_ID, "pad_token_id": PADDING_ID}
"""``generation_config.json``; how to sample is for the user to say."""


def export_model(
    model: Path | str, out: Path | str, *, results: Path | str | None = None, overwrite: bool = False
) -> Manifest:
    """Write a model folder, or one of its checkpoints, as a folder for ``AutoModelForCausalLM`` and ``AutoTokenizer``.

    Before it counts, ``transformers`` loads it and must give the same logits (to 1e-4, in float32) and, for a fixed set of
    hard strings, the same ids and text. ``results`` is a folder of `jgpt eval`, whose figures go into the model card.

    Raises ArtifactError for folders that are not what they should be, UsageError for a setting that no family of
    ``transformers`` has or an impossible ``out``, JgptError where ``transformers`` is missing or the proof fails.
    """
    model = Path(model)
    config = load_config(model)
    find_family(config)
    origin, inputs = find_origin(model), [model_input(model)]
    if results is not None:
        inputs.append(artifact_input("results", results, "eval"))
        if read_manifest(results).input("model").sha256 != inputs[0].sha256:
            raise UsageError(f"--results {results}: are those of another model; run jgpt eval on {model}")
    if {model.resolve(), origin.run.resolve()} & {*checked_out(out, inputs).resolve().parents}:
        raise UsageError(f"--out {out}: lies in the folder of the model that is read; choose another")

    def make(folder: Path) -> Made:
        import_transformers()
        tokenizer = JapaneseTokenizer(model)
        if tokenizer.vocab_size > config.vocab_size:
            raise ArtifactError(
                f"{model}: its tokenizer has {tokenizer.vocab_size} pieces, the model {config.vocab_size}"
            )
        write_json(folder / CONFIG, family_config(config))
        write_json(folder / "generation_config.json", GENERATION)
        (folder / "README.md").write_text(model_card(config, origin, Path(results) if results else None), "utf-8")
        write_tokenizer(model, folder, config.context_length)
        strings = prove_tokenizer(folder, tokenizer)
        loaded = load_model(model, "cpu")
        sequences = proof_ids(config, tokenizer)
        wanted = own_logits(loaded, sequences)
        tensors = loaded.state_dict()
        if config.tie_embeddings:
            del tensors["head.weight"]
        save_tensors(family_weights(config, tensors), folder / WEIGHTS)
        del loaded, tensors  # a large model fits into memory once
        difference = prove_logits(folder, sequences, wanted)
        counts = {"parameters": config.parameters, "hard_strings": strings, "largest_logit_difference": difference}
        return Made(counts | {"family": find_family(config).class_name}, origin.licenses)

    return write_folder(
        out,
        stage="export",
        parameters={"format": "transformers"},
        inputs=inputs,
        make=make,
        overwrite=overwrite,
        need_bytes=4 * config.parameters,
    )
