"""Images of some domains, and images whose labels are hidden."""

import pytest

from mmleuk.errors import UserError
from mmleuk.registry import DATASETS


@pytest.fixture
def two_domains(film):
    film.coco['images'][0]['domain'], film.coco['images'][1]['domain'] = 'near', 'far'
    film.write()
    return film


@pytest.mark.parametrize('test_mode', [False, True])
def test_only_images_of_the_named_domains(two_domains, test_mode):
    data = DATASETS.build(two_domains.config(domains=['far'], test_mode=test_mode))
    assert [(data.get_data_info(i)['img_id'], data.get_data_info(i)['domain']) for i in range(len(data))] == [
        (3, 'far')]
    assert len(DATASETS.build(two_domains.config(domains=['far', 'near']))) == 2
    assert len(DATASETS.build(two_domains.config())) == 2


def test_an_unknown_domain_is_an_error(two_domains):
    with pytest.raises(UserError, match=r"train.json: no image has the domain 'fra'; the file has near \(1 images\), "
                                        r'far \(1 images\)'):
        DATASETS.build(two_domains.config(domains=['near', 'fra']))


@pytest.mark.parametrize('domains', ['far', []])
def test_domains_are_a_list(two_domains, domains):
    with pytest.raises(UserError, match='give a list of domains'):
        DATASETS.build(two_domains.config(domains=domains))
