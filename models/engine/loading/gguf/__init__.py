"""Models that are GGUF files: config and tokenizer by transformers, weights a tensor at a time."""
