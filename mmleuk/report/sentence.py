"""The film's description: a masked text filled with the most frequent leukocyte and attribute values (LLD 4.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mmleuk.report.statistics import Distribution, attribute_distributions, morphology_bank
from mmleuk.schema import AttributeSchema, leukocyte_classes
from mmleuk.structures.prediction import Prediction
from mmleuk.utils.words import listed, plural_n

_NOTHING = 'No leukocyte was found.'


@dataclass(frozen=True)
class Description:
    """A sentence and what it rests on.

    Args:
        text: the sentence.
        evidence: the counts behind every word of it, for the line below.
        types: the most frequent types; several when they tie, none when there is no leukocyte.
        n_cells: leukocytes counted.
        n_images: images looked at.
    """

    text: str
    evidence: str
    types: tuple[str, ...]
    n_cells: int
    n_images: int


def describe(predictions: Sequence[Prediction], classes: Sequence[str], schema: AttributeSchema,
             leukocytes: Sequence[str] | None = None) -> Description:
    """Describe one image (pass one prediction) or a whole run.

    The type is the most frequent leukocyte's; each attribute's value is the most frequent among ALL leukocytes,
    as in the paper, whatever their type: the evidence says so. Ties are named. A share of one half or less is
    'Most often', more is 'Mostly', all is 'Only'; a model with one leukocyte class can't but find that one, so its
    cells are counted instead. Unknown values don't count.

    Args:
        predictions: the images' predictions.
        classes: the run's class names.
        schema: the attributes that may appear.
        leukocytes: names that count; default: all but artifacts, red cells and platelets.

    Raises:
        UserError: a name in ``leukocytes`` is no class.

    Source: LLD 4.2, Fig. 4 b; wording after the description in the project's docs/report.md.
    """
    known = leukocyte_classes(classes, leukocytes)
    bank = morphology_bank(predictions, known)
    images = plural_n(len(predictions), 'image')
    if not bank:
        return Description(_NOTHING, f'0 leukocytes in {images}.', (), 0, len(predictions))
    counts = Counter(entry.cell.class_name for entry in bank)
    best = max(counts.values())
    types = tuple(name for name in classes if counts[name] == best)
    distributions = {d.attribute.key: d for d in attribute_distributions([e.cell for e in bank], schema) if d.n}
    opening = _opening(types, best, len(bank)) if len(known) > 1 else _counted(len(bank), types[0])
    text = opening + _morphology(distributions) + '.'
    return Description(text, _evidence(types, best, len(bank), images, distributions), types,
                       len(bank), len(predictions))


def _opening(types: Sequence[str], best: int, total: int) -> str:
    names = listed([plural(name) for name in types], 'and')
    if len(types) > 1:
        return f'Equally many {names}'
    share = 'Only' if best == total else 'Mostly' if 2 * best > total else 'Most often'
    return f'{share} {names}'


def _counted(n: int, name: str) -> str:
    return f'{n} {plural(name)}' if n > 1 else f'1 {in_a_sentence(name)}'


def _morphology(known: dict[str, Distribution]) -> str:
    """The clauses that the film's attributes allow; unfamiliar attributes get a plain one each."""
    rest = dict(known)

    def value(key: str) -> str:
        distribution = rest.pop(key, None)
        return '' if distribution is None else listed(distribution.most_frequent, 'or')

    chromatin, shape = value('nuclear_chromatin'), value('nuclear_shape')
    nucleoli, cytoplasm = value('nucleolus'), value('cytoplasm')
    basophilia, vacuoles = value('cytoplasmic_basophilia'), value('cytoplasmic_vacuoles')
    nucleus = [f'{chromatin} chromatin'] * bool(chromatin) + [f'{shape} nuclei'] * bool(shape)
    clauses = [f'nucleoli are {nucleoli}'] * bool(nucleoli)
    if cytoplasm:
        clauses.append(f'the cytoplasm is {cytoplasm}' + (f' with {basophilia} basophilia' if basophilia else ''))
    elif basophilia:
        clauses.append(f'the cytoplasmic basophilia is {basophilia}')
    parts = [', '.join(clauses)] * bool(clauses) + [f'vacuoles are {vacuoles}'] * bool(vacuoles)
    generic = ', '.join(f'{d.attribute.name.lower()}: {listed(d.most_frequent, "or")}' for d in rest.values())
    parts += [generic] * bool(generic)
    opening = f' with {" and ".join(nucleus)}' if nucleus else ''
    return opening + ''.join(f'; {part}' for part in parts)


def _evidence(types: Sequence[str], best: int, total: int, images: str, known: dict[str, Distribution]) -> str:
    each = 'each ' if len(types) > 1 else ''
    first = f'{plural_n(total, "leukocyte")} in {images}; {each}{listed(types, "and")}: {best} of {total}.'
    values = '; '.join(f'{d.attribute.name} {listed(d.most_frequent, "or")}: {max(d.counts)} of {d.n}'
                       + (f' ({d.unknown} unknown)' if d.unknown else '') for d in known.values())
    return first + (f' Attributes over all leukocytes: {values}.' if values else '')


def plural(name: str) -> str:
    """A class name inside a sentence.

    >>> plural('Atypical lymphocyte'), plural('WBC'), plural('basophils')
    ('atypical lymphocytes', 'WBCs', 'basophils')
    """
    word = in_a_sentence(name)
    return word if word.lower().endswith('s') else word + 's'


def in_a_sentence(name: str) -> str:
    """A name without its capital, unless it is an abbreviation.

    >>> in_a_sentence('Atypical lymphocyte'), in_a_sentence('WBC')
    ('atypical lymphocyte', 'WBC')
    """
    return name[:1].lower() + name[1:] if name[1:] == name[1:].lower() else name
