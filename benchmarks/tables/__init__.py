"""The paper's tables: what each one says was done, its published numbers, and a command that does it again."""
