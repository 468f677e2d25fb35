"""The report in a real browser: it shows what it says, to everyone, on every screen, and asks nobody else."""

import pytest

from keras_dnnts.report import write_comparison, write_report
from tests.chromium import open_chromium
from tests.report.illustrated import illustrated_cifar, illustrated_names, save

pytestmark = pytest.mark.browser
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1200, "height": 900}
PAGES = ("names", "cifar", "compared-names", "compared-cifar")


@pytest.fixture(scope="module")
def browser(request):
    with open_chromium(request) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    names, cifar = illustrated_names(), illustrated_cifar()
    paths = {
        "names": write_report(save(names, folder / "names")),
        "cifar": write_report(save(cifar, folder / "cifar")),
    }
    folders = {"<i>one</i>": folder / "names"}
    for kind, runs in (
        ("names", {"<i>one</i>": names, "שתיים": illustrated_names(seed=1), "y" * 200: illustrated_names(seed=2)}),
        ("cifar", {"alexnet": cifar, "resnet50": illustrated_cifar(seeds=2)}),
    ):
        (folder / f"compared-{kind}").mkdir()
        paths[f"compared-{kind}"] = write_comparison(
            runs, folder / f"compared-{kind}", folders if kind == "names" else {}
        )
    return {name: path.as_uri() for name, path in paths.items()}


@pytest.fixture
def opened(browser, addresses):
    """Opens a page and, at the end, makes sure that it complained of nothing and asked nobody."""
    contexts, complaints, requests = [], [], []

    def open_page(name, viewport=None, **options):
        context = browser.new_context(viewport=viewport or DESK, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(addresses[name])
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert sum(url.startswith("file:") for url in requests) == len(contexts)


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_loads(opened, name):
    page = opened(name)
    sizes = page.evaluate(
        """async () => {
            const sprites = [...document.querySelectorAll("style")].flatMap((style) =>
                [...style.sheet.cssRules].map((rule) => rule.style && rule.style.backgroundImage)
                    .filter((image) => image && image.startsWith("url(")));
            const pictures = [...document.images, ...sprites.map((sprite) =>
                Object.assign(new Image(), { src: sprite.slice(5, -2) }))];
            await Promise.all(pictures.map((picture) => picture.decode()));
            return pictures.map((picture) => picture.naturalWidth);
        }"""
    )
    assert all(sizes)
    assert len(sizes) == page.locator("img").count() + {"cifar": 2, "compared-cifar": 4}.get(name, 0)
    assert (page.locator("img").count() > 0) == (name == "cifar")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_stands_in_anybodys_way(opened, name, viewport, theme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(name, viewport, color_scheme=theme)
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    width, most = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= most
    found = Axe().run(page).response
    assert len(found["passes"]) > 15
    serious = [
        (violation["id"], [node["html"][:200] for node in violation["nodes"]][:3])
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_dark_and_light_are_different(opened):
    colours = [
        opened("names", color_scheme=theme).evaluate("getComputedStyle(document.body).backgroundColor")
        for theme in ("light", "dark")
    ]
    assert colours[0] != colours[1]


def test_names_of_classes_run_nothing_and_can_be_read(opened):
    page = opened("names")
    assert page.title() == "GRU on names – keras-dnnts report"
    assert page.locator(".recall th bdi", has_text="<script>").count() == 1
    assert page.locator(".recall th bdi", has_text="العربية").is_visible()


def test_a_click_opens_the_examples_of_a_cell(opened):
    page = opened("names")
    confusion = page.locator(".confusion").first
    panel, cell = confusion.locator(".panel"), confusion.locator("tbody tr").nth(3).locator("td").nth(2)
    cell.locator("button").click()
    shown = illustrated_names()
    members = (shown.arrays["example_held_out_truth"] == 3) & (shown.arrays["example_held_out_guess"] == 2)
    assert panel.locator("h4").inner_text() == "שלום עולם guessed as 👩‍🚀 emoji 🇩🇪"
    assert set(panel.locator("li bdi").all_inner_texts()) == set(shown.arrays["example_held_out_name"][members])
    counts = shown.arrays["confusion_held_out"].sum(axis=0)
    assert f"{counts[3, 2]} of {counts[3].sum()}" in panel.inner_text()
    assert cell.locator("button").get_attribute("aria-pressed") == "true"


def test_keys_walk_the_matrix_and_enter_opens(opened):
    page = opened("cifar")
    confusion = page.locator(".confusion")
    confusion.locator("button[tabindex='0']").focus()
    before = page.evaluate("document.activeElement.ariaLabel")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    after = page.evaluate("document.activeElement.ariaLabel")
    assert before != after
    page.keyboard.press("Enter")
    heading = confusion.locator(".panel h4").inner_text()
    truth, guess = after.split(":")[0].split(" guessed as ")
    assert heading == (f"{truth}, recognised" if truth == guess else f"{truth} guessed as {guess}")
    assert confusion.locator(".panel .thumb").count() > 0
    assert confusion.locator("button[tabindex='0']").count() == 1


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_pointing_at_a_dot_shows_its_image_and_label(opened, viewport):
    page = opened("cifar", viewport)
    shown = illustrated_cifar().arrays
    classes = illustrated_cifar().dataset["classes"]
    plane = page.locator(".map").nth(1)
    plane.scroll_into_view_if_needed()
    for point in (0, 7, 31):
        place = plane.evaluate(
            """(map, point) => {
                const data = JSON.parse(map.closest(".embedding").querySelector(".data").textContent).maps[1];
                const place = new DOMPoint(data[2 * point], data[2 * point + 1])
                    .matrixTransform(map.querySelector("svg").getScreenCTM());
                return [place.x, place.y];
            }""",
            point,
        )
        page.mouse.move(*place)
        assert page.locator("#tip").inner_text().strip() == classes[shown["embedding_label"][point]]
        assert page.locator("#tip .thumb").is_visible()
        assert page.locator(".ring:not([hidden])").count() == 2
    page.mouse.move(2, 2)
    assert page.locator("#tip").is_hidden()


def test_keys_walk_the_map_and_say_where_they_are(opened):
    page = opened("cifar")
    page.locator(".map").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert page.locator("#tip").is_visible()
    assert page.locator("#status").inner_text() in illustrated_cifar().dataset["classes"]
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_a_class_is_lifted_out_and_put_back(opened):
    page = opened("cifar")
    button = page.locator(".classes button").first
    button.click()
    assert page.locator(".dots.faded").count() == 4
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert page.locator(".dots.faded").count() == 0


def test_paper_has_all_but_what_one_would_press(opened):
    page = opened("names")
    page.emulate_media(media="print")
    assert page.locator(".copy").first.is_hidden()
    assert page.locator(".matrix").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_pointing_at_a_chart_shows_its_values(opened, viewport):
    page = opened("compared-names", viewport)
    plot, tip = page.locator(".plot").first, page.locator("#tip")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 50)  # of steps 1,000 to 4,000, the second is nearest
    assert "training names seen: 2,000" in tip.inner_text()
    losses = [illustrated_names(seed=seed).arrays["loss"][:, 1].mean() for seed in range(3)]
    assert tip.locator("b").all_inner_texts() == [f"{loss:g}" for loss in losses]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.mouse.move(2, 2)
    assert tip.is_hidden()
    page.locator(".frame").first.focus()
    page.keyboard.press("ArrowRight")
    assert "training names seen: 3,000" in page.locator("#status").inner_text()
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_long_pages_have_contents_and_comparisons_link_to_their_runs(opened):
    page = opened("compared-names")
    links = page.locator(".contents a")
    assert links.all_inner_texts() == page.locator("main h2:visible").all_inner_texts()
    images = opened("cifar").locator(".contents a").all_inner_texts()
    assert {"Most confident mistakes", "t-SNE maps", "Training images", "Metrics"} <= {*images}
    links.last.click()
    assert page.locator("main h2").last.bounding_box()["y"] < DESK["height"]
    linked = page.locator(".runs a")
    assert linked.all_inner_texts() == ["<i>one</i>"]
    assert linked.get_attribute("href") == "../names/report.html"
