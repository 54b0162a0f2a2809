"""The manifest: a project's flags, environments, policies, plans and timelines as one YAML file. Pure.

`reading` turns text into a manifest with lines for every problem, `schema` says what it may hold, `checking` judges
documents and names, `writing` is the one written form, and `diffing` compares a manifest with what there is.
"""
