"""Classes of a file under other names, several of them as one, or left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def relabel_classes(content: Any, names: Mapping[str, str | None]) -> Any:
    """A COCO file's content with other class names.

    Args:
        content: parsed JSON; not changed. What isn't a COCO file is returned as it is.
        names: new name by a category's name. Several may get the same one. None: its annotations are left out, so
            they are background. Categories that aren't listed keep their names.

    Example:
        >>> data = dict(images=[], categories=[dict(id=1, name='Basophil'), dict(id=2, name='Monocyte'),
        ...                                    dict(id=3, name='RBC')],
        ...             annotations=[dict(id=7, category_id=2), dict(id=8, category_id=3)])
        >>> new = relabel_classes(data, dict(Basophil='WBC', Monocyte='WBC', RBC=None))
        >>> new['categories'], new['annotations']
        ([{'id': 1, 'name': 'WBC'}], [{'id': 7, 'category_id': 1}])
    """
    if not names or not isinstance(content, Mapping) or not all(
            isinstance(content.get(key), list) and all(isinstance(item, Mapping) for item in content[key])
            for key in ('categories', 'annotations')):
        return content
    first: dict[Any, Any] = {}
    moved: dict[Any, Any] = {}
    for category in content['categories']:
        name = names.get(category.get('name'), category.get('name'))
        if name is not None:
            moved[category.get('id')] = first.setdefault(name, category.get('id'))
    left_out = {category.get('id') for category in content['categories']} - set(moved)
    kept = [annotation for annotation in content['annotations'] if annotation.get('category_id') not in left_out]
    return dict(content, categories=[dict(id=key, name=name) for name, key in first.items()], annotations=[
        dict(annotation, category_id=moved.get(annotation['category_id'], annotation['category_id']))
        if 'category_id' in annotation else annotation for annotation in kept])
