"""20 000 examples of each: `python -m pytest tests/loyalty_desk/domain/properties --hypothesis-profile=thorough`."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "thorough", max_examples=20_000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
