"""What the till's services ask of the world: protocols and the plain values that cross them.

Adapters (`store`, `remote`, `scanning`) import these modules and nothing else of `services`.
"""
