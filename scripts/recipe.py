"""A recipe: the settings of every stage, in one YAML file."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from corpora.config import CorpusConfig
from corpora.normalization import parse_preset
from eval.config import EvalConfig
from jgpt.config import GenerateConfig, PretrainConfig, ShardConfig
from stage.errors import UsageError
from tokenizer.config import TokenizerConfig

FOLDER = Path(__file__).parent / "recipes"
DATA = "{data}"


@dataclass
class SamplesConfig:
    """Texts that a finished model writes for the report."""

    prompts: list[str] = field(default_factory=lambda: [""])
    """One text is written after each prompt."""

    temperatures: list[float] = field(default_factory=list)
    """With each of these one is written after each prompt; empty: with that of ``generate`` alone."""

    generate: GenerateConfig = field(default_factory=GenerateConfig)
    """How they are drawn; the seed grows by one from prompt to prompt."""

    def __post_init__(self) -> None:
        self.settings()  # raises UsageError for a temperature that is none

    def settings(self) -> list[tuple[str, GenerateConfig]]:
        """Each prompt with how to go on after it, once for each temperature."""
        return [
            (prompt, replace(self.generate, temperature=temperature, seed=self.generate.seed + number))
            for number, prompt in enumerate(self.prompts)
            for temperature in self.temperatures or [self.generate.temperature]
        ]


@dataclass
class RecipeConfig:
    """The settings of a whole run."""

    name: str
    """The run goes into runs/NAME."""

    corpus: CorpusConfig
    """Sources and rules of the documents; {data} in a path stands for --data DIR."""

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    """The tokenizer."""

    shard: ShardConfig = field(default_factory=ShardConfig)
    """The token files."""

    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    """The model and its training."""

    eval: EvalConfig = field(default_factory=EvalConfig)
    """What is measured."""

    samples: SamplesConfig = field(default_factory=SamplesConfig)
    """Texts for the report."""

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise UsageError(f"name {self.name!r}: a recipe needs a name that can be a folder")


def find_recipe(name: str) -> Path:
    """A recipe by its path, or a shipped one by its name; raises UsageError naming the shipped ones."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = sorted(entry.stem for entry in FOLDER.glob("*.yaml"))
    if name in shipped:
        return FOLDER / f"{name}.yaml"
    raise UsageError(f"{name}: no such recipe file; shipped recipes are {', '.join(shipped)}")


def check_preset(config: PretrainConfig) -> None:
    """Raise UsageError for a normalisation of prompts that does not exist: generation would fail after the training."""
    if config.model.normalization:
        try:
            parse_preset(config.model.normalization)
        except UsageError as error:
            raise UsageError(f"model.normalization: {error}") from None


def with_data(recipe: RecipeConfig, data: Path | None) -> RecipeConfig:
    """The recipe with ``{data}`` in the paths of its sources replaced; raises UsageError when it is needed and missing."""
    if data is None:
        needing = [source.path for source in recipe.corpus.sources if DATA in source.path]
        if needing:
            raise UsageError(
                f"this recipe reads {needing[0]}: say where that lies with --data DIR (the README says where it is had)"
            )
        return recipe
    sources = [replace(source, path=source.path.replace(DATA, str(data))) for source in recipe.corpus.sources]
    return replace(recipe, corpus=replace(recipe.corpus, sources=sources))
