"""Find words that have a plainer one: ``python tools/check_words.py [FILE ...]``; ``make words`` counts them per file.

Looks through the code, documents and messages that git tracks. CONTRIBUTING.md has the glossary.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = ('.py', '.md', '.yaml', '.html', '.css', '.js', '.toml', '.sh')
UNREAD = ('benchmarks/results/', 'docs/benchmarks.md', 'CONTRIBUTING.md', 'tools/check_words.py',
          'tests/tools/test_check_words.py')
"""Old records and what is made from them; the glossary and the list themselves."""

WORDS = {
    r'\b(?:for|per|each) places?\b|\bplaces?\]|\bplaces? in (?:the|a) (?:list|tensor|grid|map)':
        'index, location, grid cell',
    r'(?<!make )(?<!makes )(?<!making )(?<!made )(?<!be )(?<!for )\b(?:sure|surer|surest|sureness)\b':
        'confident, highest-scoring',
    r'\b(?:mend|mends|mended|mending)\b': 'fix',
    r'\b(?:strange|stranger|strangest|strangely)\b': 'unknown, unexpected',
    r'\b(?:settle|settles|settled|settling)\b': 'resolve',
    r'\b(?:vouch|vouches|vouched|vouching)\b': "target, teacher's objectness",
    r'\b(?:heed|heeds|heeded|heeding)\b': 'use, follow',
    r'\bdearest\b': 'highest cost first',
    r'\b(?:told|shown), not judged\b|\bnot judged\b': 'printed for information',
    r'\b(?:its|their|whose) word\b': 'target, score',
    r'\bat home (?:on|in)\b': 'runs on',
    r'\b(?:fate|fates)\b|\bfell to\b': 'rejected by, outcome',
    r'\bwhat is whose\b': 'which part contributes what',
    r'\bwhose the \w+ are\b': 'who owns',
    r'\bwithout a word\b': 'silently',
    r'\b(?:anew|afresh)\b': 'again',
    r'\bnought\b': 'zero, nothing',
}
"""Pattern -> what to write."""
ALLOWED = re.compile(r'words: fine')
"""A line with this is not looked at: a name of an old file, a quotation."""

_PATTERN = re.compile('|'.join(f'({pattern})' for pattern in WORDS), re.IGNORECASE)
_INSTEAD = list(WORDS.values())


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, word, and what to write instead, of each find.

    >>> list(findings('All is well.\\nMend it and make sure.'))
    [(2, 'Mend', 'fix')]
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if not ALLOWED.search(line):
            for found in _PATTERN.finditer(line):
                yield number, found[0], _INSTEAD[found.lastindex - 1]


def tracked_files() -> list[Path]:
    """The files of the repository that people read."""
    listed = subprocess.run(['git', '-C', str(ROOT), 'ls-files'], capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines()
            if name.endswith(SUFFIXES) and not name.startswith(UNREAD) and (ROOT / name).is_file()]


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('files', nargs='*', type=Path, help='default: all that git tracks')
    parser.add_argument('--count', action='store_true', help='a line per file instead of a line per find')
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is found; 1 if there is something, else 0."""
    args = build_parser().parse_args(arguments)
    files = args.files or tracked_files()
    found = {path: list(findings(path.read_text(encoding='utf-8'))) for path in files}
    for path, finds in found.items():
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        if args.count and finds:
            counts = Counter(word.lower() for _, word, _ in finds)
            words = ', '.join(f'{word} {count}' for word, count in counts.items())
            print(f'{len(finds):4d}  {name}: {words}')
        elif not args.count:
            for number, word, instead in finds:
                print(f'{name}:{number}: {word!r}: write {instead}')
    total = sum(map(len, found.values()))
    print(f'{total} in {sum(map(bool, found.values()))} of {len(files)} files')
    return int(total > 0)


if __name__ == '__main__':
    sys.exit(main())
