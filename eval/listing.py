"""What tasks there are, and what a model is asked in them."""

from pathlib import Path
from typing import Any

from eval.config import INTRINSIC, check_task_name, task_names
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
        task = TASKS[name] if name in INTRINSIC else load_task(name)
        entry = {key: getattr(task, key) for key in ("title", "primary", "license", "source")}
        found.append({"name": name, **entry, "needs_data": name not in INTRINSIC})
    return found


def show_task(name: str, data: Path | None = None, count: int = 3) -> str:
    """The first prompts of a task with their choices, the right one marked.

    Without ``data`` the template of a task that needs some; the intrinsic tasks are made from a few sentences that
    stand here.
    """
    check_task_name(name)
    if name in INTRINSIC:
        made = build_intrinsic(name, [_EXAMPLE], limit=max(2, count))
        return "\n\n".join([made.title, *(_render(item) for item in made.items[:count])])
    task = load_task(name)
    if data is None:
        fields = [f"{{{field}}}" for field in task.fields.get("choices", ())]
        choices = tuple(task.classes.values()) if task.classes is not None else tuple(fields)
        items = [Item("template", task.prompt["item"], choices, -1, closing=task.prompt["closing"])]
    else:
        items = build_items(task, task.find(data, "valid"), limit=count).items
    about = f"{task.title}\nprompt {task.prompt['version']}: {task.prompt['origin']}"
    return "\n\n".join([about, *(_render(item) for item in items)])


def _render(item: Item) -> str:
    lines = [f"── {item.id}", *([item.context] if item.context else [])]
    lines += [
        f"  {'→' if place == item.gold else ' '} {choice}{item.closing}" for place, choice in enumerate(item.choices)
    ]
    return "\n".join(lines)
