"""The tokenizer's files as ``AutoTokenizer`` needs them: the ids of every text are those of ``JapaneseTokenizer``.

They differ from the files of a tokenizer folder in that ``tok(text)`` begins with ``<s>``, as training and generation do;
``add_special_tokens=False`` leaves it out. A text that spells out a special piece is cut like any other text; special pieces are put
in as ids. For a conversation ``tok.split_special_tokens = False`` and ``tok.apply_chat_template(messages,
sanitize_control_tokens=True)``: the template's own special pieces are then such, and those that the messages spell out are not.
"""

import shutil
from pathlib import Path
from typing import Any

from stage.manifest import write_json
from tokenizer.interchange import tokenizer_config, tokenizer_json
from tokenizer.japanese import FILES, MODEL_NAME, JapaneseTokenizer
from tokenizer.pieces import BEGIN, BEGIN_ID


def write_tokenizer(source: Path, out: Path, context_length: int) -> None:
    """Write the tokenizer of a model folder into ``out``; raises ArtifactError where it is missing or broken."""
    tokenizer = JapaneseTokenizer(source)
    _, tokenizer_file, config_file = FILES
    shutil.copyfile(source / MODEL_NAME, out / MODEL_NAME)
    write_json(out / tokenizer_file, exported(tokenizer_json(tokenizer)))
    config = tokenizer_config() | {
        "add_bos_token": True,
        "model_max_length": context_length,
        # no token_type_ids, which the models do not take
        "model_input_names": ["input_ids", "attention_mask"],
    }
    write_json(out / config_file, config)


def exported(record: dict[str, Any]) -> dict[str, Any]:
    """The content of a ``tokenizer.json`` with ``<s>`` before a text."""
    begin, text = ({"SpecialToken": {"id": BEGIN, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}})
    return record | {
        # transformers 5 would make this of add_bos_token; other readers of the file do not
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [begin, text],
            "pair": [begin, text, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {BEGIN: {"id": BEGIN, "ids": [BEGIN_ID], "tokens": [BEGIN]}},
        },
    }
