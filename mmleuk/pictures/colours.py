"""Class colours that people with colour blindness can tell apart, the same in pictures and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmleuk.schema import leukocyte_classes

# Okabe and Ito's set (2008) without black, which a dark nucleus hides, bright ones first.
_PALETTE = ('#E69F00', '#56B4E9', '#009E73', '#F0E442', '#D55E00', '#CC79A7', '#0072B2')
_OTHER = '#BBBBBB'


@dataclass(frozen=True)
class ClassStyle:
    """Colour as '#RRGGBB'; a dashed line where the colours begin again or the class is no leukocyte."""

    colour: str
    dashed: bool

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green, blue, 0 to 255."""
        return int(self.colour[1:3], 16), int(self.colour[3:5], 16), int(self.colour[5:7], 16)

    @property
    def ink(self) -> tuple[int, int, int]:
        """Black or white, whichever reads better on the colour (relative luminance, Rec. 709)."""
        red, green, blue = self.rgb
        return (0, 0, 0) if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 110 else (255, 255, 255)


def class_styles(classes: Sequence[str], leukocytes: Sequence[str] | None = None) -> dict[str, ClassStyle]:
    """One style per class: leukocytes take the colours in turn, then red cells and platelets; 'None' is grey."""
    leukocytes = leukocyte_classes(classes, leukocytes)
    coloured = [*leukocytes, *(n for n in classes if n not in leukocytes and n.strip().lower() != 'none')]
    styles = {name: ClassStyle(_OTHER, True) for name in classes}
    for position, name in enumerate(coloured):
        again = position >= len(_PALETTE)
        styles[name] = ClassStyle(_PALETTE[position % len(_PALETTE)], again or name not in leukocytes)
    return styles
