"""The nouns: frozen structs that every other room speaks in. Imports nothing of ours."""
