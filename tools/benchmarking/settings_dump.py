"""Print as JSON what each training of a checkout's suites is: ``python settings_dump.py [NAME ...]`` in that checkout.

A NAME, ``suite/row_seedK``, is described as well where the suite has the row with other seeds alone.
``carry.py`` runs it in an older checkout and in this one. It imports the runner of the checkout that it runs in, under
the name that the runner has there.
"""

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

RUNNERS = ('benchmarking', 'mmleuk.benchmarks')
"""Names of the runner's package: today's and the one that it had inside of mmleuk."""


def runner_module(name: str) -> Any:
    """A module of the checkout's runner."""
    found = [package for package in RUNNERS if importlib.util.find_spec(package)]
    return importlib.import_module(f'{found[0]}.{name}')


def resolve(identity: Any, config: str, options: list[str]) -> Any:
    """The config as it is trained; the function had another name before."""
    function = getattr(identity, 'resolve_config', None) or identity.settle  # words: fine
    return function(config, options)


def settings_of(identity: Any, config: str, options: list[str]) -> dict[str, Any]:
    """The settings behind a config's hash, with ``data`` as the folder of the data."""
    with identity._variable(identity.DATA_VARIABLE, 'data'):
        settings = resolve(identity, config, options).to_dict()
        for key in identity._NO_RESULT:
            settings.pop(key, None)
        for name in identity._NO_RESULT_HOOKS:
            settings.get('default_hooks', {}).pop(name, None)
        return identity._without(settings, identity._NO_RESULT_KEYS)


def describe(case: Any) -> dict[str, Any]:
    """A training: hash, config and options, settings, annotation files, and the trainings that it reads."""
    identity = runner_module('identity')
    own = None if case.members else settings_of(identity, case.row.config, case.cfg_options())
    if measured := getattr(case.row, 'measured', None):  # older checkouts have no such rows
        own = measured.model_dump()
    with identity._variable(identity.DATA_VARIABLE, 'data'):
        files = [] if case.members else identity.annotation_files(
            resolve(identity, case.row.config, case.cfg_options()))
    data = identity._case_data(case) if os.environ.get(identity.DATA_VARIABLE) else None
    return dict(config_hash=identity.case_hash(case), config=case.row.config, cfg_options=case.cfg_options(),
                settings=own, files=[str(path) for path in files], data_hash=data,
                needs=[f'{case.suite}/{other.name}' for other in [*case.members, *case.sources]])


def cases_of(suite: Any, names: Sequence[str]) -> list[Any]:
    """A suite's trainings, and the named ones whose row it has with other seeds."""
    rows = {case.row.name: case for case in suite.cases()}
    found = {f'{suite.name}/{case.name}': case for case in suite.cases()}
    for name in names:
        row, _, seed = name.removeprefix(f'{suite.name}/').rpartition('_seed')
        if row in rows:
            found.setdefault(name, replace(rows[row], seed=int(seed)))
    return list(found.values())


def main() -> None:
    """Describe all trainings of the suites in ``benchmarks/``; one that can't be read says why under ``error``."""
    sys.path[:0] = [os.getcwd(), os.path.join(os.getcwd(), 'tools')]
    from mmengine.logging import MMLogger

    from mmleuk.errors import UserError
    MMLogger.get_current_instance().setLevel('ERROR')
    found = {}
    for path in sorted(Path('benchmarks').glob('*.yaml')):
        for case in cases_of(runner_module('suite').read_suite(path), sys.argv[1:]):
            try:
                found[f'{case.suite}/{case.name}'] = describe(case)
            except UserError as error:
                found[f'{case.suite}/{case.name}'] = dict(error=str(error))
    sys.stdout.write('\n' + json.dumps(found, default=str) + '\n')


if __name__ == '__main__':
    main()
