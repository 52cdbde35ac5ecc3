"""Packaging of mmleuk. Versions known to work together stand in constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def read_version() -> str:
    """Version from the package's source, without importing it."""
    match = re.search(r"^__version__ = '([^']+)'$", (HERE / 'mmleuk' / '__init__.py').read_text(), re.MULTILINE)
    if match is None:
        raise RuntimeError('mmleuk/__init__.py has no __version__')
    return match.group(1)


SEG = ['onedl-mmsegmentation>=1.4.2,<2']  # models that predict masks; Apache-2.0, no torchvision
TRANSFORMERS = ['transformers>=5.0,<6']  # encoders of mmleuk.TransformersEncoder; Apache-2.0, no torchvision
# Large images: tiled TIFF (imagecodecs decodes JPEG and LZW tiles), scanners' formats, PNG and JPEG row by row.
WSI = ['tifffile', 'imagecodecs', 'openslide-python', 'openslide-bin', 'pyvips', 'pyvips-binary']
# The morphology bank and its reports. Not every installation needs a database, so this is an extra. All MIT, BSD or
# Apache-2.0, but for psycopg (LGPL, used as it is), the driver of PostgreSQL.
BANK = ['sqlalchemy>=2.0,<3', 'alembic', 'psycopg[binary]>=3.1', 'pyarrow', 'weasyprint>=63']
# The pages of mmleuk review and mmleuk serve; MIT, BSD and Apache-2.0.
DESK = ['fastapi>=0.110', 'uvicorn', 'python-multipart']
# Models as ONNX and OpenVINO files, and their runtimes. All MIT or Apache-2.0.
EXPORT = ['onnx>=1.18', 'onnxscript', 'onnxruntime>=1.20', 'openvino>=2024.6']
PARQUET = ['pyarrow']  # mmleuk data convert --to parquet
RAY = ['ray>=2.9']  # mmleuk infer --engine ray; Apache-2.0
TENSORBOARD = ['tensorboard']  # mmleuk train --tensorboard; Apache-2.0
TEST = ['pytest', 'pytest-timeout', 'pytest-xdist', 'hypothesis', 'pypdf', 'psutil', 'httpx2', 'playwright',
        'pydantic>=2',  # reads the suites of tools/benchmark.py
        'scikit-image']  # differences of colours
DEV = ['ruff', 'mypy', 'codespell']

setup(
    name='mmleuk',
    version=read_version(),
    description='Sparsely annotated white blood cells and their morphology, for MMDetection 3.x',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10,<3.13',
    packages=find_packages(include=['mmleuk', 'mmleuk.*']),
    package_data={'mmleuk': ['**/*.html', '**/*.css', '**/*.js', '**/*.json', 'shipped/*.md', 'shipped/*.safetensors']},
    # MMDetection comes from one of two sets of distributions that overwrite each other's files, and whoever installs
    # this into an environment that has one must keep it: so neither is a hard dependency.
    install_requires=['torch>=2.1', 'numpy', 'pycocotools', 'pillow', 'pyyaml', 'tqdm', 'matplotlib', 'jinja2',
                      'safetensors', 'pandas', 'defusedxml', 'scipy', 'scikit-learn', 'shapely>=2'],
    extras_require={
        'onedl': ['onedl-mmengine>=0.10.12,<1', 'onedl-mmcv>=2.3.6,<2.4', 'onedl-mmdetection>=3.5.1,<4'],
        'openmmlab': ['mmengine>=0.10.3,<1', 'mmcv>=2.0.0,<2.2', 'mmdet==3.3.0'],
        'seg': SEG,
        'transformers': TRANSFORMERS,
        'wsi': WSI,
        'parquet': PARQUET,
        'bank': BANK,
        'export': EXPORT,
        'ray': RAY,
        'tensorboard': TENSORBOARD,
        'desk': BANK + DESK,
        'test': TEST,
        'dev': TEST + SEG + TRANSFORMERS + WSI + PARQUET + BANK + EXPORT + DESK + RAY + TENSORBOARD + DEV,
    },
    entry_points={'console_scripts': ['mmleuk = mmleuk.cli:main']},
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Topic :: Scientific/Engineering :: Medical Science Apps.',
    ],
)
