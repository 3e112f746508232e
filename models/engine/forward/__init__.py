"""Forward passes and their KV caches: probing, forking, prefill, rows of logits."""
