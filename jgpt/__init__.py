"""jgpt: the language model. Public names are imported when first used, so that ``import jgpt`` loads no torch."""

from typing import TYPE_CHECKING

from stage.exports import exports
from stage.version import VERSION as __version__

if TYPE_CHECKING:
    from jgpt.data.shards import write_shards as write_shards
    from jgpt.generation.generate import generate as generate
    from jgpt.interchange.export import export_model as export_model
    from jgpt.model.folder import load_model as load_model
    from jgpt.model.gpt import GPT as GPT
    from jgpt.training.pretrain import pretrain as pretrain

__getattr__ = exports(
    __name__,
    {
        "GPT": "jgpt.model.gpt",
        "export_model": "jgpt.interchange.export",
        "generate": "jgpt.generation.generate",
        "load_model": "jgpt.model.folder",
        "pretrain": "jgpt.training.pretrain",
        "write_shards": "jgpt.data.shards",
    },
)

__all__ = ["GPT", "__version__", "export_model", "generate", "load_model", "pretrain", "write_shards"]
