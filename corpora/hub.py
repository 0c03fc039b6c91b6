"""Hugging Face data sets as sources: ``hf:NAME[:CONFIG][@SPLIT]``, on the hub or in a local folder, streamed."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from corpora.reading import RawDocument, first_line, record_document
from stage.errors import InputError, UsageError


class HubSource(NamedTuple):
    """What an ``hf:`` path names."""

    name: str
    config: str | None
    split: str


def parse_hub_path(path: str) -> HubSource:
    """The parts of ``hf:NAME[:CONFIG][@SPLIT]``; the split is train when none is named."""
    rest = path.removeprefix("hf:")
    split = "train"
    if not os.path.isdir(rest) and "@" in rest:
        rest, split = rest.rsplit("@", 1)
    config = None
    if not os.path.isdir(rest) and ":" in rest:
        rest, config = rest.rsplit(":", 1)
    if not rest or not split or config == "":
        raise UsageError(f"{path}: a Hugging Face data set is named hf:NAME, hf:NAME:CONFIG or hf:NAME:CONFIG@SPLIT")
    return HubSource(rest, config, split)


def hub_revision(path: str) -> str:
    """The commit that a data set on the hub stands at. Raises InputError when the hub has no such set or is silent."""
    source = parse_hub_path(path)
    try:
        from huggingface_hub import HfApi

        revision = HfApi().dataset_info(source.name, timeout=30).sha
    except Exception as error:  # noqa: BLE001 the client raises errors of several libraries
        raise InputError(
            f"{path}: not found on the Hugging Face hub, nor a local folder ({first_line(error)})"
        ) from None
    return revision or "unknown"


def read_hub(path: str, *, text_field: str, revision: str | None = None) -> Iterator[RawDocument]:
    """The records of a data set in order, streamed. InputError for an unknown set, configuration, split or field."""
    import datasets

    hub = parse_hub_path(path)
    datasets.disable_progress_bars()
    place = path
    try:
        stream = datasets.load_dataset(hub.name, hub.config, split=hub.split, streaming=True, revision=revision)
        for index, record in enumerate(stream):
            yield record_document(index, dict(record), text_field, f"{path}: record {index + 1}")
            place = f"{path}: after record {index + 1}"
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 builders raise whatever their format's library raises
        raise InputError(f"{place}: cannot be read as a data set ({first_line(error)})") from None
