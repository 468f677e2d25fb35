"""Colours of shares in tables: a ramp in each theme, with text that stands out on every step."""

LEVELS = 20
# No share, whole share: sRGB.
THEMES = {"light": ((255, 255, 255), (8, 69, 138)), "dark": ((22, 25, 31), (128, 191, 255))}
TEXTS = ((0, 0, 0), (255, 255, 255))  # with less than black and white, no text would stand out half way
GAMMA = 0.65  # small shares are what one looks for: they must show


def level(share: float) -> int:
    """The step of a share from 0 to 1; 0 for none only."""
    return 0 if share <= 0 else max(1, round(LEVELS * min(share, 1.0) ** GAMMA))


def contrast(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """WCAG 2's contrast ratio of two sRGB colours from 0 to 255."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def ramp(theme: str) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Background and text colour of every step of a theme."""
    low, high = THEMES[theme]
    steps: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for i in range(LEVELS + 1):
        ground = tuple(round(a + (b - a) * i / LEVELS) for a, b in zip(low, high, strict=True))
        best = max(range(len(TEXTS)), key=[contrast(text, ground) for text in TEXTS].__getitem__)
        steps.append((ground, TEXTS[best]))
    return steps


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 255 / 12.92 if c <= 10.31 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _rules(theme: str) -> str:
    return "".join(
        f".h{i}{{background:rgb{ground};color:rgb{text}}}".replace(" ", "")
        for i, (ground, text) in enumerate(ramp(theme))
    )


STYLE = f"{_rules('light')}@media (prefers-color-scheme:dark){{@media screen{{{_rules('dark')}}}}}"
