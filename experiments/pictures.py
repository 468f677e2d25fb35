"""The pictures in the README and in RESULTS.md, made again from runs: figures, and pages as Chromium shows them.

    python -m experiments.pictures --data-dir NAMES --cifar-dir CIFAR

Runs that are finished in --runs are used again, so that pictures can be redone in seconds after a change of layout. The
first time takes about ten minutes on two cores. Needs the [test] extra (playwright) and Chromium.
"""

import io
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from PIL import Image

CELLS = ("rnn", "gru", "lstm")
NAMES = ("--seeds", "10")
JPEG_COPY = ("--dataset-name", "CIFAR-10 (JPEG copy)")
ALEXNET = ["--arch", "alexnet", "--image-size", "64", "--width", "0.25", "--train-images", "10000", "--epochs", "14"]

CONFUSION = 'h2:has-text("Confusion matrix")'
DESK, PHONE = (900, 1240), (390, 1240)
PICTURE_WIDTH, MARGIN, GROUND = 1660, 20, "#c9ced8"


@dataclass(frozen=True)
class View:
    """A part of a page.

    Attributes:
        page: the file.
        top: selects what is at the top of the picture; None is the page's top.
        size: of the window.
        dark: whether colours are dark.
        cell: what a cell of the confusion matrix says that is chosen, such as ``truck guessed as automobile``.
        typed: the name that is typed into the box.
    """

    page: Path
    top: str | None = None
    size: tuple[int, int] = DESK
    dark: bool = False
    cell: str | None = None
    typed: str = ""


def run_names(data_dir: Path, runs: Path) -> dict[str, Path]:
    """Train the three cells and compare them."""
    folders = {cell: runs / cell for cell in CELLS}
    for cell, folder in folders.items():
        _run(folder, "names", "--model", cell, *NAMES, "--data-dir", str(data_dir))
    return folders | {"names": _compare(runs / "names-comparison", *folders.values())}


def run_cifar(source: Path, runs: Path) -> dict[str, Path]:
    """Train the small AlexNet whose report is shown."""
    _run(runs / "alexnet", "cifar", *ALEXNET, *JPEG_COPY, "--data-dir", str(source))
    return {"alexnet": runs / "alexnet"}


def run_recorded(source: Path, runs: Path) -> dict[str, Path]:
    """Repeat the recorded experiment whose curves RESULTS.md shows."""
    name = "cifar_resnet50_64"
    recorded = Path(__file__).parent / f"{name}.toml"
    _run(runs / name, "run", str(recorded), "--set", "precision=auto", *JPEG_COPY, "--data-dir", str(source))
    return {name: runs / name / "figures" / "curves.png"}


def _run(folder: Path, *command: str) -> None:
    if not (folder / "results.json").is_file():
        _call(*command, "--out", str(folder), "--overwrite")
    _call("report", str(folder))


def _compare(folder: Path, *runs: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    _call("compare", *map(str, runs), "--html", "--out", str(folder))
    return folder


def _call(*command: str) -> None:
    subprocess.run([sys.executable, "-m", "keras_dnnts", *command], check=True)


def names_pictures(folders: dict[str, Path]) -> dict[str, Sequence[View] | Path]:
    """What each picture about names shows, by its file's name."""
    gru, together = folders["gru"] / "report.html", folders["names"] / "report.html"
    return {
        "names_comparison": folders["names"] / "comparison.png",
        "names_reading": folders["gru"] / "figures" / "reading.png",
        "report_names": [
            View(gru, typed="Kowalska"),
            View(gru, CONFUSION, cell="English guessed as Scottish"),
            View(gru, 'h2:has-text("Letter by letter")', PHONE, dark=True),
        ],
        "report_comparison": [View(together), View(together, 'h2:has-text("Training curves")')],
    }


def cifar_pictures(folders: dict[str, Path]) -> dict[str, Sequence[View] | Path]:
    """What each picture about images shows, by its file's name."""
    alexnet = folders["alexnet"] / "report.html"
    return {
        "report_cifar": [
            View(alexnet, CONFUSION, cell="truck guessed as automobile"),
            View(alexnet, "section:has(.maps) h2"),
            View(alexnet, None, PHONE, dark=True),
        ],
    }


@contextmanager
def started_browser(chromium: str | None) -> Iterator[Any]:
    """Chromium: the one named, else the system's or playwright's own."""
    from playwright.sync_api import sync_playwright

    found = chromium or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def take_picture(browser: Any, view: View) -> Image.Image:
    """What a window shows of a page, at twice its pixels."""
    width, height = view.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=2,
        color_scheme="dark" if view.dark else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(view.page.resolve().as_uri())
    if view.cell:
        page.locator(f'.matrix button[aria-label^="{view.cell}"]').first.click()
        page.mouse.move(0, 0)
    if view.typed:
        page.locator(".try-out input").fill(view.typed)
        page.evaluate("document.activeElement.blur()")
    if view.top:
        page.locator(view.top).first.evaluate(
            "element => scrollTo(0, element.getBoundingClientRect().top + scrollY - 32)"
        )
    shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    return shown


def join(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures side by side; 256 colours would spare bytes, but change those of classes in maps of photographs."""
    scale = (PICTURE_WIDTH - MARGIN * (len(pictures) + 1)) / sum(picture.width for picture in pictures)
    shrunk = [picture.resize((round(picture.width * scale), round(picture.height * scale))) for picture in pictures]
    width = sum(picture.width for picture in shrunk) + MARGIN * (len(shrunk) + 1)
    joined = Image.new("RGB", (width, shrunk[0].height + 2 * MARGIN), GROUND)
    left = MARGIN
    for picture in shrunk:
        joined.paste(picture, (left, MARGIN))
        left += picture.width + MARGIN
    return joined


@click.command(help=__doc__)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Real names; without it, no picture about names.")
@click.option("--cifar-dir", type=click.Path(path_type=Path), help="CIFAR-10 as JPEGs, a folder or an archive.")
@click.option("--recorded", is_flag=True, help="With --cifar-dir: also cifar_resnet50_64.png, in hours.")
@click.option("--runs", type=click.Path(path_type=Path), default="runs/pictures", show_default=True, help="Runs.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(__file__).parent, help="Where pictures go.")
@click.option("--chromium", help="Chromium's program.  [default: the system's, else playwright's]")
def main(
    data_dir: Path | None, cifar_dir: Path | None, recorded: bool, runs: Path, out: Path, chromium: str | None
) -> None:
    """Run what is not there yet, and write the pictures."""
    wanted: dict[str, Sequence[View] | Path] = {}
    if data_dir:
        wanted |= names_pictures(run_names(data_dir, runs))
    if cifar_dir:
        wanted |= cifar_pictures(run_cifar(cifar_dir, runs))
        if recorded:
            wanted |= run_recorded(cifar_dir, runs)
    with started_browser(chromium) as browser:
        for name, shown in wanted.items():
            path = out / f"{name}.png"
            if isinstance(shown, Path):
                shutil.copyfile(shown, path)
            else:
                join([take_picture(browser, view) for view in shown]).save(path, optimize=True)
            click.echo(path)


if __name__ == "__main__":
    main()
