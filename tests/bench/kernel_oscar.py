"""django-oscar at the bench's work: its own applicator, its SQL removed (offers, ranges, lines, prices in memory)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from types import SimpleNamespace
from typing import Any

from tests.bench.kernel_work import NOW, TODAY, Bought, Spec


@cache
def _oscar_parts() -> SimpleNamespace:
    """Return its own applicator, offers, benefits and lines; only what would ask the database is ours."""
    _set_django_up()
    from oscar.apps.basket.models import Line as OscarLine
    from oscar.apps.offer.applicator import Applicator
    from oscar.apps.offer.benefits import AbsoluteDiscountBenefit, PercentageDiscountBenefit
    from oscar.apps.offer.conditions import ValueCondition
    from oscar.apps.offer.models import ConditionalOffer
    from oscar.apps.offer.results import ZERO_DISCOUNT

    class Gate(ValueCondition):
        class Meta:
            app_label = "offer"
            proxy = True

        def proxy(self) -> Any:
            return self

        def is_satisfied(self, offer: Any, basket: Any) -> bool:
            spec = self.spec
            return (
                basket.store in spec.stores
                and any(segment in spec.segments for segment in basket.segments)
                and spec.hours[0] <= NOW.hour < spec.hours[1]
                and spec.dates[0] <= TODAY <= spec.dates[1]
                and basket.uses.get(spec.number, 0) < spec.limit
                and super().is_satisfied(offer, basket)
            )

    class Nothing(PercentageDiscountBenefit):
        class Meta:
            app_label = "offer"
            proxy = True

        def proxy(self) -> Any:
            return self

        def apply(self, basket: Any, condition: Any, offer: Any, **_: Any) -> Any:
            return ZERO_DISCOUNT

    ConditionalOffer.combinations = SimpleNamespace(count=lambda: 0)
    benefits = {"percent": PercentageDiscountBenefit, "amount": AbsoluteDiscountBenefit, "multiplier": Nothing}
    return SimpleNamespace(
        line=OscarLine, applicator=Applicator(), benefits=benefits, offer=ConditionalOffer, gate=Gate
    )


class Range:
    """A range of products in memory."""

    def __init__(self, categories: tuple[str, ...]) -> None:
        self.categories = frozenset(categories)

    def contains_product(self, product: Any) -> bool:
        """Return whether the product's category is in the range."""
        return product.category in self.categories


def oscar(rules: list[Spec], work: list[Bought]) -> Callable[[], object]:
    parts = _oscar_parts()
    offers = []
    for spec in rules:
        gate = parts.gate(type="Value", value=Decimal(spec.least) / 100)
        gate.spec = spec
        gate._state.fields_cache["range"] = Range(spec.categories)
        benefit = parts.benefits[spec.kind](type="Percentage", value=Decimal(spec.value) / 100)
        benefit._state.fields_cache["range"] = gate._state.fields_cache["range"]
        offer = parts.offer(pk=spec.number + 1, name=str(spec.number), priority=-spec.number, exclusive=True)
        offer._state.fields_cache |= {"condition": gate, "benefit": benefit}
        offer.max_basket_applications = 1
        offers.append(offer)
    baskets = []
    for bought in work:
        lines = []
        for category, price, quantity in bought.lines:
            line = parts.line(quantity=quantity, stockrecord_id=1)
            line._state.fields_cache |= {
                "product": SimpleNamespace(category=category, is_discountable=True),
                "stockrecord": SimpleNamespace(id=1),
            }
            exact = Decimal(price) / 100
            line._info = SimpleNamespace(price=SimpleNamespace(effective_price=exact, excl_tax=exact, incl_tax=exact))
            lines.append(line)
        baskets.append(
            SimpleNamespace(
                all_lines=lambda lines=lines: lines, lines_=lines, owner=None, currency="RUB", store=bought.store,
                segments=bought.segments, uses=bought.uses,
            )
        )  # fmt: skip
    applicator = parts.applicator

    def run() -> None:
        for basket in baskets:
            for line in basket.lines_:
                line.clear_discount()
            applicator.apply_offers(basket, offers)

    return run


def _set_django_up() -> None:
    import django
    from django.conf import settings

    if settings.configured:
        return
    from oscar import defaults

    options = {name: getattr(defaults, name) for name in dir(defaults) if name.startswith("OSCAR_")}
    options["OSCAR_DEFAULT_CURRENCY"] = "RUB"
    settings.configure(
        INSTALLED_APPS=[
            "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "django.contrib.sites",
            "django.contrib.flatpages", "oscar.apps.analytics.apps.AnalyticsConfig",
            "oscar.apps.checkout.apps.CheckoutConfig", "oscar.apps.address.apps.AddressConfig",
            "oscar.apps.shipping.apps.ShippingConfig", "oscar.apps.catalogue.apps.CatalogueConfig",
            "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
            "oscar.apps.communication.apps.CommunicationConfig", "oscar.apps.partner.apps.PartnerConfig",
            "oscar.apps.basket.apps.BasketConfig", "oscar.apps.payment.apps.PaymentConfig",
            "oscar.apps.offer.apps.OfferConfig", "oscar.apps.order.apps.OrderConfig",
            "oscar.apps.customer.apps.CustomerConfig", "oscar.apps.search.apps.SearchConfig",
            "oscar.apps.voucher.apps.VoucherConfig", "oscar.apps.wishlists.apps.WishlistsConfig", "treebeard",
            "django_tables2", "widget_tweaks", "haystack",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        HAYSTACK_CONNECTIONS={"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}},
        SITE_ID=1, USE_TZ=True, SECRET_KEY="bench", DEFAULT_AUTO_FIELD="django.db.models.AutoField", **options,
    )  # fmt: skip
    django.setup()
