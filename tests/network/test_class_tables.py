import pytest

from napari_meunet.errors import MeUNetError
from napari_meunet.network.classes import class_table, class_words


@pytest.mark.parametrize(
    ("words", "values"),
    [([], [0]), (["gut", "ovary"], [0, 1, 2]), (["ovary= 21", "gut =7"], [0, 7, 21])],
)
def test_classes_are_named_and_may_have_values(words, values):
    classes = class_table(words)
    assert [label.value for label in classes] == values
    assert classes[0].name == "background"
    assert class_table(class_words(classes)) == classes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gut=1", "ovary"], "must be from 1 to 254"),
        (["gut=0"], "0 is background"),
        (["gut=255"], "255 no label"),
        (["gut=one"], "got gut=one"),
        (["gut=1", "ovary=01"], "different values"),
        (["gut", "gut"], "different names"),
        (["=3"], "name"),
    ],
)
def test_a_class_table_that_means_nothing_is_refused(words, message):
    with pytest.raises(MeUNetError, match=message):
        class_table(words)
