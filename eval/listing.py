"""What tasks there are, and what a model is asked in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.config import INTRINSIC, check_task_name, task_names
from eval.evaluation import PRESET
from eval.intrinsic import TASKS, build_intrinsic
from eval.multiple_choice import Item
from eval.task import build_items, load_task

_EXAMPLE = (
    "猫が静かな庭の隅で小さな魚を食べてゐた。犬は遠くの門からその様子を眺めてゐた。やがて日が山に沈み冷たい風が出て来た。"
    "鳥は群れを成して森の巣へ帰つて行つた。子供が川の岸で母の呼ぶ声を聞いた。白い月が屋根の上から道を照らしてゐた。"
    "旅人は灯を手に取り夜の峠を越えて行つた。村の人が火を囲み古い歌をうたつてゐた。\n"
)


def list_tasks() -> list[dict[str, Any]]:
    """Name, title, primary metric, licence, source of every task, and whether it needs ``--data``."""
    found = []
    for name in task_names():
        if name in INTRINSIC:
            title, primary, license, source = (
                TASKS[name].title,
                TASKS[name].primary,
                "that of the corpus",
                "validation documents",
            )
        else:
            task = load_task(name)
            title, primary, license, source = task.title, task.primary, task.license, task.source
        entry = {"name": name, "title": title, "primary": primary, "license": license, "source": source}
        found.append(entry | {"needs_data": name not in INTRINSIC})
    return found


def show_task(
    name: str,
    data: Path | str | None = None,
    count: int = 3,
    shots: int = 0,
    texts: Sequence[str] | None = None,
) -> str:
    """The first prompts of a task with their choices, the right one marked.

    Without ``data`` the template of a task that needs some; the intrinsic tasks are made from ``texts``, else from a
    few sentences that stand here.
    """
    check_task_name(name)
    if name in INTRINSIC:
        made = build_intrinsic(name, texts or [_EXAMPLE], license="", source="", limit=max(2, count))
        return "\n\n".join([made.title, *(_render(item) for item in made.items[:count])])
    task = load_task(name)
    about = f"{task.title}\nprompt {task.prompt['version']}: {task.prompt['origin']}"
    if data is None:
        choices = (
            task.classes.values() if task.classes is not None else [f"{{{field}}}" for field in task.fields["choices"]]
        )
        template = Item(
            "template",
            task.prompt["item"],
            tuple(choices),
            -1,
            task.prompt["neutral"],
            task.prompt["closing"],
        )
        return f"{about}\n\n{_render(template)}"
    folder = Path(data)
    valid, train = task.find(folder, "valid"), task.find_train(folder, shots)
    made = build_items(task, valid, train, shots=shots, limit=count, preset=PRESET)
    return "\n\n".join([about, *(_render(item) for item in made.items)])


def _render(item: Item) -> str:
    lines = [f"── {item.id}", *([item.context] if item.context else [])]
    lines += [
        f"  {'→' if place == item.gold else ' '} {choice}{item.closing}" for place, choice in enumerate(item.choices)
    ]
    return "\n".join(lines)
