"""A suite: rows of one table, each a config trained with some seeds. Plain YAML, every key known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from benchmarking.claims import Check, Claim
from benchmarking.measured import Measured
from benchmarking.options import Options
from benchmarking.yaml_files import Strict, Text, read_model
from mmleuk.errors import UserError

METRICS: Mapping[str, str] = {
    'mAP@50-95': 'coco/bbox_mAP', 'mAP@50': 'coco/bbox_mAP_50', 'recall (AR@100)': 'coco/bbox_AR@100'}
_OF_A_TRAINING = re.compile(r'(?:^|/)work_dirs/benchmarks/([^/]+/[^/]+_seed\d+)/')
"""A file in a training's work dir, and which training's."""
_SEED = '{seed}'
"""Stands for the training's own seed in its options."""


def _check_name(name: str) -> str:
    if not re.fullmatch(r'[a-z0-9][a-z0-9_-]*', name):
        raise ValueError(f'{name!r} names files; use small letters, digits, - and _')
    return name


def _check_seeds(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f'seeds are different integers from 0 on, got {seeds}')
    return seeds


class Row(Strict):
    """A config and the seeds to train it with; or what is not trained: an ensemble of rows, or a command on one.

    Or a row of another suite, shown here as well: its records, its commands, its work dirs.

    Attributes:
        name: as in file names: small letters, digits, ``-`` and ``_``.
        title: as in the table; by default the name.
        config: path from the repository's root; empty for what is not trained.
        seeds: one training each; of what is not trained, one of its members' each.
        group: rows of one group stand together in the table.
        ensemble: names of the rows above that an ensemble fuses.
        measured: a command on a row above.
        suite: name of the suite in the same folder whose row of this name it is; title and group may be others here.
        own_options: of this row alone, for ``--cfg-options``; ``{seed}`` in a text stands for the training's seed.
    """

    name: Annotated[str, AfterValidator(_check_name)]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_check_seeds)]
    title: str = Field(default_factory=lambda row: row.get('name', ''))
    config: str = ''
    group: str = ''
    ensemble: list[Text] = []
    measured: Measured | None = None
    suite: str = ''
    own_options: Options = Field(default={}, alias='cfg-options')
    _options: dict[str, Any] = PrivateAttr({})
    _members: tuple[Row, ...] = PrivateAttr(())
    _sources: dict[int, tuple[tuple[Row, int], ...]] = PrivateAttr(default_factory=dict)

    @model_validator(mode='after')
    def _is_of_one_kind(self) -> Row:
        kinds = bool(self.config), 'ensemble' in self.model_fields_set, self.measured is not None, bool(self.suite)
        if sum(kinds) != 1:
            raise ValueError(f'{self.name} needs either config, ensemble, measured or suite')
        if not self.config and self.own_options:
            raise ValueError(f'{self.name}: is not trained here and takes no cfg-options')
        return self

    @property
    def options(self) -> Mapping[str, Any]:
        """What ``--cfg-options`` gets, the suite's and the row's together."""
        return self._options

    def resolve(self, suite: str, shared: Mapping[str, Any], above: Sequence[Row]) -> None:
        """Take the suite's options, and find the rows above that this one fuses, measures or reads checkpoints of.

        Raises:
            ValueError: there are no such rows.
        """
        if self.suite:
            return
        trained = [row for row in above if row.config and not row.suite]
        if not self.config:
            rows = {row.name: row for row in trained if set(self.seeds) <= set(row.seeds)}
            self._members = self._measured_row(rows) if self.measured else self._fused_rows(rows)
            return
        self._options = {**shared, **self.own_options}
        trainings = {f'{suite}/{row.name}_seed{seed}': (row, seed) for row in trained for seed in row.seeds}
        for seed in self.seeds:
            found = []
            for key, path, training in _files_of_trainings(self.options_of(seed)):
                if training not in trainings:
                    raise ValueError(f'{self.name}: cfg-options: {key}: {path} is of no training above it in this '
                                     f'suite; there are {", ".join(trainings) or "none"}')
                found.append(trainings[training])
            self._sources[seed] = tuple(found)

    def as_in(self, other: Suite) -> Row:
        """This row of another suite, with that one's config and options.

        Raises:
            ValueError: it trains no such row, or not with these seeds.
        """
        found = {row.name: row for row in other.rows if set(self.seeds) <= set(row.seeds)}
        if self.name not in found:
            raise ValueError(f'{self.name}: suite: {other.name} trains no row of this name with these seeds, but '
                             f'{", ".join(found) or "none"}')
        own = self.model_dump(include={'suite', 'seeds', 'title', 'group'} & self.model_fields_set)
        return found[self.name].model_copy(update=own)

    def _fused_rows(self, rows: Mapping[str, Row]) -> tuple[Row, ...]:
        if len(set(self.ensemble) & set(rows)) < max(len(self.ensemble), 2):
            raise ValueError(f'{self.name}: ensemble lists two rows or more that stand above it and have its '
                             f'seeds, each once: some of {", ".join(rows) or "none"}; got {self.ensemble}')
        return tuple(rows[name] for name in self.ensemble)

    def _measured_row(self, rows: Mapping[str, Row]) -> tuple[Row, ...]:
        assert self.measured is not None
        plain = {name: row for name, row in rows.items() if not row.options}
        if self.measured.of not in plain:
            raise ValueError(f'{self.name}: measured: of names a row that stands above it, has its seeds, and no '
                             f'cfg-options, which the command would not get: one of {", ".join(plain) or "none"}; got '
                             f'{self.measured.of!r}')
        return (plain[self.measured.of],)

    def options_of(self, seed: int) -> dict[str, Any]:
        """:attr:`options` of the training with this seed."""
        return {key: _with_seed(value, seed) for key, value in self._options.items()}


@dataclass(frozen=True)
class Case:
    """One training, or what is measured on trainings: a row with one of its seeds."""

    suite: str
    row: Row
    seed: int

    @classmethod
    def of_row(cls, suite: str, row: Row, seed: int) -> Case:
        """The case of a suite's row, filed under the suite that trains it."""
        return cls(row.suite or suite, row, seed)

    @property
    def name(self) -> str:
        """Names its files: ``<row>_seed<k>``."""
        return f'{self.row.name}_seed{self.seed}'

    @property
    def members(self) -> tuple[Case, ...]:
        """The trainings that an ensemble fuses, or whose checkpoint a command reads; none of a training."""
        return tuple(Case(self.suite, row, self.seed) for row in self.row._members)

    @property
    def sources(self) -> tuple[Case, ...]:
        """The trainings whose files (checkpoints) this one reads: when they are renewed, it is renewed, too."""
        return tuple(Case(self.suite, row, seed) for row, seed in self.row._sources.get(self.seed, ()))

    @property
    def files_read(self) -> tuple[str, ...]:
        """Those files, such as ``work_dirs/benchmarks/SUITE/ROW_seed0/epoch_20.pth``."""
        return tuple(path for _, path, _ in _files_of_trainings(self.row.options_of(self.seed)))

    def cfg_options(self) -> list[str]:
        """``KEY=VALUE`` for ``tools/train.py --cfg-options``, the seed among them."""
        options = {**self.row.options_of(self.seed), 'randomness.seed': self.seed}
        return [f'{key}={_as_text(value)}' for key, value in options.items()]


class Cost(Strict):
    """How costs are measured, see :mod:`benchmarking.cost`: rows, the reference beside them, and an epoch from 1."""

    reference: str
    rows: list[Text]
    epoch: int = Field(ge=1)


class Suite(Strict):
    """A table to be measured.

    Attributes:
        title, intro, caption: words for the document.
        rows: in the table's order.
        metrics: column title -> key of the evaluation.
        classes: class names whose AP gets a column, in order.
        cells: class name -> number of cells that it is tested on, shown above its APs; a run compares it with the data.
        scalars: column title -> key of a logged scalar, averaged over the epochs that have it.
        roles: ``upper``, ``lower`` -> name of a row; with both the share of the gap is shown.
        checks: what is claimed.
        cost: rows whose costs are measured.
        order: position in the document; equal ones by name.
        interval: show the 95% t interval of a mean over seeds beside their range.
        shared_options: for ``--cfg-options`` of every row.
    """

    title: str
    rows: list[Row] = Field(min_length=1)
    intro: str = ''
    caption: str = ''
    metrics: dict[str, str] = dict(METRICS)
    classes: list[Text] = []
    cells: dict[str, Annotated[int, Field(ge=0)]] = {}
    scalars: dict[str, str] = {}
    roles: dict[Literal['upper', 'lower'], str] = {}
    checks: list[Check] = []
    cost: Cost | None = None
    order: int = 0
    interval: bool = False
    shared_options: Options = Field(default={}, alias='cfg-options')
    _name: str = PrivateAttr('')

    @property
    def name(self) -> str:
        """The YAML file's stem."""
        return self._name

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        """The checks with their defaults filled in."""
        found = []
        for check in self.checks:
            kind, = check.model_fields_set - {'claim'}
            what = getattr(check, kind)
            others = getattr(what, 'of', ())
            found.append(Claim(check.claim, kind, what.row, what.metric or next(iter(self.metrics)),
                               (others,) if isinstance(others, str) else tuple(others),
                               getattr(what, 'share', getattr(what, 'value', 0.0))))
        return tuple(found)

    @property
    def suites_shown(self) -> list[str]:
        """Names of the other suites that rows are taken from."""
        return list(dict.fromkeys(row.suite for row in self.rows if row.suite))

    def with_rows_of(self, others: Mapping[str, Suite]) -> Suite:
        """This suite with the rows of other suites filled in.

        Raises:
            ValueError: a suite has no such row.
        """
        rows = [row.as_in(others[row.suite]) if row.suite else row for row in self.rows]
        return self.model_copy(update=dict(rows=rows))

    def resolve(self, name: str) -> Suite:
        """Take the file's name, connect the rows, and check every name that stands for a row or a column.

        Raises:
            ValueError: a name is taken twice or stands for nothing.
        """
        self._name = _check_name(name)
        names = [row.name for row in self.rows]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f'two rows have the name {twice[0]!r}; results are filed by name')
        for number, row in enumerate(self.rows):
            row.resolve(name, self.shared_options, self.rows[:number])
        titles = [*self.metrics, *self.scalars, *(f'AP {name}' for name in self.classes)]
        _check_known(self.roles.values(), names, 'rows', 'roles')
        _check_known(self.cells, self.classes, 'classes', 'cells')
        if self.cost:
            _check_known([self.cost.reference, *self.cost.rows], names, 'rows', 'cost')
        for number, claim in enumerate(self.claims, start=1):
            where = f'checks {number}: {claim.kind}'
            if claim.kind == 'gap_closed' and len(self.roles) < 2:
                raise ValueError(f'{where}: it needs the roles lower and upper')
            _check_known([claim.row, *claim.others], names, 'rows', where)
            _check_known([claim.metric], titles, 'columns', where)
        return self

    def cases(self) -> list[Case]:
        """All trainings, the first seed of every row before the second of any: a whole table as early as can be."""
        rounds = max(len(row.seeds) for row in self.rows)
        return [Case.of_row(self.name, row, row.seeds[number])
                for number in range(rounds) for row in self.rows if number < len(row.seeds)]

    def choose(self, names: str | None) -> list[Case]:
        """The trainings that ``names`` lists: ``row`` (all its seeds) or ``row:seed``, with commas between.

        Raises:
            UserError: no such row or seed.
        """
        if names is None:
            return self.cases()
        wanted: set[str] = set()
        for text in names.split(','):
            found = {case.name for case in self.cases() if text in (case.row.name, f'{case.row.name}:{case.seed}')}
            if not found:
                rows = ', '.join(f'{row.name} (seeds {", ".join(map(str, row.seeds))})' for row in self.rows)
                raise UserError(f'--rows {text!r}: the suite {self.name!r} has no such row; it has {rows}')
            wanted |= found
        return [case for case in self.cases() if case.name in wanted]

    def row(self, name: str) -> Row:
        """The row of that name; a ``KeyError`` when there is none."""
        return {row.name: row for row in self.rows}[name]


def read_suite(path: str | Path) -> Suite:
    """Read a suite's YAML.

    Raises:
        UserError: no such file, not YAML, a key unknown, missing or of another kind; names the file and the row. Or so
            is another suite that it shows rows of.
    """
    path = Path(path)
    suite = read_model(path, Suite)
    others = {name: _read_trained(path.with_name(f'{name}.yaml')) for name in suite.suites_shown}
    return _resolved(suite, path, others)


def _read_trained(path: Path) -> Suite:
    """A suite with the rows alone that it trains itself, so that two may show each other's."""
    suite = read_model(path, Suite)
    rows = [row for row in suite.rows if row.config]
    return _resolved(suite.model_copy(update=dict(rows=rows, checks=[], roles={}, cost=None)), path, {})


def _resolved(suite: Suite, path: Path, others: Mapping[str, Suite]) -> Suite:
    try:
        return suite.with_rows_of(others).resolve(path.stem)
    except ValueError as error:
        raise UserError(f'{path}: {error}') from error


def read_suites(folder: Path) -> list[Suite]:
    """All suites of a folder in their order.

    Raises:
        UserError: there is none, or one is broken.
    """
    suites = [read_suite(path) for path in sorted(folder.glob('*.yaml'))]
    if not suites:
        raise UserError(f'{folder}: holds no suite (*.yaml)')
    return sorted(suites, key=lambda suite: (suite.order, suite.name))


def _check_known(names: Any, known: Sequence[str], kind: str, where: str) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f'{where}: {name!r} is none of the {kind} {", ".join(known)}')


def _files_of_trainings(options: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Options that name a file in a training's work dir: key, path, and the training as SUITE/ROW_seedK."""
    texts = [(key, str(text)) for key, value in options.items()
             for text in (value if isinstance(value, list) else [value])]
    return [(key, text, named[1]) for key, text in texts if (named := _OF_A_TRAINING.search(text))]


def _with_seed(value: Any, seed: int) -> Any:
    """A value, its texts with the seed in place of ``{seed}``.

    >>> _with_seed(['plain_seed{seed}/epoch_40.pth', 1], 2)
    ['plain_seed2/epoch_40.pth', 1]
    """
    if isinstance(value, list):
        return [_with_seed(item, seed) for item in value]
    return value.replace(_SEED, str(seed)) if isinstance(value, str) else value


def _as_text(value: Any) -> str:
    """A value as ``--cfg-options`` reads it.

    >>> _as_text([1, 'a']), _as_text(None), _as_text(0.5)
    ('[1,a]', 'None', '0.5')
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f'[{",".join(map(_as_text, value))}]'
    return str(value)
