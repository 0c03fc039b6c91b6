"""What tasks there are, and what a model is asked in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.config import INTRINSIC, TASK_FOLDER, check_task_name, task_names
from eval.intrinsic import TASKS, build_intrinsic
from eval.multiple_choice import Item
from eval.prompts import FewShot, items
from eval.source import find_source
from eval.task import SPLITS, Prompt, Task, load_task
from stage.errors import UsageError

_EXAMPLE = (
    "猫が静かな庭の隅で小さな魚を食べてゐた。犬は遠くの門からその様子を眺めてゐた。やがて日が山に沈み冷たい風が出て来た。"
    "鳥は群れを成して森の巣へ帰つて行つた。子供が川の岸で母の呼ぶ声を聞いた。白い月が屋根の上から道を照らしてゐた。"
    "旅人は灯を手に取り夜の峠を越えて行つた。村の人が火を囲み古い歌をうたつてゐた。\n"
)


def list_tasks() -> list[dict[str, Any]]:
    """Of every task name, title, kind, methods, splits, prompts, primary metric, licence, source, and whether it needs ``--data``."""
    found = []
    for name in task_names():
        if name in INTRINSIC:
            made = TASKS[name]
            more: dict[str, Any] = {
                "kind": "choice",
                "methods": ["likelihood"],
                "splits": ["valid"],
                "prompts": [],
                "leaks": [],
            }
            about = {key: getattr(made, key) for key in ("title", "primary", "license", "source")}
        else:
            task = load_task(name)
            more = {"kind": task.kind, "methods": list(task.methods), "splits": task.splits}
            more |= {"prompts": list(task.prompts), "leaks": [dict(leak) for leak in task.leaks]}
            about = {key: getattr(task, key) for key in ("title", "primary", "license", "source")}
        found.append({"name": name, **about, **more, "needs_data": name not in INTRINSIC})
    return found


def show_task(
    name: str, data: Path | str | None = None, count: int = 3, *, prompt: str = "", shots: int = 0, split: str = "valid"
) -> str:
    """The first prompts of a task with their choices, the right one marked.

    Without ``data`` the templates of a task that needs some; the intrinsic tasks are made from a few sentences that
    stand here. Raises UsageError and InputError as reading the task does.
    """
    check_task_name(name)
    if count < 1:
        raise UsageError(f"--count {count}: must be at least 1")
    if shots < 0:
        raise UsageError(f"--shots {shots}: must be at least 0")
    if split not in SPLITS:
        raise UsageError(f"--split {split}: must be one of {', '.join(SPLITS)}")
    if name in INTRINSIC:
        for flag, useless in (("--shots", shots), ("--prompt", prompt), ("--split", split if split != "valid" else "")):
            if useless:
                raise UsageError(
                    f"{flag} {useless}: has no effect, task {name} has only pairs or choices of the split valid"
                )
        made = build_intrinsic(name, [_EXAMPLE], limit=max(2, count))
        return "\n\n".join([made.title, *(_render(item) for item in made.items[:count])])
    task = load_task(name)
    forms = {prompt: task.prompt(prompt)} if prompt else dict(task.prompts)
    about = [task.title, *_facts(task)]
    if shots and (task.kind == "pair" or (data is None and task.folder == TASK_FOLDER)):
        mend = f"task {name} takes no examples" if task.kind == "pair" else "they are shown with --data DIR"
        raise UsageError(f"--shots {shots}: has no effect, {mend}")
    if data is None and task.folder == TASK_FOLDER:
        return "\n\n".join(["\n".join(about), *(_template(task, key, form) for key, form in forms.items())])
    split = split if split in task.splits else task.splits[-1]
    examples = find_source(task, split, data).examples(limit=count)
    pool = find_source(task, "train", data).examples() if shots else []
    few_shot = FewShot(task, pool, shots)
    form = task.prompt(prompt) if task.prompts else None
    about += [f"prompt {form.version}: {form.origin}"] if form else []
    shown = items(task, form, examples, few_shot, "ja-v1")
    return "\n\n".join(
        ["\n".join(about), *(_render(item, example.answers) for item, example in zip(shown, examples, strict=True))]
    )


def _facts(task: Task) -> Iterator[str]:
    yield f"{task.kind}, measured by {' or '.join(task.methods)}; {', '.join(task.splits)}; {task.license}; {task.source}"
    yield f"metrics {', '.join(task.metrics)}; {task.primary} stands for the task"
    for entry in task.published:
        values = ", ".join(f"{metric} {entry[metric]}" for metric in task.metrics if metric in entry)
        yield f"published: {entry['who']}, {entry['how']}, {entry['split']}: {values} ({entry['source']})"
    for leak in task.leaks:
        yield f"leak: {leak['set']}: {leak['what']}"


def _template(task: Task, name: str, prompt: Prompt) -> str:
    choices = tuple(task.classes.values()) or tuple(f"{{{field}}}" for field in task.choices)
    item = Item("template", prompt.description + prompt.item, tuple(map(str, choices)), -1, closing=prompt.closing)
    return f"prompt {name}, {prompt.version}: {prompt.origin}\n{_render(item)}"


def _render(item: Item, answers: tuple[str, ...] = ()) -> str:
    lines = [f"── {item.id}{f' ({item.group})' if item.group else ''}", *([item.context] if item.context else [])]
    lines += [
        f"  {'→' if isinstance(item.gold, int) and place == item.gold else ' '} {choice}{item.closing}"
        for place, choice in enumerate(item.choices)
    ]
    lines += [f"  → {answer}{item.closing}" for answer in dict.fromkeys(answers)]
    if item.choices and not isinstance(item.gold, int):
        lines.append(f"  → {item.gold:g}")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
