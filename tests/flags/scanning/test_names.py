import pytest

from flags.scanning.names import ALIAS_KINDS, UnusableAlias, is_plain, names_of, words_of


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("new-checkout", ("new", "checkout")),
        ("new_checkout", ("new", "checkout")),
        ("newCheckout", ("new", "checkout")),
        ("NewCheckout", ("new", "checkout")),
        ("new.checkout-v2", ("new", "checkout", "v2")),
        ("HTTPProxy", ("http", "proxy")),
        ("checkout2", ("checkout2",)),
        ("2-factor", ("2", "factor")),
        ("shop.3d_secure", ("shop", "3", "d", "secure")),
    ],
)
def test_words__of_a_key__are_those_people_see(key, words):
    assert words_of(key) == words


@pytest.mark.parametrize(
    ("kind", "alias"),
    [
        ("camel", "newCheckoutV2"),
        ("pascal", "NewCheckoutV2"),
        ("screaming", "NEW_CHECKOUT_V2"),
        ("snake", "new_checkout_v2"),
    ],
)
def test_aliases__of_a_kind__are_spelt_its_way(kind, alias):
    assert names_of(["new-checkout-v2"], kinds=[kind]).aliases == {alias.encode(): ("new-checkout-v2",)}


def test_aliases__of_a_single_word_or_with_a_digit_first__are_none():
    assert names_of(["search", "2-factor"], kinds=["camel", "screaming", "snake"]).aliases == {}


def test_aliases__two_flags_spelt_alike__stand_for_both():
    names = names_of(["new-checkout", "new_checkout"], kinds=["camel"])

    assert names.aliases == {b"newCheckout": ("new-checkout", "new_checkout")}


def test_aliases__named_by_hand__are_looked_for():
    names = names_of(["new-checkout"], explicit={"new-checkout": ["FLAG_17", "useCheckout"]})

    assert names.aliases == {b"FLAG_17": ("new-checkout",), b"useCheckout": ("new-checkout",)}


@pytest.mark.parametrize(
    ("kinds", "explicit", "word"),
    [
        (["kebab"], {}, ", ".join(ALIAS_KINDS)),
        ([], {"gone": ["GONE"]}, "no flag of this key"),
        ([], {"new-checkout": ["17"]}, "no digit first"),
        ([], {"new-checkout": ["a b"]}, "cannot be an alias"),
        ([], {"new-checkout": [""]}, "cannot be an alias"),
        ([], {"new-checkout": [17]}, "cannot be an alias"),
    ],
)
def test_aliases__that_cannot_be_looked_for__are_refused_with_the_reason(kinds, explicit, word):
    with pytest.raises(UnusableAlias, match=word):
        names_of(["new-checkout"], kinds=kinds, explicit=explicit)


@pytest.mark.parametrize("key", ["search", "Search", "SEARCH", "v2", "2.0", "1", "new-checkout.", "a-", "x"])
def test_plain_keys__count_between_quotes_only(key):
    assert is_plain(key)
    assert names_of([key]).quoted == {key.encode()}


@pytest.mark.parametrize("key", ["new-checkout", "new_checkout", "newCheckout", "a.b", "2-factor", "y_x"])
def test_telling_keys__count_anywhere(key):
    assert not is_plain(key)
    assert names_of([key]).keys == {key.encode()}
