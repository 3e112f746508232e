"""The small mixture of experts that we ship, in Hugging Face format; its card is README.md."""
