"""The differential: how often each type of leukocyte was found, with intervals, and the cells behind each number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mmleuk.errors import UserError
from mmleuk.report.intervals import FEW, LEVEL, VERY_FEW, joint_intervals, share_interval, widest_error
from mmleuk.report.statistics import Distribution, attribute_distributions, morphology_bank
from mmleuk.schema import AttributeSchema, is_leukocyte, normalise_class_name
from mmleuk.structures.prediction import BankEntry, Prediction
from mmleuk.utils.words import listed, percent, plural_n

BLASTS_FROM = 0.2
"""Share of blasts from which classifications of acute leukaemia ask for blasts to be counted by a person."""


@dataclass(frozen=True)
class Share:
    """A part of n cells.

    Args:
        entries: the cells that are counted.
        n: cells in all.
        low, high: 95% interval of the share, 0 to 1, on its own.
    """

    entries: tuple[BankEntry, ...]
    n: int
    low: float
    high: float

    @property
    def count(self) -> int:
        """Cells of this part."""
        return len(self.entries)

    @property
    def share(self) -> float | None:
        """0 to 1; None of nothing."""
        return self.count / self.n if self.n else None


@dataclass(frozen=True)
class TypeShare:
    """One type of leukocyte.

    Args:
        name: of the type.
        share: its part of all leukocytes.
        joint: interval that holds together with those of all other types, for comparisons.
        attributes: how often each value was predicted in its cells.
    """

    name: str
    share: Share
    joint: tuple[float, float]
    attributes: tuple[Distribution, ...]


@dataclass(frozen=True)
class Differential:
    """Types of leukocytes, the most frequent first, types without cells last.

    Args:
        n: leukocytes counted.
        n_images: images looked at.
        types: every type of leukocyte that the model knows.
        blasts: the part that is blasts; None for a model that knows no type of blast.
        blast_types: their names.
    """

    n: int
    n_images: int
    types: tuple[TypeShare, ...]
    blasts: Share | None
    blast_types: tuple[str, ...]


def is_blast(name: str) -> bool:
    """Whether a type of leukocyte is a blast by its name. Promonocytes and abnormal promyelocytes aren't counted here.

    >>> [is_blast(name) for name in ('Myeloblast', 'Blasts', 'Erythroblast', 'Promonocyte')]
    [True, True, False, False]
    """
    return is_leukocyte(name) and any(word.endswith('blast') for word in normalise_class_name(name).split())


def differential(predictions: Sequence[Prediction], leukocytes: Sequence[str], schema: AttributeSchema,
                 blasts: Sequence[str] | None = None) -> Differential:
    """Count the leukocytes of a film.

    Args:
        predictions: the film's images, in which each cell stands once.
        leukocytes: the classes that count.
        schema: the attributes that may appear.
        blasts: which of them are blasts; default: by their names.

    Raises:
        UserError: a name in ``blasts`` isn't one of ``leukocytes``.
    """
    if unknown := [name for name in blasts or () if name not in leukocytes]:
        raise UserError(f'{unknown[0]!r} is no type of leukocyte here; these are {", ".join(leukocytes) or "none"}')
    chosen = tuple(filter(is_blast, leukocytes) if blasts is None else blasts)
    bank = morphology_bank(predictions, leukocytes)
    of_type = {name: tuple(entry for entry in bank if entry.cell.class_name == name) for name in leukocytes}
    joint = joint_intervals([len(cells) for cells in of_type.values()])
    types = [TypeShare(name, _share(cells, len(bank)), bounds, tuple(
        attribute_distributions([entry.cell for entry in cells], schema)))
        for (name, cells), bounds in zip(of_type.items(), joint)]
    types.sort(key=lambda one: -one.share.count)
    found = tuple(entry for entry in bank if entry.cell.class_name in chosen)
    return Differential(len(bank), len(predictions), tuple(types), _share(found, len(bank)) if chosen else None, chosen)


def _share(entries: tuple[BankEntry, ...], n: int) -> Share:
    return Share(entries, n, *share_interval(len(entries), n))


def worth(n: int) -> tuple[str, str]:
    """How much a differential of n leukocytes is worth: '' or 'few' or 'very few', and words.

    >>> worth(12)[0], worth(45)[0], worth(250)[0]
    ('very few', 'few', '')
    """
    if n == 0:
        return 'very few', 'No leukocyte was found, so there is no differential.'
    points = round(100 * widest_error(n))
    rests = (f'This differential rests on {plural_n(n, "leukocyte")}. A share near one half may be off by {points} '
             f'points, and a type that makes up {_unseen(n)} of the film may be missing altogether.')
    if n < VERY_FEW:
        return 'very few', f'{rests} Do not use these shares: look at more fields, 100 leukocytes at least.'
    if n < FEW:
        return 'few', f'{rests} Look at more fields: laboratories count 100 to 200 leukocytes.'
    return '', rests


def _unseen(n: int) -> str:
    """The largest share that n cells miss with a probability of 5%: (1 - share) ** n = 0.05."""
    return f'{100 * (1 - (1 - LEVEL) ** (1 / n)):.2g}%'


def order_in_words(found: Differential) -> str:
    """Which neighbours in the order of types these cells can't tell apart; empty where they can all be told apart."""
    there = [one for one in found.types if one.share.count]
    alike = [f'{one.name} or {other.name}' for one, other in pairwise(there) if other.joint[1] > one.joint[0]]
    return f'Too few cells to say which is more frequent: {"; ".join(alike)}.' if alike else ''


def blasts_in_words(found: Differential) -> str:
    """The share of blasts with its interval, and what follows; empty for a model that knows no blasts."""
    part = found.blasts
    if part is None or part.share is None:
        return ''
    text = (f'Cells that the model calls {listed(found.blast_types, "or")}: {part.count} of {part.n}, '
            f'{percent(part.share)}% (95% interval {percent(part.low)} to {percent(part.high)}%).')
    if part.low >= BLASTS_FROM:
        return f'{text} Even the low end is {BLASTS_FROM:.0%} or more: a person has to look at these cells soon.'
    if part.high >= BLASTS_FROM:
        return f'{text} The interval holds {BLASTS_FROM:.0%}: these cells leave open on which side the film is.'
    return text if not part.count else f'{text} A person has to look at these cells, however few they are.'
