"""Version 1 of the contract. Within a major version fields are only added; unknown ones are passed over."""
