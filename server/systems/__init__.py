"""Systems of others that talk to us with a token: a web shop, a till that is not ours."""
