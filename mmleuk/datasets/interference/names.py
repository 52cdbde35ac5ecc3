"""Names that the copies have; the command's --help shows them without a wait for torch."""

ANNOTATIONS = 'annotations.json'
FACTOR_NAMES = ('over_staining', 'pale_staining', 'overlapping_cells', 'impurities', 'incomplete_cells', 'defocus')
"""The keys of :data:`mmleuk.transforms.interference.FACTORS`, in their order."""
