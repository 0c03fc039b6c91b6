"""What determines a corpus: its sources and the rules documents must meet."""

import re
from dataclasses import dataclass, field, fields
from itertools import chain, count
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from corpora.aozora import Ruby
from corpora.measures import ASKS, MEASURES, check_measures
from corpora.normalization import parse_preset
from corpora.rules import Rules, parse_rules
from stage.errors import UsageError

Markup = Literal["auto", "plain", "aozora", "wikitext", "html", "markdown"]
Code = Literal["keep", "drop"]
Documents = Literal["auto", "file", "line", "blank"]
Mask = Literal["auto", "on", "off"]
_KINDS: dict[Any, tuple[type | tuple[type, ...], str]] = {
    str: (str, "text"),
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
}
_MOST = 2**63 - 1


@dataclass
class SourceConfig:
    """Where raw text comes from and how it is read."""

    path: str
    """A .txt, .jsonl, .json, .parquet, .html or .md file or a MediaWiki dump (.xml), plain or .gz .zst .bz2 .xz, a .zip of texts, a folder of such files,
    hf:NAME[:CONFIG][@SPLIT] for a Hugging Face dataset (NAME on the hub or a local folder), or embedded:kougo."""
    name: str = ""
    """Name of the source in the documents; empty: made from the path."""
    markup: Markup = "auto"
    """Markup of the raw text, which is taken out: aozora (Aozora Bunko: ruby, notes, header and footer), wikitext (Wikipedia), html
    (the main text of a page), markdown; plain for none; auto: decided for each document."""
    ruby: Ruby = "drop"
    """Readings in Aozora Bunko notation: drop, or keep them as 漢字（かんじ）."""
    code: Code = "keep"
    """Blocks of code in HTML and Markdown: keep or drop."""
    documents: Documents = "auto"
    """What a document is in a .txt file: the file, each line, or what blank lines part (CC-100). auto: the file."""
    normalization: str = "ja-v1"
    """Normalisation preset: ja-v1 for Japanese text (docs/normalization.md), with +new-kanji for 新字体 and +no-iteration for
    ゝ and くの字点 written out; code for source code and English; none to keep text as it is."""
    rules: str = "minimal"
    """What documents must meet: a preset (minimal, swallow, fineweb2-ja, llm-jp, english, code, none) or a .yaml file of your own, and
    comparisons of measures after it that go before those of the preset: 'swallow,chars>=100', in quotes (docs/measures.md)."""
    mask: Mask = "auto"
    """Put placeholders for mail addresses, telephone numbers and the like (docs/masking.md): on, off, or auto: in pages of the web
    (HTML, records with a url) other than Wikipedia's."""
    weight: float = 1.0
    """How often the documents to learn from go into the corpus: 0.5 for half of them, 2.5 for each twice and every other once more."""
    text_field: str = "text"
    """Field of JSON, Parquet and Hugging Face records that holds the text."""
    license: str = "unknown"
    """Licence of the source; it travels through every manifest."""
    attribution: str = ""
    """Whom to credit for the source, where its licence asks for it."""

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not self.path.strip():
            raise UsageError("a source needs a path: a file, a folder, hf:NAME or embedded:kougo")
        _check_kinds(self)
        for name, kind in (
            ("markup", Markup),
            ("code", Code),
            ("ruby", Ruby),
            ("documents", Documents),
            ("mask", Mask),
        ):
            if getattr(self, name) not in get_args(kind):
                raise UsageError(f"--{name} {getattr(self, name)}: must be one of {', '.join(get_args(kind))}")
        parse_preset(self.normalization)
        parse_rules(self.rules)
        if not 0 < self.weight <= 1000:
            raise UsageError(f"--weight {self.weight:g}: must be more than 0 and at most 1000 (source {self.path})")
        if not self.text_field:
            raise UsageError(f"--text_field is empty (source {self.path}): name the field that holds the text")
        if "/" in self.name or self.name != self.name.strip():
            raise UsageError(f"source name {self.name!r} must not contain / nor begin or end with a space")
        if self.path.startswith("embedded:") and self.path != "embedded:kougo":
            raise UsageError(f"{self.path}: the only embedded corpus is embedded:kougo")


@dataclass
class CorpusConfig:
    """Sources, and what is done with their documents. Lengths are in characters (code points) after normalisation."""

    sources: list[SourceConfig] = field(default_factory=list)
    """The sources, in order. Of equal texts the first is kept."""
    deduplicate: bool = True
    """Drop a document whose normalised text equals that of an earlier one, and look for near ones; without, both are kept."""
    near_duplicates: float = 0.8
    """Drop a document that shares at least this part of its 5-grams of characters with a longer one (Jaccard similarity); 0: none is
    dropped for that."""
    near_min_chars: int = 200
    """Shortest document that is looked at for near_duplicates, in characters: short texts of one form are often alike."""
    repeated_lines: int = 0
    """In how many documents, and in no fewer than one of 10,000, a line must stand for blocks of such lines to be dropped (menus, notes on
    authors, lists of other articles): 10 is a good number; 0: none are. --preview does not show it."""
    measures: str = ""
    """Measures to store besides those that are always computed and those of the rules, parted by commas, or all
    (docs/measures.md); stored measures can be judged by other rules without a new build (jgpt corpus filter)."""
    ng_words: str = ""
    """A file of words, one a line, that are counted in each document: the measures ng_hits and ng_share, and the rule ng_share<=0.05."""
    block_domains: str = ""
    """A file of domains, one a line: documents with a url there are left out."""
    trust: str = ""
    """A folder made by jgpt corpus trust: the measures perplexity and quality."""
    valid_share: float = 0.02
    """Share of documents that is held out as the split "valid", chosen by a hash of the text."""
    valid_min_documents: int = 20
    """Smallest number of documents held out. With fewer than 50 documents in all, the last twentieth of each is
    held out instead."""
    limit: int = 0
    """Read at most this many documents of each source; 0: all."""
    seed: int = 0
    """Chooses another set of held-out documents."""

    def __post_init__(self) -> None:
        _check_kinds(self)
        if not isinstance(self.sources, list) or not all(isinstance(source, SourceConfig) for source in self.sources):
            raise UsageError("sources must be a list of sources, each with a path")
        if not self.sources:
            raise UsageError("no source is given: name files, folders, hf:NAME or embedded:kougo")
        for name in ("near_min_chars", "repeated_lines", "valid_min_documents", "limit", "seed"):
            if not 0 <= getattr(self, name) <= _MOST:
                raise UsageError(f"--{name} {getattr(self, name)}: must be 0 or more, and fit into 63 bits")
        if self.repeated_lines == 1:
            raise UsageError("--repeated_lines 1: every line stands in one document; it must be 0, or 2 or more")
        if self.near_duplicates and not 0.5 <= self.near_duplicates <= 1:
            raise UsageError(f"--near_duplicates {self.near_duplicates:g}: must be 0, or a similarity from 0.5 to 1")
        check_measures(self.further_measures)
        for name in self.further_measures:
            if (asks := ASKS.get(name)) and not getattr(self, asks):
                raise UsageError(f"--measures {self.measures}: {name} needs --{asks}")
        for source in self.sources:
            for name in parse_rules(source.rules).names:
                if (asks := ASKS.get(name)) and not getattr(self, asks):
                    raise UsageError(f"--rules {source.rules}: the measure {name} needs --{asks}")
        if not 0 <= self.valid_share < 1:
            raise UsageError(f"--valid_share {self.valid_share}: must be a share from 0 to below 1")
        given = [source.name for source in self.sources if source.name]
        for name in given:
            if given.count(name) > 1:
                raise UsageError(f"two sources are named {name}; give each its own name")

    @property
    def looks_for_near(self) -> bool:
        """Whether near-duplicates are dropped."""
        return self.deduplicate and self.near_duplicates > 0

    @property
    def further_measures(self) -> tuple[str, ...]:
        """The names in ``measures``."""
        if self.measures == "all":
            return tuple(name for name in MEASURES if name not in ASKS)
        return tuple(name.strip() for name in self.measures.split(",") if name.strip())


def rules_of(source: SourceConfig, config: CorpusConfig) -> Rules:
    """What the documents of a source must meet: its rules, and one for words that are counted where none of them speaks of these."""
    rules = parse_rules(source.rules)
    if config.ng_words and not any(name.startswith("ng_") for name in rules.names):
        rules = Rules((*rules.comparisons, *parse_rules("ng_share<=0.05").comparisons))
    return rules


def _check_kinds(config: SourceConfig | CorpusConfig) -> None:
    """Raise UsageError for a field without a value or with one of another kind, as YAML lets them through."""
    for entry in fields(config):
        kinds, meaning = _KINDS.get(entry.type, (object, ""))
        value = getattr(config, entry.name)
        if not isinstance(value, kinds) or (isinstance(value, bool) and entry.type is not bool and meaning):
            shown = "has no value" if value is None else f"is {value!r}"
            raise UsageError(f"--{entry.name} {shown}: must be {meaning}")


def source_names(sources: list[SourceConfig]) -> list[str]:
    """A unique name for each source: the given one, or one made from the path, numbered where two would be equal."""
    taken = {source.name for source in sources if source.name}
    names = []
    for source in sources:
        base = _name_from_path(source.path)
        made = chain([base], (f"{base}-{number}" for number in count(2)))
        names.append(source.name or next(name for name in made if name not in taken))
        taken.add(names[-1])
    return names


def _name_from_path(path: str) -> str:
    if path.startswith("embedded:"):
        return path.removeprefix("embedded:")
    if path.startswith("hf:"):
        path = path.removeprefix("hf:").split("@")[0]
    name = PurePosixPath(path.replace("\\", "/").rstrip("/")).name
    name = re.sub(
        r"(\.(txt|jsonl|json|parquet|html|htm|markdown|md|xml|zip))?(\.(gz|zst|bz2|xz))?$",
        "",
        name,
        flags=re.IGNORECASE,
    )
    return re.sub(r"\s+", "-", name.strip()).replace(":", "-") or "source"
