"""Text to ids: encoding, special tokens, chat templates, and the bytes that tokens stand for."""
