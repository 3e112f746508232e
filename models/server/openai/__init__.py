"""OpenAI's completions, and servers that have them."""
