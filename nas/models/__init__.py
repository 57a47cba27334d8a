"""A network's genotype as a torch module, and its weights under other projects' names."""
