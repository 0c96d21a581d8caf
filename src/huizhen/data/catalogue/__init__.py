"""A site's catalogue: what it holds, said in a signed record and in counts that single nobody out.

`index` holds one row a series, `criteria` the questions that may be asked of it, `matching` answers them
exactly, `guard` decides what of an exact count is told, and `record` is what the site publishes.
"""
