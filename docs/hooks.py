"""What the site has beside its pages: files of the repository, the tutorials, and references made from the code.

Every source keeps its path in the repository, so that one link serves both the site and whoever reads the files.
"""

import base64
import html
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import keras_dnnts
from keras_dnnts.cli.commands import cli

ROOT = Path(__file__).parents[1]
PAGES = "docs/pages"
SHOWN = ("*.md", "*.cff", "experiments/*.md", "experiments/*.toml", "experiments/*.png", "experiments/cluster/*")
TUTORIALS = ("experiments/tutorial.ipynb", "experiments/tutorial_images.ipynb")


class Notebook(File):
    """A notebook as a page."""

    def is_documentation_page(self) -> bool:
        """It is one, though its name ends otherwise."""
        return True


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add everything to the pages."""
    for page in list(files.documentation_pages()):
        files.remove(page)
        moved = File.generated(config, f"{PAGES}/{page.src_uri}", abs_src_path=page.abs_src_path)
        moved.dest_uri = page.dest_uri
        files.append(moved)
    for path in sorted(path for pattern in SHOWN for path in ROOT.glob(pattern)):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    for tutorial in TUTORIALS:
        text, pictures = convert_notebook(ROOT / tutorial)
        files.append(Notebook.generated(config, tutorial, content=text))
        for name, picture in pictures.items():
            files.append(File.generated(config, f"experiments/{name}", content=picture))
    for name, text in (("commands", describe_commands()), ("api", describe_library())):
        page = File.generated(config, f"{PAGES}/{name}.md", content=text)
        page.dest_uri = f"{name}.html"
        files.append(page)
    return files


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Let tables stand in parts that fold, as they may where the files are read."""
    return markdown.replace("<details>", "<details markdown>")


def convert_notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """Convert a notebook with its outputs to Markdown and PNG pictures by file name."""
    parts, pictures = [], {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"~~~python\n{source}\n~~~")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{path.stem}-{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![Figure {len(pictures)}: what the code above draws]({name})")
            elif text := "".join(output.get("text", data.get("text/plain", ()))):
                parts.append(f"~~~text\n{text.rstrip()}\n~~~")
    return "\n\n".join(parts), pictures


def describe_commands() -> str:
    """Describe every command in Markdown: what ``--help`` says, options in a table a section."""
    context = click.Context(cli, info_name="keras-dnnts")
    parts = ["# Commands", "What `keras-dnnts COMMAND --help` says, for every command."]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        parts += _describe_command(command, click.Context(command, info_name=name, parent=context))
    return "\n\n".join(parts)


def _describe_command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## `keras-dnnts {command.name}`"
    yield _plain(inspect.cleandoc(command.help or ""))
    yield f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```"
    for title, rows in _options_by_section(command, context).items():
        yield f"**{title}**"
        lines = (f"| `{name}` | {_plain(about)} |" for name, about in rows)
        yield "\n".join(("| option | meaning |", "|---|---|", *lines))
    if command.epilog:
        yield "```text\n" + command.epilog.replace("\b", "").strip() + "\n```"


def _options_by_section(command: click.Command, context: click.Context) -> dict[str, list[tuple[str, str]]]:
    sections = getattr(command, "sections", {})
    rows: dict[str, list[tuple[str, str]]] = {}
    for option in command.get_params(context):
        if isinstance(option, click.Option) and (record := option.get_help_record(context)):
            rows.setdefault(sections.get(option.name, "Options"), []).append(record)
    return rows


def _plain(text: str) -> str:
    """Help as Markdown that shows its signs as they are."""
    text = html.escape(text, quote=False)
    return "".join(f"&#{ord(sign)};" if sign in r"\`*_[]|" else sign for sign in text)


def describe_library() -> str:
    """List what ``from keras_dnnts import …`` offers, for mkdocstrings to describe from the docstrings."""
    homes = {name: module for module, names in keras_dnnts._MODULES.items() for name in names}
    groups: dict[str, list[str]] = {"Both studies": [], "Names": [], "Images": []}
    titles = {"names": "Names", "cifar": "Images"}
    for name, module in sorted(homes.items(), key=lambda item: item[0].lower()):
        group = titles[module.split(".")[1]] if module.startswith("studies.") else "Both studies"
        groups[group].append(f"::: keras_dnnts.{module}.{name}")
    parts = [
        "# Library",
        "Everything here comes from `keras_dnnts` itself: `from keras_dnnts import run_names`. A config has the fields "
        "that its command has [options](commands.md), spelled with underscores.",
    ]
    for title, entries in groups.items():
        parts += [f"## {title}", *entries]
    return "\n\n".join(parts)
