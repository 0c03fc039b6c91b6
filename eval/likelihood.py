"""Measure by likelihood: which choice does the model find most probable after the question?"""

from collections.abc import Sequence
from typing import Any

from eval.models import CountedModel, LanguageModel, TextScore
from eval.multiple_choice import Item, ItemScores, item_scores
from eval.store import Store
from stage.progress import progress


def score_items(
    items: Sequence[Item],
    model: LanguageModel | CountedModel,
    *,
    name: str = "",
    store: Store | None = None,
    quiet: bool = True,
) -> list[ItemScores]:
    """The scores of every item. With a store what it holds is not computed again, and what is found goes into it."""
    found: list[Any] = []
    with progress(total=len(items), description=name, unit="item", quiet=quiet) as bar:
        for begin in range(0, len(items), model.at_once):
            part = items[begin : begin + model.at_once]
            key = f"{name}/{begin}"
            if store is not None and key in store.found:
                scores = [[[TextScore(*entry) for entry in each] for each in of_item] for of_item in store.found[key]]
            else:
                flat = iter(model.score_choices([asked for item in part for asked in item.asked]))
                scores = [[next(flat) for _ in item.asked] for item in part]
                if store is not None:
                    store.put({key: scores})
            found += map(item_scores, part, scores)
            bar.update(len(part))
    return found
