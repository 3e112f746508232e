"""The recipe of the embedded model: from a folder of plain text to a Hugging Face directory."""
